package eval

import (
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

func (s table) Against(candidates []int) func(queries []int, dst []float32) {
	return func(queries []int, dst []float32) {
		for i, q := range queries {
			for j, c := range candidates {
				dst[i*len(candidates)+j] = s[q][c]
			}
		}
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
	got := Retrieval(docs, s)
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
	for _, line := range []string{"from to queries candidates P@1 P@5 MRR", "de en 2 5 0.000 1.000 0.375", "en de 3 3 0.333 1.000 0.611", "all queries 5 0.200 1.000 0.517", "all pairs 2 0.167 1.000 0.493", "not a number: 2"} {
		if !strings.Contains(strings.Join(strings.Fields(text), " "), line) {
			t.Errorf("no %q in\n%s", line, text)
		}
	}
	encoded, err := json.Marshal(got)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"pairs":[{"from":"de","to":"en","candidates":5,"n":2,"p1":0,"p5":1,"mrr":0.375},`; !strings.HasPrefix(string(encoded), want) {
		t.Errorf("JSON %s, want it to begin %s", encoded, want)
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
		if got := Retrieval(docs, s).Pairs[0]; got.P5 != p5 || got.MRR != 1/float64(better+1) {
			t.Errorf("%d better: %+v", better, got)
		}
	}
}

func TestRetrievalEmpty(t *testing.T) {
	for _, docs := range [][]Doc{nil, {{"de", "a"}}, {{"de", "a"}, {"de", "a"}}, {{"de", "a"}, {"en", "b"}}, {{"de", ""}, {"en", ""}}} {
		got := Retrieval(docs, table{})
		if want := (&Report{Pairs: []PairReport{}}); !reflect.DeepEqual(got, want) {
			t.Errorf("%v: got %+v", docs, got)
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
		got := Retrieval(docs, NewDense(run, vectors, dim))
		if want := (Metrics{2 * n, 1, 1, 1}); got.Micro != want {
			t.Errorf("%d threads: %+v, want %+v", run.Threads(), got.Micro, want)
		}
	}
}
