package tensor

import (
	"slices"
	"testing"

	"github.com/marge-go/marge/asm"
)

// Results that go past the caches are those of the same operations on parts
// that do not.
func TestStreamedResults(t *testing.T) {
	const d, rows = 1 << 10, streamed >> 10
	c := NewCPU(2)
	defer c.Close()
	matrix := func(f func(i int) float32) *Tensor {
		data := make([]float32, rows*d)
		for i := range data {
			data[i] = f(i)
		}
		return FromSlice(c, data, rows, d)
	}
	x := matrix(func(i int) float32 { return float32(i*7919%10007)/1000 - 5 })
	dy := matrix(func(i int) float32 { return float32(i*104729%997)/500 - 1 })
	got, want := New(c, Float32, rows, d), make([]float32, rows*d)
	check := func(what string) {
		t.Helper()
		if i := slices.Compare(got.Float32s(), want); i != 0 {
			t.Errorf("%s: differs from that of parts", what)
		}
	}
	c.GELU(got, x)
	asm.GELU(want, x.Float32s())
	check("GELU")
	c.GELUBackward(got, dy, x, false)
	asm.GELUBackward(want, dy.Float32s(), x.Float32s(), false)
	check("slope of GELU")

	vector := func(n int) *Tensor { return FromSlice(c, x.Float32s()[5:5+n], n) }
	gamma, beta, mean, rstd := vector(d), vector(d), vector(rows), vector(rows)
	c.LayerNorm(got, mean, rstd, x, gamma, beta, 1e-5)
	m, r := make([]float32, rows), make([]float32, rows)
	asm.LayerNorm(want, m, r, x.Float32s(), gamma.Float32s(), beta.Float32s(), rows, d, 1e-5)
	check("layer norm")
	c.LayerNormBackward(got, nil, nil, dy, x, gamma, mean, rstd, [3]bool{})
	asm.LayerNormBackward(want, nil, nil, dy.Float32s(), x.Float32s(), gamma.Float32s(), m, r, rows, d, false)
	check("gradient of layer norm")
}
