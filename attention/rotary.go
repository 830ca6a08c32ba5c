package attention

import (
	"fmt"
	"math"

	"github.com/marge-go/marge/tensor"
)

// RotaryPairs says which columns of a head rotary positions rotate together. Models
// whose weights were trained with one do not work with the other.
type RotaryPairs int

// The conventions there are, for a head of width w.
const (
	HalfSplit   RotaryPairs = iota // columns i and i+w/2: GPT-NeoX, Llama in Hugging Face's checkpoints
	Interleaved                    // columns 2i and 2i+1: RoFormer, GPT-J, Llama in Meta's checkpoints
)

// Rotary gives attention the positions of tokens: it rotates pair i of the columns
// of queries and keys at position p by the angle p*base^(-2i/w), w being the width
// of a head (Su et al. 2021, arXiv:2104.09864, eq. 34). The scores then depend on
// the distances between tokens.
type Rotary struct {
	pairs    RotaryPairs
	cos, sin *tensor.Tensor // [positions, w/2]
}

// NewRotary returns the rotations of positions 0 to positions-1 for heads of the
// given even width; the usual base is 10,000.
func NewRotary(b tensor.Backend, pairs RotaryPairs, width, positions int, base float64) *Rotary {
	if width < 2 || width%2 != 0 || positions < 1 {
		panic(fmt.Sprintf("attention: rotary positions of %d tokens for heads of width %d", positions, width))
	}
	half := width / 2
	cos, sin := make([]float32, 0, positions*half), make([]float32, 0, positions*half)
	for p := range positions {
		for i := range half {
			s, c := math.Sincos(float64(p) * math.Pow(base, -float64(i)/float64(half)))
			cos, sin = append(cos, float32(c)), append(sin, float32(s))
		}
	}
	return &Rotary{
		pairs: pairs, cos: tensor.FromSlice(b, cos, positions, half), sin: tensor.FromSlice(b, sin, positions, half),
	}
}

// Apply returns x [n, heads*w] with the columns of every head rotated by the
// positions of the n rows.
func (r *Rotary) Apply(tp *tensor.Tape, x *tensor.Tensor, positions []int32) *tensor.Tensor {
	cos, sin := r.at(tp, positions)
	return r.rotate(tp, x, cos, sin)
}

// at returns cosines and sines [n, w/2] of positions.
func (r *Rotary) at(tp *tensor.Tape, positions []int32) (cos, sin *tensor.Tensor) {
	for _, p := range positions {
		if p < 0 || int(p) >= r.cos.Dim(0) {
			panic(fmt.Sprintf("attention: a token at position %d of %d rotary positions", p, r.cos.Dim(0)))
		}
	}
	rows := tp.Ints(positions)
	return tp.Gather(r.cos, rows, 1), tp.Gather(r.sin, rows, 1)
}

func (r *Rotary) rotate(tp *tensor.Tape, x, cos, sin *tensor.Tensor) *tensor.Tensor {
	half := r.cos.Dim(1)
	if x.Dim(1)%(2*half) != 0 || x.Dim(0) != cos.Dim(0) {
		panic(fmt.Sprintf("attention: rotary positions of %d rows and heads of width %d for %v", cos.Dim(0), 2*half, x))
	}
	return tp.Rotate(x, cos, sin, r.pairs == Interleaved)
}
