//go:build cuda

package gpu

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"testing"

	"github.com/marge-go/marge/tensor"
	"github.com/marge-go/marge/tensor/backendtest"
)

// Tolerances of the lower precisions.
var (
	toleranceTF32 = backendtest.Tolerance{
		Gemm: 6e-4, Attention: 1e-3, AttentionGradients: 2e-3, Other: 1e-6, Loss: 1e-3, Parameters: 2e-2,
	}
	toleranceBF16 = backendtest.Tolerance{
		Gemm: 5e-3, Attention: 1e-2, AttentionGradients: 2e-2, Other: 1e-6, Loss: 5e-3, Parameters: 5e-2,
	}
)

func TestPrecisions(t *testing.T) {
	for precision, tolerance := range map[Precision]backendtest.Tolerance{TF32: toleranceTF32, BF16: toleranceBF16} {
		t.Run(precision.String(), func(t *testing.T) {
			backendtest.Run(t, func() (tensor.Backend, error) { return New(Options{Precision: precision}) }, tolerance,
				"GemmRowwise", "LinearMax", "CrossEntropy")
		})
	}
}

// productCase is a product on the device, and what it should be.
type productCase struct {
	p       product
	c       *tensor.Tensor
	want    []float64
	norm    float64 // of the factors
	factors []*tensor.Tensor
}

// newProductCase draws factors for a batch of kept products, each a sum of some,
// whose rows lie lda and ldb apart, shift elements behind an aligned address.
func newProductCase(b *Backend, m, n, k, kept, sum, gap, shift int, transA, transB bool) *productCase {
	c := &productCase{}
	p := &c.p
	matrix := func(rows, cols int, trans bool, seed uint64) (devptr, []float32, int, int, func(i, r, c int) int) {
		if trans {
			rows, cols = cols, rows
		}
		ld := cols + gap
		size := rows * ld
		values := normals(kept*sum*size+shift, seed)
		x := tensor.FromSlice(b, values, len(values))
		at := func(i, r, c int) int {
			if trans {
				r, c = c, r
			}
			return shift + i*size + r*ld + c
		}
		c.factors = append(c.factors, x)
		return b.ptr(x) + devptr(4*shift), values, ld, size, at
	}
	*p = product{m: m, n: n, k: k, ldc: n, transA: transA, transB: transB, alpha: 1}
	var x, y []float32
	var atA, atB func(i, r, c int) int
	var sizeA, sizeB int
	p.a, x, p.lda, sizeA, atA = matrix(m, k, transA, 1)
	p.b, y, p.ldb, sizeB, atB = matrix(k, n, transB, 2)
	if kept > 1 {
		p.kept = []batchDim{{kept, m * n, sum * sizeA, sum * sizeB}}
	}
	if sum > 1 {
		p.summed = []batchDim{{sum, 0, sizeA, sizeB}}
	}
	c.c = tensor.New(b, tensor.Float32, kept, m, n)
	b.Fill(c.c, float32(math.NaN()))
	p.c = b.ptr(c.c)
	c.want = make([]float64, kept*m*n)
	for q := range kept * sum {
		for i := range m {
			for j := range n {
				for l := range k {
					u, v := float64(x[atA(q, i, l)]), float64(y[atB(q, l, j)])
					c.want[(q/sum*m+i)*n+j] += u * v
					c.norm += u * u * v * v
				}
			}
		}
	}
	c.norm = math.Sqrt(c.norm)
	return c
}

// compute launches a kernel and returns the result.
func (c *productCase) compute(b *Backend, kernel string, tile gemmTile, splits int, onCores bool) []float32 {
	func() {
		defer b.enter("Gemm")()
		b.launchProduct(&c.p, kernel, tile, splits, onCores)
	}()
	got := values(c.c)
	runtime.KeepAlive(c.factors)
	return got
}

func (c *productCase) error(got []float32) float64 {
	diff := 0.0
	for i, v := range got {
		diff += (float64(v) - c.want[i]) * (float64(v) - c.want[i])
	}
	return math.Sqrt(diff) / c.norm
}

// Every kernel computes every kind of product, whatever the size: the choice of multiply is for speed.
func TestProductKernels(t *testing.T) {
	b := open(t)
	for _, size := range []struct{ m, n, k, kept, sum, gap, shift, splits int }{
		{m: 70, n: 130, k: 37, kept: 1, sum: 1, splits: 1},
		{m: 3, n: 5, k: 41, kept: 2, sum: 3, gap: 3, splits: 1},
		{m: 9, n: 66, k: 50, kept: 2, sum: 2, gap: 4, shift: 1, splits: 3},
		{m: 20, n: 12, k: 64, kept: 1, sum: 1, gap: 4, shift: 4, splits: 4},
		{m: 2, n: 2, k: 5, kept: 3, sum: 1, splits: 2}, // more parts than tiles of terms
	} {
		for trans := range 4 {
			transA, transB := trans&1 != 0, trans&2 != 0
			c := newProductCase(b, size.m, size.n, size.k, size.kept, size.sum, size.gap, size.shift, transA, transB)
			name := fmt.Sprintf("%+v, transposed %v %v", size, transA, transB)
			if e := c.error(c.compute(b, "gemm_fma", fmaTile, size.splits, false)); !(e < 5e-7) {
				t.Errorf("fma: %s: error %.2g", name, e)
			}
			for _, cores := range []struct {
				name string
				most float64
			}{{"3xtf32", 3e-7}, {"tf32", 6e-4}, {"bf16", 5e-3}} {
				var before []float32
				for _, tile := range []gemmTile{smallTile, largeTile(cores.name)} {
					kernel := "gemm_" + cores.name + "_" + transposition(transA) + transposition(transB) + tile.name
					tile.shared = c.p.sharedBytes(tile)
					got := c.compute(b, kernel, tile, size.splits, true)
					if e := c.error(got); !(e < cores.most) {
						t.Errorf("%s: %s: error %.2g", kernel, name, e)
					}
					if before != nil && !slices.Equal(got, before) {
						t.Errorf("%s: %s: bits differ from those of small tiles", kernel, name)
					}
					before = got
				}
			}
		}
	}
}

