package tensor

import (
	"fmt"

	"github.com/marge-go/marge/asm"
)

// matrices returns the elements of a float32 tensor from its first on, and the
// distance between the starts of the rows of the matrices of its last two
// dimensions. The elements of rows are adjacent.
func matrices(t *Tensor) (data []float32, ld int) {
	if t.rank < 2 || t.dtype != Float32 || !t.rowMajor() {
		panic(fmt.Sprintf("tensor: %v with strides %v is no row-major matrix", t, t.Strides()))
	}
	ld = t.strides[t.rank-2]
	if t.shape[t.rank-2] <= 1 {
		ld = max(ld, t.shape[t.rank-1])
	}
	return t.store.F32[t.offset:], max(ld, 1)
}

// Gemm implements Backend.
func (c *CPU) Gemm(out, a, b *Tensor, o GemmOptions) {
	c.pool.mustBeOpen()
	if b.dtype == Int8 {
		c.gemmInt8(out, a, b, o)
		return
	}
	g := c.gemmArgs()
	*g = asm.GemmArgs{TransA: o.TransA, TransB: o.TransB, Alpha: o.Alpha, Beta: o.Beta, Bias: floatsOrNil(o.Bias),
		Rowwise: o.Rowwise, BF16: c.bf16}
	g.M, g.N, g.K = out.shape[out.rank-2], out.shape[out.rank-1], a.shape[a.rank-1]
	if o.TransA {
		g.K = a.shape[a.rank-2]
	}
	g.A, g.LDA = matrices(a)
	g.B, g.LDB = matrices(b)
	g.C, g.LDC = matrices(out)
	if o.GELU {
		g.Activation = asm.GELUActivation
		g.PreActivation = floatsOrNil(o.PreActivation)
	}
	if out.rank == 2 && a.rank == 2 && b.rank == 2 {
		asm.Gemm(c.pool, g)
	} else {
		c.gemmBatches(g, out, a, b)
	}
	c.putGemmArgs(g)
}

func (c *CPU) gemmArgs() *asm.GemmArgs {
	if g, ok := c.gemms.Get().(*asm.GemmArgs); ok {
		return g
	}
	return new(asm.GemmArgs)
}

func (c *CPU) putGemmArgs(g *asm.GemmArgs) {
	*g = asm.GemmArgs{}
	c.gemms.Put(g)
}

// gemmBatch is a Gemm of many matrices. Operands 0, 1 and 2 of the nests are C, A
// and B.
type gemmBatch struct {
	c      *CPU
	args   asm.GemmArgs
	kept   loopNest // the matrices of C
	summed loopNest // those that are added up for each
}

var gemmBatches spans[gemmBatch]

// gemmBatches computes products of the matrices of out, a and b, of the shapes and
// leading dimensions in g. What can be is one product: rows of A times one B, and
// sums along rows.
func (c *CPU) gemmBatches(g *asm.GemmArgs, out, a, b *Tensor) {
	if g.Bias != nil || g.Activation != asm.NoActivation {
		panic(fmt.Sprintf("gemm: %v = %v x %v with a bias or an activation, want matrices", out, a, b))
	}
	if g.M == 0 || g.N == 0 {
		return
	}
	t := gemmBatch{c: c, args: *g}
	t.nests(out, a, b)
	if t.summed.len() == 0 { // sums of no products
		t.args.K, t.summed.rank = 0, 0
		t.summed.finish()
	}
	t.mergeRows()
	t.mergeSums()
	n := t.kept.len()
	work := t.args.M * t.args.N * max(t.args.K, 1) * t.summed.len()
	switch {
	case n == 0:
	case t.kept.rank == 1 && t.summed.len() == 1, n < 2*c.pool.Threads() && work >= gemmAlone:
		t.run(c.pool, 0, n) // asm.Gemm divides the work
	default:
		grain := max(1, min(gemmAlone/max(work, 1), n/(4*c.pool.Threads())))
		gemmBatches.run(c.pool, n, grain, t, gemmPart)
	}
}

