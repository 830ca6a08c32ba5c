package eval

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/marge/index"
	"github.com/marge-go/marge/marge/vectors"
)

// MiningMethod says which of the candidate pairs are extracted. Candidates of a
// sentence are its nearest neighbours in the other language.
type MiningMethod string

const (
	// MineForward extracts the best candidate of every source sentence.
	MineForward MiningMethod = "forward"
	// MineMutual extracts pairs of which each is the best candidate of the
	// other, the "intersection" of the paper.
	MineMutual MiningMethod = "mutual"
	// MineGreedy goes through the best candidates of source and target
	// sentences from the highest score down and extracts a pair if neither
	// sentence is in another, the "max. score" of the paper.
	MineGreedy MiningMethod = "greedy"
)

// MineOptions are the settings of [Mine].
type MineOptions struct {
	Margin vectors.Margin // "" stands for ratio
	Method MiningMethod   // "" stands for greedy
	// K is how many nearest neighbours a sentence has: those that it may be
	// paired with, and those of the margin. 0 stands for 4, the paper's.
	K int
}

// Bitext is a pair of sentences, by position.
type Bitext struct {
	Source, Target int
}

// Mined is a pair of sentences that may be translations.
type Mined struct {
	Bitext
	Score float64
}

// Mine finds pairs of translations among sentences of two languages, whose
// vectors are rows of dim values of any length. Pairs come in descending order
// of score, then of position; a threshold decides which of them are good enough,
// see [BestThreshold]. The search is exact, its memory proportional to the
// number of sentences, and the result the same for any number of threads.
//
// Options that are not valid, a value that is not finite and a cancelled context
// are errors.
func Mine(ctx context.Context, run asm.Runner, sources, targets []float32, dim int, opt MineOptions) ([]Mined, error) {
	if err := opt.complete(); err != nil {
		return nil, err
	}
	from, err := unitRows("source", sources, dim)
	if err != nil {
		return nil, fmt.Errorf("eval: mine: %w", err)
	}
	to, err := unitRows("target", targets, dim)
	if err != nil {
		return nil, fmt.Errorf("eval: mine: %w", err)
	}
	return opt.mine(len(from)/dim, len(to)/dim, func(forward bool) (*neighbours, error) {
		if forward {
			return nearest(ctx, run, from, to, dim, opt.K)
		}
		return nearest(ctx, run, to, from, dim, opt.K)
	})
}

// complete sets the defaults and checks the options.
func (o *MineOptions) complete() error {
	if o.Margin == "" {
		o.Margin = vectors.MarginRatio
	}
	if o.Method == "" {
		o.Method = MineGreedy
	}
	if o.K == 0 {
		o.K = defaultNeighbours
	}
	if err := o.Margin.Validate(); err != nil {
		return fmt.Errorf("eval: mine: %w", err)
	}
	if !slices.Contains([]MiningMethod{MineForward, MineMutual, MineGreedy}, o.Method) || o.K < 0 {
		return fmt.Errorf("eval: mine: no such settings: method %q, %d neighbours", o.Method, o.K)
	}
	return nil
}

// defaultNeighbours is the paper's number of neighbours.
const defaultNeighbours = 4

// mine extracts pairs of the given numbers of sentences, of which find returns
// the neighbours: those of the sources, forward, and those of the targets.
func (o *MineOptions) mine(sources, targets int, find func(forward bool) (*neighbours, error)) ([]Mined, error) {
	if sources == 0 || targets == 0 {
		return nil, nil
	}
	forward, err := find(true)
	if err != nil {
		return nil, fmt.Errorf("eval: mine: %w", err)
	}
	backward, err := find(false)
	if err != nil {
		return nil, fmt.Errorf("eval: mine: %w", err)
	}
	bestTarget := forward.best(o.Margin, backward)
	if o.Method == MineForward {
		return sortMined(bestTarget), nil
	}
	bestSource := backward.best(o.Margin, forward)
	for i, m := range bestSource {
		bestSource[i].Bitext = Bitext{m.Target, m.Source}
	}
	if o.Method == MineMutual {
		return sortMined(slices.DeleteFunc(bestTarget, func(m Mined) bool {
			return bestSource[m.Target].Source != m.Source
		})), nil
	}
	usedSource, usedTarget := make([]bool, sources), make([]bool, targets)
	var mined []Mined
	for _, m := range sortMined(append(bestTarget, bestSource...)) {
		if !usedSource[m.Source] && !usedTarget[m.Target] {
			usedSource[m.Source], usedTarget[m.Target] = true, true
			mined = append(mined, m)
		}
	}
	return mined, nil
}

// unitRows returns a copy of vectors with unit length.
func unitRows(what string, rows []float32, dim int) ([]float32, error) {
	if err := vectors.CheckFinite(rows, dim); err != nil {
		return nil, fmt.Errorf("%s sentences: %w", what, err)
	}
	return unitCopy(rows, dim), nil
}

// neighbours are the k nearest of every sentence among those of the other
// language.
type neighbours struct {
	k       int
	ids     []int32   // sentences x k
	cosines []float32 // sentences x k, descending
	means   []float64 // of the cosines of a sentence
}

func nearest(ctx context.Context, run asm.Runner, queries, rows []float32, dim, k int) (*neighbours, error) {
	k = min(k, len(rows)/dim)
	flat := index.NewFlat(dim)
	if err := flat.Add(rows); err != nil {
		return nil, err
	}
	n := &neighbours{k: k}
	var err error
	if n.ids, n.cosines, err = flat.Search(ctx, run, queries, k); err != nil {
		return nil, err
	}
	for row := range slices.Chunk(n.cosines, k) {
		n.means = append(n.means, meanScore(row))
	}
	return n, nil
}

