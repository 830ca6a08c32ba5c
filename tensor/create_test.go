package tensor

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestCreate(t *testing.T) {
	b := NewCPU(1)
	defer b.Close()
	for _, c := range []struct {
		t    *Tensor
		want string
	}{
		{Zeros(b, 2), "float32[2] [0 0]"},
		{Ones(b, 1, 2), "float32[1 2] [1 1]"},
		{Full(b, 2.5, 2), "float32[2] [2.5 2.5]"},
		{Full(b, 7), "float32[] [7]"},
		{Arange(b, 0, 1, 0.25), "float32[4] [0 0.25 0.5 0.75]"},
		{Arange(b, 3, 0, -2), "float32[2] [3 1]"},
		{Arange(b, 3, 3, 1), "float32[0] []"},
		{Arange(b, 3, 0, 1), "float32[0] []"},
		{FromSlice(b, []float32{1, 2}, 2), "float32[2] [1 2]"},
	} {
		if got := fmt.Sprint(c.t, c.t.Float32s()); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
	ids := FromSlice(b, []int32{4, 5}, 2, 1)
	if ids.String() != "int32[2 1]" || !slices.Equal(ids.Int32s(), []int32{4, 5}) {
		t.Errorf("%v %v", ids, ids.Int32s())
	}
	mustPanic(t, "arange: from 0 to 1 by 0", func() { Arange(b, 0, 1, 0) })
	mustPanic(t, "arange: from 0 to +Inf by 1", func() { Arange(b, 0, math.Inf(1), 1) })
	if v := Full(b, 2.5, 1, 1).Item(); v != 2.5 {
		t.Errorf("item %v, want 2.5", v)
	}
	mustPanic(t, "item: of float32[2], want one element", func() { Zeros(b, 2).Item() })
}

// CopyTo copies views in row-major order; Float32s tells what to do.
func TestCopyToOfView(t *testing.T) {
	b := NewCPU(1)
	defer b.Close()
	tp := NewTape(b)
	v := tp.Transpose(FromSlice(b, []float32{1, 2, 3, 4, 5, 6}, 2, 3), 0, 1)
	got := make([]float32, 6)
	v.CopyTo(got)
	if want := []float32{1, 4, 2, 5, 3, 6}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	mustPanic(t, "tensor: float32[3 2] with strides [1 3] is not contiguous: use Tape.Contiguous or CopyTo",
		func() { v.Float32s() })
}

// Random numbers are the same everywhere: these are the first ones of a seed.
func TestRandomNumbers(t *testing.T) {
	b := NewCPU(1)
	defer b.Close()
	for _, c := range []struct {
		name string
		t    *Tensor
		want []uint32
	}{
		{"rand", Rand(b, 1, 4), []uint32{0x3f1cf72f, 0x3f5e7404, 0x3f2e6dca, 0x3dd4b9e0}},
		{"randn", Randn(b, 1, 4), []uint32{0xbf274004, 0xbfa96e73, 0x3e949d04, 0xbcc01762}},
	} {
		var got []uint32
		for _, v := range c.t.Float32s() {
			got = append(got, math.Float32bits(v))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %#x, want %#x", c.name, got, c.want)
		}
	}
	const n = 100_000
	moments := func(x *Tensor) (m [4]float64) {
		for _, v := range x.Float32s() {
			p := 1.0
			for k := range m {
				p *= float64(v)
				m[k] += p / n
			}
		}
		return m
	}
	// Five standard deviations of each mean.
	for k, m := range moments(Randn(b, 2, n)) {
		want, deviation := []float64{0, 1, 0, 3}[k], math.Sqrt([]float64{1, 2, 15, 96}[k]/n)
		if math.Abs(m-want) > 5*deviation {
			t.Errorf("moment %d of randn: %v, want %v", k+1, m, want)
		}
	}
	for k, m := range moments(Rand(b, 2, n)) {
		p := float64(k + 1)
		want, deviation := 1/(p+1), math.Sqrt((1/(2*p+1)-1/((p+1)*(p+1)))/n)
		if math.Abs(m-want) > 5*deviation {
			t.Errorf("moment %d of rand: %v, want %v", k+1, m, want)
		}
	}
	if slices.Equal(Randn(b, 2, 4).Float32s(), Randn(b, 3, 4).Float32s()) {
		t.Error("randn: two seeds give the same numbers")
	}
}

func TestLogarithm(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range 10_000 {
		x := rng.Float64()
		if got, want := logarithm(x), math.Log(x); math.Abs(got-want) > 4e-16*max(1, math.Abs(want)) {
			t.Fatalf("log %v = %v, want %v", x, got, want)
		}
	}
}
