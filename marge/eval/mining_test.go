package eval

import (
	"cmp"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/marge/vectors"
)

// naiveScores returns the score of every pair of sentences by the formulas of
// the paper, in float64, and for every sentence which are its k nearest.
func naiveScores(sources, targets [][]float64, margin vectors.Margin, k int) (scores [][]float64, near, back [][]int) {
	cos := func(a, b []float64) float64 {
		ab, aa, bb := 0.0, 0.0, 0.0
		for i := range a {
			ab, aa, bb = ab+a[i]*b[i], aa+a[i]*a[i], bb+b[i]*b[i]
		}
		return ab / math.Sqrt(aa*bb)
	}
	nearest := func(from, to [][]float64) (near [][]int, mean []float64) {
		for _, x := range from {
			order := make([]int, len(to))
			for i := range order {
				order[i] = i
			}
			sort.SliceStable(order, func(i, j int) bool { return cos(x, to[order[i]]) > cos(x, to[order[j]]) })
			order = order[:min(k, len(order))]
			m := 0.0
			for _, i := range order {
				m += cos(x, to[i])
			}
			near, mean = append(near, order), append(mean, m/float64(len(order)))
		}
		return near, mean
	}
	near, means := nearest(sources, targets)
	back, backMeans := nearest(targets, sources)
	scores = make([][]float64, len(sources))
	for i := range sources {
		for j := range targets {
			s, average := cos(sources[i], targets[j]), means[i]/2+backMeans[j]/2
			switch margin {
			case vectors.MarginRatio:
				s /= average
			case vectors.MarginDistance:
				s -= average
			}
			scores[i] = append(scores[i], s)
		}
	}
	return scores, near, back
}

func naiveMine(sources, targets [][]float64, o MineOptions) []Mined {
	scores, near, back := naiveScores(sources, targets, o.Margin, o.K)
	forward, backward := map[int]int{}, map[int]int{}
	for i, candidates := range near {
		forward[i] = slices.MaxFunc(candidates, func(a, b int) int {
			return int(math.Copysign(1, scores[i][a]-scores[i][b]))
		})
	}
	for j, candidates := range back {
		backward[j] = slices.MaxFunc(candidates, func(a, b int) int {
			return int(math.Copysign(1, scores[a][j]-scores[b][j]))
		})
	}
	var all, mined []Mined
	for i, j := range forward {
		if o.Method != MineMutual || backward[j] == i {
			all = append(all, Mined{Bitext{i, j}, scores[i][j]})
		}
	}
	if o.Method == MineGreedy {
		for j, i := range backward {
			all = append(all, Mined{Bitext{i, j}, scores[i][j]})
		}
	}
	slices.SortFunc(all, func(a, b Mined) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.Source, b.Source), cmp.Compare(a.Target, b.Target))
	})
	for _, m := range all {
		taken := slices.ContainsFunc(mined, func(o Mined) bool { return o.Source == m.Source || o.Target == m.Target })
		if o.Method != MineGreedy || !taken {
			mined = append(mined, m)
		}
	}
	return mined
}

