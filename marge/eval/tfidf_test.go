package eval

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"log"
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

// naiveTFIDF returns the cosines of all documents, in float64, from dense
// vectors by definition.
func naiveTFIDF(texts []string, opt TFIDFOptions) [][]float64 {
	tf := make([]map[string]float64, len(texts))
	df := map[string]float64{}
	for i, text := range texts {
		r := []rune(text)
		if opt.MaxChars > 0 && len(r) > opt.MaxChars {
			r = r[:opt.MaxChars]
		}
		lower := strings.ToLower(string(r))
		if strings.TrimSpace(lower) != "" {
			first, last := strings.HasPrefix(lower, strings.TrimLeft(lower, " \n\t")),
				strings.HasSuffix(lower, strings.TrimRight(lower, " \n\t"))
			lower = strings.Join(strings.Fields(lower), " ")
			if !first {
				lower = " " + lower
			}
			if !last {
				lower += " "
			}
		} else if lower != "" {
			lower = " "
		}
		r = []rune(lower)
		tf[i] = map[string]float64{}
		for n := opt.MinN; n <= opt.MaxN; n++ {
			for j := 0; j+n <= len(r); j++ {
				tf[i][string(r[j:j+n])]++
			}
		}
		for gram := range tf[i] {
			df[gram]++
		}
	}
	norm := make([]float64, len(texts))
	for i := range tf {
		for gram, c := range tf[i] {
			w := (1 + math.Log(c)) * (math.Log((1+float64(len(texts)))/(1+df[gram])) + 1)
			tf[i][gram] = w
			norm[i] += w * w
		}
	}
	cosines := make([][]float64, len(texts))
	for i := range tf {
		cosines[i] = make([]float64, len(texts))
		for j := range tf {
			for gram, w := range tf[i] {
				cosines[i][j] += w * tf[j][gram]
			}
			if norm[i]*norm[j] > 0 {
				cosines[i][j] /= math.Sqrt(norm[i] * norm[j])
			}
		}
	}
	return cosines
}

func randomText(r *rand.Rand) string {
	const letters = "aaabbcAB  \n\tдДя日本é"
	alphabet := []rune(letters)
	text := make([]rune, r.IntN(40))
	for i := range text {
		text[i] = alphabet[r.IntN(len(alphabet))]
	}
	return string(text)
}

func TestTFIDFAgainstNaive(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 3))
		texts := make([]string, 1+r.IntN(20))
		for i := range texts {
			texts[i] = randomText(r)
		}
		opt := TFIDFOptions{MinN: 1 + r.IntN(3), MaxChars: []int{0, 10}[r.IntN(2)]}
		opt.MaxN = opt.MinN + r.IntN(3)
		want := naiveTFIDF(texts, opt)
		candidates := r.Perm(len(texts))[:1+r.IntN(len(texts))]
		queries := r.Perm(len(texts))
		for _, run := range []asm.Runner{asm.Serial, threads(5)} {
			got := make([]float32, len(queries)*len(candidates))
			for i := range got {
				got[i] = float32(math.NaN()) // must be overwritten
			}
			score(t, must(NewTFIDF(t.Context(), run, texts, opt)), candidates, queries, got)
			for i, q := range queries {
				for j, c := range candidates {
					if g, w := got[i*len(candidates)+j], want[q][c]; !(math.Abs(float64(g)-w) < 1e-5) {
						t.Fatalf("seed %d, %+v: %q and %q: %v, reference %v", seed, opt, texts[q], texts[c], g, w)
					}
				}
			}
		}
	}
}

// TestTFIDFByHand: "aba" has the bigrams ab, ba; "abab" ab twice and ba; "cab"
// ca, ab.
func TestTFIDFByHand(t *testing.T) {
	got := make([]float32, 3)
	score(t, must(NewTFIDF(t.Context(), asm.Serial, []string{"ABA", "abab", "cab"}, TFIDFOptions{MinN: 2, MaxN: 2})),
		[]int{0, 1, 2}, []int{0}, got)
	ba := math.Log(4.0/3) + 1 // in two of three documents; ab is in all and weighs 1
	ca := math.Log(4.0/2) + 1
	ab := 1 + math.Ln2 // twice
	norm := math.Hypot(1, ba)
	want := []float64{1, (ab + ba*ba) / norm / math.Hypot(ab, ba), 1 / norm / math.Hypot(ca, 1)}
	for i := range want {
		if math.Abs(float64(got[i])-want[i]) > 1e-6 {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

func TestNgrams(t *testing.T) {
	got := slices.Collect(ngrams("aßc日", 2, 3))
	if want := []string{"aß", "aßc", "ßc", "ßc日", "c日"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for _, c := range []struct {
		text string
		max  int
		want string
	}{
		{"  Ab\xffC\n\n \tД d", 11, " ab\ufffdc д"}, {"ab\xff d", 3, "ab\ufffd"}, {"abc", 3, "abc"}, {"abc", 2, "ab"},
		{"a\x1f b ", 0, "a b "}, {"İΟΔΟΣ", 0, "i̇οδος"},
	} {
		if got := normalizeText(c.text, c.max); got != c.want {
			t.Errorf("%q: got %q, want %q", c.text, got, c.want)
		}
	}
}

func ExampleRetrieval() {
	docs := []Doc{{"de", "1"}, {"de", "2"}, {"en", "1"}, {"en", "2"}}
	texts := []string{"Das Modul python-apt", "Die Datei fstab", "The file fstab", "The python-apt module"}
	docs[2].Group, docs[3].Group = "2", "1"
	ctx := context.Background()
	tfidf, err := NewTFIDF(ctx, asm.Serial, texts, TFIDFOptions{})
	if err != nil {
		log.Fatal(err)
	}
	report, err := Retrieval(ctx, docs, tfidf, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report)
	// Output:
	//   from       to  queries  candidates    P@1    P@5    MRR
	//     de       en        2           2  1.000  1.000  1.000
	//     en       de        2           2  1.000  1.000  1.000
	//    all  queries        4              1.000  1.000  1.000
	//    all    pairs        2              1.000  1.000  1.000
}

// TestTFIDFCorpus measures the baseline on real documents: how well the help
// pages of dev/lohelp-heldout find their translations by their first 500
// characters.
func TestTFIDFCorpus(t *testing.T) {
	dir := os.Getenv("MARGE_DATA")
	if dir == "" || testing.Short() {
		t.Skip("needs MARGE_DATA and no -short")
	}
	docs, texts := readCorpus(t, filepath.Join(dir, "dev", "lohelp-heldout.jsonl.gz"))
	tfidf := must(NewTFIDF(t.Context(), threads(runtime.GOMAXPROCS(0)), texts, TFIDFOptions{MaxChars: 500}))
	report := must(Retrieval(t.Context(), docs, tfidf, nil))
	var table strings.Builder
	if err := report.WriteTable(&table); err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", table.String())
	if report.Micro.N != 71890 || math.Abs(report.Micro.P1-0.509) > 0.001 {
		t.Errorf("micro average %+v, want P@1 0.509 over 71890 queries", report.Micro)
	}
}

func readCorpus(t *testing.T, name string) (docs []Doc, texts []string) {
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(bufio.NewReader(f))
	if err != nil {
		t.Fatal(err)
	}
	for dec := json.NewDecoder(z); dec.More(); {
		var d struct{ Lang, Group, Text string }
		if err := dec.Decode(&d); err != nil {
			t.Fatal(err)
		}
		docs, texts = append(docs, Doc{d.Lang, d.Group}), append(texts, d.Text)
	}
	return docs, texts
}
