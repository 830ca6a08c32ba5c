package asm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/asm/internal/guard"
)

// refQuantize is QuantizeInt8 as its comment says.
func refQuantize(x []float32) (q []int8, scale float32) {
	q = make([]int8, len(x))
	most := 0.0
	for _, v := range x {
		if v-v != 0 {
			return q, float32(math.NaN())
		}
		most = max(most, math.Abs(float64(v)))
	}
	if most < 0x1p-120 {
		return q, 0
	}
	factor := float32(127 / most)
	for i, v := range x {
		q[i] = int8(math.RoundToEven(float64(float32(v * factor))))
	}
	return q, float32(most / 127)
}

func sameBits(a, b float32) bool {
	return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
}

func normals(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64())
	}
	return x
}

func TestQuantizeInt8(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(1, 2))
		check := func(x []float32) {
			t.Helper()
			q := make([]int8, len(x))
			for i := range q {
				q[i] = 77
			}
			want, scale := refQuantize(x)
			if got := QuantizeInt8(q, x); !sameBits(got, scale) || !slices.Equal(q, want) {
				t.Fatalf("%v: got %v times %v, want %v times %v", x, q, got, want, scale)
			}
			back := make([]float32, len(x))
			DequantizeInt8(back, q, scale)
			for i, v := range back {
				if !sameBits(v, float32(want[i])*scale) {
					t.Fatalf("%v dequantised is %v, want %v", want[i], v, float32(want[i])*scale)
				}
				if diff := math.Abs(float64(v - x[i])); diff > float64(scale)*0.50001 && scale > 0 && scale < 2.5e36 {
					t.Fatalf("%v became %v with scale %v", x[i], v, scale)
				}
			}
		}
		for n := range 131 {
			x := normals(rng, n)
			check(x)
			for i := range x {
				x[i] = float32(i%255) - 127.5 // ties
			}
			check(x)
			if n == 0 {
				continue
			}
			for _, v := range []float64{math.Inf(1), math.Inf(-1), math.NaN(), 0x1p-121, -0x1p-120, 0x1p-120, 3e38,
				-3.4028234e38, 1e-45, 0, math.Copysign(0, -1)} {
				clear(x)
				x[rng.IntN(n)] = float32(v)
				check(x)
			}
		}
	})
}

// int8Case is a product to test, and its operands.
type int8Case struct {
	GemmInt8Args
	q      []int8
	scales []float32
}

func newInt8Case(rng *rand.Rand, m, n, k int, alloc func(n int) []float32) *int8Case {
	c := &int8Case{q: make([]int8, n*k), scales: make([]float32, n)}
	for i := range c.q {
		c.q[i] = int8(rng.IntN(256) - 128)
	}
	for i := range c.scales {
		c.scales[i] = float32(rng.ExpFloat64())
	}
	c.M, c.B, c.LDA, c.LDC = m, NewInt8Matrix(c.q, c.scales, n, k), k, n
	if alloc == nil {
		c.LDA, c.LDC, alloc = k+rng.IntN(4), n+rng.IntN(4), onHeap
	}
	sizeOf := func(rows, cols, ld int) int {
		if rows == 0 || cols == 0 {
			return 0
		}
		return (rows-1)*ld + cols
	}
	c.A, c.C = alloc(sizeOf(m, k, c.LDA)), alloc(sizeOf(m, n, c.LDC))
	copy(c.A, normals(rng, len(c.A)))
	if rng.IntN(3) > 0 {
		c.Bias = alloc(n)
		copy(c.Bias, normals(rng, n))
	}
	for i := range c.C {
		c.C[i] = -99
	}
	return c
}

// check computes the product and compares its bits, and that nothing between the rows
// of C has changed.
func (c *int8Case) check(t *testing.T, run Runner) {
	t.Helper()
	GemmInt8(run, &c.GemmInt8Args)
	n, k := c.B.Rows(), c.B.Cols()
	for i := range c.M {
		var x []float32
		if k > 0 {
			x = c.A[i*c.LDA:][:k]
		}
		a, scale := refQuantize(x)
		for j := range n {
			sum := int64(0)
			for p, v := range a {
				sum += int64(v) * int64(c.q[j*k+p])
			}
			want := float32(float32(float32(sum)*c.scales[j]) * scale)
			if c.Bias != nil {
				want += c.Bias[j]
			}
			if got := c.C[i*c.LDC+j]; !sameBits(got, want) {
				t.Fatalf("%dx%dx%d: element %d, %d is %v, want %v", c.M, n, k, i, j, got, want)
			}
		}
		for j := n; j < c.LDC && i < c.M-1 && n > 0; j++ {
			if c.C[i*c.LDC+j] != -99 {
				t.Fatalf("%dx%dx%d: row %d was written at column %d", c.M, n, k, i, j)
			}
		}
	}
}