// What is done with sums is the same when they are divided.
func TestDividedSums(t *testing.T) {
	b := open(t)
	c := newProductCase(b, 9, 21, 100, 1, 1, 0, 0, false, true)
	bias, pre := tensor.FromSlice(b, normals(21, 3), 21), tensor.New(b, tensor.Float32, 9, 21)
	c.p.alpha, c.p.beta, c.p.bias, c.p.gelu, c.p.pre, c.p.ldpre = 0.5, 2, b.ptr(bias), true, b.ptr(pre), 21
	tile := smallTile
	tile.shared = c.p.sharedBytes(tile)
	before := normals(9*21, 4)
	var results [2][]float32
	for i, splits := range []int{1, 3} {
		c.c.SetFloat32s(before)
		b.Fill(pre, float32(math.NaN()))
		results[i] = append(c.compute(b, "gemm_3xtf32_nt_64", tile, splits, true), values(pre)...)
	}
	for i, v := range results[0] {
		if !(math.Abs(float64(results[1][i]-v)) < 1e-5) {
			t.Errorf("[%d] is %v, %v of divided sums", i, v, results[1][i])
		}
	}
	for i, v := range results[0][9*21:] {
		want := 0.5*c.want[i] + 2*float64(before[i]) + float64(values(bias)[i%21])
		if !(math.Abs(float64(v)-want) < 1e-5) {
			t.Errorf("before GELU: [%d] is %v, want %v", i, v, want)
		}
	}
}

// Long sums stay as accurate as in float32, although tensor cores cut off what they add.
func TestLongSums(t *testing.T) {
	b := open(t)
	c := newProductCase(b, 16, 16, 4096, 1, 1, 0, 0, false, true)
	tile := smallTile
	tile.shared = c.p.sharedBytes(tile)
	if e := c.error(c.compute(b, "gemm_3xtf32_nt_64", tile, 1, true)); !(e < 1e-6) {
		t.Errorf("error %.2g", e)
	}
}

// NaN, infinities and numbers out of the range of float32 do not get lost.
func TestProductOverflow(t *testing.T) {
	for _, precision := range []Precision{FP32, TF32, BF16} {
		b, err := New(Options{Precision: precision})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		for _, bad := range []uint32{0x7fffffff, 0xffffffff, 0x7fc00000, 0x7f800000, 0x7f7fffff} {
			values8 := slices.Repeat([]float32{0.5}, 3*8)
			for i := range 3 {
				values8[i*8+3] = math.Float32frombits(bad)
			}
			x, y := tensor.FromSlice(b, values8, 3, 8), tensor.New(b, tensor.Float32, 3, 8)
			b.Gemm(y, x, tensor.FromSlice(b, normals(64, 1), 8, 8), tensor.GemmOptions{Alpha: 1e10})
			for i, v := range values(y) {
				if !math.IsInf(float64(v), 0) && v == v {
					t.Errorf("%v, %#x: [%d] is %v", precision, bad, i, v)
				}
			}
		}
	}
}

// Large tiles are for products with blocks enough, be it of divided sums.
func TestProductTile(t *testing.T) {
	for _, c := range []struct {
		p    product
		want int
	}{
		{product{m: 4096, n: 512, k: 32}, 128},
		{product{m: 4000, n: 512, k: 32}, 128},
		{product{m: 2048, n: 512, k: 256}, 64},
		{product{m: 2048, n: 512, k: 512}, 128},
		{product{m: 2048, n: 512, k: 1 << 20, rowwise: true}, 64},
		{product{m: 128, n: 128, k: 1 << 15}, 128},
		{product{m: 128, n: 128, k: 1 << 14}, 64},
	} {
		for cores, threads := range map[string]int{"tf32": 128, "bf16": 128, "3xtf32": 256} {
			tile := c.p.coreTile(cores)
			if tile.size != c.want || tile.size == 128 && tile.threads != threads {
				t.Errorf("%s: %+v has tiles %+v, want size %d", cores, c.p, tile, c.want)
			}
		}
	}
}

// Few tiles with long sums are divided, which rows that must not depend on their number forbid.
func TestProductParts(t *testing.T) {
	for _, c := range []struct {
		p    product
		want int
	}{
		{product{m: 64, n: 64, k: 1 << 20}, 128},
		{product{m: 64, n: 640, k: 1 << 20}, 13},
		{product{m: 64, n: 64, k: 1024}, 4},
		{product{m: 64, n: 64, k: 512, summed: []batchDim{{n: 3}}}, 6},
		{product{m: 64, n: 64, k: 500}, 2},
		{product{m: 64, n: 64, k: 16 * 31}, 1},
		{product{m: 64, n: 64, k: 1024, kept: []batchDim{{n: 64}}}, 2},
		{product{m: 1, n: 1}, 1},
		{product{m: 1024, n: 512, k: 1 << 20}, 1},
		{product{m: 64, n: 64, k: 1 << 20, rowwise: true}, 1},
	} {
		if got := c.p.parts(smallTile); got != c.want {
			t.Errorf("%+v: %d parts, want %d", c.p, got, c.want)
		}
	}
}
