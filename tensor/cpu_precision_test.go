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
	off, size := 0.0, 0.0
	for i, v := range want {
		d := float64(v) - float64(exact[i])
		off, size = off+d*d, size+float64(exact[i])*float64(exact[i])
	}
	if e := math.Sqrt(off / size); e < 5e-4 || e > 5e-3 {
		t.Errorf("products of bfloat16 are off by %.1e", e)
	}
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