// nearestBy is nearest for what a scorer compares.
func nearestBy(ctx context.Context, s Scorer, queries, candidates []int, k int) (*neighbours, error) {
	k = min(k, len(candidates))
	n := &neighbours{
		k: k, ids: make([]int32, len(queries)*k), cosines: make([]float32, len(queries)*k),
		means: make([]float64, len(queries)),
	}
	err := eachRow(ctx, s.Against(candidates), queries, len(candidates), func(i int, row []float32) {
		ids, cosines := n.ids[i*k:(i+1)*k], n.cosines[i*k:(i+1)*k]
		topK(row, ids, cosines)
		n.means[i] = meanScore(cosines)
	})
	return n, err
}

// best returns the neighbour with the highest score of every sentence, as its
// target. others are the neighbours of the other language's sentences.
func (n *neighbours) best(margin vectors.Margin, others *neighbours) []Mined {
	mined := make([]Mined, len(n.means))
	for i := range mined {
		for j := range n.k {
			target := int(n.ids[i*n.k+j])
			score := vectors.MarginScore(margin, float64(n.cosines[i*n.k+j]), n.means[i], others.means[target])
			if j == 0 || score > mined[i].Score {
				mined[i] = Mined{Bitext{i, target}, score}
			}
		}
	}
	return mined
}

func sortMined(mined []Mined) []Mined {
	slices.SortFunc(mined, func(a, b Mined) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.Source, b.Source), cmp.Compare(a.Target, b.Target))
	})
	return mined
}

// MiningScore says how well mined pairs agree with the true ones.
type MiningScore struct {
	Threshold float64 `json:"threshold"` // pairs with at least this score count
	Mined     int     `json:"mined"`     // pairs that count
	Gold      int     `json:"gold"`      // true pairs
	Correct   int     `json:"correct"`   // pairs that count and are true
	Precision float64 `json:"precision"` // correct of mined, 0 if none
	Recall    float64 `json:"recall"`    // correct of gold, 0 if none
	F1        float64 `json:"f1"`
}

// ScoreMining compares the mined pairs that score at least a threshold with the
// true pairs, as the shared task of BUCC does (Zweigenbaum et al. 2017). A pair
// that is given twice counts once. Without true pairs the error is a
// [NotEvaluatedError].
func ScoreMining(mined []Mined, gold []Bitext, threshold float64) (MiningScore, error) {
	truth, err := goldSet(gold)
	if err != nil {
		return MiningScore{}, err
	}
	found := map[Bitext]bool{}
	s := MiningScore{Threshold: threshold, Gold: len(truth)}
	for _, m := range mined {
		if m.Score >= threshold && !found[m.Bitext] {
			found[m.Bitext] = true
			s.count(truth[m.Bitext])
		}
	}
	s.rate()
	return s, nil
}

// BestThreshold returns the score at the threshold with the highest F1. Choose
// it on development pairs and use it on others with [ScoreMining]; on the pairs
// themselves it is an upper bound. The threshold lies half-way between the last
// pair that counts and the next. If no mined pair is true, none counts: the
// threshold is the smallest number above all scores, 0 without any. Without true
// pairs the error is a [NotEvaluatedError].
func BestThreshold(mined []Mined, gold []Bitext) (MiningScore, error) {
	truth, err := goldSet(gold)
	if err != nil {
		return MiningScore{}, err
	}
	found := map[Bitext]bool{}
	pairs := sortMined(slices.DeleteFunc(slices.Clone(mined), func(m Mined) bool { return m.Score != m.Score }))
	s := MiningScore{Gold: len(truth)}
	best := s
	if len(pairs) > 0 {
		best.Threshold = math.Nextafter(pairs[0].Score, math.Inf(1))
	}
	for i, m := range pairs {
		if !found[m.Bitext] {
			found[m.Bitext] = true
			s.count(truth[m.Bitext])
		}
		next := math.Inf(-1)
		if i+1 < len(pairs) {
			next = pairs[i+1].Score
		}
		if next == m.Score {
			continue // a threshold takes both or neither
		}
		if s.rate(); s.F1 > best.F1 {
			best = s
			best.Threshold = m.Score
			// Half-way may round down to next, which does not count.
			if middle := m.Score - (m.Score-next)/2; middle > next && !math.IsInf(middle, 0) {
				best.Threshold = middle
			}
		}
	}
	return best, nil
}

// String returns the score on one line.
func (s MiningScore) String() string {
	return fmt.Sprintf("F1 %.3f, precision %.3f, recall %.3f: %d of %d mined pairs are true, of %d, at threshold %.4g",
		s.F1, s.Precision, s.Recall, s.Correct, s.Mined, s.Gold, s.Threshold)
}

func goldSet(gold []Bitext) (map[Bitext]bool, error) {
	if len(gold) == 0 {
		return nil, &NotEvaluatedError{"mining", "there are no true pairs to compare with"}
	}
	truth := make(map[Bitext]bool, len(gold))
	for _, pair := range gold {
		truth[pair] = true
	}
	return truth, nil
}

func (s *MiningScore) count(correct bool) {
	s.Mined++
	if correct {
		s.Correct++
	}
}

func (s *MiningScore) rate() {
	if s.Correct == 0 {
		s.Precision, s.Recall, s.F1 = 0, 0, 0
		return
	}
	s.Precision = float64(s.Correct) / float64(s.Mined)
	s.Recall = float64(s.Correct) / float64(s.Gold)
	s.F1 = 2 * s.Precision * s.Recall / (s.Precision + s.Recall)
}
