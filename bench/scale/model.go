package main

import (
	"math"
	"math/bits"
)

// setting is a training on several workers, each with one batch after the other.
type setting struct {
	Workers    int     `json:"workers"` // a power of two
	Batch      float64 `json:"batch_seconds"`
	Accumulate int     `json:"accumulate"`
	Network    float64 `json:"network_gbps"` // of a worker, in each direction
	Short      bool    `json:"bfloat16"`     // gradients on the wire
}

// machine is what does not differ between settings.
type machine struct {
	Parameters float64 // number
	Last       float64 // share of them whose gradients are complete when Backward is over
	Line       float64 // share of the network's rate that is reached
	Latency    float64 // seconds of a message
}

const (
	backward = 2.0 / 3  // share of a batch's time
	bucket   = 25 << 20 // bytes, as marge exchanges
)

// estimate is where the time of an update goes, in seconds.
type estimate struct {
	setting
	Reduce     float64 `json:"reduce_seconds"` // sums of gradients, which Backward hides
	Gather     float64 `json:"gather_seconds"` // parameters, which nothing hides
	Update     float64 `json:"update_seconds"`
	Efficiency float64 `json:"efficiency"` // share of the update in which batches are computed
}

// estimate computes an update: Accumulate batches, of which the last one's Backward
// hides the sum of the gradients that are complete by then, the rest of the sum, and
// the exchange of the parameters. What the sum and the exchange send is (R-1)/R of all
// values each; each bucket waits for an agreement of all ranks, log2 R messages there
// and back, and has log2 R messages itself.
func (m *machine) estimate(s setting) estimate {
	e := estimate{setting: s}
	levels := float64(bits.Len(uint(s.Workers)) - 1)
	rate := s.Network * 1e9 / 8 * m.Line
	share := float64(s.Workers-1) / float64(s.Workers)
	buckets := math.Ceil(4 * m.Parameters / bucket)
	bytes := 4.0
	if s.Short {
		bytes = 2
	}
	e.Reduce = bytes*m.Parameters*share/rate + buckets*3*levels*m.Latency
	e.Gather = 4*m.Parameters*share/rate + buckets*levels*m.Latency
	compute := float64(s.Accumulate) * s.Batch
	hides := backward * s.Batch
	e.Update = compute - hides + max(hides, (1-m.Last)*e.Reduce) + m.Last*e.Reduce + e.Gather
	e.Efficiency = compute / e.Update
	return e
}
