//go:build cuda

package gpu

// #include <stdlib.h>
// #include "cublas_cuda.h"
import "C"

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"unsafe"
)

// cublasLibraries are the names of cuBLAS where Options.CUBLAS is "on": the system
// knows where they are.
var cublasLibraries = []string{"libcublas.so.13", "libcublas.so.12", "libcublas.so.11", "libcublas.so"}

// cublasWorkspace is the memory for cuBLAS, which recommends so much for cards of
// compute capability 9.0.
const cublasWorkspace = 32 << 20

// The ways in which cuBLAS computes products of float32 (cublasComputeType_t).
var cublasCompute = map[Precision]C.int{FP32: 68, TF32: 77, BF16: 75}

// cublas is an open cuBLAS.
type cublas struct {
	library *C.marge_cublas
	handle  unsafe.Pointer
	version string
	least   int // a product with fewer rows, columns or terms is left to this package
}

// openCUBLAS opens cuBLAS at a path, or, if that is "on", at the usual places.
func (b *Backend) openCUBLAS(path string) (err error) {
	places := []string{path}
	if path == "on" {
		places = cublasLibraries
	}
	l := &cublas{least: 64}
	var failures []error
	for _, place := range places {
		name := C.CString(place)
		var why [1024]C.char
		l.library = C.marge_cublas_open(name, &why[0], C.size_t(len(why)))
		C.free(unsafe.Pointer(name))
		if l.library != nil {
			break
		}
		failures = append(failures, errors.New(C.GoString(&why[0])))
	}
	if l.library == nil {
		return fmt.Errorf("no cuBLAS: %w", errors.Join(failures...))
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err = asError(func() {
		b.card.setCurrent()
		workspace := b.alloc(cublasWorkspace)
		b.checkCUBLAS(C.marge_cublas_create(l.library, &l.handle, b.card.stream, C.CUdeviceptr(workspace), cublasWorkspace))
		var v C.int
		b.checkCUBLAS(C.marge_cublas_version(l.library, l.handle, &v))
		l.version = cublasVersion(int(v))
	})
	if err != nil {
		C.marge_cublas_close(l.library)
		return err
	}
	b.cublas = l
	return nil
}

// cublasVersion returns a version as text: of 120604 that is 12.6.4.
func cublasVersion(v int) string {
	return fmt.Sprintf("%d.%d.%d", v/10000, v/100%100, v%100)
}

// closeCUBLAS gives back what openCUBLAS took but memory, which freeAll frees.
func (b *Backend) closeCUBLAS() {
	l := b.cublas
	if l == nil {
		return
	}
	b.cublas = nil
	status := C.marge_cublas_destroy(l.library, l.handle)
	C.marge_cublas_close(l.library)
	b.checkCUBLAS(status)
}

// CUBLAS returns the version of cuBLAS that computes products, or "" where none does.
func (b *Backend) CUBLAS() string {
	if b.cublas == nil {
		return ""
	}
	return b.cublas.version
}

// cublasStatus are codes of cublasStatus_t.
var cublasStatus = map[C.int]string{
	1: "not initialized", 3: "out of memory", 7: "invalid value", 8: "the card is not supported", 11: "mapping error",
	13: "execution failed", 14: "internal error", 15: "not supported", 16: "license error",
}

// checkCUBLAS panics with an *Error unless the status is that of success.
func (b *Backend) checkCUBLAS(status C.int) {
	if status == 0 {
		return
	}
	b.card.synchronize() // the card's own failure tells more
	e := &Error{Code: 1, Text: fmt.Sprintf("cuBLAS: %s (status %d)", cublasStatus[status], int(status)), Kernel: b.kernel}
	if status == 3 {
		e.Code = OutOfMemory
	}
	panic(e)
}

// rowMajor are matrices whose rows are ld elements apart.
type rowMajor struct {
	p           devptr
	ld, columns int
	stride      int // between matrices
}

// matrices returns A, B and C. The distance between the rows of a matrix that has one
// is any; cuBLAS wants one that is no less than their length.
func (p *product) matrices() (a, b, c rowMajor) {
	matrix := func(x devptr, rows, columns, ld int, trans bool) rowMajor {
		if trans {
			rows, columns = columns, rows
		}
		if rows == 1 {
			ld = max(ld, columns)
		}
		return rowMajor{p: x, ld: ld, columns: columns}
	}
	a, b = matrix(p.a, p.m, p.k, p.lda, p.transA), matrix(p.b, p.k, p.n, p.ldb, p.transB)
	c = matrix(p.c, p.m, p.n, p.ldc, false)
	for _, d := range p.kept {
		c.stride, a.stride, b.stride = d.c, d.a, d.b
	}
	return a, b, c
}

// onCUBLAS reports whether cuBLAS computes a product. The choice depends on the
// shape alone. Rows that must not depend on how many there are, which cuBLAS does not
// promise, sums over a batch, and rows that overlap are computed here.
func (b *Backend) onCUBLAS(p *product) bool {
	if b.cublas == nil || p.rowwise || len(p.summed) > 0 || len(p.kept) > 1 || min(p.m, p.n, p.k) < b.cublas.least {
		return false
	}
	x, y, c := p.matrices()
	for _, n := range []int{p.m, p.n, p.k, x.ld, y.ld, c.ld, p.count()} {
		if n > math.MaxInt32 {
			return false
		}
	}
	return x.ld >= x.columns && y.ld >= y.columns && c.ld >= c.columns
}

// multiplyCUBLAS computes products on cuBLAS. What is done with sums, other than
// alpha and beta, a kernel does after it: GELU there is another one than here.
func (b *Backend) multiplyCUBLAS(p *product) {
	x, y, out := p.matrices()
	alpha, beta := p.alpha, p.beta
	var sums devptr
	if p.bias != 0 || p.gelu {
		sums = b.scratch(p.count() * p.m * p.n * 4)
		out, alpha, beta = rowMajor{p: sums, ld: p.n, stride: p.m * p.n}, 1, 0
	}
	matrices := func(m rowMajor) C.marge_matrices {
		return C.marge_matrices{p: C.CUdeviceptr(m.p), ld: C.int(m.ld), stride: C.longlong(m.stride)}
	}
	b.kernel = "cublasGemmStridedBatchedEx"
	// Rows here are columns there: of C = A*B it computes the transpose, B'*A'.
	b.checkCUBLAS(C.marge_cublas_gemm(b.cublas.library, b.cublas.handle, cublasCompute[b.precision],
		C.int(flag(p.transB)), C.int(flag(p.transA)), C.int(p.n), C.int(p.m), C.int(p.k),
		C.float(alpha), matrices(y), matrices(x), C.float(beta), matrices(out), C.int(p.count())))
	if sums != 0 {
		b.finish(p, b.productArgs(p, sums, 1))
	} else if b.syncEach {
		b.card.synchronize()
	}
}
