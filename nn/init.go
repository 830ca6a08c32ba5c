package nn

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/marge-go/marge/tensor"
)

// Constant sets all elements of t.
func Constant(t *tensor.Tensor, value float32) { t.Backend().Fill(t, value) }

// draw sets the elements of t, in order, to what f returns.
func draw(t *tensor.Tensor, f func() float64) {
	values := make([]float32, t.Len())
	for i := range values {
		values[i] = float32(f())
	}
	t.SetFloat32s(values)
}

// Normal draws the elements of t from a normal distribution with mean 0.
func Normal(t *tensor.Tensor, rng *rand.Rand, std float64) {
	draw(t, func() float64 { return rng.NormFloat64() * std })
}

// TruncNormal draws the elements of t from a normal distribution with mean 0 whose
// values beyond two times std are drawn again.
func TruncNormal(t *tensor.Tensor, rng *rand.Rand, std float64) {
	draw(t, func() float64 {
		for {
			if x := rng.NormFloat64(); math.Abs(x) <= 2 {
				return x * std
			}
		}
	})
}

// Uniform draws the elements of t from a uniform distribution over [-bound, bound).
func Uniform(t *tensor.Tensor, rng *rand.Rand, bound float64) {
	draw(t, func() float64 { return 2 * (float64(rng.Float64()) - 0.5) * bound })
}

// fans returns the numbers of inputs and outputs of a weight [out, in], or
// [out, in, ...] of a convolution.
func fans(op string, t *tensor.Tensor) (in, out float64) {
	shape := t.Shape()
	if len(shape) < 2 || t.Len() == 0 {
		panic(fmt.Sprintf("nn: %s of %v, want a weight [out, in]", op, t))
	}
	return float64(t.Len() / shape[0]), float64(t.Len() / shape[1])
}

// XavierUniform draws a weight [out, in] uniformly, with standard deviation
// gain*sqrt(2/(in+out)) (Glorot and Bengio 2010).
func XavierUniform(t *tensor.Tensor, rng *rand.Rand, gain float64) {
	in, out := fans("XavierUniform", t)
	Uniform(t, rng, gain*math.Sqrt(6/(in+out)))
}

// XavierNormal is XavierUniform with a normal distribution.
func XavierNormal(t *tensor.Tensor, rng *rand.Rand, gain float64) {
	in, out := fans("XavierNormal", t)
	Normal(t, rng, gain*math.Sqrt(2/(in+out)))
}

// KaimingUniform draws a weight [out, in] uniformly, with standard deviation
// sqrt(2/((1+slope^2)*in)) (He et al. 2015). slope is that of a leaky ReLU after
// the layer for negative numbers, 0 for ReLU.
func KaimingUniform(t *tensor.Tensor, rng *rand.Rand, slope float64) {
	in, _ := fans("KaimingUniform", t)
	Uniform(t, rng, math.Sqrt(6/((1+float64(slope*slope))*in)))
}

// KaimingNormal is KaimingUniform with a normal distribution.
func KaimingNormal(t *tensor.Tensor, rng *rand.Rand, slope float64) {
	in, _ := fans("KaimingNormal", t)
	Normal(t, rng, math.Sqrt(2/((1+float64(slope*slope))*in)))
}

// Orthogonal sets a matrix to gain times a random one whose rows, or columns if
// these are fewer, are orthonormal (Saxe et al. 2014).
func Orthogonal(t *tensor.Tensor, rng *rand.Rand, gain float64) {
	if len(t.Shape()) != 2 {
		panic(fmt.Sprintf("nn: Orthogonal of %v, want a matrix", t))
	}
	rows, cols := t.Dim(0), t.Dim(1)
	n, width := min(rows, cols), max(rows, cols)
	vectors := make([][]float64, n)
	for i := range vectors {
		v := make([]float64, width)
		for j := range v {
			v[j] = rng.NormFloat64()
		}
		for range 2 { // once more, for what rounding left
			for _, u := range vectors[:i] {
				dot := 0.0
				for j := range v {
					dot += float64(u[j] * v[j])
				}
				for j := range v {
					v[j] -= float64(dot * u[j])
				}
			}
		}
		norm := 0.0
		for _, x := range v {
			norm += float64(x * x)
		}
		for j := range v {
			v[j] /= math.Sqrt(norm)
		}
		vectors[i] = v
	}
	values := make([]float32, rows*cols)
	for i := range rows {
		for j := range cols {
			if rows <= cols {
				values[i*cols+j] = float32(gain * vectors[i][j])
			} else {
				values[i*cols+j] = float32(gain * vectors[j][i])
			}
		}
	}
	t.SetFloat32s(values)
}

// AddIdentity adds gain times the identity to a square matrix.
func AddIdentity(t *tensor.Tensor, gain float32) {
	n := t.Dim(0)
	if len(t.Shape()) != 2 || t.Dim(1) != n {
		panic(fmt.Sprintf("nn: AddIdentity to %v, want a square matrix", t))
	}
	values := make([]float32, n*n)
	t.CopyTo(values)
	for i := range n {
		values[i*n+i] += gain
	}
	t.SetFloat32s(values)
}
