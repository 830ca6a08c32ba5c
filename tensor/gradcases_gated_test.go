package tensor

import (
	"math"
	"slices"
	"testing"

	"github.com/marge-go/marge/tensor/internal/reference"
)

// plainBackend is a backend without the optional methods.
type plainBackend struct{ Backend }

func silu(x float64) float64 { return x / (1 + math.Exp(-x)) }

// rmsNormRef is the specification of RMSNorm of rows of d elements.
func rmsNormRef(x, weight []float64, d int, eps float64) []float64 {
	y := slices.Clone(x)
	for i := 0; i < len(x); i += d {
		squares := 0.0
		for _, v := range x[i : i+d] {
			squares += v * v
		}
		for j := range d {
			y[i+j] *= weight[j] / math.Sqrt(squares/float64(d)+eps)
		}
	}
	return y
}

// rotateRef is the specification of Rotate of rows of width columns.
func rotateRef(x []float64, cos, sin []float32, width, half int, interleaved bool) []float64 {
	y := make([]float64, len(x))
	for i := range x {
		row, column := i/width, i%width
		head, at := column/(2*half), column%(2*half)
		pair, second, other := at%half, at >= half, (at+half)%(2*half)
		if interleaved {
			pair, second, other = at/2, at%2 == 1, at^1
		}
		c, s := float64(cos[row*half+pair]), float64(sin[row*half+pair])
		if !second {
			s = -s
		}
		y[i] = x[i]*c + x[row*width+2*half*head+other]*s
	}
	return y
}

func gradCasesOfGates() []gradCase {
	const half = 3
	var angles [2][]float32
	for i := range 5 * half {
		s, c := math.Sincos(float64(i*i) / 7)
		angles[0], angles[1] = append(angles[0], float32(c)), append(angles[1], float32(s))
	}
	rotate := func(tp *Tape, x *Tensor, interleaved bool) *Tensor {
		return tp.Rotate(x, tp.Floats(angles[0], 5, half), tp.Floats(angles[1], 5, half), interleaved)
	}
	ref := func(in [][]float64) []float64 {
		return reference.Zip(in[0], in[1], func(x, u float64) float64 { return silu(x) * u })
	}
	return []gradCase{
		{name: "swiglu", shapes: [][]int{{4, 5}, {4, 5}},
			op: func(tp *Tape, in []*Tensor) *Tensor { return tp.SwiGLU(in[0], in[1]) }, ref: ref},
		{name: "swiglu of itself, and more", shapes: [][]int{{4, 5}},
			op: func(tp *Tape, in []*Tensor) *Tensor {
				x := tp.Scale(2, in[0])
				return tp.Add(tp.SwiGLU(x, x), x)
			},
			ref: func(in [][]float64) []float64 {
				return reference.Each(in[0], func(x float64) float64 { return silu(2*x)*2*x + 2*x })
			}},
		{name: "swiglu of views", shapes: [][]int{{4, 10}},
			op: func(tp *Tape, in []*Tensor) *Tensor {
				return tp.SwiGLU(tp.Columns(in[0], 0, 5), tp.Columns(in[0], 5, 10))
			},
			ref: func(in [][]float64) (y []float64) {
				for i := range 20 {
					at := i/5*10 + i%5
					y = append(y, silu(in[0][at])*in[0][at+5])
				}
				return y
			}},
		{name: "rmsnorm", shapes: [][]int{{2, 3, 5}, {5}},
			op:  func(tp *Tape, in []*Tensor) *Tensor { return tp.RMSNorm(in[0], in[1], 0.1) },
			ref: func(in [][]float64) []float64 { return rmsNormRef(in[0], in[1], 5, 0.1) }},
		{name: "rmsnorm and residual", shapes: [][]int{{6, 5}, {5}},
			op: func(tp *Tape, in []*Tensor) *Tensor {
				x := tp.Scale(2, in[0])
				return tp.Add(x, tp.RMSNorm(tp.RMSNorm(x, in[1], 1e-5), in[1], 1e-5))
			},
			ref: func(in [][]float64) []float64 {
				x := reference.Each(in[0], func(x float64) float64 { return 2 * x })
				return reference.Zip(x, rmsNormRef(rmsNormRef(x, in[1], 5, 1e-5), in[1], 5, 1e-5), reference.Plus)
			}},
		{name: "rotate", shapes: [][]int{{5, 12}},
			op:  func(tp *Tape, in []*Tensor) *Tensor { return rotate(tp, in[0], false) },
			ref: func(in [][]float64) []float64 { return rotateRef(in[0], angles[0], angles[1], 12, half, false) }},
		{name: "rotate interleaved, and more", shapes: [][]int{{5, 12}},
			op: func(tp *Tape, in []*Tensor) *Tensor {
				x := tp.Scale(2, in[0])
				return tp.Add(tp.Add(rotate(tp, x, true), rotate(tp, x, false)), x)
			},
			ref: func(in [][]float64) []float64 {
				x := reference.Each(in[0], func(x float64) float64 { return 2 * x })
				y := reference.Zip(x, rotateRef(x, angles[0], angles[1], 12, half, true), reference.Plus)
				return reference.Zip(y, rotateRef(x, angles[0], angles[1], 12, half, false), reference.Plus)
			}},
	}
}

func largeCasesOfGates() []gradCase {
	return []gradCase{
		{name: "large swiglu", shapes: [][]int{{300, 200}, {300, 200}},
			op: func(tp *Tape, in []*Tensor) *Tensor { return tp.SwiGLU(in[0], in[1]) }},
		{name: "large rmsnorm", shapes: [][]int{{700, 300}, {300}},
			op: func(tp *Tape, in []*Tensor) *Tensor { return tp.RMSNorm(in[0], in[1], 1e-5) }},
		{name: "large rotate", shapes: [][]int{{700, 128}, {700, 32}, {700, 32}},
			op: func(tp *Tape, in []*Tensor) *Tensor {
				return tp.Rotate(in[0], tp.Detach(in[1]), tp.Detach(in[2]), false)
			}},
	}
}

// A backend without the optional methods gives the same up to rounding.
func TestGatesOfAPlainBackend(t *testing.T) {
	for _, c := range gradCasesOfGates() {
		want := c.plainOn(NewCPU(1))
		compare(t, c.name, c.plainOn(plainBackend{NewCPU(1)}), widen(want), 1e-5)
	}
}

func TestGatesPanic(t *testing.T) {
	tp := NewTape(NewCPU(1))
	matrix := func(rows, columns int) *Tensor { return tp.Floats(make([]float32, rows*columns), rows, columns) }
	for want, f := range map[string]func(){
		"swiglu: float32[2 3] and float32[3 2]":            func() { tp.SwiGLU(matrix(2, 3), matrix(3, 2)) },
		"rmsnorm: weight is float32[2 1], want float32[3]": func() { tp.RMSNorm(matrix(2, 3), matrix(2, 1), 0) },
		"rotate: float32[2 6] by angles float32[2 2], want [n heads*w] and [n w/2]": func() {
			tp.Rotate(matrix(2, 6), matrix(2, 2), matrix(2, 2), false)
		},
	} {
		func() {
			defer func() {
				if got := recover(); got != want {
					t.Errorf("panic %q, want %q", got, want)
				}
			}()
			f()
		}()
	}
}
