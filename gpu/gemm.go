//go:build cuda

package gpu

import (
	"fmt"
	"math"

	"github.com/marge-go/marge/internal/ceil"
	"github.com/marge-go/marge/tensor"
)

// product is C = act(alpha*op(A)*op(B) + beta*C + bias) for C [m, n] and sums of k
// terms, or of batches of such.
type product struct {
	c, a, b        devptr
	m, n, k        int
	ldc, lda, ldb  int // distances between rows
	transA, transB bool
	alpha, beta    float32
	bias           devptr // 0: none
	gelu           bool
	pre            devptr // receives the value before GELU; 0: not wanted
	ldpre          int
	rowwise        bool
	kept, summed   []batchDim // outermost first
}

// batchDim is a dimension of the batch: its size, and the strides of C, A and B. In
// summed ones C has none.
type batchDim struct{ n, c, a, b int }

// Gemm implements tensor.Backend.
func (b *Backend) Gemm(c, x, y *tensor.Tensor, o tensor.GemmOptions) {
	defer b.enter("Gemm")()
	p := product{
		c: b.ptr(c), a: b.ptr(x), b: b.ptr(y), m: c.Dim(-2), n: c.Dim(-1), k: x.Dim(-1),
		ldc: leading(c), lda: leading(x), ldb: leading(y),
		transA: o.TransA, transB: o.TransB, alpha: o.Alpha, beta: o.Beta,
		bias: b.ptr(o.Bias), gelu: o.GELU, rowwise: o.Rowwise,
	}
	if o.TransA {
		p.k = x.Dim(-2)
	}
	if o.GELU && o.PreActivation != nil {
		p.pre, p.ldpre = b.ptr(o.PreActivation), leading(o.PreActivation)
	}
	if (o.Bias != nil || o.GELU) && len(c.Shape())+len(x.Shape())+len(y.Shape()) > 6 {
		panic(fmt.Sprintf("gemm: %v = %v x %v with a bias or an activation, want matrices", c, x, y))
	}
	p.batches(c, x, y)
	b.multiply(&p)
}

// leading returns the distance between rows of the matrices of a tensor, whose
// elements are adjacent.
func leading(t *tensor.Tensor) int {
	shape, strides := t.Shape(), t.Strides()
	rank := len(shape)
	if rank < 2 || t.DType() != tensor.Float32 || strides[rank-1] != 1 && shape[rank-1] > 1 {
		panic(fmt.Sprintf("tensor: %v with strides %v is no row-major matrix", t, strides))
	}
	return strides[rank-2]
}

// batches sets the dimensions of the batch. What can be is one product: rows of A
// times one B, and sums along rows.
func (p *product) batches(c, x, y *tensor.Tensor) {
	tensors := [3]*tensor.Tensor{c, x, y}
	rank := max(len(c.Shape()), len(x.Shape()), len(y.Shape()))
	for d := range rank - 2 {
		n := 1
		var strides [3]int
		kept := false
		for i, t := range tensors {
			at := d - (rank - len(t.Shape()))
			if at < 0 || t.Dim(at) == 1 {
				continue
			}
			if n != 1 && n != t.Dim(at) {
				panic(fmt.Sprintf("gemm: %v = %v x %v: batches differ", c, x, y))
			}
			n, strides[i] = t.Dim(at), t.Strides()[at]
			kept = kept || i == 0
		}
		dim := batchDim{n, strides[0], strides[1], strides[2]}
		switch {
		case kept:
			p.kept = append(p.kept, dim)
		case n == 0: // a sum of no products
			p.k, p.summed = 0, nil
		case n > 1 && p.k > 0:
			p.summed = append(p.summed, dim)
		}
	}
	if p.k == 0 {
		p.summed = nil
	}
	for len(p.kept) > 0 && p.mergeRows(p.kept[len(p.kept)-1]) {
		p.kept = p.kept[:len(p.kept)-1]
	}
	for len(p.summed) > 0 && p.mergeSum(p.summed[len(p.summed)-1]) {
		p.summed = p.summed[:len(p.summed)-1]
	}
}

