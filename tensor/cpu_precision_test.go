package tensor

import (
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/asm"
)

func TestPrecision(t *testing.T) {
	before := asm.Current()
	defer func() {
		if err := asm.Use(before); err != nil {
			t.Fatal(err)
		}
	}()
	for _, isa := range asm.Supported() {
		if err := asm.Use(isa); err != nil {
			t.Fatal(err)
		}
		c, err := NewCPUWith(CPUOptions{Precision: BFloat16})
		if asm.BF16() {
			if err != nil || c.Precision() != BFloat16 {
				t.Errorf("%v: %v, error %v", isa, c.Precision(), err)
			}
			c.Close()
		} else if err == nil || !strings.Contains(err.Error(), "AVX512_BF16, ") ||
			!strings.Contains(err.Error(), isa.String()) {
			t.Errorf("%v: error %v", isa, err)
		}
	}
	if _, err := NewCPUWith(CPUOptions{Precision: Int32}); err == nil || !strings.Contains(err.Error(), "int32") {
		t.Errorf("int32: error %v", err)
	}
	c, err := NewCPUWith(CPUOptions{Threads: 3})
	if err != nil || c.Precision() != Float32 || c.Runner().Threads() != 3 {
		t.Errorf("%v on %d threads, error %v", c.Precision(), c.Runner().Threads(), err)
	}
}

// All instruction sets and numbers of threads multiply bfloat16 alike, and otherwise
// than float32.
func TestBFloat16Bits(t *testing.T) {
	before := asm.Current()
	defer func() {
		if err := asm.Use(before); err != nil {
			t.Fatal(err)
		}
	}()
	product := func(c *CPU) []float32 {
		defer c.Close()
		a, b := Randn(c, 1, 70, 50), Randn(c, 2, 40, 50)
		out := New(c, Float32, 70, 40)
		c.Gemm(out, a, b, GemmOptions{TransB: true, Alpha: 1})
		return slices.Clone(out.Float32s())
	}
	exact := product(NewCPU(1))
	var want []float32
	for _, isa := range asm.Supported() {
		if err := asm.Use(isa); err != nil {
			t.Fatal(err)
		}
		for _, threads := range []int{1, 3} {
			c, err := NewCPUWith(CPUOptions{Threads: threads, Precision: BFloat16, Slow: true})
			if err != nil {
				t.Fatal(err)
			}
			got := product(c)
			if want == nil {
				want = got
			}
			if !slices.Equal(got, want) {
				t.Errorf("%v, %d threads: other values", isa, threads)
			}
		}
	}
	if e := distance(want, exact); e < 5e-4 || e > 5e-3 {
		t.Errorf("products of bfloat16 are off by %.1e", e)
	}
}

// Attention multiplies bfloat16, too, with the same bits on any number of threads.
func TestBFloat16Attention(t *testing.T) {
	before := asm.Current()
	defer func() {
		if err := asm.Use(before); err != nil {
			t.Fatal(err)
		}
	}()
	// The output and the gradients of the queries, keys and values.
	run := func(c *CPU) (results [][]float32) {
		defer c.Close()
		in := []*Tensor{Randn(c, 1, 150, 32), Randn(c, 2, 150, 32), Randn(c, 3, 150, 32)}
		for _, x := range in {
			x.SetRequiresGrad(true)
		}
		tp := NewTape(c)
		tp.Reset(Gradient, 0)
		offsets := []int32{0, 61, 150}
		o := AttentionOptions{Heads: 2, QOffsets: offsets, KOffsets: offsets, Causal: true, Scale: 0.25}
		out := tp.Attention(in[0], in[1], in[2], nil, o)
		tp.Backward(tp.Sum(tp.Mul(out, Randn(c, 4, 150, 32)), false))
		results = [][]float32{slices.Clone(out.Float32s())}
		for _, x := range in {
			results = append(results, slices.Clone(x.Grad().Float32s()))
		}
		return results
	}
	for _, isa := range asm.Supported() {
		if err := asm.Use(isa); err != nil {
			t.Fatal(err)
		}
		exact := run(NewCPU(1))
		var want [][]float32
		for _, threads := range []int{1, 3} {
			c, err := NewCPUWith(CPUOptions{Threads: threads, Precision: BFloat16, Slow: true})
			if err != nil {
				t.Fatal(err)
			}
			got := run(c)
			if want == nil {
				want = got
			}
			for i := range got {
				if !slices.Equal(got[i], want[i]) {
					t.Errorf("%v, %d threads: other values of result %d", isa, threads, i)
				}
			}
		}
		for i := range want {
			if e := distance(want[i], exact[i]); e < 5e-4 || e > 1e-2 {
				t.Errorf("%v: result %d of bfloat16 is off by %.1e", isa, i, e)
			}
		}
	}
}

// distance is the norm of the difference of x from y, divided by the norm of y.
func distance(x, y []float32) float64 {
	off, size := 0.0, 0.0
	for i, v := range x {
		d := float64(v) - float64(y[i])
		off, size = off+d*d, size+float64(y[i])*float64(y[i])
	}
	return math.Sqrt(off / size)
}

// The warning comes where the instruction is slow, and only there.
func TestWarning(t *testing.T) {
	for gain, want := range map[float64]string{
		0.5: "this processor multiplies bfloat16 at 0.50 times the rate of float32: float32 is faster", 1: "", 2: "",
	} {
		if got := gainWarning(gain); got != want {
			t.Errorf("gain %v: %q, want %q", gain, got, want)
		}
	}
	for _, precision := range []DType{Float32, BFloat16} {
		c, err := NewCPUWith(CPUOptions{Precision: precision, Slow: true})
		if err != nil {
			t.Fatal(err)
		}
		want := ""
		if precision == BFloat16 && asm.BF16() {
			want = gainWarning(dotGain())
			if !(dotGain() > 0) {
				t.Errorf("the instruction does %v times as many operations", dotGain())
			}
		}
		if got := c.Warning(); got != want {
			t.Errorf("%v: %q, want %q", precision, got, want)
		}
		c.Close()
	}
}
