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

// attentionCase describes attention without its data.
type attentionCase struct {
	queries, keys, width, first int
	causal                      bool
	window                      int       // 0: all
	bias                        []float32 // [segments of queries, segments of keys]
	qOffsets, kOffsets          []int32
	dropout                     float32
	counter                     uint64
	pad                         int // by how much the leading dimensions exceed the width
	bf16                        bool
}

func (c attentionCase) String() string {
	const form = "%d queries from %d, %d keys of width %d+%d, causal %v, window %d, " +
		"bias %v of %v and %v, dropout %v from %d, bfloat16 %v"
	return fmt.Sprintf(form, c.queries, c.first, c.keys, c.width, c.pad, c.causal, c.window,
		c.bias, c.qOffsets, c.kOffsets, c.dropout, c.counter, c.bf16)
}

func (c attentionCase) data(rng *rand.Rand, alloc func(n int) []float32) (*AttentionArgs, *AttentionGradients) {
	ld := c.width + c.pad
	matrix := func(rows int) []float32 {
		x := alloc(max(rows*ld-c.pad, 0))
		for i := range x {
			x[i] = float32(rng.NormFloat64())
		}
		return x
	}
	a := &AttentionArgs{
		Queries: c.queries, Keys: c.keys, Width: c.width, Scale: float32(0.6 / math.Sqrt(float64(c.width))),
		First: c.first, Causal: c.causal, Window: c.window,
		Q: matrix(c.queries), K: matrix(c.keys), V: matrix(c.keys), Out: matrix(c.queries), LSE: alloc(c.queries),
		LDQ: ld, LDK: ld, LDV: ld, LDOut: ld,
		Bias: c.bias, QOffsets: c.qOffsets, KOffsets: c.kOffsets,
		Dropout: c.dropout, Seed: 5, Counter: c.counter, CounterStride: uint64(c.keys), BF16: c.bf16,
	}
	g := &AttentionGradients{DOut: matrix(c.queries), DQ: matrix(c.queries), DK: matrix(c.keys), DV: matrix(c.keys),
		LDDOut: ld, LDDQ: ld, LDDK: ld, LDDV: ld}
	if c.bias != nil {
		g.DBias = randomFloats(rng, len(c.bias))
	}
	// What a bias of -40 leaves, 1e-30, is as precise as its score: it is compared as part of a sum.
	far := slices.Contains(c.bias, -40)
	g.AddDQ, g.AddDK, g.AddDV = far || rng.IntN(2) == 0, far || rng.IntN(2) == 0, far || rng.IntN(2) == 0
	return a, g
}

// attentionResult is a result in float64, with the sums of the magnitudes of
// what was added up in it, which rounding is relative to.
type attentionResult struct{ value, size []float64 }

func (r *attentionResult) add(i int, x, size float64) {
	r.value[i] += x
	r.size[i] += size
}