// mergeRows makes products by one B that follow each other one product of more rows,
// and reports whether it could.
func (p *product) mergeRows(d batchDim) bool {
	ldc, lda := p.ldc, p.lda
	if p.m == 1 { // the distance between rows is any
		ldc = d.c
		if !p.transA {
			lda = d.a
		}
	}
	follows := d.a == p.m*lda
	if p.transA {
		follows = d.a == p.m
	}
	if d.n == 0 || d.b != 0 || !follows || d.c != p.m*ldc {
		return false
	}
	p.m, p.lda, p.ldc = p.m*d.n, lda, ldc
	return true
}

// mergeSum makes products that are added up and follow each other one product of
// more terms, and reports whether it could.
func (p *product) mergeSum(d batchDim) bool {
	a, b := p.k, p.k*p.ldb
	if p.transA {
		a *= p.lda
	}
	if p.transB {
		b = p.k
	}
	if d.a != a || d.b != b {
		return false
	}
	p.k *= d.n
	return true
}

// count returns the number of matrices C.
func (p *product) count() int {
	n := 1
	for _, d := range p.kept {
		n *= d.n
	}
	return n
}

// gemmTile is a shape of the tiles of C that kernels compute, and what they need.
type gemmTile struct {
	name          string
	size, threads int
	shared        int // bytes
}

// The tiles of plain multiplication and those of tensor cores, whose size does not change a bit.
var (
	fmaTile   = gemmTile{size: 64, threads: 256}
	smallTile = gemmTile{name: "_64", size: 64, threads: 128}
)

// largeTile returns the large tile of products on tensor cores, named as cores does.
// 3xTF32 needs more registers, so that its warps have half as many columns.
func largeTile(cores string) gemmTile {
	t := gemmTile{name: "_128", size: 128, threads: 128}
	if cores == "3xtf32" {
		t.threads = 256
	}
	return t
}

const (
	tileTerms  = 16  // a tile of a factor has so many terms
	gemmStages = 4   // tiles of factors in shared memory
	fewBlocks  = 128 // what should at least run at the same time: about the multiprocessors of a large card
	leastTerms = 16  // tiles of terms that a part of a divided sum has at least
)

// multiply computes products. The choice of a kernel depends on the shape and the
// precision alone and, for rowwise products, not on the number of rows.
func (b *Backend) multiply(p *product) {
	count := p.count()
	if p.m == 0 || p.n == 0 || count == 0 {
		return
	}
	if b.onCUBLAS(p) {
		b.multiplyCUBLAS(p)
		return
	}
	kernel, tile, onCores := "gemm_fma", fmaTile, p.n >= 8 && p.k >= 8 && max(p.lda, p.ldb) <= math.MaxInt32
	if onCores {
		tile = p.coreTile(b.cores())
		kernel = "gemm_" + b.cores() + "_" + transposition(p.transA) + transposition(p.transB) + tile.name
		tile.shared = p.sharedBytes(tile)
	}
	b.launchProduct(p, kernel, tile, p.parts(tile), onCores)
}

// coreTile returns the tile for tensor cores: the large one, whose factors are read
// less often, where there are blocks enough, if need be of divided sums.
func (p *product) coreTile(cores string) gemmTile {
	if t := largeTile(cores); p.blocks(t)*p.parts(t) >= fewBlocks {
		return t
	}
	return smallTile
}

// parts returns in how many parts sums are divided: where there are few tiles, in
// several, so that more blocks have work. It would make rows depend on how many there are.
func (p *product) parts(t gemmTile) int {
	blocks := p.blocks(t)
	if p.rowwise || blocks >= fewBlocks {
		return 1
	}
	terms := ceil.Div(p.k, tileTerms)
	for _, d := range p.summed {
		terms *= d.n
	}
	return max(1, min(ceil.Div(fewBlocks, blocks), terms/leastTerms))
}