func TestGemmInt8(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(3, 4))
		for _, m := range []int{0, 1, 2, 3, 4, 5, 7, 8, 9, 17} {
			for _, n := range []int{0, 1, 15, 16, 31, 32, 33, 65} {
				for _, k := range []int{0, 1, 3, 4, 5, 31, 32, 33, 127} {
					newInt8Case(rng, m, n, k, nil).check(t, nil)
				}
			}
		}
	})
}

// Several blocks of rows, of threads and of panels.
func TestGemmInt8Large(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(5, 6))
		for _, size := range [][3]int{{150, 200, 1030}, {3, 1500, 260}, {70, 40, 4100}} {
			c := newInt8Case(rng, size[0], size[1], size[2], nil)
			for _, run := range []Runner{Serial, threads(2), threads(5)} {
				clear(c.C)
				for i := range c.C {
					c.C[i] = -99
				}
				c.check(t, run)
			}
		}
	})
}

// Where all values are the greatest, sums of two or four products do not saturate.
func TestGemmInt8Extremes(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(7, 8))
		for _, k := range []int{8, 1000, MaxInt8Cols} {
			for _, v := range []int8{127, -128} {
				for _, x := range []float32{1, -1} {
					c := newInt8Case(rng, 3, 33, k, nil)
					for i := range c.q {
						c.q[i] = v
					}
					for i := range c.A {
						c.A[i] = x
					}
					c.B = NewInt8Matrix(c.q, c.scales, 33, k)
					c.check(t, nil)
				}
			}
		}
	})
}

// A row of A with a value that is not finite makes its row of C NaN, and no other.
func TestGemmInt8NotFinite(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		for _, v := range []float64{math.Inf(1), math.Inf(-1), math.NaN()} {
			c := newInt8Case(rand.New(rand.NewPCG(9, 10)), 9, 40, 70, nil)
			c.A[4*c.LDA+69] = float32(v)
			c.check(t, nil)
			for i := range c.M {
				for _, got := range c.C[i*c.LDC:][:40] {
					if (got != got) != (i == 4) {
						t.Fatalf("with %v in row 4, row %d has %v", v, i, got)
					}
				}
			}
		}
	})
}

func TestGemmInt8GELU(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		c := newInt8Case(rand.New(rand.NewPCG(11, 12)), 9, 100, 70, nil)
		GemmInt8(nil, &c.GemmInt8Args)
		want := slices.Clone(c.C)
		c.Activation = GELUActivation
		GemmInt8(threads(3), &c.GemmInt8Args)
		for i := range c.M {
			row := want[i*c.LDC:][:100]
			GELU(row, row)
			if !slices.Equal(c.C[i*c.LDC:][:100], row) {
				t.Fatalf("row %d is %v, want %v", i, c.C[i*c.LDC:][:100], row)
			}
		}
	})
}

// The product is near that of the matrices before quantisation: the errors of two
// rounded values are at most half a scale each.
func TestGemmInt8NearFloat(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		const m, n, k = 5, 37, 200
		rng := rand.New(rand.NewPCG(13, 14))
		a, b, q, scales := normals(rng, m*k), normals(rng, n*k), make([]int8, n*k), make([]float32, n)
		for j := range n {
			scales[j] = QuantizeInt8(q[j*k:(j+1)*k], b[j*k:(j+1)*k])
		}
		c := make([]float32, m*n)
		GemmInt8(nil, &GemmInt8Args{M: m, A: a, LDA: k, B: NewInt8Matrix(q, scales, n, k), C: c, LDC: n})
		for i := range m {
			_, scale := refQuantize(a[i*k : (i+1)*k])
			for j := range n {
				exact, bound := 0.0, 1e-4
				for p := range k {
					x, y := float64(a[i*k+p]), float64(b[j*k+p])
					exact += x * y
					bound += (math.Abs(x)*float64(scales[j]) + math.Abs(y)*float64(scale)) / 2 * 1.01
					bound += float64(scale) * float64(scales[j]) / 4
				}
				if diff := math.Abs(float64(c[i*n+j]) - exact); diff > bound {
					t.Fatalf("element %d, %d is off by %v, more than %v", i, j, diff, bound)
				}
			}
		}
	})
}

func TestInt8MatrixRows(t *testing.T) {
	c := newInt8Case(rand.New(rand.NewPCG(15, 16)), 1, 67, 29, nil)
	row := make([]int8, 29)
	for i := range 67 {
		if c.B.Row(row, i); !slices.Equal(row, c.q[i*29:(i+1)*29]) {
			t.Fatalf("row %d is %v, want %v", i, row, c.q[i*29:(i+1)*29])
		}
	}
	if !slices.Equal(c.B.Scales(), c.scales) || c.B.Rows() != 67 || c.B.Cols() != 29 {
		t.Fatalf("%dx%d with scales %v", c.B.Rows(), c.B.Cols(), c.B.Scales())
	}
	large := NewInt8Matrix(make([]int8, 5000*1000), make([]float32, 5000), 5000, 1000) // on large pages
	if large.Row(make([]int8, 1000), 4999); len(large.packed) < 5000*1000 {
		t.Fatalf("%d bytes of 5000x1000 values", len(large.packed))
	}
}

