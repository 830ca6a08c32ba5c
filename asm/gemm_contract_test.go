package asm

import (
	"math"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/marge-go/marge/asm/internal/guard"
)

func TestGemmThreadsAgree(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(11, 12))
		kern := gemmKernelsOf(Current())
		many, wide := (gemmManyTiles+1)*kern.mr, (gemmDirectCols+1)*kern.nr
		for _, c := range []gemmCase{
			{m: many, n: wide + 1, k: kern.kc + 20}, {m: many + 3, n: wide, k: 21},
			{m: 200, n: 300, k: 520}, {m: 4, n: 3000, k: 300}, {m: 1500, n: 40, k: 70},
			{m: 130, n: 33, k: 700, batch: 3}, {m: 60, n: 70, k: 90, batch: 16}, {m: 700, n: 2, k: 800},
		} {
			for _, trans := range transposes {
				c.transA, c.transB, c.alpha, c.beta, c.bias, c.gelu = trans[0], trans[1], 0.7, 0.3, true, true
				g := c.args(rng, onHeap)
				start := slices.Clone(g.C)
				Gemm(Serial, g)
				want := g.C
				for _, n := range []threads{2, 3, 5} {
					g.C = slices.Clone(start)
					Gemm(n, g)
					for i := range want {
						if math.Float32bits(g.C[i]) != math.Float32bits(want[i]) {
							t.Fatalf("%v: %d threads give %v at %d, one gives %v", c, n, g.C[i], i, want[i])
						}
					}
				}
			}
		}
	})
}

// Several goroutines call Gemm at a time, some from inside a task.
func TestGemmConcurrent(t *testing.T) {
	rng := rand.New(rand.NewPCG(13, 14))
	c := gemmCase{m: 150, n: 160, k: 170, transB: true, alpha: 1}
	g := c.args(rng, onHeap)
	Gemm(nil, g)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i := range 10 {
				mine := *g
				mine.C = make([]float32, len(g.C))
				Gemm([]Runner{nil, threads(2)}[i%2], &mine)
				if !slices.Equal(mine.C, g.C) {
					t.Error("a concurrent call gave another result")
				}
			}
		})
	}
	wg.Wait()
}

// inPlace is a Runner that claims to have threads but starts none, so that
// only the allocations of Gemm itself are counted.
type inPlace int

func (n inPlace) Threads() int          { return int(n) }
func (n inPlace) Run(parts int, t Task) { Serial.Run(parts, t) }

func TestGemmAllocations(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	forEachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(15, 16))
		for _, run := range []Runner{nil, inPlace(4)} {
			for _, c := range []gemmCase{
				{m: 1, n: 600, k: 600, alpha: 1, transB: true},
				{m: 300, n: 300, k: 300, alpha: 1, beta: 1, bias: true, gelu: true},
				{m: 100, n: 100, k: 64, alpha: 1, batch: 8},
			} {
				g := c.args(rng, onHeap)
				if n := testing.AllocsPerRun(5, func() { Gemm(run, g) }); n != 0 {
					t.Errorf("%v: %v allocations a call", c, n)
				}
			}
		}
	})
}

// Operands that end, or start, at a page without access.
func TestGemmGuardPages(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		kern := gemmKernelsOf(Current())
		for _, side := range []string{"end", "start"} {
			t.Run(side, func(t *testing.T) {
				rng := rand.New(rand.NewPCG(17, 18))
				alloc := func(n int) []float32 {
					end, start := guard.Alloc(t, n)
					if side == "end" {
						return end
					}
					return start
				}
				for _, m := range []int{1, 2, 5, 8, kern.mr + 1, 3*kern.mr - 1} {
					for _, n := range []int{1, 3, kern.nr - 1, kern.nr, 2*kern.nr + 9} {
						for _, k := range []int{1, 7, 17, 64, 259} {
							for _, trans := range transposes {
								c := gemmCase{m: m, n: n, k: k, transA: trans[0], transB: trans[1], alpha: 2, beta: 3, bias: true, gelu: true}
								checkGemm(t, c.String(), threads(2), c.args(rng, alloc))
								c.beta, c.pre = 0, true
								checkGemm(t, c.String(), threads(2), c.args(rng, alloc))
							}
						}
					}
				}
				for _, trans := range transposes { // A is packed
					c := gemmCase{m: 3*kern.mr - 1, n: (gemmDirectCols + 1) * kern.nr, k: 37,
						transA: trans[0], transB: trans[1], alpha: 1}
					checkGemm(t, c.String(), nil, c.args(rng, alloc))
				}
			})
		}
	})
}

