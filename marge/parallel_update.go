package marge

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/nn/optim"
	"github.com/marge-go/marge/tensor"
)

// batchFigures is what an update needs to know of each of its batches, besides the
// gradients.
type batchFigures struct {
	loss, distill                     float64
	weight, tokens, targets, evidence int
}

// figureWords is how many numbers a batchFigures has.
const figureWords = 6

const (
	// bucketValues is how many values of gradients, and then of parameters, are exchanged
	// at a time, 25 MiB: so few that exchanging begins soon after Backward has, and so many
	// that latencies do not count.
	bucketValues = 25 << 18
	// bucketsAhead is how many buckets Backward may have filled that are not exchanged yet.
	bucketsAhead = 3
)

// filling is how far the buckets of an update are filled.
type filling struct {
	buckets  []bucket
	next     int    // bucket that is filled next
	complete []bool // the gradient of each parameter, on this rank
}

// ready tells whether all gradients of the next bucket are complete.
func (f *filling) ready() bool {
	return f.next < len(f.buckets) &&
		!slices.ContainsFunc(f.buckets[f.next].runs, func(r run) bool { return !f.complete[r.param] })
}

// release drops the gradients that are whole in the buckets up to the next, and makes
// room for this rank's part of those that begin there.
func (f *filling) release(s *shards, tp *tensor.Tape, room func(param int)) {
	for _, run := range f.buckets[f.next].runs {
		if run.end == s.first[run.param+1] {
			tp.ReleaseGradient(s.params[run.param].Tensor)
		}
		if run.first == s.first[run.param] {
			room(run.param)
		}
	}
}

// ranksUpdate makes the updates of a training on several ranks. Each rank has its part
// of the optimiser's state, see shards. It gets its part of the sum of all gradients,
// bucket by bucket while Backward still makes others, updates its part of the
// parameters, and gives that to all (Rajbhandari et al. 2020, arXiv:1910.02054).
//
// A gradient is dropped as soon as it is in a bucket. With one batch for a rank
// Backward therefore never has all gradients at a time.
type ranksUpdate struct {
	l *loop
	shards
	opt    *optim.AdamWPart
	number map[*tensor.Tensor]int // of each parameter
	values int                    // of a bucket at most
	free   chan []float32         // memory for buckets
	views  *tensor.Tape

	// Of an update:
	filling
	filled  [][]float32      // the values of each bucket while it is exchanged
	has     []bool           // parameters that have a gradient: first on this rank, then on any
	own     []*tensor.Tensor // this rank's part of the sum of gradients, of each parameter that may have one
	sums    [][]float32      // its values on the host
	squares []float64        // the sum of squares of each block
}

func newRanksUpdate(l *loop) *ranksUpdate {
	g := l.o.Group
	r := &ranksUpdate{
		l: l, shards: newShards(l.params, g.Size(), g.Part()), number: map[*tensor.Tensor]int{},
		views: tensor.NewTape(l.m.backend),
	}
	r.setBuckets(bucketValues)
	var lengths []int
	for i, p := range l.params {
		r.number[p.Tensor] = i
		lengths = append(lengths, r.length(i))
	}
	r.opt = optim.NewAdamWPart(l.params, lengths, l.o.Groups...)
	return r
}

// setBuckets makes memory for buckets of so many values.
func (r *ranksUpdate) setBuckets(values int) {
	r.values, r.free = values, make(chan []float32, bucketsAhead)
	for range bucketsAhead {
		r.free <- make([]float32, values)
	}
}

// gradients computes those of the replicas of this rank, and this rank's part of the
// sum of all.
func (r *ranksUpdate) gradients(ctx context.Context, o objective, batches []*Batch) error {
	l, g := r.l, r.l.o.Group
	var last *tensor.Tensor
	err := g.Together(ctx, func(ctx context.Context) (err error) {
		last, err = l.lossesOf(ctx, o, batches)
		return err
	})
	if err != nil {
		return err
	}
	if last == nil {
		l.tape.Reset(tensor.Inference, 0)
	}
	if err := r.plan(last); err != nil {
		return err
	}
	err = g.Overlap(ctx, len(r.buckets), func(ctx context.Context, ready func()) error {
		r.fill(ctx, ready)
		if last != nil {
			l.tape.BackwardEach(func(p *tensor.Tensor) {
				if i, ok := r.number[p]; ok {
					r.completed(i)
					r.fill(ctx, ready)
				}
			}, last)
		}
		l.readLosses()
		return ctx.Err()
	}, r.exchange)
	for _, x := range r.filled { // those that were not exchanged
		if x != nil {
			r.free <- x[:r.values]
		}
	}
	if err != nil {
		return err
	}
	return r.shareFigures()
}

