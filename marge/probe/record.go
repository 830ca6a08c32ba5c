package probe

import (
	"math"
	"slices"
)

// Record is a line of metrics.jsonl: what is known after an update. What was
// not measured then is nil.
type Record struct {
	Step         int          `json:"step"`          // updates so far
	TargetTokens int64        `json:"target_tokens"` // predicted so far
	Seconds      float64      `json:"seconds"`       // of training so far, without probes
	Train        *Train       `json:"train,omitempty"`
	Links        *Links       `json:"links,omitempty"`
	Heldout      *Measurement `json:"heldout,omitempty"`
	// Development has the scores of a fine-tuning on its development data, see
	// marge.Evaluation.
	Development map[string]float64 `json:"development,omitempty"`
	// Warning tells what has gone wrong with the training or its log, if
	// anything has.
	Warning string `json:"warning,omitempty"`
	// ProbeDue tells that the training was stopped during the measurement of
	// this step. A resumed run measures after its first update instead.
	ProbeDue bool `json:"probe_due,omitempty"`
	// Extra has figures of the caller's own, which Options.OnRecord may add.
	Extra map[string]float64 `json:"extra,omitempty"`
}

// Train describes the updates since the Train before it, or since the run was
// started or resumed.
type Train struct {
	Loss            float64 `json:"loss"`          // mean, nats per predicted token
	GradNorm        float64 `json:"grad_norm"`     // mean, before clipping
	GradNormMax     float64 `json:"grad_norm_max"` // greatest
	LearningRate    float64 `json:"learning_rate"` // of the last update
	Beta            float64 `json:"beta"`          // after the last update
	Targets         float64 `json:"targets"`       // mean number of documents of an update
	Evidence        float64 `json:"evidence"`
	TokensPerSecond float64 `json:"tokens_per_second,omitempty"` // predicted, while training
}

// Links describes an index: which documents g, or TF-IDF, finds relevant to
// which (arXiv:2006.15020, section 2.4).
type Links struct {
	Index         int     `json:"index"` // number, from 1
	Chunks        int     `json:"chunks"`
	Targets       int     `json:"targets"`
	Links         int     `json:"links"`
	PerTarget     float64 `json:"links_per_target"`
	CrossShare    float64 `json:"cross_share"` // of links, between languages
	Unlinked      int     `json:"unlinked"`    // targets without a link
	UnlinkedShare float64 `json:"unlinked_share"`
	// AlignedShare is how many of the links between languages, of targets whose
	// group is known, join documents of one group: true translations. nil where
	// no group is known. A document's chunks all have its group.
	AlignedShare *float64 `json:"aligned_share,omitempty"`
	// The scores of those links, by whether they join one group: cosines,
	// centred by language.
	ScoreAligned   *Histogram `json:"score_aligned,omitempty"`
	ScoreUnaligned *Histogram `json:"score_unaligned,omitempty"`
	// Pairs counts the links by the languages of target and evidence, as in "de-en".
	Pairs map[string]int `json:"pairs,omitempty"`
}

// HistogramBins is the number of bins of a Histogram, of equal width, from -1
// to 1. A bin has its lower bound in it, the last one its upper bound as well.
const HistogramBins = 40

// Histogram describes a set of cosines.
type Histogram struct {
	N      int                `json:"n"`
	Mean   float64            `json:"mean"`
	Std    float64            `json:"std"`
	Min    float64            `json:"min"`
	Max    float64            `json:"max"`
	Counts [HistogramBins]int `json:"counts"`
}

// NewHistogram returns the histogram of cosines; of none, all is 0.
func NewHistogram(cosines []float32) Histogram {
	h := Histogram{N: len(cosines)}
	if h.N == 0 {
		return h
	}
	h.Min, h.Max = float64(slices.Min(cosines)), float64(slices.Max(cosines))
	for _, c := range cosines {
		h.Mean += float64(c) / float64(h.N)
		// Rounding takes a cosine beyond 1 now and then.
		h.Counts[min(max(int((float64(c)+1)/2*HistogramBins), 0), HistogramBins-1)]++
	}
	for _, c := range cosines {
		h.Std += (float64(c) - h.Mean) * (float64(c) - h.Mean) / float64(h.N)
	}
	h.Std = math.Sqrt(h.Std)
	return h
}

// edge returns the lower bound of bin i.
func edge(i int) float64 { return -1 + 2*float64(i)/HistogramBins }

// Bounds returns the lower and the upper bound of a bin.
func Bounds(bin int) (low, high float64) { return edge(bin), edge(bin + 1) }

// auc returns the probability that a random value of a is greater than one of
// b, ties counting half: 0.5 means that they cannot be told apart. Of an empty
// set it is 0.5. It sorts both.
func auc(a, b []float32) float64 {
	if len(a) == 0 || len(b) == 0 {
		return 0.5
	}
	slices.Sort(a)
	slices.Sort(b)
	below, upTo, wins := 0, 0, 0.0
	for _, x := range a {
		for below < len(b) && b[below] < x {
			below++
		}
		for upTo < len(b) && b[upTo] <= x {
			upTo++
		}
		wins += float64(below) + float64(upTo-below)/2
	}
	return wins / float64(len(a)) / float64(len(b))
}