func TestMineAgainstNaive(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 4))
		const dim = 5
		shift := r.Float64() * 2 // with it, all cosines are high
		rows := func(n int) (wide [][]float64, flat []float32) {
			for range n {
				row := make([]float64, dim)
				for i := range row {
					x := float32(r.NormFloat64() + shift)
					row[i], flat = float64(x), append(flat, x)
				}
				wide = append(wide, row)
			}
			return wide, flat
		}
		sources, a := rows(1 + r.IntN(30))
		targets, b := rows(1 + r.IntN(30))
		o := MineOptions{
			Margin: []vectors.Margin{vectors.MarginDistance, vectors.MarginNone, vectors.MarginRatio}[seed%3],
			Method: []MiningMethod{MineForward, MineMutual, MineGreedy}[seed/3%3],
			K:      1 + r.IntN(6),
		}
		if o.Margin == vectors.MarginRatio {
			// Averages near zero make ratios that float32 does not resolve.
			for _, rows := range [][][]float64{sources, targets} {
				for _, row := range rows {
					row[0] += 3
				}
			}
			for i := range a {
				a[i] = float32(sources[i/dim][i%dim])
			}
			for i := range b {
				b[i] = float32(targets[i/dim][i%dim])
			}
		}
		want := naiveMine(sources, targets, o)
		order := make([]int, len(sources)+len(targets))
		for i := range order {
			order[i] = i
		}
		dense := NewDense(asm.Serial, slices.Concat(a, b), dim)
		for _, mine := range []func() ([]Mined, error){
			func() ([]Mined, error) { return Mine(t.Context(), asm.Serial, a, b, dim, o) },
			func() ([]Mined, error) { return Mine(t.Context(), threads(3), a, b, dim, o) },
			func() ([]Mined, error) {
				set := MiningSet{Sources: order[:len(sources)], Targets: order[len(sources):]}
				return set.Mine(t.Context(), dense, o)
			},
		} {
			got, err := mine()
			if err != nil {
				t.Fatal(err)
			}
			if !slices.EqualFunc(got, want, func(a, b Mined) bool {
				return a.Bitext == b.Bitext && math.Abs(a.Score-b.Score) < 1e-5
			}) {
				t.Errorf("seed %d, %+v, %d and %d sentences:\ngot  %v\nwant %v", seed, o, len(sources), len(targets), got, want)
			}
		}
	}
}

// TestMineMargin has a target that is near to every source: the margin does
// not take it, the cosine does.
func TestMineMargin(t *testing.T) {
	sources := []float32{
		1, 0.9, 0, 0,
		1, 0, 0.9, 0,
		1, 0, 0, 0.9,
	}
	targets := []float32{
		1, 0.3, 0.3, 0.3, // the hub
		0.2, 1, 0, 0,
		0.2, 0, 1, 0,
		0.2, 0, 0, 1,
	}
	right := []Bitext{{0, 1}, {1, 2}, {2, 3}}
	for _, c := range []struct {
		margin  vectors.Margin
		correct int
	}{{vectors.MarginNone, 0}, {vectors.MarginDistance, 3}, {vectors.MarginRatio, 3}} {
		mined, err := Mine(t.Context(), asm.Serial, sources, targets, 4, MineOptions{Margin: c.margin, Method: MineForward})
		if err != nil {
			t.Fatal(err)
		}
		if s := must(ScoreMining(mined, right, math.Inf(-1))); s.Correct != c.correct || s.Mined != 3 {
			t.Errorf("%s: %+v of %v", c.margin, s, mined)
		}
	}
	def, err := Mine(t.Context(), asm.Serial, sources, targets, 4, MineOptions{})
	if err != nil {
		t.Fatal(err)
	}
	o := MineOptions{Margin: vectors.MarginRatio, Method: MineGreedy, K: 4}
	if same := must(Mine(t.Context(), asm.Serial, sources, targets, 4, o)); !reflect.DeepEqual(def, same) {
		t.Errorf("defaults: %v, want %v", def, same)
	}
}