// attentionReference is the specification: what Attention and AttentionBackward
// make of a and g, matrices without gaps. With BF16 it rounds what they round but
// weights, probabilities and their gradients.
func attentionReference(a *AttentionArgs, g *AttentionGradients) (
	out, dq, dk, dv, dbias attentionResult, lse []float64) {
	w := a.Width
	rows := func(x []float32, n, ld int) []float64 {
		var y []float64
		for i := range n {
			y = append(y, to64(x[i*ld:i*ld+w])...)
		}
		return y
	}
	round := func(x float32) float32 {
		if a.BF16 {
			return bf16Of(roundBF16(x))
		}
		return x
	}
	operand := func(x []float32, n, ld int, factor float32) []float64 {
		y := rows(x, n, ld)
		for i := range y {
			y[i] = float64(round(round(float32(y[i])) * factor))
		}
		return y
	}
	result := func(x []float64) attentionResult {
		size := make([]float64, len(x))
		for i, v := range x {
			size[i] = math.Abs(v)
		}
		return attentionResult{x, size}
	}
	segment := func(offsets []int32, row int) int {
		s := 0
		for int(offsets[s+1]) <= row {
			s++
		}
		return s
	}
	scaled, q := operand(a.Q, a.Queries, a.LDQ, a.Scale), operand(a.Q, a.Queries, a.LDQ, 1)
	k, v := operand(a.K, a.Keys, a.LDK, 1), operand(a.V, a.Keys, a.LDV, 1)
	do, given := operand(g.DOut, a.Queries, g.LDDOut, 1), rows(g.DOut, a.Queries, g.LDDOut)
	gradient := func(x []float32, n, ld int, add bool) attentionResult {
		if !add {
			return result(make([]float64, n*w))
		}
		return result(rows(x, n, ld))
	}
	dq = gradient(g.DQ, a.Queries, g.LDDQ, g.AddDQ)
	dk, dv = gradient(g.DK, a.Keys, g.LDDK, g.AddDK), gradient(g.DV, a.Keys, g.LDDV, g.AddDV)
	out, dbias, lse = result(make([]float64, a.Queries*w)), result(to64(g.DBias)), make([]float64, a.Queries)
	scale := float64(a.Scale)
	for i := range a.Queries {
		p, sum := make([]float64, a.Keys), 0.0
		kept := make([]float32, a.Keys)
		for j := range a.Keys {
			kept[j] = 1
			if a.Causal && (j > a.First+i || a.Window > 0 && j <= a.First+i-a.Window) {
				continue
			}
			s := 0.0
			for c := range w {
				s += scaled[i*w+c] * k[j*w+c]
			}
			if a.Bias != nil {
				s += float64(a.Bias[segment(a.QOffsets, a.First+i)*(len(a.KOffsets)-1)+segment(a.KOffsets, j)])
			}
			p[j] = math.Exp(s)
			sum += p[j]
		}
		if a.Dropout > 0 {
			Dropout(kept, kept, a.Dropout, a.Seed, a.Counter+uint64(i)*a.CounterStride)
		}
		lse[i] = math.Log(sum)
		delta, deltaSize := 0.0, 0.0
		for j := range p {
			if sum > 0 {
				p[j] /= sum
			}
			for c := range w {
				x := p[j] * float64(kept[j]) * v[j*w+c]
				out.add(i*w+c, x, math.Abs(x))
				delta += x * given[i*w+c]
				deltaSize += math.Abs(x * given[i*w+c])
			}
		}
		for j := range p {
			dp, dpSize := 0.0, 0.0
			for c := range w {
				x := p[j] * float64(kept[j]) * do[i*w+c]
				dv.add(j*w+c, x, math.Abs(x))
				dp += do[i*w+c] * v[j*w+c] * float64(kept[j])
				dpSize += math.Abs(do[i*w+c] * v[j*w+c] * float64(kept[j]))
			}
			ds, dsSize := p[j]*(dp-delta), p[j]*(dpSize+deltaSize)
			for c := range w {
				dq.add(i*w+c, scale*ds*k[j*w+c], scale*dsSize*math.Abs(k[j*w+c]))
				dk.add(j*w+c, scale*ds*q[i*w+c], scale*dsSize*math.Abs(q[i*w+c]))
			}
			if a.Bias != nil {
				dbias.add(segment(a.QOffsets, a.First+i)*(len(a.KOffsets)-1)+segment(a.KOffsets, j), ds, dsSize)
			}
		}
	}
	return out, dq, dk, dv, dbias, lse
}

