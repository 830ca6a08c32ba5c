package eval

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
)

// Bootstrap sets how intervals are estimated: by percentiles of the figure over
// samples drawn with replacement from what was measured (Efron and Tibshirani
// 1993, chapter 13). Equal settings give equal intervals.
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

// Mean returns the interval of the mean of independent values, at least one.
func (b Bootstrap) Mean(ctx context.Context, values []float64) (Interval, error) {
	if len(values) == 0 {
		return Interval{}, &NotEvaluatedError{"bootstrap", "there are no values"}
	}
	return b.statistic(ctx, len(values), func(weights []int32) float64 {
		sum := 0.0
		for i, w := range weights {
			sum += float64(w) * values[i]
		}
		return sum / float64(len(values))
	})
}

// statistic returns the interval of a figure of n units. f computes it from
// the number of times that each unit was drawn.
func (b Bootstrap) statistic(ctx context.Context, n int, f func(weights []int32) float64) (Interval, error) {
	var figures []float64
	if err := b.each(ctx, []int{n}, func(weights []int32) { figures = append(figures, f(weights)) }); err != nil {
		return Interval{}, err
	}
	return interval(figures), nil
}

func (b Bootstrap) folds() int {
	if b.Folds == 0 {
		return 1000
	}
	return b.Folds
}

// each calls f for every fold with the number of times that each unit was
// drawn. As many units are drawn from every stratum as it has; the units of
// the first stratum come first. The only error is the context's.
func (b Bootstrap) each(ctx context.Context, strata []int, f func(weights []int32)) error {
	units := 0
	for _, n := range strata {
		units += n
	}
	rng := rand.New(rand.NewPCG(b.Seed, 0x626f6f74))
	weights := make([]int32, units)
	for range b.folds() {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("eval: bootstrap: %w", err)
		}
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
	return nil
}

// interval returns the 2.5th and the 97.5th percentile of figures, between
// ranks by linear interpolation. There must be figures.
func interval(figures []float64) Interval {
	slices.Sort(figures)
	percentile := func(p float64) float64 {
		at := p * float64(len(figures)-1)
		below := int(at)
		above := min(below+1, len(figures)-1)
		return figures[below] + (at-float64(below))*(figures[above]-figures[below])
	}
	return Interval{percentile(0.025), percentile(0.975)}
}
