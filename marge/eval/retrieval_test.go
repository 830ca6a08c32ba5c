package eval

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/marge-go/marge/asm"
)

// table is a Scorer that looks scores up.
type table [][]float32

func (s table) Against(candidates []int) ScoreFunc {
	return func(_ context.Context, queries []int, dst []float32) error {
		for i, q := range queries {
			for j, c := range candidates {
				dst[i*len(candidates)+j] = s[q][c]
			}
		}
		return nil
	}
}

// must returns a result that has no error.
func must[T any](result T, err error) T {
	if err != nil {
		panic(err)
	}
	return result
}

// score fills dst with the scores of queries and candidates.
func score(t *testing.T, s Scorer, candidates, queries []int, dst []float32) {
	t.Helper()
	if err := s.Against(candidates)(t.Context(), queries, dst); err != nil {
		t.Fatal(err)
	}
}

// threads is a Runner with goroutines of its own.
type threads int

func (n threads) Threads() int { return int(n) }

func (n threads) Run(parts int, t asm.Task) {
	queue := make(chan int, parts)
	for p := range parts {
		queue <- p
	}
	close(queue)
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			for p := range queue {
				t.Do(p)
			}
		})
	}
	wg.Wait()
}

func TestRetrievalByHand(t *testing.T) {
	nan := float32(math.NaN())
	docs := []Doc{
		{"de", "a"}, {"de", "b"}, {"de", "c"}, // 0 1 2
		{"en", "a"}, {"en", "b"}, {"en", "x"}, {"en", ""}, {"en", "a"}, // 3 4 5 6 7
		{"fr", ""}, // 8
	}
	s := table{
		0: {0, 0, 0, 0.1, 0.8, 0.3, 0.2, 0.7, 9}, // a: best equivalent 7, only 4 before it: rank 2
		1: {0, 0, 0, 0.5, 0.5, 0.5, nan, 0.1, 9}, // b: 4 ties with 3 and 5, 6 is not a number: rank 4
		2: {9, 9, 9, 9, 9, 9, 9, 9, 9},           // c: no equivalent, no query
		3: {5, 4, 3, 9, 9, 9, 9, 9, 9},           // rank 1
		4: {5, nan, 3, 9, 9, 9, 9, 9, 9},         // rank 3: the equivalent's is not a number
		5: {9, 9, 9, 9, 9, 9, 9, 9, 9},
		6: {9, 9, 9, 9, 9, 9, 9, 9, 9},
		7: {5, 6, 3, 9, 9, 9, 9, 9, 9}, // rank 2
		8: {9, 9, 9, 9, 9, 9, 9, 9, 9},
	}
	want := &Report{
		Pairs: []PairReport{
			{From: "de", To: "en", Candidates: 5, Metrics: Metrics{2, 0, 1, (1.0/2 + 1.0/4) / 2}},
			{From: "en", To: "de", Candidates: 3, Metrics: Metrics{3, 1.0 / 3, 1, (1 + 1.0/3 + 1.0/2) / 3}},
		},
		Micro: Metrics{5, 0.2, 1, (1.0/2 + 1.0/4 + (1 + 1.0/3 + 1.0/2)) / 5},
		Macro: Metrics{2, 1.0 / 6, 1, ((1.0/2+1.0/4)/2 + (1+1.0/3+1.0/2)/3) / 2},
		NaN:   2,
	}
	got := must(Retrieval(t.Context(), docs, s, nil))
	same := func(a, b Metrics) bool {
		return a.N == b.N && math.Abs(a.P1-b.P1)+math.Abs(a.P5-b.P5)+math.Abs(a.MRR-b.MRR) < 1e-14
	}
	if got.NaN != want.NaN || !same(got.Micro, want.Micro) || !same(got.Macro, want.Macro) ||
		!slices.EqualFunc(got.Pairs, want.Pairs, func(a, b PairReport) bool {
			return a.From == b.From && a.To == b.To && a.Candidates == b.Candidates && same(a.Metrics, b.Metrics)
		}) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}

	var b strings.Builder
	if err := got.WriteTable(&b); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	for _, line := range []string{"from to queries candidates P@1 P@5 MRR", "de en 2 5 0.000 1.000 0.375",
		"en de 3 3 0.333 1.000 0.611", "all queries 5 0.200 1.000 0.517", "all pairs 2 0.167 1.000 0.493",
		"not a number: 2"} {
		if !strings.Contains(strings.Join(strings.Fields(text), " "), line) {
			t.Errorf("no %q in\n%s", line, text)
		}
	}
	encoded, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	begin := `{"pairs":[{"from":"de","to":"en","candidates":5,"n":2,"p1":0,"p5":1,"mrr":0.375},`
	if !strings.HasPrefix(string(encoded), begin) {
		t.Errorf("JSON %s, want it to begin %s", encoded, begin)
	}
	for i := range got.Pairs {
		got.Pairs[i].queries = nil // not encoded
	}
	var decoded Report
	if err := json.Unmarshal(encoded, &decoded); err != nil || !reflect.DeepEqual(&decoded, got) {
		t.Errorf("JSON decodes to %+v, %v", decoded, err)
	}
}