func TestMineEdges(t *testing.T) {
	none := make([]float32, 0)
	for _, c := range [][2][]float32{{none, {1, 2}}, {{1, 2}, none}, {none, none}} {
		if got, err := Mine(t.Context(), asm.Serial, c[0], c[1], 2, MineOptions{}); len(got) != 0 || err != nil {
			t.Errorf("%v: %v, %v", c, got, err)
		}
	}
	// A vector of zeros has no translation and no ratio.
	got, err := Mine(t.Context(), asm.Serial, []float32{0, 0, 1, 0}, []float32{0, 0, 2, 0}, 2, MineOptions{K: 1})
	if err != nil || len(got) != 2 || got[0] != (Mined{Bitext{1, 1}, 1}) || got[1].Score != 0 {
		t.Errorf("zeros: %v, %v", got, err)
	}
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for want, c := range map[string][2][]float32{
		"source sentences: vector 1 has the value NaN":  {{1, 2, 3, nan}, {1, 2}},
		"target sentences: vector 0 has the value +Inf": {{1, 2}, {inf, 2}},
	} {
		if _, err := Mine(t.Context(), asm.Serial, c[0], c[1], 2, MineOptions{}); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	for _, o := range []MineOptions{{Margin: "x"}, {Method: "x"}, {K: -1}} {
		if _, err := Mine(t.Context(), asm.Serial, none, none, 2, o); err == nil {
			t.Errorf("no error for %+v", o)
		}
	}
}

func TestScoreMining(t *testing.T) {
	mined := []Mined{
		{Bitext{0, 0}, 5}, {Bitext{1, 1}, 4}, {Bitext{1, 1}, 4}, {Bitext{2, 7}, 3}, {Bitext{3, 3}, 3}, {Bitext{4, 8}, 1},
		{Bitext{9, 9}, math.NaN()},
	}
	gold := []Bitext{{0, 0}, {1, 1}, {3, 3}, {5, 5}, {5, 5}}
	got := must(ScoreMining(mined, gold, 3))
	want := MiningScore{Threshold: 3, Mined: 4, Gold: 4, Correct: 3, Precision: 0.75, Recall: 0.75, F1: 0.75}
	if got != want {
		t.Errorf("at 3: %+v, want %+v", got, want)
	}
	// At 4: precision 1, recall 1/2, F1 2/3; at 3: F1 3/4; below: 2*3/(5+4).
	want.Threshold = 2
	if got := must(BestThreshold(mined, gold)); got != want {
		t.Errorf("best: %+v, want %+v", got, want)
	}
	r := rand.New(rand.NewPCG(1, 2))
	shuffled := slices.Clone(mined)
	r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	if got := must(BestThreshold(shuffled, gold)); got != want {
		t.Errorf("the order of pairs matters: %+v", got)
	}
	none := MiningScore{Threshold: math.Nextafter(5, 6), Gold: 1}
	if got := must(BestThreshold(mined, []Bitext{{8, 8}})); got != none ||
		must(ScoreMining(mined, gold, got.Threshold)).Mined > 0 {
		t.Errorf("none true: %+v", got)
	}
	if got := must(BestThreshold(nil, gold)); got != (MiningScore{Gold: 4}) {
		t.Errorf("none mined: %+v", got)
	}
	if got := must(ScoreMining(nil, gold, 0)); got != (MiningScore{Gold: 4}) {
		t.Errorf("none mined: %+v", got)
	}
	_, bestErr := BestThreshold(mined, nil)
	_, scoreErr := ScoreMining(mined, nil, 0)
	for _, err := range []error{bestErr, scoreErr} {
		var reason *NotEvaluatedError
		if !errors.As(err, &reason) {
			t.Errorf("without true pairs: error %v", err)
		}
	}
	if got := must(BestThreshold([]Mined{{Bitext{1, 1}, -2}}, []Bitext{{1, 1}})); got.F1 != 1 || got.Threshold != -2 {
		t.Errorf("a single pair: %+v", got)
	}
}

// TestBestThresholdIsBest tries every threshold.
func TestBestThresholdIsBest(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 8))
		var mined []Mined
		var gold []Bitext
		for i := range 1 + r.IntN(20) {
			mined = append(mined, Mined{Bitext{i, i}, math.Nextafter(float64(r.IntN(5)), float64(r.IntN(9)))})
			if i == 0 || r.IntN(2) == 0 {
				gold = append(gold, Bitext{i + r.IntN(2), i})
			}
		}
		best := 0.0
		for _, m := range mined {
			best = max(best, must(ScoreMining(mined, gold, m.Score)).F1)
		}
		got := must(BestThreshold(mined, gold))
		if got.F1 != best || must(ScoreMining(mined, gold, got.Threshold)) != got {
			t.Fatalf("seed %d: %+v, best F1 %v, again %+v", seed, got, best, must(ScoreMining(mined, gold, got.Threshold)))
		}
	}
}