func TestGemmPanics(t *testing.T) {
	good := func() *GemmArgs {
		return &GemmArgs{M: 2, N: 3, K: 4, Alpha: 1, A: make([]float32, 8), LDA: 4,
			B: make([]float32, 12), LDB: 3, C: make([]float32, 6), LDC: 3}
	}
	Gemm(nil, good())
	pre := make([]float32, 6)
	for want, spoil := range map[string]func(g *GemmArgs){
		"negative size":               func(g *GemmArgs) { g.M = -1 },
		"gemm: A is 2x4":              func(g *GemmArgs) { g.A = g.A[:7] },
		"B is 4x3":                    func(g *GemmArgs) { g.B = g.B[:11] },
		"B is 3x4, but its rows are":  func(g *GemmArgs) { g.TransB = true },
		"C is 2x3":                    func(g *GemmArgs) { g.C = nil },
		"its rows are only 2 apart":   func(g *GemmArgs) { g.LDC = 2 },
		"bias has 2 values":           func(g *GemmArgs) { g.Bias = make([]float32, 2) },
		"unknown activation":          func(g *GemmArgs) { g.Activation = 9 },
		"without an Activation":       func(g *GemmArgs) { g.PreActivation = g.C },
		"with Beta 1":                 func(g *GemmArgs) { g.Activation, g.PreActivation, g.Beta = GELUActivation, pre, 1 },
		"StrideC is 0":                func(g *GemmArgs) { g.Batch = 2 },
		"batch 2, stride 5":           func(g *GemmArgs) { g.Batch, g.StrideC = 2, 5 },
		"negative stride -1 of B":     func(g *GemmArgs) { g.Batch, g.StrideC, g.StrideB = 2, 1, -1 },
		"PreActivation is 2x3 with":   func(g *GemmArgs) { g.Activation, g.PreActivation = GELUActivation, []float32{1} },
		"A is 4x2, but its rows are ": func(g *GemmArgs) { g.TransA, g.LDA = true, 1 },
	} {
		func() {
			defer func() {
				if msg, _ := recover().(string); !strings.Contains(msg, want) {
					t.Errorf("panicked with %q, want %q in it", msg, want)
				}
			}()
			g := good()
			spoil(g)
			Gemm(nil, g)
		}()
	}
}

func FuzzGemm(f *testing.F) {
	f.Add(uint16(15), uint16(33), uint16(257), uint16(0), uint64(1))
	f.Add(uint16(1), uint16(64), uint16(64), uint16(0xffff), uint64(2))
	f.Add(uint16(90), uint16(1), uint16(3), uint16(0x0a5a), uint64(3))
	f.Fuzz(func(t *testing.T, m, n, k, bits uint16, seed uint64) {
		bit := func(i int) bool { return bits>>i&1 == 1 }
		c := gemmCase{
			m: int(m % 150), n: int(n % 150), k: int(k % 600),
			transA: bit(0), transB: bit(1), bias: bit(2), gelu: bit(3), pre: bit(3) && bit(4),
			alpha: []float32{1, 0, -1.5, 3}[bits>>5&3], beta: []float32{0, 1, -0.5, 2}[bits>>7&3],
			pad: int(bits >> 9 & 7), batch: int(bits >> 12 & 3),
		}
		c.pre = c.pre && c.beta == 0
		forEachISA(t, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 0))
			checkGemm(t, c.String(), threads(1+bits>>14), c.args(rng, onHeap))
		})
	})
}
