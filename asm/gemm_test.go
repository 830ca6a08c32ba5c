package asm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
)

// threads is a Runner that starts a goroutine for every part.
type threads int

func (n threads) Threads() int { return int(n) }

func (n threads) Run(parts int, t Task) {
	var wg sync.WaitGroup
	for p := range parts {
		wg.Go(func() { t.Do(p) })
	}
	wg.Wait()
}

// randomFloats returns n values in [-1, 1).
func randomFloats(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = 2*rng.Float32() - 1
	}
	return x
}

// gemmCase describes a test problem without its data.
type gemmCase struct {
	m, n, k        int
	transA, transB bool
	alpha, beta    float32
	pad            int // by how much the leading dimensions exceed the widths
	bias, gelu     bool
	pre            bool
	batch          int
}

func (c gemmCase) String() string {
	return fmt.Sprintf("%dx%dx%d/A%v/B%v/alpha=%v/beta=%v/pad=%d/bias=%v/gelu=%v/pre=%v/batch=%d",
		c.m, c.n, c.k, c.transA, c.transB, c.alpha, c.beta, c.pad, c.bias, c.gelu, c.pre, c.batch)
}

// args makes the operands, each with alloc. With beta 0 C holds NaN.
func (c gemmCase) args(rng *rand.Rand, alloc func(n int) []float32) *GemmArgs {
	rowsA, colsA, rowsB, colsB := c.m, c.k, c.k, c.n
	if c.transA {
		rowsA, colsA = colsA, rowsA
	}
	if c.transB {
		rowsB, colsB = colsB, rowsB
	}
	batch := max(c.batch, 1)
	operand := func(rows, cols int) (x []float32, ld, stride int) {
		ld = cols + c.pad
		size := 0
		if rows > 0 && cols > 0 {
			size = (rows-1)*ld + cols
		}
		stride = size + 3
		x = alloc((batch-1)*stride + size)
		copy(x, randomFloats(rng, len(x)))
		return x, ld, stride
	}
	g := &GemmArgs{M: c.m, N: c.n, K: c.k, TransA: c.transA, TransB: c.transB, Alpha: c.alpha, Beta: c.beta,
		Batch: c.batch}
	g.A, g.LDA, g.StrideA = operand(rowsA, colsA)
	g.B, g.LDB, g.StrideB = operand(rowsB, colsB)
	g.C, g.LDC, g.StrideC = operand(c.m, c.n)
	if c.beta == 0 {
		for i := range g.C {
			g.C[i] = float32(math.NaN())
		}
	}
	if c.bias {
		g.Bias = alloc(c.n)
		copy(g.Bias, randomFloats(rng, c.n))
	}
	if c.gelu {
		g.Activation = GELUActivation
	}
	if c.pre {
		g.PreActivation = alloc(len(g.C))
		for i := range g.PreActivation {
			g.PreActivation[i] = float32(math.NaN())
		}
	}
	return g
}

// checkGemm runs g and compares every element with a float64 sum. The bound
// is that of recursive summation: an error of (K+4) roundings of the sum of
// the magnitudes of all terms.
func checkGemm(t *testing.T, name string, run Runner, g *GemmArgs) {
	t.Helper()
	before := slices.Clone(g.C)
	Gemm(run, g)
	written := make([]bool, len(g.C))
	for b := range max(g.Batch, 1) {
		for i := range g.M {
			for j := range g.N {
				want, size := gemmReference(g, before, b, i, j)
				bound := float64(g.K+4) * size / (1 << 24)
				at := b*g.StrideC + i*g.LDC + j
				written[at] = true
				got := float64(g.C[at])
				if g.PreActivation != nil {
					if pre := float64(g.PreActivation[at]); !(math.Abs(pre-want) <= bound) {
						t.Fatalf("%s: PreActivation[%d][%d][%d] = %v, want %v, off by more than %v", name, b, i, j, pre, want, bound)
					}
				}
				if g.Activation == GELUActivation {
					// GELU changes at most 1.13 times as fast as its argument.
					want, bound = 0.5*want*(1+math.Erf(want/math.Sqrt2)), 1.13*bound+4*math.Abs(want)/(1<<24)
				}
				if !(math.Abs(got-want) <= bound) {
					t.Fatalf("%s: C[%d][%d][%d] = %v, want %v, off by more than %v", name, b, i, j, got, want, bound)
				}
			}
		}
	}
	for i, w := range written {
		if !w && math.Float32bits(g.C[i]) != math.Float32bits(before[i]) {
			t.Fatalf("%s: C changed at %d, between its rows", name, i)
		}
	}
}