// checkAttention compares the results with the reference, and what lies between
// the rows with what was there before.
func checkAttention(t *testing.T, c attentionCase, a *AttentionArgs, g *AttentionGradients) {
	t.Helper()
	out, dq, dk, dv, dbias, lse := attentionReference(a, g)
	results := []struct {
		name      string
		x         []float32
		want      attentionResult
		cols, gap int
		was       []float32
	}{
		{name: "Out", x: a.Out, want: out}, {name: "DQ", x: g.DQ, want: dq},
		{name: "DK", x: g.DK, want: dk}, {name: "DV", x: g.DV, want: dv},
		{name: "DBias", x: g.DBias, want: dbias, cols: 1},
	}
	for i := range results {
		r := &results[i]
		r.was = slices.Clone(r.x)
		if r.cols == 0 {
			r.cols, r.gap = c.width, c.pad
		}
	}
	Attention(a)
	AttentionBackward(a, g)
	// Scores are up to about 40, which their rounding is relative to; so is that
	// of weights, to 1. Of the sums' roundings part cancels.
	bound := 48.0 / (1 << 24)
	lseBound := bound
	if a.BF16 {
		// A weight, a probability or its gradient is off by up to 2^-8, and D by as much as the output is.
		bound += 2.0 / (1 << 8)
	}
	for _, r := range results {
		for i, got := range r.x {
			row, col := i/(r.cols+r.gap), i%(r.cols+r.gap)
			if col >= r.cols {
				if got != r.was[i] {
					t.Fatalf("%v: %s[%d], between rows, is overwritten", c, r.name, i)
				}
				continue
			}
			if at := row*r.cols + col; !(math.Abs(float64(got)-r.want.value[at]) <= bound*r.want.size[at]) {
				t.Fatalf("%v: %s[%d] is %v, want %v within %.2g of %v", c, r.name, i, got, r.want.value[at], bound, r.want.size[at])
			}
		}
	}
	for i, got := range a.LSE {
		if want := lse[i]; float64(got) != want && !(math.Abs(float64(got)-want) <= lseBound) {
			t.Fatalf("%v: LSE[%d] is %v, want %v", c, i, got, want)
		}
	}
}

// inBF16 adds the cases in bfloat16, without the largest where that is slow.
func inBF16(cases []attentionCase) []attentionCase {
	for _, c := range cases {
		if c.bf16 = true; BF16() || c.queries*c.keys <= 5000 {
			cases = append(cases, c)
		}
	}
	return cases
}

// attentionCases has sizes at and around those of tiles and blocks.
func attentionCases() []attentionCase {
	var cases []attentionCase
	for _, n := range [][2]int{{1, 1}, {1, 200}, {2, 5}, {13, 14}, {17, 33}, {66, 66}, {64, 128},
		{95, 159}, {96, 160}, {97, 161}, {200, 300}} {
		for _, width := range []int{1, 6, 32, 40} {
			cases = append(cases,
				attentionCase{queries: n[0], keys: n[1], width: width},
				attentionCase{queries: n[0], keys: n[1], width: width, causal: true, pad: 3},
				attentionCase{queries: n[0], keys: n[1], width: width, causal: true, first: n[1] / 2, dropout: 0.2},
				attentionCase{queries: n[0], keys: n[1], width: width, causal: true, first: n[1] / 2,
					window: 1 + n[1]/5, dropout: 0.2},
				attentionCase{queries: n[0], keys: n[1], width: width, first: 3, pad: 8,
					bias: []float32{1, 2, negInf, 0, negInf, 1, -40, 30}, qOffsets: []int32{0, int32(3 + n[0]/2), int32(3 + n[0])},
					kOffsets: []int32{0, int32(n[1] / 3), int32(n[1] / 3), int32(n[1] - n[1]/4), int32(n[1])}},
			)
		}
	}
	for i := range uint64(8) { // counters on both sides of a multiple of 2^32, one behind the last key of a query
		cases = append(cases, attentionCase{queries: 30, keys: 40, width: 8, dropout: 0.5, counter: (7+i)<<32 - 999})
	}
	for _, window := range []int{1, 2, 20, 63, 64, 65, 150, 1000} {
		cases = append(cases,
			attentionCase{queries: 300, keys: 300, width: 32, causal: true, window: window, pad: 1},
			attentionCase{queries: 3, keys: 500, width: 8, causal: true, first: 450, window: window},
			// Windows behind the last key.
			attentionCase{queries: 120, keys: 90, width: 8, causal: true, first: 50, window: window})
	}
	return append(cases,
		attentionCase{queries: 5, keys: 0, width: 4},
		attentionCase{queries: 5, keys: 0, width: 4, causal: true, first: 9, window: 3},
		attentionCase{queries: 0, keys: 5, width: 4, pad: 2},
		// All keys are masked for all queries, and for some.
		attentionCase{queries: 70, keys: 40, width: 8, bias: []float32{negInf, negInf},
			qOffsets: []int32{0, 70}, kOffsets: []int32{0, 9, 40}},
		attentionCase{queries: 70, keys: 40, width: 8, bias: []float32{negInf, negInf, 1, negInf},
			qOffsets: []int32{0, 7, 70}, kOffsets: []int32{0, 9, 40}},
	)
}

