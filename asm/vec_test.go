package asm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"

	"github.com/marge-go/marge/asm/internal/guard"
)

const eps = 1.0 / (1 << 24) // half the distance of float32 values at 1

// env gives a test of an operation its data: slices of float32 at places that
// the caller of the test chooses.
type env struct {
	t     *testing.T
	rng   *rand.Rand
	place func(n int) []float32
}

// put copies x to a slice of the environment.
func (e *env) put(x []float32) []float32 {
	y := e.place(len(x))
	copy(y, x)
	return y
}

// normal returns n values of a normal distribution.
func (e *env) normal(n int, mean, sd float64) []float32 {
	x := e.place(n)
	for i := range x {
		x[i] = float32(e.rng.NormFloat64()*sd + mean)
	}
	return x
}

// near fails the test if got differs from want by more than tol.
func (e *env) near(what string, got float32, want, tol float64) {
	e.t.Helper()
	if math.Abs(float64(got)-want) <= tol || float64(got) == want || got != got && math.IsNaN(want) {
		return
	}
	e.t.Fatalf("%s: %v, want %v within %.3g (difference %.3g)", what, got, want, tol, float64(got)-want)
}

func at(what string, n, i int) string { return fmt.Sprintf("n=%d: %s[%d]", n, what, i) }

