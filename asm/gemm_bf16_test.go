package asm

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/marge-go/marge/asm/internal/guard"
)

// exactly returns a*b + c rounded to float32 once.
func exactly(a, b, c float32) float32 {
	exact := func(x float32) *big.Float { return new(big.Float).SetPrec(2000).SetFloat64(float64(x)) }
	sum := exact(a)
	sum.Mul(sum, exact(b)).Add(sum, exact(c))
	out, _ := sum.Float32()
	if out == 0 && sum.Sign() == 0 && math.Signbit(float64(a)) != math.Signbit(float64(b)) && math.Signbit(float64(c)) {
		return float32(math.Copysign(0, -1)) // -0 + -0, which big.Float does not tell
	}
	return out
}

// bf16Of returns the value of the bits of a bfloat16.
func bf16Of(bits uint32) float32 { return math.Float32frombits(bits << 16) }

// drawn returns a finite float32 of a random order of magnitude between two
// exponents.
func drawn(rng *rand.Rand, from, to int) float32 {
	return math.Float32frombits(rng.Uint32()&0x807fffff | uint32(from+rng.IntN(to-from))<<23)
}

// The steps of the specification equal exact arithmetic, rounded once, with denormal
// values as zeros.
func TestBF16Steps(t *testing.T) {
	rng := rand.New(rand.NewPCG(81, 82))
	flush := func(x float32) float32 {
		if math.Abs(float64(x)) < 0x1p-126 {
			return float32(math.Copysign(0, float64(x)))
		}
		return x
	}
	for range 50_000 {
		from, to := 100, 150
		if rng.IntN(2) == 0 {
			from, to = 0, 75 // down to denormal values and products
		}
		a, b, c := drawn(rng, from, to), drawn(rng, from, to), drawn(rng, 2*from-127+27, 2*to-127)
		if from == 0 {
			c = drawn(rng, 0, 30)
		}
		if got, want := fma32(a, b, c), exactly(a, b, c); math.Float32bits(got) != math.Float32bits(want) && got != want {
			t.Fatalf("fma32(%v, %v, %v) = %v, want %v", a, b, c, got, want)
		}
		a, b = bf16Of(math.Float32bits(a)>>16), bf16Of(math.Float32bits(b)>>16)
		want := flush(exactly(flush(a), flush(b), flush(c)))
		if got := addBF16(a, b, c); got != want {
			t.Fatalf("addBF16(%v, %v, %v) = %v, want %v", a, b, c, got, want)
		}
	}
	// An infinite sum of large products, but not one that only an intermediate result would be.
	inf := float32(math.Inf(1))
	for c, want := range map[[3]float32]float32{
		{1, 1, -1}: 0, {-1, 1, 1}: 0, {0x1p127, 2, 0}: inf, {0x1p127, 2, -0x1p127}: 0x1p127, {0x1p127, 2, -inf}: -inf,
	} {
		if got := addBF16(c[0], c[1], c[2]); got != want {
			t.Errorf("addBF16(%v) = %v, want %v", c, got, want)
		}
	}
}

func TestRoundBF16(t *testing.T) {
	for x, want := range map[float32]uint32{
		0: 0, 1: 0x3f80, -1: 0xbf80, 1 + 1.0/256: 0x3f80, 1 + 3.0/256: 0x3f82, 1 + 1.0/256 + 1.0/1024: 0x3f81,
		math.MaxFloat32: 0x7f80, 0x1p-126: 0x0080, 0x1.fffffcp-127: 0, -0x1p-130: 0x8000,
		float32(math.Inf(-1)): 0xff80,
	} {
		if got := roundBF16(x); got != want {
			t.Errorf("%v rounds to %#04x, want %#04x", x, got, want)
		}
	}
	if got := bf16Of(roundBF16(math.Float32frombits(0x7f800001))); got == got {
		t.Errorf("a NaN rounds to %v", got)
	}
}

// bf16Reference returns element i, j of problem b without activation, bit by bit, for
// Alpha 1 and Beta 0 or 1.
func bf16Reference(g *GemmArgs, c []float32, b, i, j int) float32 {
	value := func(x []float32, at int) float32 { return bf16Of(roundBF16(x[at])) }
	product := func(k int, sum float32) float32 {
		if k >= g.K {
			return sum + 0
		}
		ai, bi := i*g.LDA+k, k*g.LDB+j
		if g.TransA {
			ai = k*g.LDA + i
		}
		if g.TransB {
			bi = j*g.LDB + k
		}
		return addBF16(value(g.A, b*g.StrideA+ai), value(g.B, b*g.StrideB+bi), sum)
	}
	at := b*g.StrideC + i*g.LDC + j
	total := float32(0)
	if g.Beta != 0 {
		total = c[at]
	}
	// Even blocks of at most 384 pairs, which are multiples of 16.
	sixteens := ((g.K+1)/2 + 15) / 16
	blocks := max((sixteens+23)/24, 1)
	for block := range blocks {
		x := float32(0)
		for k := sixteens * block / blocks * 32; k < min(sixteens*(block+1)/blocks*32, g.K); k += 2 {
			x = product(k, product(k+1, x))
		}
		if block > 0 || g.Beta != 0 {
			x += total
		}
		total = x
	}
	if g.Bias != nil {
		total += g.Bias[j]
	}
	return total
}