func TestRetrievalRankFive(t *testing.T) {
	docs := []Doc{{"de", "a"}, {"en", "a"}}
	scores := []float32{0, 1}
	for range 5 {
		docs = append(docs, Doc{"en", "x"})
	}
	for better := range 6 {
		row := append([]float32(nil), scores...)
		for i := range 5 {
			row = append(row, map[bool]float32{true: 2, false: 0}[i < better])
		}
		s := make(table, len(docs))
		for i := range s {
			s[i] = row
		}
		p5 := map[bool]float64{true: 1, false: 0}[better < 5]
		if got := must(Retrieval(t.Context(), docs, s, nil)).Pairs[0]; got.P5 != p5 || got.MRR != 1/float64(better+1) {
			t.Errorf("%d better: %+v", better, got)
		}
	}
}

func TestRetrievalNotEvaluated(t *testing.T) {
	for want, docs := range map[string][]Doc{
		"there are no documents":                                       nil,
		`all 1 documents are in one language, "de"`:                    {{"de", "a"}},
		`all 2 documents are in one language, "de"`:                    {{"de", "a"}, {"de", "a"}},
		"no two of 2 documents in different languages are of one grou": {{"de", "a"}, {"en", "b"}},
		"none of 2 documents names a group of translations":            {{"de", ""}, {"en", ""}},
	} {
		got, err := Retrieval(t.Context(), docs, table{}, nil)
		var reason *NotEvaluatedError
		if got != nil || !errors.As(err, &reason) || reason.What != "retrieval" || !strings.Contains(reason.Reason, want) {
			t.Errorf("%v: report %v, error %v, want one with %q", docs, got, err, want)
		}
	}
}

// TestLanguageTags: spellings of a tag are one language.
func TestLanguageTags(t *testing.T) {
	spelt := []Doc{{"de_DE", "a"}, {"DE-de", "b"}, {"eng", "a"}, {"EN", "b"}, {"iw", "c"}, {"he", "c"}, {"?", "d"},
		{"!", "d"}}
	plain := []Doc{{"de-DE", "a"}, {"de-DE", "b"}, {"en", "a"}, {"en", "b"}, {"he", "c"}, {"he", "c"}, {"?", "d"},
		{"!", "d"}}
	s := make(table, len(spelt))
	for i := range s {
		s[i] = []float32{0, 1, 2, 3, 4, 5, 6, 7}
	}
	got, want := must(Retrieval(t.Context(), spelt, s, nil)), must(Retrieval(t.Context(), plain, s, nil))
	if !reflect.DeepEqual(got, want) || got.Micro.N != 6 {
		t.Errorf("got\n%v\nwant\n%v", got, want)
	}
	targets := Targets(spelt, 1, 2)
	if want := Targets(plain, 1, 2); !slices.Equal(targets, want) || len(targets) != 4 {
		t.Errorf("targets %v, want %v", targets, want)
	}
	opt := EvidenceOptions{CrossLingual: true}
	a := must(SelectEvidence(t.Context(), spelt, targets, s, opt))
	b := must(SelectEvidence(t.Context(), plain, targets, s, opt))
	if !reflect.DeepEqual(a, b) {
		t.Errorf("evidence %+v, want %+v", a, b)
	}
}