// plan lets all ranks exchange the gradients that any of them may have, in the order in
// which rank 0 completes them.
func (r *ranksUpdate) plan(last *tensor.Tensor) error {
	l, n := r.l, len(r.params)
	r.views.Reset(tensor.Inference, 0)
	r.next, r.complete, r.has = 0, make([]bool, n), make([]bool, n)
	r.own, r.sums, r.squares = make([]*tensor.Tensor, n), make([][]float32, n), make([]float64, r.blocks())
	const none = math.MaxInt32
	place := make([]int64, n) // on this rank; none without a gradient
	var recorded []*tensor.Tensor
	if last != nil {
		recorded = l.tape.Parameters()
	}
	for at, p := range recorded {
		if i, ok := r.number[p]; ok {
			place[i] = int64(1 + at)
		}
	}
	for i := range r.params {
		if place[i] == 0 {
			r.completed(i)
			if !r.has[i] {
				place[i] = none
			}
		}
	}
	// The place on rank 0 above, and how many ranks have one below.
	const ranksBits = 32
	words := make([]int64, n)
	for i, at := range place {
		if at != none {
			words[i] = 1
		}
		if l.o.Group.Rank() == 0 {
			words[i] += at << ranksBits
		}
	}
	if err := l.o.Group.AllReduceInt64(words); err != nil {
		return err
	}
	var order []int
	for i, w := range words {
		if w&(1<<ranksBits-1) > 0 {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return int(words[a]>>ranksBits - words[b]>>ranksBits) })
	r.buckets = r.divide(order, r.values)
	r.filled = make([][]float32, len(r.buckets))
	return nil
}

// completed notes that the gradient of parameter i is that of all batches of this rank.
func (r *ranksUpdate) completed(i int) {
	r.l.sum.finish(i)
	r.complete[i], r.has[i] = true, r.params[i].HasGrad()
}

// fill fills the buckets whose gradients are complete, as far as there is memory for
// buckets; it waits for that, unless the context ends.
func (r *ranksUpdate) fill(ctx context.Context, ready func()) {
	for ; r.ready(); r.next++ {
		b := &r.buckets[r.next]
		select {
		case x := <-r.free:
			r.filled[r.next] = x[:b.size()]
		case <-ctx.Done():
			return
		}
		elements := make([][]float32, len(b.runs))
		for i, run := range b.runs {
			if p := r.params[run.param]; r.has[run.param] {
				elements[i] = r.read(p.Grad(), run)
			}
		}
		r.pack(b, r.filled[r.next], elements)
		r.release(&r.shards, r.l.tape, func(param int) {
			r.own[param] = r.l.tape.New(r.length(param))
			r.sums[param] = hostValues(r.own[param])
		})
		ready()
	}
}

// exchange adds up a bucket over the ranks, and keeps this rank's part.
func (r *ranksUpdate) exchange(n int) error {
	b, x := &r.buckets[n], r.filled[n]
	reduce := r.l.o.Group.ReduceScatter
	if r.l.o.BFloat16Gradients {
		reduce = r.l.o.Group.ReduceScatterBFloat16
	}
	if err := reduce(x, b.ends); err != nil {
		return err
	}
	r.pieces(b, r.shards.own, func(run, block, at, n int) {
		param := b.runs[run].param
		copy(r.sums[param][r.offset(param, block):], x[at:at+n])
		r.squares[block] = asm.SumSquares(x[at : at+n])
	})
	r.filled[n] = nil
	r.free <- x[:r.values]
	return nil
}

// shareFigures gives all ranks the figures of all batches, tells which of the
// parameters have a gradient on any rank, and the sums of squares of all blocks.
// Where others have a gradient, a rank without added zeros.
func (r *ranksUpdate) shareFigures() error {
	l := r.l
	words := make([]int64, 0, figureWords*len(l.figures)+len(r.has)+len(r.squares))
	for _, f := range l.figures { // those of other ranks are zeros, and so are the bits of zeros
		words = append(words, int64(math.Float64bits(f.loss)), int64(math.Float64bits(f.distill)),
			int64(f.weight), int64(f.tokens), int64(f.targets), int64(f.evidence))
	}
	for _, has := range r.has {
		n := int64(0)
		if has {
			n = 1
		}
		words = append(words, n)
	}
	for _, s := range r.squares {
		words = append(words, int64(math.Float64bits(s)))
	}
	if err := l.o.Group.AllReduceInt64(words); err != nil {
		return err
	}
	for i := range l.figures {
		l.figures[i] = batchFigures{
			math.Float64frombits(uint64(words[0])), math.Float64frombits(uint64(words[1])),
			int(words[2]), int(words[3]), int(words[4]), int(words[5]),
		}
		words = words[figureWords:]
	}
	for i := range r.has {
		r.has[i] = words[i] > 0
	}
	words = words[len(r.has):]
	for i := range r.squares {
		r.squares[i] = math.Float64frombits(uint64(words[i]))
	}
	return nil
}

