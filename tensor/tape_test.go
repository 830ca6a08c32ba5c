package tensor

import (
	"slices"
	"sync"
	"testing"
)

// inPlaceOps are the operations that take the memory of a, with others that compute the same.
var inPlaceOps = []struct {
	name         string
	inPlace, not func(tp *Tape, a, b *Tensor) *Tensor
}{
	{"addinto",
		func(tp *Tape, a, b *Tensor) *Tensor { return tp.AddInto(a, b) },
		func(tp *Tape, a, b *Tensor) *Tensor { return tp.Add(a, b) }},
	{"adddropout",
		func(tp *Tape, a, b *Tensor) *Tensor { return tp.AddDropout(b, a, 0.5) },
		func(tp *Tape, a, b *Tensor) *Tensor { return tp.Add(b, tp.Dropout(a, 0.5)) }},
	{"addgather",
		func(tp *Tape, a, b *Tensor) *Tensor { return tp.AddGather(a, b, tp.Ints([]int32{2, 0, 0}), 2) },
		func(tp *Tape, a, b *Tensor) *Tensor { return tp.Add(a, tp.Gather(b, tp.Ints([]int32{2, 0, 0}), 2)) }},
}

// An operation in place computes what the plain one does, whatever its input is and was used for, and changes
// nothing else. It takes memory only where nothing needs it.
func TestInPlace(t *testing.T) {
	b := NewCPU(1)
	defer b.Close()
	x, w, o := ramp(b, 3, 4), ramp(b, 4, 4), ramp(b, 3, 4)
	for _, c := range []struct {
		name  string
		takes bool
		// input returns the operation's input and what else counts in the loss.
		input func(tp *Tape) (a, other *Tensor)
	}{
		{"linear", true, func(tp *Tape) (a, other *Tensor) { return tp.Linear(x, w, nil), x }},
		{"feedforward", true, func(tp *Tape) (a, other *Tensor) { return tp.FeedForward(x, w, nil, w, nil), x }},
		{"gather", true, func(tp *Tape) (a, other *Tensor) { return tp.Gather(x, tp.Ints([]int32{1, 1, 0}), 1), x }},
		{"read before", false, func(tp *Tape) (a, other *Tensor) { a = tp.Linear(x, w, nil); return a, tp.GELU(a) }},
		{"view", false, func(tp *Tape) (a, other *Tensor) { y := tp.Linear(x, w, nil); return tp.Rows(y, 0, 3), y }},
		{"viewed", false, func(tp *Tape) (a, other *Tensor) { a = tp.Linear(x, w, nil); return a, tp.Rows(a, 0, 3) }},
		{"detached", false, func(tp *Tape) (a, other *Tensor) { a = tp.Linear(x, w, nil); return tp.Detach(a), a }},
		{"parameter", false, func(tp *Tape) (a, other *Tensor) { return x, x }},
		{"attention", false, func(tp *Tape) (a, other *Tensor) {
			docs := []int32{0, 3}
			return tp.Attention(x, x, x, nil, AttentionOptions{Heads: 2, QOffsets: docs, KOffsets: docs, Scale: 1}), x
		}},
		{"normalize", false, func(tp *Tape) (a, other *Tensor) { return tp.Normalize(x), x }},
		{"dropout of a gelu", false, func(tp *Tape) (a, other *Tensor) { y := tp.GELU(x); return tp.Dropout(y, 0), y }},
		{"dropout of a linear", false, func(tp *Tape) (a, other *Tensor) {
			y := tp.Linear(x, w, nil)
			return tp.Dropout(y, 0), y
		}},
	} {
		for _, op := range inPlaceOps {
			t.Run(op.name+"/"+c.name, func(t *testing.T) {
				for _, mode := range []Mode{Training, Gradient, Inference} {
					run := func(apply func(tp *Tape, a, b *Tensor) *Tensor) (values [][]float32, took bool) {
						for _, p := range []*Tensor{x, w, o} {
							p.ZeroGrad()
						}
						tp := NewTape(b)
						tp.Poison()
						tp.Reset(mode, 1)
						a, other := c.input(tp)
						store, at := a.Storage()
						before := slices.Clone(other.Float32s())
						z := apply(tp, a, o)
						s, i := z.Storage()
						if took = s == store && i == at; !took && !slices.Equal(other.Float32s(), before) {
							t.Errorf("mode %v: another tensor changed from %v to %v", mode, before, other.Float32s())
						}
						loss := tp.Dot(z, tp.Add(other, o))
						values = append(values, slices.Clone(z.Float32s()), slices.Clone(loss.Float32s()))
						if mode != Inference {
							tp.Backward(loss)
							for _, p := range []*Tensor{x, w, o} {
								values = append(values, slices.Clone(p.Grad().Float32s()))
							}
						}
						return values, took
					}
					want, _ := run(op.not)
					got, took := run(op.inPlace)
					for i := range want {
						compare(t, op.name, got[i], widen(want[i]), 1e-6)
					}
					if took != c.takes {
						t.Errorf("mode %v: took the memory: %v, want %v", mode, took, c.takes)
					}
				}
			})
		}
	}
}