// TestRetrievalProgress counts every query of every pair of languages.
func TestRetrievalProgress(t *testing.T) {
	docs, s := retrievalCase(3, "de", "en", "fr")
	var steps []int
	must(Retrieval(t.Context(), append(docs, Doc{"it", ""}), widened(s), func(done, total int) {
		if total != 18 {
			t.Errorf("%d of %d queries", done, total)
		}
		steps = append(steps, done)
	}))
	if !slices.Equal(steps, []int{6, 12, 18}) {
		t.Errorf("progress %v", steps)
	}
}

// widened adds a document to a table.
func widened(s Scorer) Scorer {
	wide := append(slices.Clone(s.(table)), nil)
	for i := range wide {
		wide[i] = append(slices.Clone(wide[i]), make([]float32, len(wide)-len(wide[i]))...)
	}
	return wide
}

// TestEvaluationCancel stops evaluations: before they begin, and in the middle.
func TestEvaluationCancel(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 1))
	docs, s := retrievalCase(24, "de", "en")
	texts := slices.Repeat([]string{"one text", "another"}, len(docs)/2)
	rows := make([]float32, len(docs)*3)
	offsets := make([]int, len(docs)+1)
	for i := range rows {
		rows[i], offsets[i/3+1] = r.Float32(), i/3+1
	}
	report := must(Retrieval(t.Context(), docs, s, nil))
	evidence := must(SelectEvidence(t.Context(), docs, Targets(docs, 0, 0), s, EvidenceOptions{}))
	generation := GenerationOptions{Bootstrap: &Bootstrap{}}
	references := make([][]string, len(texts))
	for i := range references {
		references[i] = []string{"a reference"}
	}
	loss := func(int, []int) (float64, int, error) { return 1, 1, nil }
	for name, f := range map[string]func(ctx context.Context, progress Progress) error{
		"retrieval": func(ctx context.Context, progress Progress) error {
			_, err := Retrieval(ctx, docs, s, progress)
			return err
		},
		"dense": func(ctx context.Context, progress Progress) error {
			_, err := Retrieval(ctx, docs, NewDense(asm.Serial, rows, 3), progress)
			return err
		},
		"max sim": func(ctx context.Context, progress Progress) error {
			_, err := Retrieval(ctx, docs, NewMaxSim(asm.Serial, rows, 3, offsets), progress)
			return err
		},
		"tf-idf": func(ctx context.Context, progress Progress) error {
			_, err := Retrieval(ctx, docs, must(NewTFIDF(t.Context(), asm.Serial, texts, TFIDFOptions{})), progress)
			return err
		},
		"bm25": func(ctx context.Context, progress Progress) error {
			_, err := Retrieval(ctx, docs, must(NewBM25(t.Context(), asm.Serial, texts, BM25Options{})), progress)
			return err
		},
		"evidence loss": func(ctx context.Context, progress Progress) error {
			_, err := evidence.Loss(ctx, loss, Bootstrap{}, progress)
			return err
		},
		"generation": func(ctx context.Context, progress Progress) error {
			generation.Progress = progress
			_, err := Generation(ctx, texts, references, generation)
			return err
		},
	} {
		for _, step := range []int{0, 1} {
			ctx, cancel := context.WithCancel(t.Context())
			if step == 0 {
				cancel()
			}
			steps := 0
			err := f(ctx, func(done, total int) {
				if steps++; done >= total {
					t.Errorf("%s: ran to its end", name)
				}
				cancel()
			})
			if !errors.Is(err, context.Canceled) || steps != step {
				t.Errorf("%s: error %v after %d steps, want %d", name, err, steps, step)
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, f := range map[string]func() error{
		"bootstrap":       func() error { return report.Bootstrap(ctx, Bootstrap{}, true) },
		"compare":         func() error { _, err := Compare(ctx, report, report, Bootstrap{}, true); return err },
		"mean":            func() error { _, err := Bootstrap{}.Mean(ctx, []float64{1}); return err },
		"mine":            func() error { _, err := Mine(ctx, asm.Serial, rows, rows, 3, MineOptions{}); return err },
		"tf-idf":          func() error { _, err := NewTFIDF(ctx, asm.Serial, texts, TFIDFOptions{}); return err },
		"bm25":            func() error { _, err := NewBM25(ctx, asm.Serial, texts, BM25Options{}); return err },
		"chrf":            func() error { _, err := ChrF(ctx, texts, references, ChrFOptions{}); return err },
		"rouge":           func() error { _, err := ROUGE(ctx, texts, references, ROUGEOptions{}); return err },
		"select evidence": func() error { _, err := SelectEvidence(ctx, docs, []int{0}, s, EvidenceOptions{}); return err },
	} {
		if err := f(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if report.MicroIntervals != nil {
		t.Error("a cancelled bootstrap left intervals")
	}
	for name, s := range map[string]Scorer{
		"dense": NewDense(asm.Serial, rows, 3), "max sim": NewMaxSim(asm.Serial, rows, 3, offsets),
		"tf-idf": must(NewTFIDF(t.Context(), asm.Serial, texts, TFIDFOptions{})),
	} {
		if err := s.Against([]int{0})(ctx, []int{1}, make([]float32, 1)); !errors.Is(err, context.Canceled) {
			t.Errorf("scores of %s: error %v", name, err)
		}
	}
}

// TestDenseBlocks has a product that is computed in several parts.
func TestDenseBlocks(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 1))
	const n, dim = 40, 7
	rows := make([]float32, n*dim)
	for i := range rows {
		rows[i] = float32(r.NormFloat64())
	}
	candidates, queries := r.Perm(n), r.Perm(n)[:37]
	whole, parts := NewDense(asm.Serial, rows, dim), NewDense(asm.Serial, rows, dim)
	parts.work = 5 * n * dim // 5 queries at a time
	want, got := make([]float32, len(queries)*n), make([]float32, len(queries)*n)
	score(t, whole, candidates, queries, want)
	score(t, parts, candidates, queries, got)
	for i := range got {
		if math.Abs(float64(got[i]-want[i])) > 1e-6 {
			t.Fatalf("query %d, candidate %d: %v, want %v", i/n, i%n, got[i], want[i])
		}
	}
}

type brokenWriter struct{}

var errBroken = errors.New("broken")

func (brokenWriter) Write([]byte) (int, error) { return 0, errBroken }

func TestWriteTableError(t *testing.T) {
	if err := new(Report).WriteTable(brokenWriter{}); !errors.Is(err, errBroken) {
		t.Errorf("error %v", err)
	}
}

// TestRetrievalBlocks has more queries than a block and scores that identify
// the query, so that a mix-up between rows shows.
func TestRetrievalBlocks(t *testing.T) {
	const n, dim = queryBlock + 300, 8
	r := rand.New(rand.NewPCG(1, 1))
	docs := make([]Doc, 0, 2*n)
	vectors := make([]float32, 0, 2*n*dim)
	for i := range n {
		group := string(rune(0x4e00 + i))
		docs = append(docs, Doc{"de", group}, Doc{"en", group})
		row := make([]float32, dim)
		for j := range row {
			row[j] = float32(r.NormFloat64())
		}
		vectors = append(append(vectors, row...), row...)
	}
	for _, run := range []asm.Runner{asm.Serial, threads(2), threads(5)} {
		got := must(Retrieval(t.Context(), docs, NewDense(run, vectors, dim), nil))
		if want := (Metrics{2 * n, 1, 1, 1}); got.Micro != want {
			t.Errorf("%d threads: %+v, want %+v", run.Threads(), got.Micro, want)
		}
	}
}
