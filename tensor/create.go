package tensor

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// FromSlice returns a tensor that holds a copy of data, float32 or int32 after the
// type of the slice.
func FromSlice[T float32 | int32](b Backend, data []T, shape ...int) *Tensor {
	var t *Tensor
	switch data := any(data).(type) {
	case []float32:
		t = New(b, Float32, shape...)
		t.SetFloat32s(data)
	case []int32:
		t = New(b, Int32, shape...)
		t.SetInt32s(data)
	}
	return t
}

// Zeros returns a float32 tensor of zeros. See New for other types.
func Zeros(b Backend, shape ...int) *Tensor { return New(b, Float32, shape...) }

// Ones returns a float32 tensor of ones.
func Ones(b Backend, shape ...int) *Tensor { return Full(b, 1, shape...) }

// Full returns a float32 tensor of which every element is value.
func Full(b Backend, value float32, shape ...int) *Tensor {
	t := New(b, Float32, shape...)
	b.Fill(t, value)
	return t
}

// Arange returns the numbers start, start+step, ... before stop as float32: as many
// as (stop-start)/step, rounded up. Each is start + i*step, computed in float64 and
// rounded once. It panics if step is 0 or a number is not finite.
func Arange(b Backend, start, stop, step float64) *Tensor {
	n := math.Ceil((stop - start) / step)
	if step == 0 || math.IsNaN(n) || math.IsInf(n, 0) || math.IsInf(step, 0) {
		panic(fmt.Sprintf("arange: from %v to %v by %v", start, stop, step))
	}
	values := make([]float32, int(max(n, 0)))
	for i := range values {
		values[i] = float32(start + float64(float64(i)*step))
	}
	return FromSlice(b, values, len(values))
}

// Rand returns uniformly distributed numbers in [0, 1). The seed determines them,
// on every machine and backend alike.
func Rand(b Backend, seed uint64, shape ...int) *Tensor {
	rng := rand.New(rand.NewPCG(seed, randStream))
	return generate(b, shape, rng.Float32)
}

// Randn returns normally distributed numbers of mean 0 and variance 1. The seed
// determines them, on every machine and backend alike.
func Randn(b Backend, seed uint64, shape ...int) *Tensor {
	rng := rand.New(rand.NewPCG(seed, randnStream))
	spare, ready := 0.0, false
	return generate(b, shape, func() float32 {
		if ready {
			ready = false
			return float32(spare)
		}
		var x float64
		x, spare = normalPair(rng)
		ready = true
		return float32(x)
	})
}

// The second halves of the seeds of Rand and Randn, so that equal seeds give
// unrelated numbers.
const (
	randStream  = 0x72616e64
	randnStream = 0x72616e646e
)

func generate(b Backend, shape []int, next func() float32) *Tensor {
	t := New(b, Float32, shape...)
	values := make([]float32, t.Len())
	for i := range values {
		values[i] = next()
	}
	t.SetFloat32s(values)
	return t
}

// normalPair returns two independent normally distributed numbers, by the polar
// method of Marsaglia. It rounds every product, so that all machines have the same
// bits; rand.NormFloat64 and math.Log do not promise that.
func normalPair(rng *rand.Rand) (x, y float64) {
	for {
		u, v := 2*(float64(rng.Float64())-0.5), 2*(float64(rng.Float64())-0.5)
		s := float64(u*u) + float64(v*v)
		if s > 0 && s < 1 {
			f := math.Sqrt(-2 * logarithm(s) / s)
			return u * f, v * f
		}
	}
}

// logarithm is log x for finite x > 0, within some 1e-15: log m = 2 artanh((m-1)/(m+1))
// for the mantissa m in [1/sqrt2, sqrt2).
func logarithm(x float64) float64 {
	m, e := math.Frexp(x)
	if m < math.Sqrt2/2 {
		m, e = 2*m, e-1
	}
	z := (m - 1) / (m + 1)
	square, sum := float64(z*z), 0.0
	for k := 23; k > 0; k -= 2 {
		sum = float64(sum*square) + 1/float64(k)
	}
	return float64(float64(e)*math.Ln2) + float64(2*float64(z*sum))
}
