package eval

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
)

// Bootstrap sets how intervals are estimated: by the percentiles of the figure
// over samples that are drawn from what was measured, with replacement (Efron
// and Tibshirani 1993, chapter 13). Equal settings give equal intervals.
type Bootstrap struct {
	Folds int // samples drawn; 0 stands for 1,000
	Seed  uint64
}

// Interval is a 95% interval.
type Interval struct {
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// String returns the interval with three decimals, in brackets.
func (i Interval) String() string { return fmt.Sprintf("[%.3f, %.3f]", i.Low, i.High) }

// Mean returns the interval of the mean of independent values.
func (b Bootstrap) Mean(values []float64) Interval {
	return b.statistic(len(values), func(weights []int32) float64 {
		sum := 0.0
		for i, w := range weights {
			sum += float64(w) * values[i]
		}
		return sum / float64(len(values))
	})
}

// statistic returns the interval of a figure of n units. f computes it from
// the number of times that each unit was drawn.
func (b Bootstrap) statistic(n int, f func(weights []int32) float64) Interval {
	var figures []float64
	b.each([]int{n}, func(weights []int32) { figures = append(figures, f(weights)) })
	return interval(figures)
}

func (b Bootstrap) folds() int {
	if b.Folds == 0 {
		return 1000
	}
	return b.Folds
}

// each calls f for every fold with the number of times that each unit was
// drawn. As many units are drawn from every stratum as it has; the units of
// the first stratum come first.
func (b Bootstrap) each(strata []int, f func(weights []int32)) {
	units := 0
	for _, n := range strata {
		units += n
	}
	rng := rand.New(rand.NewPCG(b.Seed, 0x626f6f74))
	weights := make([]int32, units)
	for range b.folds() {
		clear(weights)
		first := 0
		for _, n := range strata {
			stratum := weights[first : first+n]
			for range n {
				stratum[rng.IntN(n)]++
			}
			first += n
		}
		f(weights)
	}
}

// interval returns the 2.5th and the 97.5th percentile of figures, between
// ranks by linear interpolation. Without figures both are NaN.
func interval(figures []float64) Interval {
	slices.Sort(figures)
	percentile := func(p float64) float64 {
		if len(figures) == 0 {
			return math.NaN()
		}
		at := p * float64(len(figures)-1)
		below := int(at)
		above := min(below+1, len(figures)-1)
		return figures[below] + (at-float64(below))*(figures[above]-figures[below])
	}
	return Interval{percentile(0.025), percentile(0.975)}
}