// gemmReference returns element i, j of problem b before the activation and
// the sum of the magnitudes of its terms.
func gemmReference(g *GemmArgs, c []float32, b, i, j int) (sum, size float64) {
	for k := range g.K {
		ai, bi := i*g.LDA+k, k*g.LDB+j
		if g.TransA {
			ai = k*g.LDA + i
		}
		if g.TransB {
			bi = j*g.LDB + k
		}
		term := float64(g.Alpha) * float64(g.A[b*g.StrideA+ai]) * float64(g.B[b*g.StrideB+bi])
		sum += term
		size += math.Abs(term)
	}
	if g.Beta != 0 {
		term := float64(g.Beta) * float64(c[b*g.StrideC+i*g.LDC+j])
		sum += term
		size += math.Abs(term)
	}
	if g.Bias != nil {
		sum += float64(g.Bias[j])
		size += math.Abs(float64(g.Bias[j]))
	}
	return sum, size
}

func onHeap(n int) []float32 { return make([]float32, n) }

var transposes = [][2]bool{{false, false}, {false, true}, {true, false}, {true, true}}

func TestGemmSizes(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		kern := gemmKernelsOf(Current())
		ms := edges(1, 2, 8, 9, kern.mr, 2*kern.mr)
		ns := edges(1, 8, kern.nr/2, kern.nr, 2*kern.nr)
		ks := []int{0, 1, 2, 7, 8, 9, 16, 33}
		for _, m := range ms {
			for _, n := range ns {
				for _, k := range ks {
					for _, trans := range transposes {
						c := gemmCase{m: m, n: n, k: k, transA: trans[0], transB: trans[1], alpha: 1, pad: rng.IntN(4)}
						checkGemm(t, c.String(), nil, c.args(rng, onHeap))
					}
				}
			}
		}
	})
}

// edges returns 0 and each size with its neighbours, sorted, each once.
func edges(sizes ...int) []int {
	all := []int{0}
	for _, n := range sizes {
		all = append(all, n-1, n, n+1)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Block boundaries of K, M and N, on three threads.
func TestGemmBlocks(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(3, 4))
		kc := gemmKernelsOf(Current()).kc
		for _, k := range edges(kc, 2*kc)[1:] {
			for _, trans := range transposes {
				c := gemmCase{m: 31, n: 67, k: k, transA: trans[0], transB: trans[1], alpha: 0.5, beta: 2, bias: true, gelu: true}
				checkGemm(t, c.String(), threads(3), c.args(rng, onHeap))
				c.beta, c.pre = 0, true
				checkGemm(t, c.String(), threads(3), c.args(rng, onHeap))
			}
		}
		large := gemmCase{m: 2100, n: 70, k: 500, transA: true, alpha: 1, pad: 1}
		checkGemm(t, large.String(), threads(3), large.args(rng, onHeap))
		for _, trans := range transposes {
			for _, c := range []gemmCase{{m: 1300, n: 33, k: 40}, {m: 5, n: 2500, k: 40}, {m: 90, n: 700, k: 300},
				{m: 1400, n: 530, k: 20}} {
				c.transA, c.transB, c.alpha, c.pad = trans[0], trans[1], 1, 1
				checkGemm(t, c.String(), threads(3), c.args(rng, onHeap))
				checkGemm(t, c.String(), nil, c.args(rng, onHeap))
			}
			// Rows 2 and 4 KiB apart.
			for _, c := range []gemmCase{{m: 37, n: 300, k: 1024}, {m: 1024, n: 70, k: 60}, {m: 45, n: 1024, k: 60},
				{m: 512, n: 33, k: 600}} {
				c.transA, c.transB, c.alpha = trans[0], trans[1], 1
				checkGemm(t, c.String(), threads(3), c.args(rng, onHeap))
			}
			// Few rows, on both sides of the depth from which dot products are used.
			step := 1
			if testing.Short() {
				step = gemmThinRows - 1
			}
			for m := 1; m <= gemmThinRows; m += step {
				for _, k := range edges(m*gemmThinDepth, m*gemmThinDepth+16)[1:] {
					c := gemmCase{m: m, n: 30 + m, k: k, transA: trans[0], transB: trans[1], alpha: 2, beta: 1, bias: true, pad: 1}
					checkGemm(t, c.String(), threads(3), c.args(rng, onHeap))
				}
			}
		}
	})
}