// Nothing behind or before an operand is read or written.
func TestGemmInt8StaysInside(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(17, 18))
		for _, size := range [][3]int{{1, 1, 1}, {2, 16, 32}, {8, 32, 33}, {9, 33, 31}, {3, 31, 64}} {
			for side := range 2 {
				newInt8Case(rng, size[0], size[1], size[2], func(n int) []float32 {
					end, start := guard.Alloc(t, n)
					return [][]float32{end, start}[side]
				}).check(t, nil)
			}
		}
	})
}

func TestGemmInt8Panics(t *testing.T) {
	matrix := NewInt8Matrix(make([]int8, 6), make([]float32, 2), 2, 3)
	args := func(change func(g *GemmInt8Args)) func() {
		g := &GemmInt8Args{M: 2, A: make([]float32, 6), LDA: 3, B: matrix, C: make([]float32, 4), LDC: 2}
		change(g)
		return func() { GemmInt8(nil, g) }
	}
	for want, f := range map[string]func(){
		"5 values and 2 scales for 2x3": func() { NewInt8Matrix(make([]int8, 5), make([]float32, 2), 2, 3) },
		"of at most 65536 columns": func() {
			NewInt8Matrix(make([]int8, MaxInt8Cols+1), make([]float32, 1), 1, MaxInt8Cols+1)
		},
		"negative size: M=-1":            args(func(g *GemmInt8Args) { g.M = -1 }),
		"A is 2x3 with rows 2 apart":     args(func(g *GemmInt8Args) { g.LDA = 2 }),
		"A is 2x3 with rows 3 apart and": args(func(g *GemmInt8Args) { g.A = g.A[:5] }),
		"C is 2x2 with rows 2 apart and": args(func(g *GemmInt8Args) { g.C = g.C[:3] }),
		"bias has 1 values":              args(func(g *GemmInt8Args) { g.Bias = make([]float32, 1) }),
		"unknown activation 9":           args(func(g *GemmInt8Args) { g.Activation = 9 }),
		"quantize: 2 values to 1":        func() { QuantizeInt8(make([]int8, 1), make([]float32, 2)) },
		"dequantize: 2 values to 1":      func() { DequantizeInt8(make([]float32, 1), make([]int8, 2), 1) },
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, want) {
					t.Errorf("panic %q, want %q", got, want)
				}
			}()
			f()
		}()
	}
}

func TestGemmInt8Allocations(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // which empties a sync.Pool
	c := newInt8Case(rand.New(rand.NewPCG(19, 20)), 9, 100, 70, nil)
	if n := testing.AllocsPerRun(20, func() { GemmInt8(inPlace(2), &c.GemmInt8Args) }); n > 0 {
		t.Errorf("%v allocations a product", n)
	}
}

// Any values and sizes: the bits are those of the formula.
func FuzzGemmInt8(f *testing.F) {
	seedFloats(f, func(data []byte) { f.Add(data, uint8(3), uint8(33), uint8(9), uint64(len(data))) })
	f.Fuzz(func(t *testing.T, data []byte, m, n, k uint8, seed uint64) {
		forEachISA(t, func(t *testing.T) {
			c := newInt8Case(rand.New(rand.NewPCG(seed, 0)), int(m%20), int(n%80), int(k), nil)
			copy(c.A, floatsOf(data))
			c.check(t, threads(2))
		})
	})
}

// Bytes a second are those of the weights.
func BenchmarkGEMMInt8(b *testing.B) {
	for _, s := range [][3]int{{1, 1024, 1024}, {4, 1024, 1024}, {8, 32000, 512}, {128, 1024, 1024}, {512, 2048, 512}} {
		b.Run(fmt.Sprintf("%dx%dx%d", s[0], s[1], s[2]), func(b *testing.B) {
			benchmarkEachISA(b, func(b *testing.B) {
				c := newInt8Case(rand.New(rand.NewPCG(1, 1)), s[0], s[1], s[2], nil)
				b.SetBytes(int64(s[1] * s[2]))
				for b.Loop() {
					GemmInt8(nil, &c.GemmInt8Args)
				}
				operations := 2 * float64(s[0]) * float64(s[1]) * float64(s[2]) * float64(b.N)
				b.ReportMetric(operations/b.Elapsed().Seconds()/1e9, "GOP/s")
			})
		})
	}
}
