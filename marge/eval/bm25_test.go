package eval

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/asm"
)

// naiveBM25 computes the formula, word by word of the query, where repeated
// words count each time (k3 without bound) or once (k3 0).
func naiveBM25(docs [][]string, query, doc int, k1, b float64, repeat bool) float64 {
	average := 0.0
	for _, d := range docs {
		average += float64(len(d)) / float64(len(docs))
	}
	score := 0.0
	for i, word := range docs[query] {
		if !repeat && slices.Index(docs[query], word) < i {
			continue
		}
		df, tf := 0.0, 0.0
		for _, d := range docs {
			if slices.Contains(d, word) {
				df++
			}
		}
		for _, w := range docs[doc] {
			if w == word {
				tf++
			}
		}
		if tf == 0 {
			continue
		}
		idf := math.Log(1 + (float64(len(docs))-df+0.5)/(df+0.5))
		score += idf * tf * (k1 + 1) / (tf + k1*(1-b+b*float64(len(docs[doc]))/average))
	}
	return score
}

func TestBM25AgainstNaive(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 9))
		docs := make([][]string, 1+r.IntN(12))
		texts := make([]string, len(docs))
		for i := range docs {
			for range r.IntN(15) {
				docs[i] = append(docs[i], fmt.Sprintf("w%d", int(4*r.ExpFloat64())))
			}
			texts[i] = strings.Join(docs[i], " ")
		}
		for _, opt := range []BM25Options{{}, {K1: 2, B: 0.3}, {B: -1, K3: -1}, {B: 1}} {
			k1, b := opt.K1, opt.B
			if k1 == 0 {
				k1 = 1.2
			}
			if b == 0 {
				b = 0.75
			}
			candidates, queries := r.Perm(len(docs))[:1+r.IntN(len(docs))], r.Perm(len(docs))
			got := make([]float32, len(queries)*len(candidates))
			score(t, must(NewBM25(t.Context(), threads(3), texts, opt)), candidates, queries, got)
			for i, q := range queries {
				for j, c := range candidates {
					want := naiveBM25(docs, q, c, k1, max(b, 0), opt.K3 < 0)
					if g := float64(got[i*len(candidates)+j]); !(math.Abs(g-want) < 1e-5*max(1, want)) {
						t.Fatalf("seed %d, %+v: %q and %q: %v, reference %v", seed, opt, texts[q], texts[c], g, want)
					}
				}
			}
		}
	}
}

// TestBM25K3: "a a a" with k3 = 1 weighs a by 3*2/(3+1) = 1.5.
func TestBM25K3(t *testing.T) {
	texts := []string{"a a a", "a", "b"}
	scored := func(opt BM25Options) float64 {
		s := make([]float32, 1)
		score(t, must(NewBM25(t.Context(), asm.Serial, texts, opt)), []int{1}, []int{0}, s)
		return float64(s[0])
	}
	once := scored(BM25Options{})
	for k3, want := range map[float64]float64{1: 1.5, -1: 3, 0: 1} {
		if got := scored(BM25Options{K3: k3}) / once; math.Abs(got-want) > 1e-6 {
			t.Errorf("k3 %v: weight %v, want %v", k3, got, want)
		}
	}
}

func TestBM25Features(t *testing.T) {
	texts := []string{"Fähre! FÄHRE", "fähre", "hre", "", "x日本y"}
	for _, c := range []struct {
		opt        BM25Options
		query, doc int
		match      bool
	}{
		{BM25Options{}, 0, 1, true},
		{BM25Options{}, 0, 2, false},
		{BM25Options{MinN: 2, MaxN: 3}, 0, 2, true},
		{BM25Options{MinN: 4, MaxN: 4}, 0, 2, false},
		{BM25Options{MinN: 2, MaxN: 3, MaxChars: 2}, 0, 2, false},
		{BM25Options{}, 3, 0, false},
		{BM25Options{}, 0, 3, false},
		{BM25Options{}, 4, 4, true},
	} {
		s := make([]float32, 1)
		score(t, must(NewBM25(t.Context(), asm.Serial, texts, c.opt)), []int{c.doc}, []int{c.query}, s)
		if (s[0] > 0) != c.match || s[0] < 0 {
			t.Errorf("%+v: %q scores %v with %q", c.opt, texts[c.query], s[0], texts[c.doc])
		}
	}
	score(t, must(NewBM25(t.Context(), asm.Serial, nil, BM25Options{})), nil, nil, nil)
}

func TestWords(t *testing.T) {
	for text, want := range map[string][]string{
		"":                       nil,
		" ... — !":               nil,
		"It’s 3.5 km, isn't it?": {"it’s", "3.5", "km", "isn't", "it"},
		"İstanbul ΟΔΟΣ, naïve":   {"i̇stanbul", "οδος", "naïve"},
		"渡轮7点 フェリー":              {"渡", "轮", "7", "点", "フェリー"},
		"تغادر العبّارة; x_y foo-bar": {"تغادر", "العبّارة", "x_y", "foo", "bar"},
	} {
		if got := Words(text); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// TestBM25Corpus measures the baseline as TestTFIDFCorpus does.
func TestBM25Corpus(t *testing.T) {
	dir := os.Getenv("MARGE_DATA")
	if dir == "" || testing.Short() {
		t.Skip("needs MARGE_DATA and no -short")
	}
	docs, texts := readCorpus(t, filepath.Join(dir, "dev", "lohelp-heldout.jsonl.gz"))
	for _, c := range []struct {
		opt BM25Options
		p1  float64
	}{{BM25Options{MaxChars: 500}, 0.386}, {BM25Options{MaxChars: 500, MinN: 3, MaxN: 5}, 0.520}} {
		bm25 := must(NewBM25(t.Context(), threads(runtime.GOMAXPROCS(0)), texts, c.opt))
		report := must(Retrieval(t.Context(), docs, bm25, nil))
		if report.Micro.N != 71890 || math.Abs(report.Micro.P1-c.p1) > 0.001 {
			t.Errorf("%+v: %+v, want P@1 %v over 71890 queries", c.opt, report.Micro, c.p1)
		}
	}
}

func TestBM25Panics(t *testing.T) {
	for _, opt := range []BM25Options{{K1: -1}, {K1: math.NaN()}, {B: 2}, {B: math.NaN()}, {K3: math.NaN()},
		{MinN: 3, MaxN: 2}, {MaxN: 2}, {MaxChars: -1}} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.HasPrefix(got, "eval: bm25: ") {
					t.Errorf("%+v: panic %q", opt, got)
				}
			}()
			NewBM25(t.Context(), asm.Serial, nil, opt)
		}()
	}
}