func to64(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// operation is the test of an operation at length n.
type operation struct {
	name string
	test func(e *env, n int)
}

var operations = []operation{
	{"Axpy", func(e *env, n int) {
		x, y := e.normal(n, 0, 1), e.normal(n, 0, 1)
		y0, alpha := e.put(y), float32(1.7)
		Axpy(alpha, x, y)
		for i := range y {
			ax := float64(alpha) * float64(x[i])
			e.near(at("y", n, i), y[i], ax+float64(y0[i]), 2*eps*(math.Abs(ax)+math.Abs(float64(y0[i]))))
		}
		AxpyFetch(alpha, x, y0, e.place(n), y)
		for i := range y {
			e.near(at("y with fetch", n, i), y0[i], float64(y[i]), 0)
		}
	}},
	{"Scale", func(e *env, n int) {
		x, dst, alpha := e.normal(n, 0, 1), e.place(n), float32(-0.3)
		Scale(dst, alpha, x)
		for i := range dst {
			e.near(at("product", n, i), dst[i], float64(alpha*x[i]), 0)
		}
	}},
	{"AddRows", func(e *env, n int) {
		for rows := range 10 {
			ld := n + rows%3
			x := e.normal(max((rows-1)*ld+n, 0)*min(rows, 1), 0, 1)
			dst := e.normal(n, 0, 1)
			want := e.put(dst)
			for i := range rows {
				for j := range want {
					want[j] += x[i*ld+j]
				}
			}
			AddRows(dst, x, rows, n, ld)
			for j := range dst {
				e.near(at(fmt.Sprintf("sum of %d rows", rows), n, j), dst[j], float64(want[j]), 0)
			}
		}
	}},
	{"Sum", func(e *env, n int) {
		x := e.normal(n, 0.1, 1)
		want, size := 0.0, 0.0
		for _, v := range x {
			want += float64(v)
			size += math.Abs(float64(v))
		}
		if got := Sum(x); math.Abs(got-want) > float64(n)*0x1p-53*size {
			e.t.Fatalf("n=%d: sum %v, want %v", n, got, want)
		}
	}},
	{"SumSquares", func(e *env, n int) {
		x := e.normal(n, 0.1, 1)
		want := 0.0
		for _, v := range x {
			want += float64(v) * float64(v)
		}
		if got := SumSquares(x); math.Abs(got-want) > float64(n)*0x1p-53*want {
			e.t.Fatalf("n=%d: sum of squares %v, want %v", n, got, want)
		}
	}},
	{"Dot", func(e *env, n int) {
		x, y := e.normal(n, 0, 1), e.normal(n, 0, 1)
		want, size := 0.0, 0.0
		for i := range x {
			p := float64(x[i]) * float64(y[i])
			want += p
			size += math.Abs(p)
		}
		e.near(at("dot", n, 0), Dot(x, y), want, float64(n/32+8)*eps*size)
	}},
	{"Max", func(e *env, n int) {
		x := e.normal(n, -5, 1)
		want, arg := math.Inf(-1), -1
		for i, v := range x {
			if float64(v) > want {
				want, arg = float64(v), i
			}
		}
		e.near(at("max", n, 0), maxScaled(x, 1), want, 0)
		if got := ArgMax(x); got != arg {
			e.t.Fatalf("n=%d: arg max %d, want %d", n, got, arg)
		}
		for i := range min(n, 130) { // every lane, for its maximum and its NaN
			old := x[i]
			x[i] = 7
			e.near(at("max at", n, i), maxScaled(x, 1), 7, 0)
			x[i] = float32(math.NaN())
			e.near(at("max with NaN at", n, i), maxScaled(x, 1), math.NaN(), 0)
			if got := ArgMax(x); got != i {
				e.t.Fatalf("n=%d: arg max %d, NaN is at %d", n, got, i)
			}
			x[i] = old
		}
	}},
	{"Exp", func(e *env, n int) { e.function(n, Exp, math.Exp, expULP) }},
	{"Erf", func(e *env, n int) { e.function(n, Erf, math.Erf, erfULP) }},
	{"Tanh", func(e *env, n int) { e.function(n, Tanh, math.Tanh, tanhULP) }},
	{"Streams", testStreams},
	{"CopyRows", testCopyRows},
	{"Rows", testRows},
	{"Columns", testColumns},
	{"GELU", func(e *env, n int) { e.function(n, GELU, refGELU, geluULP) }},
	{"GELUBackward", func(e *env, n int) {
		for _, accumulate := range []bool{false, true} {
			x, dy, dx := e.normal(n, 0, 3), e.normal(n, 0, 1), e.normal(n, 0, 1)
			if n > 5 {
				x[n-1], x[n-2], x[n-3], x[n-4] = float32(math.Inf(1)), float32(math.Inf(-1)), 100, -100
			}
			dx0 := e.put(dx)
			GELUBackward(dx, dy, x, accumulate)
			for i := range dx {
				want := float64(dy[i]) * geluSlope(float64(x[i]))
				tol := 6 * eps * math.Abs(float64(dy[i]))
				if accumulate {
					want += float64(dx0[i])
					tol += eps * math.Abs(want)
				}
				e.near(at("dx", n, i), dx[i], want, tol)
			}
		}
	}},
	{"Softmax", testSoftmax},
	{"LogSumExp", func(e *env, n int) {
		x := e.normal(n, 30, 5)
		want, _ := refLSE(to64(x))
		e.near(at("log-sum-exp", n, 0), float32(LogSumExp(x)), want, eps*(math.Abs(want)+8))
	}},
	{"CrossEntropy", testCrossEntropy},
	{"LayerNorm", testLayerNorm},
	{"AdamW", testAdamW},
	{"Dropout", func(e *env, n int) {
		x, y := e.normal(n, 0, 1), e.place(n)
		Dropout(y, x, 0.4, 1, 1<<32-40)
		for i := range y {
			c := uint64(1<<32 - 40 + i)
			key := dropoutKey(1, c>>32)
			want := 0.0
			if dropoutHash(uint32(c)+uint32(key), uint32(key>>32)) >= 1717986918 {
				want = float64(x[i] * float32(1/(1-float64(float32(0.4)))))
			}
			e.near(at("y", n, i), y[i], want, 0)
		}
	}},
	{"BF16", func(e *env, n int) {
		x, back := e.normal(n, 0, 1), e.place(n)
		words := func() []uint16 {
			f := e.place((n + 1) / 2)
			w := unsafe.Slice((*uint16)(unsafe.Pointer(unsafe.SliceData(f))), 2*len(f))
			return w[len(w)-n:]
		}()
		ToBF16(words, x)
		FromBF16(back, words)
		for i := range x {
			e.near(at("bf16", n, i), back[i], float64(x[i]), math.Abs(float64(x[i]))/256)
		}
	}},
}

// function tests a function of one argument, in place too.
func (e *env) function(n int, f func(dst, x []float32), ref func(float64) float64, bound float64) {
	x, y := e.normal(n, 0, 8), e.place(n)
	f(y, x)
	in := e.put(x)
	f(in, in)
	for i, v := range x {
		if u := ulps(y[i], ref(float64(v))); u > bound {
			e.t.Fatalf("%s: %v at %v, want %v: %.2f ULP", at("y", n, i), y[i], v, ref(float64(v)), u)
		}
		e.near(at("in place", n, i), in[i], float64(y[i]), 0)
	}
}

func TestOperations(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		for _, op := range slices.Concat(operations, arithmetic, moves, gated) {
			t.Run(op.name, func(t *testing.T) {
				e := &env{t, rand.New(rand.NewPCG(1, 2)), onHeap}
				for _, n := range append([]int{5000, 9001}, edgeLengths...) {
					op.test(e, n)
				}
			})
		}
	})
}

