//go:build cuda

package gpu

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/tensor"
)

func normals(n int, seed uint64) []float32 {
	rng := rand.New(rand.NewPCG(seed, 1))
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}

// The key changes where the lower half of the counter ends.
func TestDropoutAcrossKeys(t *testing.T) {
	b := open(t)
	const n, seed = 3000, 9
	for _, counter := range []uint64{0, 1<<32 - 1, 1<<32 - 1500, 5<<36 + 7<<32 - 1024, 1<<64 - 1000} {
		x, sum := normals(n, 1), normals(n, 2)
		want, added := make([]float32, n), make([]float32, n)
		asm.Dropout(want, x, 0.3, seed, counter)
		asm.Add(added, want, sum)
		xs, sums, got := tensor.FromSlice(b, x, n), tensor.FromSlice(b, sum, n), tensor.New(b, tensor.Float32, n)
		for _, c := range []struct {
			sum  *tensor.Tensor
			want []float32
		}{{nil, want}, {sums, added}} {
			func() {
				defer b.enter("Dropout")()
				b.dropout(b.ptr(got), b.ptr(xs), b.ptr(c.sum), n, 0.3, seed, counter)
			}()
			if !slices.Equal(values(got), c.want) {
				t.Errorf("counter %#x, sum %v: differs from asm.Dropout", counter, c.sum != nil)
			}
		}
	}
}

// GELU and its slope are as accurate in the tails as near 0.
func TestGELUAccuracy(t *testing.T) {
	b := open(t)
	var x []float32
	for v := -15.0; v <= 15; v += 0.00713 {
		x = append(x, float32(v), float32(v/1000))
	}
	n := len(x)
	xs, y := tensor.FromSlice(b, x, n), tensor.New(b, tensor.Float32, n)
	ones := tensor.New(b, tensor.Float32, n)
	b.Fill(ones, 1)
	b.GELU(y, xs)
	worst := 0.0
	for i, got := range values(y) {
		v := float64(x[i])
		want := 0.5 * v * math.Erfc(-v/math.Sqrt2)
		ulp := math.Max(math.Abs(want)*0x1p-23, 0x1p-149)
		worst = max(worst, math.Abs(float64(got)-want)/ulp)
	}
	if worst > 4 {
		t.Errorf("GELU: %.2f ULP", worst)
	}
	b.GELUBackward(y, ones, xs, false)
	worst = 0
	for i, got := range values(y) {
		v := float64(x[i])
		want := 0.5*math.Erfc(-v/math.Sqrt2) + v*math.Exp(-v*v/2)/math.Sqrt(2*math.Pi)
		worst = max(worst, math.Abs(float64(got)-want))
	}
	if worst > 4e-7 {
		t.Errorf("slope of GELU: %.2g", worst)
	}
	special := []float32{float32(math.Inf(-1)), float32(math.Inf(1)), float32(math.NaN()), -100, 100}
	s := tensor.FromSlice(b, special, len(special))
	b.GELU(s, s)
	if got := values(s); got[0] != 0 || got[1] != special[1] || got[2] == got[2] || got[3] != 0 || got[4] != 100 {
		t.Errorf("GELU of %v: %v", special, got)
	}
	s.SetFloat32s(special)
	one := tensor.FromSlice(b, []float32{1, 1, 1, 1, 1}, 5)
	b.GELUBackward(s, one, s, false)
	if got := values(s); got[0] != 0 || got[1] != 1 || got[2] == got[2] || got[3] != 0 || got[4] != 1 {
		t.Errorf("slope of GELU at %v: %v", special, got)
	}
}

// Rounding of the mean of rows far from 0 does not reach the variance.
func TestLayerNormFarFromZero(t *testing.T) {
	b := open(t)
	const d = 1003
	x := normals(d, 3)
	mean, variance := 0.0, 0.0
	for i := range x {
		x[i] = 1e7 + x[i]*3
		mean += float64(x[i]) / d
	}
	for _, v := range x {
		variance += (float64(v) - mean) * (float64(v) - mean) / d
	}
	y, m, r := tensor.New(b, tensor.Float32, 1, d), tensor.New(b, tensor.Float32, 1), tensor.New(b, tensor.Float32, 1)
	gamma, beta := tensor.New(b, tensor.Float32, d), tensor.New(b, tensor.Float32, d)
	b.Fill(gamma, 1)
	b.LayerNorm(y, m, r, tensor.FromSlice(b, x, 1, d), gamma, beta, 1e-5)
	if got, want := float64(values(r)[0]), 1/math.Sqrt(variance+1e-5); math.Abs(got-want) > 1e-6*want {
		t.Errorf("1/sqrt(variance) is %v, want %v", got, want)
	}
	if got := float64(values(m)[0]); math.Abs(got-mean) > 0.5+1e-3 { // half the distance of float32 numbers there
		t.Errorf("mean %v, want %v", got, mean)
	}
}