func TestAttention(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(21, 22))
		for _, c := range inBF16(attentionCases()) {
			a, g := c.data(rng, onHeap)
			checkAttention(t, c, a, g)
		}
	})
}

// Without some of the gradients the others have the same bits.
func TestAttentionGradientsNotWanted(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		for _, c := range inBF16([]attentionCase{{queries: 70, keys: 40, width: 8, bias: []float32{1, 2},
			qOffsets: []int32{0, 70}, kOffsets: []int32{0, 9, 40}}}) {
			run := func(drop func(g *AttentionGradients)) *AttentionGradients {
				a, g := c.data(rand.New(rand.NewPCG(25, 26)), onHeap)
				drop(g)
				Attention(a)
				AttentionBackward(a, g)
				return g
			}
			all := run(func(g *AttentionGradients) {})
			for _, drop := range []func(g *AttentionGradients){
				func(g *AttentionGradients) { g.DQ = nil },
				func(g *AttentionGradients) { g.DK = nil },
				func(g *AttentionGradients) { g.DV, g.DBias = nil, nil },
			} {
				g := run(drop)
				for _, x := range [][2][]float32{{g.DQ, all.DQ}, {g.DK, all.DK}, {g.DV, all.DV}, {g.DBias, all.DBias}} {
					if x[0] != nil && !slices.Equal(x[0], x[1]) {
						t.Errorf("%v: a gradient depends on which others are wanted", c)
					}
				}
			}
		}
	})
}

// Operands that end, or start, at a page without access.
func TestAttentionGuardPages(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(27, 28))
		for _, c := range inBF16(attentionCases()) {
			if c.queries > 100 && testing.Short() {
				continue
			}
			for _, side := range []int{0, 1} {
				a, g := c.data(rng, func(n int) []float32 {
					end, start := guard.Alloc(t, n)
					return [][]float32{end, start}[side]
				})
				Attention(a)
				AttentionBackward(a, g)
			}
		}
	})
}

func TestAttentionAllocations(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	forEachISA(t, func(t *testing.T) {
		for _, c := range inBF16([]attentionCase{
			{queries: 90, keys: 140, width: 40, causal: true, dropout: 0.1},
			{queries: 70, keys: 40, width: 32, bias: []float32{1, 2}, qOffsets: []int32{0, 70}, kOffsets: []int32{0, 9, 40}},
		}) {
			a, g := c.data(rand.New(rand.NewPCG(29, 30)), onHeap)
			if n := testing.AllocsPerRun(5, func() { Attention(a); AttentionBackward(a, g) }); n != 0 {
				t.Errorf("%v: %v allocations a call", c, n)
			}
		}
	})
}