// What an operation in place took is not read again, in training and inference alike.
func TestReadAfterInPlacePanics(t *testing.T) {
	b := NewCPU(1)
	defer b.Close()
	x, w, o := ramp(b, 3, 4), ramp(b, 4, 4), ramp(b, 3, 4)
	for _, op := range inPlaceOps {
		for _, mode := range []Mode{Training, Inference} {
			tp := NewTape(b)
			tp.Reset(mode, 1)
			y, g := tp.Linear(x, w, nil), tp.GELU(x)
			op.inPlace(tp, y, o)
			op.inPlace(tp, g, o)
			const want = "was given to an operation in place"
			mustPanic(t, want, func() { y.Float32s() })
			for _, a := range []*Tensor{y, g} {
				mustPanic(t, op.name+": float32[3 4] "+want, func() { op.inPlace(tp, a, o) })
				mustPanic(t, "gelu: float32[3 4] "+want, func() { tp.GELU(a) })
				mustPanic(t, "rows: float32[3 4] "+want, func() { tp.Rows(a, 0, 1) })
			}
		}
	}
}

// The same operations are allowed after a Dropout that drops nothing as after one that does.
func TestDropoutAllowsTheSameInAllModes(t *testing.T) {
	b := NewCPU(1)
	defer b.Close()
	x, gamma, beta, o := ramp(b, 3, 4), ramp(b, 4), ramp(b, 4), ramp(b, 3, 4)
	for _, mode := range []Mode{Training, Gradient, Inference} {
		tp := NewTape(b)
		tp.Poison()
		tp.Reset(mode, 1)
		tp.AddInto(tp.Dropout(tp.GELU(x), 0.5), o)
		h := tp.LayerNorm(x, gamma, beta, 1e-5)
		d := tp.Dropout(h, 0.5)
		tp.Recompute(h)
		tp.New(3, 4)
		want := slices.Clone(d.Float32s())
		y := tp.Dropout(d, 0.5)
		if slices.ContainsFunc(want, func(v float32) bool { return v != v }) {
			t.Errorf("mode %v: Recompute took what Dropout had returned: %v", mode, want)
		}
		mustPanic(t, "recompute: ", func() { tp.Recompute(d) })
		loss := tp.Dot(y, tp.AddInto(d, o))
		if mode != Inference {
			tp.Backward(loss)
		}
	}
}

// Gradients pass a Dropout that drops nothing as if it were not there, bit for bit.
func TestGradientThroughIdleDropout(t *testing.T) {
	b := NewCPU(1)
	defer b.Close()
	x, w := ramp(b, 3, 4), ramp(b, 4, 4)
	run := func(dropout bool) []float32 {
		x.ZeroGrad()
		tp := NewTape(b)
		tp.Poison()
		tp.Reset(Gradient, 1)
		idle := func(y *Tensor) *Tensor {
			if dropout {
				return tp.Dropout(tp.Dropout(y, 0.5), 0.5)
			}
			return y
		}
		y := idle(tp.Linear(idle(x), w, nil))
		z := tp.Add(idle(tp.Rows(y, 0, 2)), idle(tp.Rows(y, 1, 3)))
		tp.Backward(idle(tp.Dot(z, z)))
		return slices.Clone(x.Grad().Float32s())
	}
	if want, got := run(false), run(true); !slices.Equal(got, want) {
		t.Errorf("gradient %v, want %v", got, want)
	}
}

