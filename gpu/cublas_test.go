//go:build cuda

package gpu

import (
	"cmp"
	"errors"
	"math"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/marge-go/marge/tensor"
	"github.com/marge-go/marge/tensor/backendtest"
)

// openCUBLAS returns a backend that has cuBLAS compute all products that it can: the
// emulator's, or that of the machine.
func openCUBLAS(t *testing.T, precision Precision) *Backend {
	t.Helper()
	path := cmp.Or(os.Getenv("MARGE_CUBLAS"), "on")
	if open(t).Card() == "marge emulator" {
		path = os.Getenv("MARGE_LIBCUDA")
	}
	b, err := New(Options{Precision: precision, CUBLAS: path})
	if err != nil && path == "on" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	b.cublas.least = 1
	return b
}

// cuBLAS has matrices by columns: every layout of ours has to arrive there.
func TestCUBLASProducts(t *testing.T) {
	for precision, most := range map[Precision]float64{FP32: 5e-7, TF32: 6e-4, BF16: 5e-3} {
		b := openCUBLAS(t, precision)
		for _, size := range []struct{ m, n, k, kept, gap int }{
			{70, 30, 37, 1, 0}, {5, 66, 50, 1, 3}, {9, 12, 20, 3, 0}, {8, 7, 6, 2, 5}, {1, 1, 1, 1, 0},
		} {
			for trans := range 4 {
				c := newProductCase(b, size.m, size.n, size.k, size.kept, 1, size.gap, 1, trans&1 != 0, trans&2 != 0)
				func() {
					defer b.enter("Gemm")()
					b.multiply(&c.p)
					if b.kernel != "cublasGemmStridedBatchedEx" {
						t.Errorf("%v: %+v: computed by %s", precision, size, b.kernel)
					}
				}()
				e := c.error(values(c.c))
				runtime.KeepAlive(c.factors)
				if !(e < most) {
					t.Errorf("%v: %+v, transposed %b: error %.2g", precision, size, trans, e)
				}
				// The library itself may compute small products more exactly.
				if b.Card() == "marge emulator" && precision != FP32 && size.k > 1 && e < most/1e4 {
					t.Errorf("%v: %+v, transposed %b: error %.2g, operands are not rounded", precision, size, trans, e)
				}
			}
		}
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}
}

// What is done with sums: alpha, beta, bias and GELU.
func TestCUBLASEpilogue(t *testing.T) {
	b := openCUBLAS(t, FP32)
	defer b.Close()
	const m, n = 9, 21
	for _, with := range []struct{ bias, gelu bool }{{}, {bias: true}, {gelu: true}, {bias: true, gelu: true}} {
		c := newProductCase(b, m, n, 50, 1, 1, 0, 0, false, true)
		before, addend := normals(m*n, 4), normals(n, 3)
		c.c.SetFloat32s(before)
		bias, pre := tensor.FromSlice(b, addend, n), tensor.New(b, tensor.Float32, m, n)
		c.p.alpha, c.p.beta, c.p.gelu = 0.5, 2, with.gelu
		if with.bias {
			c.p.bias = b.ptr(bias)
		}
		if with.gelu {
			c.p.pre, c.p.ldpre = b.ptr(pre), n
		}
		func() {
			defer b.enter("Gemm")()
			b.multiply(&c.p)
		}()
		got, linear := values(c.c), values(pre)
		runtime.KeepAlive(bias)
		for i, v := range got {
			want := 0.5*c.want[i] + 2*float64(before[i])
			if with.bias {
				want += float64(addend[i%n])
			}
			if with.gelu {
				if !(math.Abs(float64(linear[i])-want) < 1e-5) {
					t.Errorf("%+v: before GELU: [%d] is %v, want %v", with, i, linear[i], want)
				}
				want *= 0.5 * math.Erfc(-want/math.Sqrt2)
			}
			if !(math.Abs(float64(v)-want) < 1e-5) {
				t.Errorf("%+v: [%d] is %v, want %v", with, i, v, want)
			}
		}
	}
}

// Everything else is as without it, rows that must not depend on how many there are too.
func TestCUBLASBackend(t *testing.T) {
	backendtest.Run(t, func() (tensor.Backend, error) { return openCUBLAS(t, FP32), nil }, backendtest.Float32,
		"Gemm", "GemmBatches", "GemmRowwise", "LinearMax", "CrossEntropy", "Training")
}

// The choice depends on nothing but the shape.
func TestOnCUBLAS(t *testing.T) {
	p := func(m, n, k int) product { return product{m: m, n: n, k: k, lda: k, ldb: n, ldc: n} }
	large := p(64, 64, 64)
	rowwise, summed, twice, batch, far := large, large, large, large, large
	rowwise.rowwise = true
	summed.summed = []batchDim{{n: 2}}
	twice.kept = []batchDim{{n: 2}, {n: 2}}
	batch.kept = []batchDim{{n: 2}}
	far.lda = math.MaxInt32 + 1
	overlapping, row := large, p(1, 64, 64)
	overlapping.ldb = 63
	row.lda = 0
	b := &Backend{cublas: &cublas{least: 64}}
	for _, c := range []struct {
		name string
		p    product
		want bool
	}{
		{"large", large, true}, {"batch", batch, true}, {"few rows", p(63, 64, 64), false},
		{"few columns", p(64, 63, 64), false}, {"few terms", p(64, 64, 63), false}, {"rowwise", rowwise, false},
		{"sum over a batch", summed, false}, {"batch of batches", twice, false}, {"rows too far apart", far, false},
		{"rows that overlap", overlapping, false}, {"a row", row, false},
	} {
		if got := b.onCUBLAS(&c.p); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
	b.cublas.least = 1
	if !b.onCUBLAS(&row) {
		t.Error("a row whose distance to the next is 0 is not on cuBLAS")
	}
	if (&Backend{}).onCUBLAS(&large) {
		t.Error("a product on cuBLAS, which was not asked for")
	}
}

func TestCUBLASFailures(t *testing.T) {
	for path, want := range map[string]string{
		"/no/library": "gpu: no cuBLAS: /no/library",
		"libm.so.6":   "libm.so.6 has no cublasCreate_v2",
	} {
		if _, err := New(Options{CUBLAS: path}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v", path, err)
		}
	}
	b := openCUBLAS(t, FP32)
	defer b.Close()
	c := newProductCase(b, 8, 8, 8, 1, 1, 0, 0, false, false)
	c.p.a += 2 // no float begins there
	err := func() (err error) {
		defer tensor.Recover(&err)
		defer b.enter("Gemm")()
		b.multiply(&c.p)
		return nil
	}()
	var failure *Error
	// The emulated library says invalid value, cuBLAS 13 not supported.
	refused := err != nil && (strings.Contains(err.Error(), "cuBLAS: invalid value (status 7)") ||
		strings.Contains(err.Error(), "cuBLAS: not supported (status 15)"))
	if !errors.As(err, &failure) || !refused || failure.Kernel != "cublasGemmStridedBatchedEx" {
		t.Errorf("error %v", err)
	}
	if b.CUBLAS() == "" {
		t.Error("no version")
	}
	if got := cublasVersion(120604); got != "12.6.4" {
		t.Errorf("version %s", got)
	}
}