// checkBF16 runs g and compares the bits of every element.
func checkBF16(t *testing.T, c gemmCase, run Runner, g *GemmArgs) {
	t.Helper()
	g.BF16 = true
	before := slices.Clone(g.C)
	Gemm(run, g)
	written := make([]bool, len(g.C))
	for b := range max(g.Batch, 1) {
		for i := range g.M {
			for j := range g.N {
				at := b*g.StrideC + i*g.LDC + j
				written[at] = true
				got, want := g.C[at], bf16Reference(g, before, b, i, j)
				if math.Float32bits(got) != math.Float32bits(want) && !(got != got && want != want) {
					t.Fatalf("%v: C[%d][%d][%d] = %v (%#x), want %v (%#x)", c, b, i, j, got, math.Float32bits(got), want,
						math.Float32bits(want))
				}
			}
		}
	}
	for i, w := range written {
		if !w && math.Float32bits(g.C[i]) != math.Float32bits(before[i]) {
			t.Fatalf("%v: C changed at %d, between its rows", c, i)
		}
	}
}

// Packing is what its specification says, and writes nothing else.
func TestBF16Packing(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(97, 98))
		equal := func(name string, got, want []float32) {
			t.Helper()
			for i := range want {
				if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
					t.Fatalf("%s: element %d is %x, want %x", name, i, math.Float32bits(got[i]), math.Float32bits(want[i]))
				}
			}
		}
		for _, rows := range []int{0, 1, 2, 3, 16, 65} {
			for _, cols := range []int{1, 4, 13, 14, 15, 16, 17, 31, 32, 33, 64, 70} {
				panels, ld, width := 3, 3*cols+2, cols+3
				src := randomFloats(rng, (rows+1)*ld)
				for i := range src {
					if i%7 == 0 {
						src[i] *= 0x1p-127
					}
				}
				n := rows/2 + rows%2
				got, want := randomFloats(rng, n*width+1), make([]float32, n*width+1)
				copy(want, got)
				gemmZip(got, width, src, ld, cols, rows)
				gemmZipGeneric(want, width, src, ld, cols, rows)
				equal(fmt.Sprintf("%d rows of %d", rows, cols), got, want)

				pitch := n*cols + 5
				got = randomFloats(rng, panels*pitch+1)
				want = slices.Clone(got)
				gemmZipPanels(got, pitch, src, ld, cols, panels, rows)
				for p := range panels {
					gemmZipGeneric(want[p*pitch:], cols, src[p*cols:], ld, cols, rows)
				}
				equal(fmt.Sprintf("%d rows of %d panels of %d", rows, panels, cols), got, want)
			}
			src := randomFloats(rng, rows)
			got, want := make([]float32, rows), make([]float32, rows)
			gemmPairs(got, src)
			gemmPairsGeneric(want, src)
			equal(fmt.Sprintf("pairs of %d", rows), got, want)
		}
	})
}

// Every instruction set gives the bits of the specification, at all edges.
func TestGemmBF16(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(83, 84))
		ms, ns, ks := []int{1, 13, 14, 15, 29}, []int{1, 15, 16, 17, 31, 32, 33}, []int{0, 1, 2, 3, 31, 32, 33}
		if !BF16() { // slow, and without these edges
			ms, ns, ks = []int{1, 15}, []int{1, 5, 33}, []int{0, 1, 2, 33}
		}
		for _, trans := range transposes {
			for _, m := range ms {
				for _, n := range ns {
					for _, k := range ks {
						c := gemmCase{m: m, n: n, k: k, transA: trans[0], transB: trans[1], alpha: 1, beta: float32(rng.IntN(2)),
							pad: rng.IntN(4), bias: rng.IntN(2) == 0}
						checkBF16(t, c, nil, c.args(rng, onHeap))
					}
				}
			}
			for _, c := range []gemmCase{
				{m: 15, n: 33, k: 767}, {m: 3, n: 33, k: 768}, {m: 16, n: 20, k: 769}, {m: 5, n: 17, k: 1601, beta: 1},
				{m: 20, n: 300, k: 7}, {m: 300, n: 20, k: 7}, {m: 17, n: 19, k: 40, batch: 5, bias: true},
				{m: 64, n: 64, k: 100, batch: 2, pad: 2},
			} {
				c.transA, c.transB, c.alpha = trans[0], trans[1], 1
				checkBF16(t, c, threads(3), c.args(rng, onHeap))
			}
		}
	})
}

