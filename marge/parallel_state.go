package marge

import (
	"cmp"
	"context"
	"io"
	"slices"

	"github.com/marge-go/marge/nn/safetensors"
)

// The optimiser's state in checkpoints, which have it whole whatever the number of
// ranks: see shards.

// stored is a tensor of a checkpoint, and what takes its values.
type stored struct {
	name  string
	shape []int
	set   func(values []float32)
}

// state lists the tensors of the optimiser's state as checkpoints have them.
func (l *loop) state() (list []stored) {
	for i, t := range l.opt.State() {
		s := stored{t.Name, t.Shape(), t.SetFloat32s}
		if r := l.ranks; r != nil {
			param := paramOf(i)
			s.shape = r.params[param].Shape()
			s.set = func(values []float32) { r.takeOwn(param, t.Tensor, values) }
		}
		list = append(list, s)
	}
	return list
}

// moments is how many tensors AdamW has for each parameter.
const moments = 2

// paramOf returns the parameter that a tensor of the state belongs to.
func paramOf(state int) int { return state / moments }

// save writes a checkpoint on rank 0. The state comes to it bucket by bucket, while it
// writes those before: it never has all of it.
func (r *ranksUpdate) save() error {
	l, g := r.l, r.l.o.Group
	state := l.opt.State()
	order := make([]int, len(r.params)) // in which files have the parameters' state
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(r.params[a].Name, r.params[b].Name) })
	buckets := r.divide(order, r.values) // once for each moment
	x := <-r.free
	defer func() { r.free <- x }()
	values := make([][]float32, len(r.params))
	came := make(chan []stateRun, 1)
	transfer := func(n int) error {
		b, moment := &buckets[n%len(buckets)], n/len(buckets)
		for _, run := range b.runs {
			values[run.param] = hostValues(state[run.param*moments+moment].Tensor)
		}
		if err := r.collect(b, x, values); err != nil || g.Rank() > 0 {
			return err
		}
		runs, elements := make([]stateRun, len(b.runs)), make([][]float32, len(b.runs))
		for i, run := range b.runs {
			lo, hi := r.span(run.param, run.first, run.end)
			elements[i] = make([]float32, hi-lo)
			runs[i] = stateRun{state[run.param*moments+moment].Name, elements[i]}
		}
		r.unpack(b, x, elements)
		came <- runs
		return nil
	}
	return g.Overlap(context.Background(), moments*len(buckets), func(ctx context.Context, ready func()) error {
		if g.Rank() > 0 {
			for range moments * len(buckets) {
				ready()
			}
			return nil
		}
		return l.write(func(w io.Writer, more []safetensors.Tensor) error {
			for _, s := range l.state() {
				more = append(more, safetensors.Tensor{Name: s.name, DType: safetensors.F32, Shape: s.shape})
			}
			var runs []stateRun // that have come
			fetched := 0
			return safetensors.WriteWith(w, more, tensorMetadata, func(w io.Writer, t safetensors.Tensor) error {
				for ; ; runs = runs[1:] {
					if len(runs) == 0 && fetched < moments*len(buckets) {
						fetched++
						ready()
						select {
						case runs = <-came:
						case <-ctx.Done():
							return context.Cause(ctx)
						}
					}
					if len(runs) == 0 || runs[0].name != t.Name {
						return nil
					}
					if _, err := w.Write(safetensors.Float32(t.Name, nil, runs[0].values).Data); err != nil {
						return err
					}
				}
			})
		})
	}, transfer)
}

// stateRun is neighbouring elements of a tensor of the state.
type stateRun struct {
	name   string
	values []float32
}
