package tensor

import (
	"slices"
	"testing"

	"github.com/marge-go/marge/asm"
)

// newBF16 returns a backend that multiplies bfloat16 values.
func newBF16(t *testing.T, threads int) *CPU {
	t.Helper()
	c, err := NewCPUWith(CPUOptions{Threads: threads, Precision: BFloat16, Slow: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// rounded returns values as bfloat16 has them.
func rounded(x []float32) []float32 {
	halves, y := make([]uint16, len(x)), make([]float32, len(x))
	asm.ToBF16(halves, x)
	asm.FromBF16(y, halves)
	return y
}

// attending is self-attention of 2 documents, whose queries, keys and values come from
// the parameters 0 to 2, and whose output goes through parameter 3. compress is called
// with each of the four when nothing reads it any more.
func attending(tp *Tape, x *Tensor, params []*Tensor, compress func(i int, y *Tensor)) *Tensor {
	offsets := []int32{0, 30, 37}
	o := AttentionOptions{Heads: 2, QOffsets: offsets, KOffsets: offsets, Causal: true, Scale: 0.3}
	q, k, v := tp.Linear(x, params[0], nil), tp.Linear(x, params[1], nil), tp.Linear(x, params[2], nil)
	heads := tp.Attention(q, k, v, nil, o)
	y := tp.Linear(heads, params[3], nil)
	for i, t := range []*Tensor{q, k, v, heads} {
		compress(i, t)
	}
	return y
}

// Queries, keys, values and factors of products change no bit of a gradient where they
// are compressed, in float32 nothing does.
func TestCompressGradients(t *testing.T) {
	run := func(c *CPU, compress func(i int) bool) (grads [][]float32) {
		x := Randn(c, 1, 37, 24)
		var params []*Tensor
		for i := range 4 {
			params = append(params, Randn(c, uint64(2+i), 24, 24))
			params[i].SetRequiresGrad(true)
		}
		tp := NewTape(c)
		tp.Poison()
		tp.Reset(Gradient, 0)
		y := attending(tp, x, params, func(i int, y *Tensor) {
			if compress(i) {
				tp.Compress(y)
			}
		})
		next := tp.Scale(0, y) // which finds the memory that is free
		tp.Backward(tp.Dot(y, y), tp.Sum(next, false))
		for _, p := range params {
			grads = append(grads, slices.Clone(p.Grad().Float32s()))
		}
		return grads
	}
	none, all := func(int) bool { return false }, func(int) bool { return true }
	operands := func(i int) bool { return i < 3 }
	for _, threads := range []int{1, 3} {
		exact := NewCPU(threads)
		defer exact.Close()
		want, got := run(exact, none), run(exact, all)
		bf16 := newBF16(t, threads)
		want16, got16, got16All := run(bf16, none), run(bf16, operands), run(bf16, all)
		for i := range want {
			if !slices.Equal(got[i], want[i]) {
				t.Errorf("float32: the gradient of parameter %d changed", i)
			}
			if !slices.Equal(got16[i], want16[i]) {
				t.Errorf("bfloat16: the gradient of parameter %d changed", i)
			}
		}
		// The output of attention is no factor alone: its product with its gradient is in those of
		// the queries and the keys.
		for i := range want {
			same := slices.Equal(got16All[i], want16[i])
			if i >= 2 && !same {
				t.Errorf("bfloat16, all compressed: the gradient of parameter %d changed", i)
			}
			before, after := distance(want16[i], want[i]), distance(got16All[i], want[i])
			if i < 2 && (same || after > 1.2*before) {
				t.Errorf("bfloat16, all compressed: the gradient of parameter %d is off by %.2e, and not %.2e", i, after, before)
			}
		}
	}
}

// What is compressed or forgotten gives its memory back: half of it, all or nothing at
// once, the rest when Backward has gone through the operation that made it.
func TestCompressGivesMemoryBack(t *testing.T) {
	live := func(tp *Tape) int {
		n := tp.floats.used
		for _, c := range tp.floats.chunks[:tp.floats.current] {
			n += c.size
		}
		for _, p := range tp.floats.free {
			n -= p.n
		}
		return n
	}
	exact, bf16 := NewCPU(1), newBF16(t, 1)
	defer exact.Close()
	for i, c := range []struct {
		backend       *CPU
		mode          Mode
		give          func(tp *Tape, y *Tensor)
		after, atLast int // values that are given back of 64*16
	}{
		{exact, Inference, (*Tape).Compress, 64 * 16, 64 * 16},
		{exact, Gradient, (*Tape).Compress, 0, 64 * 16},
		{bf16, Inference, (*Tape).Compress, 64 * 16, 64 * 16},
		{bf16, Gradient, (*Tape).Compress, 64 * 16 / 2, 64 * 16},
		{bf16, Inference, (*Tape).Forget, 64 * 16, 64 * 16},
		{bf16, Gradient, (*Tape).Forget, 0, 64 * 16},
	} {
		p := Randn(c.backend, 1, 16, 16)
		p.SetRequiresGrad(true)
		tp := NewTape(c.backend)
		run := func(compress bool) (before, after int) {
			tp.Reset(c.mode, 0)
			y := tp.Linear(tp.Scale(1, Randn(c.backend, 2, 64, 16)), p, nil)
			z := tp.Linear(y, p, nil)
			if compress {
				c.give(tp, y)
			}
			before = live(tp)
			if c.mode == Gradient {
				tp.Backward(tp.Dot(z, z))
			}
			return before, live(tp)
		}
		before, last := run(false)
		compressed, lastCompressed := run(true)
		if before-compressed != c.after || last-lastCompressed != c.atLast {
			t.Errorf("case %d, %v, mode %v: %d values are given back, in the end %d, want %d and %d", i, c.backend.Precision(),
				c.mode, before-compressed, last-lastCompressed, c.after, c.atLast)
		}
	}
}

// What NoGrad forgets may be what operations outside recorded.
func TestForgetInNoGrad(t *testing.T) {
	for _, b := range []*CPU{NewCPU(1), newBF16(t, 1)} {
		defer b.Close()
		w := Randn(b, 1, 8, 8)
		w.SetRequiresGrad(true)
		run := func(give func(tp *Tape, y *Tensor)) []float32 {
			w.ZeroGrad()
			tp := NewTape(b)
			tp.Poison()
			tp.Reset(Gradient, 0)
			y := tp.Linear(Randn(b, 2, 6, 8), w, nil)
			z := tp.Linear(y, w, nil)
			tp.NoGrad(func() { give(tp, y) })
			tp.Backward(tp.Sum(tp.Mul(z, tp.Scale(0.5, Randn(b, 3, 6, 8))), false))
			return slices.Clone(w.Grad().Float32s())
		}
		want := run(func(*Tape, *Tensor) {})
		for i, give := range []func(tp *Tape, y *Tensor){(*Tape).Forget, (*Tape).Compress} {
			if got := run(give); !slices.Equal(got, want) {
				t.Errorf("%v, case %d: another gradient", b.Precision(), i)
			}
		}
	}
}

func TestCompressPanics(t *testing.T) {
	for _, mode := range []Mode{Inference, Training} {
		tp, x, h, y := recomputing(mode)
		mustPanic(t, "no float32 result on this tape", func() { tp.Compress(ramp(tp.backend, 3)) })
		mustPanic(t, "no float32 result on this tape", func() { tp.Compress(tp.Ints([]int32{1})) })
		rows := tp.Rows(h, 0, 2)
		for _, kept := range []*Tensor{h, rows} {
			tp.Compress(kept)
			kept.Float32s()
		}
		tp.Compress(y)
		mustPanic(t, "add: float32[4 2] was given to Forget or Compress", func() { tp.Add(y, y) })
		mustPanic(t, "compress: float32[4 2] was given to Forget or Compress", func() { tp.Compress(y) })
		if mode == Inference {
			mustPanic(t, "the memory of float32[4 2] was given to Forget or Compress", func() { y.Float32s() })
		}
		tp.Linear(x, ramp(tp.backend, 2, 3), nil)
	}
}

// Feed-forward networks in bfloat16 keep the value before GELU rounded, and their
// gradients are those at that value, of any shape and number of threads.
func TestCompressedGELU(t *testing.T) {
	for _, size := range [][3]int{{1, 1, 1}, {3, 5, 7}, {33, 12, 65}, {150, 16, 301}} {
		n, d, ffn := size[0], size[1], size[2]
		for _, threads := range []int{1, 3} {
			c := newBF16(t, threads)
			x, w1, b1, w2 := Randn(c, 1, n, d), Randn(c, 2, ffn, d), Randn(c, 3, ffn), Randn(c, 4, d, ffn)
			dy := Randn(c, 5, n, d)
			for _, p := range []*Tensor{x, w1, b1, w2} {
				p.SetRequiresGrad(true)
			}
			tp := NewTape(c)
			tp.Poison()
			for _, fused := range []bool{true, false} {
				for _, p := range []*Tensor{x, w1, b1, w2} {
					p.ZeroGrad()
				}
				tp.Reset(Gradient, 0)
				var y *Tensor
				if fused {
					y = tp.FeedForward(x, w1, b1, w2, nil)
				} else {
					y = tp.Linear(tp.LinearGELU(x, w1, b1), w2, nil)
				}
				out := slices.Clone(y.Float32s())
				tp.Backward(tp.Dot(y, dy))

				tp2 := NewTape(c)
				pre := tp2.Linear(x, w1, b1)
				h := tp2.GELU(pre)
				if want := tp2.Linear(h, w2, nil).Float32s(); !slices.Equal(out, want) {
					t.Errorf("%v, fused %v: other values than one by one", size, fused)
				}
				at := tp2.Floats(rounded(pre.Float32s()), n, ffn)
				if fused { // GELU is computed again from what was kept
					c.GELU(h, at)
				}
				dh, dw2, dx, dw1 := tp2.New(n, ffn), tp2.New(d, ffn), tp2.New(n, d), tp2.New(ffn, d)
				c.Gemm(dw2, dy, h, GemmOptions{TransA: true, Alpha: 1})
				c.Gemm(dh, dy, w2, GemmOptions{Alpha: 1})
				c.GELUBackward(dh, dh, at, false)
				c.Gemm(dx, dh, w1, GemmOptions{Alpha: 1})
				c.Gemm(dw1, dh, x, GemmOptions{TransA: true, Alpha: 1})
				for name, g := range map[string][2]*Tensor{"x": {x, dx}, "w1": {w1, dw1}, "w2": {w2, dw2}} {
					if !slices.Equal(g[0].Grad().Float32s(), g[1].Float32s()) {
						t.Errorf("%v, fused %v, %d threads: the gradient of %s is another", size, fused, threads, name)
					}
				}
			}
		}
	}
}