// The epilogue: every combination of its options.
func TestGemmOptions(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(5, 6))
		for _, c := range []gemmCase{{m: 29, n: 45, k: 19}, {m: 3, n: 70, k: 300}, {m: 16, n: 32, k: 0}} {
			for bits := range 1 << 6 {
				bit := func(i int) bool { return bits>>i&1 == 1 }
				c.alpha = []float32{1, -0.75}[bits&1]
				for _, c.beta = range []float32{0, 1, -2.5} {
					c.bias, c.gelu, c.pre = bit(1), bit(2), bit(2) && bit(3) && c.beta == 0
					c.transB, c.batch = bit(4), bits>>5*3
					checkGemm(t, c.String(), threads(2), c.args(rng, onHeap))
				}
			}
		}
	})
}

func TestGemmBatches(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(7, 8))
		batches := []int{1, 2, 3, 5, 8}
		if testing.Short() {
			batches = []int{1, 3}
		}
		for _, batch := range batches {
			for _, run := range []Runner{nil, threads(3)} {
				for _, trans := range transposes {
					c := gemmCase{m: 64, n: 80, k: 100, transA: trans[0], transB: trans[1], alpha: 1, pad: 2, batch: batch}
					checkGemm(t, c.String(), run, c.args(rng, onHeap))
				}
			}
		}
		// The heads of attention lie side by side in the rows of one matrix,
		// and the problems of a batch may share an operand.
		const heads, width, length = 4, 16, 21
		q, k := randomFloats(rng, length*heads*width), randomFloats(rng, length*heads*width)
		checkGemm(t, "heads", threads(3), &GemmArgs{
			TransB: true, M: length, N: length, K: width, Alpha: 0.25, Batch: heads,
			A: q, LDA: heads * width, StrideA: width, B: k, LDB: heads * width, StrideB: width,
			C: make([]float32, heads*length*length), LDC: length, StrideC: length * length,
		})
		checkGemm(t, "shared B", threads(3), &GemmArgs{
			M: length, N: width, K: length, Alpha: 1, Batch: heads,
			A: q, LDA: length, StrideA: 16, B: k, LDB: heads * width,
			C: make([]float32, length*heads*width), LDC: heads * width, StrideC: width,
		})
	})
}

// NaN and infinity reach exactly the elements that depend on them.
func TestGemmNaN(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(9, 10))
		for _, m := range []int{1, 5, 40} {
			for _, trans := range transposes {
				c := gemmCase{m: m, n: 50, k: 70, transA: trans[0], transB: trans[1], alpha: 1}
				g := c.args(rng, onHeap)
				nan, inf := m-1, 13 // a row of A, a column of B
				at := nan*g.LDA + 7
				if g.TransA {
					at = 7*g.LDA + nan
				}
				g.A[at] = float32(math.NaN())
				at = 9*g.LDB + inf
				if g.TransB {
					at = inf*g.LDB + 9
				}
				g.B[at] = float32(math.Inf(1))
				Gemm(nil, g)
				for i := range g.M {
					for j := range g.N {
						v := float64(g.C[i*g.LDC+j])
						if math.IsNaN(v) != (i == nan) || math.IsInf(v, 0) != (i != nan && j == inf) {
							t.Fatalf("%v: C[%d][%d] = %v", c, i, j, v)
						}
					}
				}
			}
		}
	})
}

// A product of few rows adds to C once, whatever the task it takes over was for.
func TestGemmThinAfterShared(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(11, 12))
		for range 3 {
			Gemm(threads(2), gemmCase{m: 512, n: 40, k: 256, transB: true, alpha: 1}.args(rng, onHeap))
			c := gemmCase{m: 4, n: 64, k: 1500, transB: true, alpha: 1, beta: 1}
			checkGemm(t, c.String(), threads(2), c.args(rng, onHeap))
		}
	})
}