// gradNorm is that of optim, from the squares of all ranks: on a CPU, with the same
// bits.
func (r *ranksUpdate) gradNorm() (float64, error) {
	sum := 0.0
	for i, p := range r.params {
		if !r.has[i] {
			continue
		}
		s := 0.0
		for _, block := range r.squares[r.first[i]:r.first[i+1]] {
			s += block
		}
		if math.IsNaN(s) || math.IsInf(s, 0) {
			return math.NaN(), fmt.Errorf("optim: gradient of %s is not finite", p.Name)
		}
		sum += s
	}
	return math.Sqrt(sum), nil
}

// optimize updates this rank's part of the parameters, and gives all ranks all parts.
// After an error the ranks have lost each other, and the parameters are of no more use.
func (r *ranksUpdate) optimize(lr float64, gradScale float32) error {
	p, g := make([]*tensor.Tensor, len(r.params)), make([]*tensor.Tensor, len(r.params))
	var order []int
	for i, own := range r.own {
		if own == nil || !r.has[i] {
			continue
		}
		order = append(order, i)
		g[i], p[i] = own, r.l.tape.New(own.Len())
		upload(own, r.sums[i])
		r.takeOwn(i, p[i], r.read(r.params[i].Tensor, run{i, r.first[i], r.first[i+1]}))
	}
	r.opt.Step(lr, gradScale, p, g)
	values := make([][]float32, len(r.params))
	for _, i := range order {
		values[i] = hostValues(p[i])
	}
	x := <-r.free
	defer func() { r.free <- x }()
	for _, b := range r.divide(order, r.values) {
		if err := r.collect(&b, x, values); err != nil {
			return err
		}
		elements, views := make([][]float32, len(b.runs)), make([]*tensor.Tensor, len(b.runs))
		for i, run := range b.runs {
			elements[i], views[i] = r.window(r.params[run.param].Tensor, run)
		}
		r.unpack(&b, x, elements)
		for i, view := range views {
			if view != nil {
				view.SetFloat32s(elements[i])
			}
		}
	}
	return nil
}

// takeOwn sets part, this rank's part of parameter i or of what belongs to it, from
// all elements.
func (r *ranksUpdate) takeOwn(i int, part *tensor.Tensor, all []float32) {
	values := hostValues(part)
	for block := r.first[i]; block < r.first[i+1]; block++ {
		if block%r.parts == r.shards.own {
			lo, hi := r.span(i, block, block+1)
			copy(values[r.offset(i, block):], all[lo:hi])
		}
	}
	upload(part, values)
}

// collect sets the first values of x to a bucket, of which each rank has its part in
// values, by parameter.
func (r *ranksUpdate) collect(b *bucket, x []float32, values [][]float32) error {
	x = x[:b.size()]
	r.pieces(b, r.shards.own, func(run, block, at, n int) {
		param := b.runs[run].param
		copy(x[at:at+n], values[param][r.offset(param, block):])
	})
	return r.l.o.Group.AllGatherParts(x, b.ends)
}

// window returns the elements of t that a run is: those in use where the host sees
// them, or else room for them, and a view of them.
func (r *ranksUpdate) window(t *tensor.Tensor, of run) (values []float32, view *tensor.Tensor) {
	lo, hi := r.span(of.param, of.first, of.end)
	if s, _ := t.Storage(); s.Device == nil {
		return t.Float32s()[lo:hi], nil
	}
	return make([]float32, hi-lo), r.views.Rows(r.views.Reshape(t, t.Len()), lo, hi)
}

// read returns the elements of t that a run is.
func (r *ranksUpdate) read(t *tensor.Tensor, of run) []float32 {
	values, view := r.window(t, of)
	if view != nil {
		view.CopyTo(values)
	}
	return values
}

// hostValues returns the values of a tensor on the host, see nn.Parameter.Values.
func hostValues(t *tensor.Tensor) []float32 { return nn.Parameter{Tensor: t}.Values() }

// upload gives a tensor values that hostValues has returned.
func upload(t *tensor.Tensor, values []float32) {
	if s, _ := t.Storage(); s.Device != nil {
		t.SetFloat32s(values)
	}
}