// Slices that end, or start, at a page without access.
func TestOperationsGuardPages(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		for _, op := range slices.Concat(operations, arithmetic, moves, gated) {
			for _, side := range []string{"end", "start"} {
				t.Run(op.name+"/"+side, func(t *testing.T) {
					place := func(n int) []float32 {
						end, start := guard.Alloc(t, n)
						if side == "end" {
							return end
						}
						return start
					}
					e := &env{t, rand.New(rand.NewPCG(3, 4)), place}
					for _, n := range edgeLengths {
						if n <= 129 {
							op.test(e, n)
						}
					}
				})
			}
		}
	})
}

func TestBF16AllRoundings(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		var x []float32
		for hi := range uint32(1 << 16) {
			for _, lo := range []uint32{0, 1, 0x7fff, 0x8000, 0x8001, 0xffff} {
				x = append(x, math.Float32frombits(hi<<16|lo))
			}
		}
		got, back := make([]uint16, len(x)), make([]float32, len(x))
		ToBF16(got, x)
		FromBF16(back, got)
		for i, v := range x {
			u := math.Float32bits(v)
			if v != v {
				if back[i] == back[i] {
					t.Fatalf("NaN %#08x became %v", u, back[i])
				}
				continue
			}
			want := u >> 16 // towards zero, then to nearest even
			if rest := u & 0xffff; rest > 0x8000 || rest == 0x8000 && want&1 == 1 {
				want++
			}
			if uint32(got[i]) != want || math.Float32bits(back[i]) != want<<16 {
				t.Fatalf("%#08x became %#04x and %v, want %#04x", u, got[i], back[i], want)
			}
		}
	})
}

// The kernels must not change with the position of an element in the slice:
// what a lane computes in the loop and in the tail is the same.
func TestTailsMatchLoop(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(5, 6))
		x := randomFloats(rng, 200)
		Scale(x, 6, x)
		for name, f := range map[string]func(dst, x []float32){"Exp": Exp, "Erf": Erf, "Tanh": Tanh, "GELU": GELU,
			"Sigmoid": Sigmoid,
			"Log":     Log, "Log1p": Log1p, "Sin": Sin, "Cos": Cos} {
			whole, part := make([]float32, 200), make([]float32, 200)
			f(whole, x)
			for n := range 40 {
				f(part[:n], x[150:150+n])
				for i := range n {
					if part[i] != whole[150+i] && part[i] == part[i] {
						t.Fatalf("%s: %v at the place %d of %d, %v in a long slice", name, part[i], i, n, whole[150+i])
					}
				}
			}
		}
	})
}