// gemmAlone is the number of multiplications of a product that all threads share.
const gemmAlone = 1 << 20

func gemmPart(t *gemmBatch, lo, hi int) { t.run(asm.Serial, lo, hi) }

// run computes the products lo to hi.
func (t *gemmBatch) run(r asm.Runner, lo, hi int) {
	g := t.c.gemmArgs()
	var p, q position
	t.kept.seek(&p, lo)
	inner := &t.kept.strides[t.kept.rank-1]
	for lo < hi {
		n := t.kept.run(&p, hi-lo)
		*g = t.args
		g.Batch, g.StrideC, g.StrideA, g.StrideB = n, inner[0], inner[1], inner[2]
		t.summed.seek(&q, 0)
		for i := range t.summed.len() {
			g.C = t.args.C[p.at[0]:]
			if g.K > 0 {
				g.A, g.B = t.args.A[p.at[1]+q.at[1]:], t.args.B[p.at[2]+q.at[2]:]
			}
			if i > 0 {
				g.Beta = 1
			}
			asm.Gemm(r, g)
			t.summed.advance(&q, 1)
		}
		lo += n
		t.kept.advance(&p, n)
	}
	t.c.putGemmArgs(g)
}

// nests sets the dimensions of the batch.
func (t *gemmBatch) nests(out, a, b *Tensor) {
	t.kept.operands, t.summed.operands = 3, 3
	rank := max(out.rank, a.rank, b.rank)
	for d := range rank - 2 {
		n := 1
		var strides [MaxExprInputs + 1]int
		for k, x := range [3]*Tensor{out, a, b} {
			at := d - (rank - x.rank)
			if at < 0 || x.shape[at] == 1 {
				continue
			}
			if n != 1 && n != x.shape[at] {
				panic(fmt.Sprintf("gemm: %v = %v x %v: batches differ", out, a, b))
			}
			n, strides[k] = x.shape[at], x.strides[at]
		}
		nest := &t.kept
		if at := d - (rank - out.rank); at < 0 || out.shape[at] == 1 {
			nest = &t.summed
		}
		if n != 1 {
			nest.add(n, &strides)
		}
	}
	t.kept.finish()
	t.summed.finish()
}

// removeLast removes the innermost dimension.
func (l *loopNest) removeLast() {
	l.rank--
	l.finish()
}

// mergeRows makes products by one B that follow each other one product of more
// rows.
func (t *gemmBatch) mergeRows() {
	g := &t.args
	for {
		n, s := t.kept.size[t.kept.rank-1], &t.kept.strides[t.kept.rank-1]
		if n <= 1 || s[2] != 0 {
			return
		}
		lda, ldc := g.LDA, g.LDC
		if g.M == 1 { // the distance between rows is any
			ldc = s[0]
			if !g.TransA {
				lda = s[1]
			}
		}
		follows := s[1] == g.M*lda && lda >= g.K
		if g.TransA {
			follows = s[1] == g.M
		}
		if !follows || s[0] != g.M*ldc || ldc < g.N {
			return
		}
		g.M, g.LDA, g.LDC = g.M*n, lda, ldc
		if g.TransA {
			g.LDA = max(g.LDA, g.M)
		}
		t.kept.removeLast()
	}
}

// mergeSums makes products that are added up and follow each other one product of
// more terms.
func (t *gemmBatch) mergeSums() {
	g := &t.args
	for {
		n, s := t.summed.size[t.summed.rank-1], &t.summed.strides[t.summed.rank-1]
		if n <= 1 || g.K == 0 {
			return
		}
		a, b := g.K, g.K*g.LDB
		if g.TransA {
			a *= g.LDA
		}
		if g.TransB {
			b = g.K
		}
		if s[1] != a || s[2] != b {
			return
		}
		g.K *= n
		if !g.TransA && g.M == 1 {
			g.LDA = max(g.LDA, g.K)
		}
		if g.TransB && g.N == 1 {
			g.LDB = max(g.LDB, g.K)
		}
		t.summed.removeLast()
	}
}