// Blocks of rows and slabs of columns of large products: the bits of a part of the
// columns, where there is one slab.
func TestGemmBF16Large(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		size := gemmCase{m: 1500, n: 700, k: 1000}
		if !BF16() { // slow
			size = gemmCase{m: 500, n: 150, k: 30}
		}
		rng := rand.New(rand.NewPCG(85, 86))
		for _, trans := range transposes {
			c := size
			c.transA, c.transB, c.alpha, c.pad = trans[0], trans[1], 1, 1
			g := c.args(rng, onHeap)
			g.BF16 = true
			Gemm(threads(3), g)
			for range 3000 {
				i, j := rng.IntN(g.M), rng.IntN(g.N)
				if got, want := g.C[i*g.LDC+j], bf16Reference(g, nil, 0, i, j); math.Float32bits(got) != math.Float32bits(want) {
					t.Fatalf("%v: C[%d][%d] = %v, want %v", c, i, j, got, want)
				}
			}
		}
	})
}

// With any factors and activation the result is near that of rounded operands.
func TestGemmBF16Options(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(87, 88))
		for _, trans := range transposes {
			for _, c := range []gemmCase{
				{m: 29, n: 45, k: 19, alpha: -0.75, beta: -2.5, bias: true},
				{m: 15, n: 33, k: 70, alpha: 2, gelu: true, pre: true, bias: true},
				{m: 7, n: 40, k: 800, alpha: 0.5, beta: 2, gelu: true},
			} {
				c.transA, c.transB = trans[0], trans[1]
				g := c.args(rng, onHeap)
				for _, x := range [][]float32{g.A, g.B} {
					for i, v := range x {
						x[i] = bf16Of(roundBF16(v)) // the reference multiplies these
					}
				}
				g.BF16 = true
				checkGemm(t, c.String(), threads(2), g)
			}
		}
	})
}

// Values that are not numbers, infinite, denormal or beyond the largest bfloat16
// give what the specification says.
func TestGemmBF16Special(t *testing.T) {
	special := []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), 0x1p-130, -0x1p-127,
		0x1.fep-127, math.MaxFloat32, -math.MaxFloat32, 0, float32(math.Copysign(0, -1)), 0x1p-70, -0x1p-63, 0x1p-126}
	forEachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(89, 90))
		for range 100 {
			trans := transposes[rng.IntN(4)]
			c := gemmCase{m: 15, n: 33, k: 1 + rng.IntN(9), transA: trans[0], transB: trans[1], alpha: 1}
			g := c.args(rng, onHeap)
			for _, x := range [][]float32{g.A, g.B} {
				for i := range x {
					if rng.IntN(3) == 0 {
						x[i] = special[rng.IntN(len(special))]
					}
				}
			}
			checkBF16(t, c, nil, g)
		}
	})
}

// Nothing behind or before an operand is read or written.
func TestGemmBF16StaysInside(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(91, 92))
		for _, trans := range transposes {
			for _, k := range []int{1, 2, 15, 32, 33} {
				for _, c := range []gemmCase{{m: 14, n: 32, k: k}, {m: 15, n: 17, k: k}, {m: 1, n: 1, k: k}} {
					c.transA, c.transB, c.alpha = trans[0], trans[1], 1
					for side := range 2 {
						checkBF16(t, c, nil, c.args(rng, func(n int) []float32 {
							end, start := guard.Alloc(t, n)
							return [][]float32{end, start}[side]
						}))
					}
				}
			}
		}
	})
}

func FuzzGemmBF16(f *testing.F) {
	f.Add(uint8(15), uint8(33), uint16(800), uint16(0), uint64(1))
	f.Add(uint8(28), uint8(64), uint16(64), uint16(0xffff), uint64(2))
	f.Add(uint8(20), uint8(1), uint16(3), uint16(0x0a5a), uint64(3))
	f.Fuzz(func(t *testing.T, m, n uint8, k, bits uint16, seed uint64) {
		bit := func(i int) bool { return bits>>i&1 == 1 }
		c := gemmCase{
			m: int(m % 48), n: int(n % 70), k: int(k % 900), transA: bit(0), transB: bit(1), bias: bit(2), alpha: 1,
			beta: float32(bits >> 5 & 1), pad: int(bits >> 7 & 7), batch: int(bits >> 10 & 3),
		}
		forEachISA(t, func(t *testing.T) {
			checkBF16(t, c, threads(1+bits>>12&3), c.args(rand.New(rand.NewPCG(seed, 0)), onHeap))
		})
	})
}