func TestLengthPanics(t *testing.T) {
	a, b := make([]float32, 3), make([]float32, 4)
	for name, f := range map[string]func(){
		"Add":            func() { Add(a, a, b) },
		"Sub":            func() { Sub(a, a, b) },
		"Mul":            func() { Mul(a, b, a) },
		"Div":            func() { Div(a, a, b) },
		"Maximum":        func() { Maximum(a, a, b) },
		"Minimum":        func() { Minimum(a, b, a) },
		"Less":           func() { Less(a, a, b) },
		"Equal":          func() { Equal(a, a, b) },
		"Where":          func() { Where(a, a, a, b) },
		"Where mask":     func() { Where(a, b, a, a) },
		"AddStream":      func() { AddStream(a, a, b) },
		"SubStream":      func() { SubStream(a, b, a) },
		"MulStream":      func() { MulStream(a, a, b) },
		"DivStream":      func() { DivStream(a, b, a) },
		"MaximumStream":  func() { MaximumStream(a, a, b) },
		"MinimumStream":  func() { MinimumStream(a, b, a) },
		"LessStream":     func() { LessStream(a, a, b) },
		"EqualStream":    func() { EqualStream(a, b, a) },
		"WhereStream":    func() { WhereStream(a, a, b, a) },
		"AbsStream":      func() { AbsStream(a, b) },
		"SqrtStream":     func() { SqrtStream(a, b) },
		"ScaleStream":    func() { ScaleStream(a, 1, b) },
		"AffineStream":   func() { AffineStream(a, 1, b, 0) },
		"ClampStream":    func() { ClampStream(a, b, 0, 1) },
		"Clamp":          func() { Clamp(a, b, 0, 1) },
		"Affine":         func() { Affine(a, 1, b, 0) },
		"Abs":            func() { Abs(a, b) },
		"Sqrt":           func() { Sqrt(a, b) },
		"Log":            func() { Log(a, b) },
		"Log1p":          func() { Log1p(a, b) },
		"Sin":            func() { Sin(a, b) },
		"Cos":            func() { Cos(a, b) },
		"Axpy":           func() { Axpy(1, a, b) },
		"AxpyFetch":      func() { AxpyFetch(1, a, a, a, b) },
		"Scale":          func() { Scale(a, 1, b) },
		"AddRows":        func() { AddRows(a, b, 2, 3, 3) },
		"AddRows ld":     func() { AddRows(a, b, 2, 3, 1) },
		"Dot":            func() { Dot(a, b) },
		"Exp":            func() { Exp(a, b) },
		"Sigmoid":        func() { Sigmoid(a, b) },
		"Erf":            func() { Erf(a, b) },
		"Tanh":           func() { Tanh(a, b) },
		"GELU":           func() { GELU(a, b) },
		"GELUBackward":   func() { GELUBackward(a, a, b, false) },
		"LayerNorm":      func() { LayerNorm(b, a[:2], a[:2], b, a, a[:2], 2, 2, 0) },
		"LayerNorm back": func() { LayerNormBackward(a, nil, nil, b, b, a[:2], a[:2], a[:2], 2, 2, false) },
		"Softmax":        func() { Softmax(a, b, 1, nil, nil) },
		"Softmax bias":   func() { Softmax(a, a, 1, b, nil) },
		"Softmax end":    func() { Softmax(a, a, 1, nil, []int32{0, 2}) },
		"Softmax order":  func() { Softmax(a, a, 1, nil, []int32{0, 4, 3}) },
		"Softmax empty":  func() { Softmax(a, a, 1, nil, []int32{}) },
		"CrossEntropy":   func() { CrossEntropy(a, 3, 0) },
		"CE gradient":    func() { CrossEntropyGradient(a, -1, 0, 1) },
		"SoftmaxRows":    func() { SoftmaxRows(a, b, 1, 3) },
		"SoftmaxRows y":  func() { SoftmaxRows(b, a, 1, 3) },
		"SoftmaxStream":  func() { SoftmaxStream(a, b, a, 2, 2, 1) },
		"GELUStream":     func() { GELUStream(a, b) },
		"GELUBackStream": func() { GELUBackwardStream(a, a, b) },
		"AdamW":          func() { AdamW(a, a, a, b, &AdamWParams{Step: 1}) },
		"AdamW step":     func() { AdamW(a, a, a, a, &AdamWParams{}) },
		"Dropout":        func() { Dropout(a, b, 0.5, 0, 0) },
		"Dropout p":      func() { Dropout(a, a, 1, 0, 0) },
		"Dropout NaN":    func() { Dropout(a, a, float32(math.NaN()), 0, 0) },
		"ToBF16":         func() { ToBF16(nil, a) },
		"FromBF16":       func() { FromBF16(a, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if _, ok := recover().(string); !ok {
					t.Error("no panic with a message")
				}
			}()
			f()
		})
	}
}