// A tensor that its tape no longer has, or that gradients cannot reach, is no input.
func TestMisusedTapePanics(t *testing.T) {
	b := NewCPU(1)
	defer b.Close()
	x, w := ramp(b, 3, 4), ramp(b, 4, 4)
	tape := func(mode Mode) (tp *Tape, y *Tensor) {
		tp = NewTape(b)
		tp.Reset(mode, 0)
		return tp, tp.Linear(x, w, nil)
	}

	tp, y := tape(Inference)
	view := tp.Rows(y, 0, 1)
	tp.Reset(Inference, 0)
	tp.Linear(x, w, nil)
	const stale = "is from before the last Reset of its tape"
	for _, old := range []*Tensor{y, view} {
		mustPanic(t, "tensor: "+old.String()+" "+stale, func() { old.Float32s() })
		mustPanic(t, stale, func() { old.CopyTo(make([]float32, old.Len())) })
		mustPanic(t, stale, func() { old.SetFloat32s(make([]float32, old.Len())) })
		mustPanic(t, "gelu: "+old.String()+" "+stale, func() { tp.GELU(old) })
		mustPanic(t, "rows: "+old.String()+" "+stale, func() { tp.Rows(old, 0, 1) })
		mustPanic(t, "addinto: "+old.String()+" "+stale, func() { tp.AddInto(old, old) })
		other, _ := tape(Inference)
		mustPanic(t, "linear: "+old.String()+" "+stale, func() { other.Linear(old, w, nil) })
	}

	tp, y = tape(Gradient)
	loss := tp.Dot(y, y)
	tp.Backward(loss)
	loss.Float32s()
	y.Float32s()
	mustPanic(t, "scale: after Backward the tape needs a Reset", func() { tp.Scale(1, y) })
	mustPanic(t, "detach: after Backward the tape needs a Reset", func() { tp.Detach(x) })
	mustPanic(t, "backward: after Backward the tape needs a Reset", func() { tp.Backward(loss) })
	tp.Reset(Gradient, 0)
	mustPanic(t, "backward: float32[1] "+stale, func() { tp.Backward(loss) })

	_, y = tape(Gradient)
	tp, z := tape(Gradient)
	mustPanic(t, "add: float32[3 4] is a result of another tape", func() { tp.Add(z, y) })
	mustPanic(t, "add: float32[3 4] is a result of another tape", func() { tp.Add(y, z) })
	mustPanic(t, "backward: float32[1]", func() { tp.Backward(ramp(b, 1)) })
	_, constant := tape(Inference)
	tp.Backward(tp.Dot(tp.Add(z, constant), z)) // a constant
	plain, _ := tape(Inference)
	plain.Add(y, constant) // nothing records
	tp, y = tape(Inference)
	mustPanic(t, "backward: the tape does not record", func() { tp.Backward(tp.Dot(y, y)) })
	mustPanic(t, "holds no gradient", func() { y.Grad() })
}

// Results of another tape are not written to.
func TestInPlaceOnAnotherTape(t *testing.T) {
	b := NewCPU(1)
	defer b.Close()
	x, w := ramp(b, 3, 4), ramp(b, 4, 4)
	one, two := NewTape(b), NewTape(b)
	y := one.Linear(x, w, nil)
	before := slices.Clone(y.Float32s())
	z := two.AddInto(y, x)
	if !slices.Equal(y.Float32s(), before) {
		t.Errorf("%v became %v", before, y.Float32s())
	}
	if want := one.Add(y, x).Float32s(); !slices.Equal(z.Float32s(), want) {
		t.Errorf("sum %v, want %v", z.Float32s(), want)
	}
}

// Taking views of shared tensors at the same time writes nothing to them, or the
// race detector fails.
func TestViewsOfSharedTensors(t *testing.T) {
	b := NewCPU(1)
	defer b.Close()
	table := ramp(b, 3, 4)
	shared := NewTape(b).Scale(2, table)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			tp := NewTape(b)
			for range 20 {
				tp.Reset(Inference, 0)
				for _, x := range []*Tensor{table, shared} {
					tp.Add(tp.Rows(x, 0, 2), tp.Dropout(tp.Rows(x, 1, 3), 0.5))
					tp.AddInto(tp.Detach(x), x)
				}
			}
		})
	}
	wg.Wait()
}

// An input counts once for each time that it is read.
func TestGradientOfRepeatedInput(t *testing.T) {
	b := NewCPU(1)
	defer b.Close()
	x := ramp(b, 3, 4)
	tp := NewTape(b)
	tp.Reset(Gradient, 0)
	a := tp.Scale(1, x)
	s := tp.Add(a, a)
	tp.Backward(tp.Dot(s, s))
	for i, g := range x.Grad().Float32s() {
		if want := 8 * x.Float32s()[i]; g != want {
			t.Errorf("gradient %v of %v, want %v", g, x.Float32s()[i], want)
		}
	}
}