// launchProduct computes products with a kernel, each sum in a number of parts.
func (b *Backend) launchProduct(p *product, kernel string, tile gemmTile, splits int, onCores bool) {
	var partial devptr
	if splits > 1 {
		partial = b.scratch(splits * p.count() * p.m * p.n * 4)
	}
	own := []any{flag(p.transA), flag(p.transB)}
	if onCores {
		own = []any{p.aligned(partial)}
	}
	args := b.productArgs(p, partial, splits)
	b.launch(kernel, [3]int{splits * p.blocks(tile), 1, 1}, tile.threads, tile.shared, append(args, own...)...)
	if splits > 1 {
		b.finish(p, args)
	}
}

// finish adds up the parts of sums, which lie without gaps, and does what is done with sums.
func (b *Backend) finish(p *product, args []any) {
	elements := p.count() * p.m * p.n
	b.launch("gemm_finish", [3]int{min(ceil.Div(elements, 256), 4096), 1, 1}, 256, 0, append(args, p.count())...)
}

// productArgs returns the first arguments of all kernels for products.
func (b *Backend) productArgs(p *product, partial devptr, splits int) []any {
	return []any{p.c, p.pre, partial, p.a, p.b, p.bias, b.batchTable(p), p.m, p.n, p.k, p.lda, p.ldb, p.ldc, p.ldpre,
		p.alpha, p.beta, flag(p.gelu), int32(splits)}
}

// blocks returns the number of tiles of all C.
func (p *product) blocks(t gemmTile) int {
	return ceil.Div(p.m, t.size) * ceil.Div(p.n, t.size) * p.count()
}

// sharedBytes returns how much shared memory tiles of both factors take on tensor
// cores, and then the result.
func (p *product) sharedBytes(t gemmTile) int {
	neighbours := func(terms bool) int {
		if terms {
			return t.size * tileTerms
		}
		return tileTerms * (t.size + 4)
	}
	return 4 * max(gemmStages*(neighbours(!p.transA)+neighbours(p.transB)), t.size*(t.size+8))
}

// cores returns how products are computed on tensor cores.
func (b *Backend) cores() string {
	if b.precision == FP32 {
		return "3xtf32"
	}
	return b.precision.String()
}

func transposition(t bool) string {
	if t {
		return "t"
	}
	return "n"
}

// aligned returns whether 16 bytes of A (bit 0), of B (bit 1) and of all that is
// written and read with it (bit 2) can be accessed at once.
func (p *product) aligned(partial devptr) int32 {
	var bits int32
	ok := func(x devptr, ld int, stride func(d batchDim) int) bool {
		if !isAligned(x, ld) {
			return false
		}
		for _, dims := range [2][]batchDim{p.kept, p.summed} {
			for _, d := range dims {
				if stride(d)%4 != 0 {
					return false
				}
			}
		}
		return true
	}
	if ok(p.a, p.lda, func(d batchDim) int { return d.a }) {
		bits |= 1
	}
	if ok(p.b, p.ldb, func(d batchDim) int { return d.b }) {
		bits |= 2
	}
	if partial != 0 {
		if p.n%4 == 0 {
			bits |= 4
		}
	} else if ok(p.c, p.ldc, func(d batchDim) int { return d.c }) && p.bias%16 == 0 && p.pre%16 == 0 && p.ldpre%4 == 0 {
		bits |= 4
	}
	return bits
}

// batchTable returns the table that kernels read, innermost dimensions first; 0 for
// a single product.
func (b *Backend) batchTable(p *product) devptr {
	if len(p.kept)+len(p.summed) == 0 {
		return 0
	}
	var words []int32
	add := func(values ...int) {
		for _, v := range values {
			words = append(words, int32(v), int32(v>>32))
		}
	}
	add(len(p.kept), len(p.summed))
	for i := len(p.kept) - 1; i >= 0; i-- {
		d := p.kept[i]
		add(d.n, d.c, d.a, d.b)
	}
	for i := len(p.summed) - 1; i >= 0; i-- {
		d := p.summed[i]
		add(d.n, d.a, d.b)
	}
	return b.table(words)
}