// Where there are many rows, sums of groups are added up.
func TestAddRowsInGroups(t *testing.T) {
	b := open(t)
	for _, shape := range [][2]int{
		{63, 3}, {64, 4}, {255, 3}, {256, 3}, {257, 8}, {700, 132}, {4095, 3}, {4097, 5}, {40000, 4},
	} {
		n, d := shape[0], shape[1]
		x := normals(n*d, uint64(n))
		want := make([]float64, d)
		for i, v := range x {
			want[i%d] += float64(v)
		}
		sum := tensor.New(b, tensor.Float32, d)
		b.AddRows(sum, tensor.FromSlice(b, x, n, d), false)
		for j, got := range values(sum) {
			if math.Abs(float64(got)-want[j]) > 1e-7*math.Sqrt(float64(n))*8 {
				t.Errorf("column %d of %v: %v, want %v", j, shape, got, want[j])
			}
		}
	}
}

// ScatterAdd adds in the order of the rows: 2^24 + 1 - 2^24 is 0.
func TestScatterAddOrder(t *testing.T) {
	b := open(t)
	dst := tensor.FromSlice(b, []float32{0, 0, 1 << 24, 0}, 4, 1)
	src := tensor.FromSlice(b, []float32{1 << 24, 1, 1, 5, -1 << 24, -1 << 24}, 6, 1)
	b.ScatterAdd(dst, src, tensor.FromSlice(b, []int32{0, 2, 0, 3, 0, 2}, 6), 1)
	if got := values(dst); !slices.Equal(got, []float32{0, 0, 0, 5}) {
		t.Errorf("%v, want [0 0 0 5]", got)
	}
}

// One launch for many parameters gives what one for each does; some are empty, and
// some have more than one block.
func TestAdamWAll(t *testing.T) {
	b := open(t)
	sizes := []int{0, 5, 2048, 0, 0, 2049, 7000, 1, 0}
	var all, each []tensor.AdamWCall
	for i, n := range sizes {
		for _, calls := range []*[]tensor.AdamWCall{&all, &each} {
			c := tensor.AdamWCall{Options: tensor.AdamWOptions{
				LR: 0.01 * float32(i+1), Beta1: 0.9, Beta2: 0.99, Eps: 1e-6, WeightDecay: 0.1, Step: i + 1, GradScale: 0.5,
			}}
			for j, p := range []**tensor.Tensor{&c.P, &c.G, &c.M} {
				*p = tensor.FromSlice(b, normals(n, uint64(10*i+j)), n)
			}
			c.V = tensor.New(b, tensor.Float32, n)
			*calls = append(*calls, c)
		}
	}
	b.AdamWAll(all)
	for i, c := range each {
		b.AdamW(c.P, c.G, c.M, c.V, c.Options)
		for j, pair := range [][2]*tensor.Tensor{{all[i].P, c.P}, {all[i].M, c.M}, {all[i].V, c.V}} {
			if !slices.Equal(values(pair[0]), values(pair[1])) {
				t.Errorf("parameter %d of %d elements: tensor %d differs", i, sizes[i], j)
			}
		}
	}
}

// Row numbers that a kernel wrote are downloaded and checked, too.
func TestRowsFromTheCard(t *testing.T) {
	b := open(t)
	table := tensor.FromSlice(b, []float32{1, 2, 3}, 3, 1)
	rows, out := tensor.New(b, tensor.Int32, 2), tensor.New(b, tensor.Float32, 2, 1)
	b.Gather(out, table, rows, 1, false) // zeros, which no host gave
	if got := values(out); !slices.Equal(got, []float32{1, 1}) {
		t.Errorf("%v", got)
	}
	func() {
		defer b.enter("Write")()
		b.upload(b.ptr(rows), []int32{2, 3}) // as a kernel might
		b.written(rows)
	}()
	if got := panics(func() { b.Gather(out, table, rows, 1, false) }); got != "gather: row 3 of 3, at position 1" {
		t.Errorf("panic %q", got)
	}
}