// Weights of attention can be more than one stream of random numbers has elements: those of 16 heads of 65,536 queries
// and as many keys are just as many. The next operation begins behind them.
func TestStreamsDoNotOverlap(t *testing.T) {
	tp := NewTape(NewCPU(1))
	used := map[uint64]bool{}
	for _, c := range []struct{ heads, rows, keys, streams uint64 }{
		{1, 1, 0, 1}, {1, 1, 1, 1}, {16, 1 << 16, 1 << 16, 1}, {16, 1<<16 + 1, 1 << 16, 2},
		{16, 1 << 17, 1 << 17, 4}, {1, 1, 1, 1},
	} {
		first := tp.stream(c.heads * c.rows * c.keys)
		// As attentionTask.args and the kernels count: the last weight of the last head.
		last := first << streamShift
		if n := c.heads * c.rows * c.keys; n > 0 {
			last += n - 1
		}
		for s := first; s <= last>>streamShift; s++ {
			if used[s] {
				t.Errorf("%+v: stream %d is used twice", c, s)
			}
			used[s] = true
		}
		if n := last>>streamShift - first + 1; n != c.streams {
			t.Errorf("%+v: takes %d streams", c, n)
		}
	}
}

func TestAttentionPanics(t *testing.T) {
	b := NewCPU(1)
	defer b.Close()
	tp := NewTape(b)
	q, k, bias := ramp(b, 4, 6), ramp(b, 5, 6), ramp(b, 2, 2)
	fits := AttentionOptions{Heads: 2, QOffsets: []int32{0, 2, 4}, KOffsets: []int32{0, 3, 5}}
	tp.Attention(q, k, k, nil, fits)
	for want, c := range map[string]struct {
		bias *Tensor
		o    AttentionOptions
	}{
		"width 6 in 4 heads":                    {nil, AttentionOptions{Heads: 4}},
		"a window of 3, causal false":           {nil, AttentionOptions{Window: 3}},
		"a window of -1, causal true":           {nil, AttentionOptions{Window: -1, Causal: true}},
		"offsets do not rise from 0 to 4":       {nil, AttentionOptions{QOffsets: []int32{0, 2, 3}}},
		"offsets do not rise from 0 to 5":       {nil, AttentionOptions{KOffsets: []int32{0, 6, 5}}},
		"1 query segments and 2 key segments":   {nil, AttentionOptions{QOffsets: []int32{0, 4}}},
		"1 lengths of 2 key segments":           {nil, AttentionOptions{KLengths: []int32{3}}},
		"4 keys in segment 0, which has room f": {nil, AttentionOptions{KLengths: []int32{4, 2}}},
		"-1 keys in segment 1":                  {nil, AttentionOptions{KLengths: []int32{3, -1}}},
		"2 causal queries to 1 keys in segment": {nil, AttentionOptions{KLengths: []int32{3, 1}, Causal: true}},
		"Causal or KLengths with a bias":        {bias, AttentionOptions{KLengths: []int32{3, 2}}},
		"bias is float32[4 6], want":            {q, AttentionOptions{}},
	} {
		o := fits
		o.Causal, o.KLengths, o.Window = c.o.Causal, c.o.KLengths, c.o.Window
		if c.o.Heads > 0 {
			o.Heads = c.o.Heads
		}
		if c.o.QOffsets != nil {
			o.QOffsets = c.o.QOffsets
		}
		if c.o.KOffsets != nil {
			o.KOffsets = c.o.KOffsets
		}
		mustPanic(t, "attention: "+want, func() { tp.Attention(q, k, k, c.bias, o) })
	}
	for _, n := range []int{0, 1, 2, 4, 9, 12} { // heads of width 3
		keys := ramp(b, 5, n)
		mustPanic(t, "attention: 2 heads of queries float32[4 6], keys float32[5", func() {
			tp.Attention(q, keys, keys, nil, fits)
		})
	}
	fits.Causal = true
	mustPanic(t, "attention: Causal or KLengths with a bias", func() { tp.Attention(q, k, k, bias, fits) })
}

func TestContiguous(t *testing.T) {
	b := NewCPU(1)
	defer b.Close()
	tp := NewTape(b)
	x := ramp(b, 3, 4)
	for _, c := range []struct {
		x    *Tensor
		want bool
	}{
		{x, true}, {tp.Rows(x, 1, 3), true}, {tp.Columns(x, 0, 4), true}, {tp.Columns(x, 1, 3), false},
		{tp.Columns(tp.Rows(x, 1, 2), 1, 3), true}, {tp.Columns(x, 1, 2), false},
		{tp.Columns(x, 4, 4), true}, {tp.Rows(x, 3, 3), true}, {tp.Columns(tp.Rows(x, 0, 0), 1, 2), true}, // empty
	} {
		if got := c.x.Contiguous(); got != c.want {
			t.Errorf("%v with strides %v: contiguous %v", c.x, c.x.Strides(), got)
		} else if got {
			if n := len(c.x.Float32s()); n != c.x.Len() {
				t.Errorf("%v has %d values", c.x, n)
			}
		}
	}
}
