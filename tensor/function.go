package tensor

import "fmt"

// Function is an operation of the caller's own, for Tape.Apply. It computes its
// result from inputs by operations of the tape, which do not record while it runs,
// or by other means. It also returns the function that computes the gradients of a
// loss by the inputs from that by the result, dout: one for each input, of its shape
// or nil for zero. Backward calls it at most once, and it may use the operations of
// the tape, the inputs, the result, and whatever Function computed: all of that stays
// until Reset.
type Function func(tp *Tape, in []*Tensor) (out *Tensor, backward func(dout *Tensor) []*Tensor)

// Apply returns the result of f. Its gradients are what f says, not what follows from
// the operations in f.
func (tp *Tape) Apply(f Function, in ...*Tensor) *Tensor {
	tp.read("apply", in...)
	var out *Tensor
	var backward func(dout *Tensor) []*Tensor
	tp.NoGrad(func() {
		out, backward = f(tp, in)
		if out == nil || out.dtype != Float32 {
			panic(fmt.Sprintf("apply: the result of the function is %v, want float32", out))
		}
		out = tp.Contiguous(tp.Detach(out)) // it may be an input, or a view of one
	})
	if tp.result(out, in...) {
		if backward == nil {
			panic("apply: the function returned nothing for the backward pass")
		}
		r := tp.push()
		r.backward, r.out, r.list, r.function = functionBackward, out, tp.listed(in), backward
	}
	return out
}

// listed returns a copy of a list of tensors that lasts until Reset.
func (tp *Tape) listed(list []*Tensor) []*Tensor {
	from := len(tp.lists)
	tp.lists = append(tp.lists, list...)
	return tp.lists[from:len(tp.lists):len(tp.lists)]
}

func functionBackward(tp *Tape, r *record) {
	var gradients []*Tensor
	tp.applying = true
	tp.NoGrad(func() { gradients = r.function(r.out.grad) })
	tp.applying = false
	if len(gradients) != len(r.list) {
		panic(fmt.Sprintf("apply: %d gradients of %d inputs", len(gradients), len(r.list)))
	}
	for i, in := range r.list {
		g := gradients[i]
		if g == nil {
			continue
		}
		if g == r.out.grad && equalShapes(g, in) {
			tp.pass(in, r, g)
			continue
		}
		if !equalShapes(g, in) || g.dtype != Float32 {
			panic(fmt.Sprintf("apply: the gradient of input %d, %v, is %v", i, in, g))
		}
		if sum, accumulate := tp.gradient(in); sum != nil {
			tp.copyInto(sum, accumulate, g)
		}
	}
}

// NoGrad calls f. Operations in it do not record, and gradients do not flow through
// their results. Dropout is as outside.
func (tp *Tape) NoGrad(f func()) {
	was := tp.recording
	tp.recording = false
	defer func() { tp.recording = was }()
	f()
}

// Checkpoint returns f(in), and keeps nothing of what f computes on the way: Backward
// calls f again, with the same dropout masks, and goes back through it (gradient
// checkpointing, Chen et al. 2016, arXiv:1604.06174).
//
// f must compute on the tape that it is given, which is another one, and must compute
// the same whenever it is called. What it depends on is in, tensors that are no
// results of a tape, such as parameters, and results that need no gradient.
func (tp *Tape) Checkpoint(f func(tp *Tape, in []*Tensor) *Tensor, in ...*Tensor) *Tensor {
	tp.read("checkpoint", in...)
	from := len(tp.lists)
	for _, x := range in {
		tp.lists = append(tp.lists, tp.dense(x))
	}
	list, stream := tp.lists[from:len(tp.lists):len(tp.lists)], tp.streams
	inner := tp.inner(false, stream)
	result := f(inner, inner.inputs(list))
	if result == nil || result.dtype != Float32 {
		panic(fmt.Sprintf("checkpoint: the result of the function is %v, want float32", result))
	}
	tp.streams = inner.streams
	out := tp.New(result.Shape()...)
	tp.copyInto(out, false, result)
	inner.Reset(Inference, 0)
	if tp.recording {
		// f may use parameters of which nothing is known here.
		out.requiresGrad = true
		r := tp.push()
		r.backward, r.out, r.list, r.checkpoint, r.stream = checkpointBackward, out, list, f, stream
	}
	return out
}

// inner returns the tape that Checkpoint computes on.
func (tp *Tape) inner(recording bool, streams uint64) *Tape {
	if tp.child == nil {
		tp.child = NewTape(tp.backend)
		tp.child.parent = tp
		tp.child.floats.poison = tp.floats.poison
	}
	tp.child.Reset(Inference, tp.seed)
	tp.child.recording, tp.child.training, tp.child.streams = recording, tp.training, streams
	return tp.child
}

// inputs returns tensors of the tape with the memory of another tape's, which collect
// gradients of their own.
func (tp *Tape) inputs(list []*Tensor) []*Tensor {
	from := len(tp.lists)
	for _, x := range list {
		leaf := tp.tensor()
		leaf.init(x.backend, x.dtype, x.Shape())
		leaf.store, leaf.offset, leaf.requiresGrad = x.store, x.offset, x.requiresGrad
		tp.lists = append(tp.lists, leaf)
	}
	return tp.lists[from:len(tp.lists):len(tp.lists)]
}

func checkpointBackward(tp *Tape, r *record) {
	inner := tp.inner(true, r.stream)
	leaves := inner.inputs(r.list)
	out := r.checkpoint(inner, leaves)
	if !equalShapes(out, r.out) {
		panic(fmt.Sprintf("checkpoint: the function returned %v, and %v when called again", r.out, out))
	}
	if g, accumulate := inner.gradient(out); g != nil {
		inner.copyInto(g, accumulate, r.out.grad)
		inner.backward()
	}
	for i, leaf := range leaves {
		if !leaf.gradSet {
			continue
		}
		if g, accumulate := tp.gradient(r.list[i]); g != nil {
			tp.copyInto(g, accumulate, leaf.grad)
		}
	}
	inner.Reset(Inference, 0)
}