func TestAttentionPanics(t *testing.T) {
	for want, spoil := range map[string]func(a *AttentionArgs, g *AttentionGradients){
		"Width=0":                 func(a *AttentionArgs, _ *AttentionGradients) { a.Width = 0 },
		"Keys=-1":                 func(a *AttentionArgs, _ *AttentionGradients) { a.Keys = -1 },
		"Q is 3x4":                func(a *AttentionArgs, _ *AttentionGradients) { a.Q = a.Q[:11] },
		"K is 5x4":                func(a *AttentionArgs, _ *AttentionGradients) { a.LDK = 3 },
		"V is 5x4":                func(a *AttentionArgs, _ *AttentionGradients) { a.V = nil },
		"Out is 3x4":              func(a *AttentionArgs, _ *AttentionGradients) { a.Out = a.Out[:1] },
		"len(LSE) is 2, want 3":   func(a *AttentionArgs, _ *AttentionGradients) { a.LSE = a.LSE[:2] },
		"dropout probability 1":   func(a *AttentionArgs, _ *AttentionGradients) { a.Dropout = 1 },
		"Window=3":                func(a *AttentionArgs, _ *AttentionGradients) { a.Window = 3 },
		"Bias without KOffsets":   func(a *AttentionArgs, _ *AttentionGradients) { a.KOffsets = nil },
		"offsets [0 2 4] do not":  func(a *AttentionArgs, _ *AttentionGradients) { a.KOffsets = []int32{0, 2, 4} },
		"do not hold the queries": func(a *AttentionArgs, _ *AttentionGradients) { a.First = 1 },
		"len(Bias) is 1, want 2":  func(a *AttentionArgs, _ *AttentionGradients) { a.Bias = a.Bias[:1] },
		"DOut is 3x4":             func(_ *AttentionArgs, g *AttentionGradients) { g.DOut = nil },
		"DK is 5x4":               func(_ *AttentionArgs, g *AttentionGradients) { g.DK = g.DK[:19] },
		"len(DBias) is 1, want 2": func(_ *AttentionArgs, g *AttentionGradients) { g.DBias = g.DBias[:1] },
	} {
		c := attentionCase{queries: 3, keys: 5, width: 4, bias: []float32{1, 2},
			qOffsets: []int32{0, 3}, kOffsets: []int32{0, 2, 5}}
		a, g := c.data(rand.New(rand.NewPCG(1, 1)), onHeap)
		spoil(a, g)
		func() {
			defer func() {
				if message, _ := recover().(string); !strings.Contains(message, want) {
					t.Errorf("panic %q does not tell %q", message, want)
				}
			}()
			AttentionBackward(a, g)
		}()
	}
}

// Any bits in the scores: the kernels do what the portable ones do, and hidden
// scores leave no trace.
func FuzzAttentionKernels(f *testing.F) {
	seedFloats(f, func(data []byte) { f.Add(data, uint8(3), int8(1), uint8(2)) })
	f.Fuzz(func(t *testing.T, data []byte, rows uint8, base int8, masked uint8) {
		x := floatsOf(data)
		const lanes = 64
		n := int(rows%9) + 1
		score := func(i int) float32 {
			if len(x) == 0 {
				return 0
			}
			return x[i%len(x)]
		}
		fill := func(n, from int) []float32 {
			y := make([]float32, n)
			for i := range y {
				y[i] = score(from + i)
			}
			return y
		}
		bias, delta, last := fill(lanes, 7), fill(lanes, 11), make([]int32, lanes)
		for j := range last {
			last[j] = int32(j % 11)
			if masked > 0 && j%int(masked) == 0 {
				bias[j] = negInf
			}
		}
		type result struct{ max, sum, p, dp, dsum []float32 }
		run := func() (r result) {
			s := fill(n*lanes, 3)
			r.max, r.sum, r.dsum = slices.Repeat([]float32{negInf}, lanes), make([]float32, lanes), make([]float32, lanes)
			attentionMax(r.max, s, lanes, n, bias, last, int(base))
			r.p = slices.Clone(s)
			attentionExp(r.sum, r.p, lanes, n, bias, r.max, last, int(base))
			r.dp = fill(n*lanes, 5)
			attentionGradient(r.dsum, s, r.dp, lanes, n, bias, r.max, delta, last, int(base))
			for i, p := range r.p {
				if math.Float32bits(p) != math.Float32bits(s[i]) {
					t.Fatalf("%v: weight %d is %v forward, %v backward", isa, i, p, s[i])
				}
			}
			return r
		}
		before := Current()
		isa = Generic
		want := run()
		isa = before
		forEachISA(t, func(t *testing.T) {
			got := run()
			for i, p := range got.p {
				j := i % lanes
				if hidden := bias[j] == negInf || i/lanes > int(last[j])-int(base); hidden && (p != 0 || got.dp[i] != 0) {
					t.Fatalf("hidden score %d has weight %v, gradient %v", i, p, got.dp[i])
				}
				if got.max[j] != want.max[j] { // a NaN may be lost in one of them
					continue
				}
				w := float64(want.p[i])
				if (p != p) != (w != w) || w == w && float64(p) != w && !(math.Abs(float64(p)-w) <= 1e-6*max(w, 1e-30)) {
					t.Fatalf("weight %d is %v, want %v", i, p, w)
				}
			}
		})
	})
}
