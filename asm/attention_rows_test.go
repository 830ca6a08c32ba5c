package asm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/marge-go/marge/asm/internal/guard"
)

// rowAttentionCase is attention of a query of some width to listed rows.
type rowAttentionCase struct {
	width, rows, listed int
	pad                 int // by how much the rows of K and V are farther apart than wide
	segments            []int32
	bias                []float32
	mass                bool
}

func (c rowAttentionCase) args(rng *rand.Rand, alloc func(n int) []float32) *RowAttentionArgs {
	fill := func(n int) []float32 {
		x := alloc(max(n, 0))
		for i := range x {
			x[i] = float32(rng.NormFloat64())
		}
		return x
	}
	ldk, ldv := c.width+c.pad, c.width+2*c.pad
	a := &RowAttentionArgs{
		Q: fill(c.width), Out: fill(c.width), K: fill(c.rows*ldk - c.pad), V: fill(c.rows*ldv - 2*c.pad),
		LDK: ldk, LDV: ldv, Scale: 0.4, Segments: c.segments, Bias: c.bias,
	}
	for range c.listed {
		a.Rows = append(a.Rows, int32(rng.IntN(c.rows)))
	}
	if c.listed > 0 { // the last row, in a group of four and in what is left of one
		a.Rows[0], a.Rows[c.listed-1] = int32(c.rows-1), int32(c.rows-1)
	}
	if c.mass {
		a.Mass = fill(max(len(c.segments)-1, 1))
	}
	return a
}

// checkRowAttention compares the kernels and the whole with float64.
func checkRowAttention(t *testing.T, what any, a *RowAttentionArgs) {
	t.Helper()
	const ulp = 1.0 / (1 << 24)
	RowAttention(a)
	width, n := len(a.Q), len(a.Rows)
	dots := make([]float32, n)
	rowDots(dots, a.Q, a.K, a.LDK, a.Rows)
	scores, slack := make([]float64, n), 0.0
	for i, row := range a.Rows {
		size := 0.0
		for c, q := range a.Q {
			v := float64(q) * float64(a.K[int(row)*a.LDK+c])
			scores[i], size = scores[i]+v, size+math.Abs(v)
		}
		// Every product and every addition rounds once.
		bound := float64(width+1) * ulp * size
		if diff := math.Abs(float64(dots[i]) - scores[i]); !(diff <= bound) {
			t.Fatalf("%v: %v: dot %d is off by %g, more than %g", Current(), what, i, diff, bound)
		}
		scores[i] *= float64(a.Scale)
		for s := range a.Bias {
			if lo, hi := a.Segments[s], a.Segments[s+1]; int(lo) <= i && i < int(hi) {
				scores[i] += float64(a.Bias[s])
			}
		}
		if !math.IsInf(scores[i], 0) {
			slack = max(slack, bound*float64(a.Scale)+4*ulp*math.Abs(scores[i]))
		}
	}
	sum := 0.0
	for _, s := range scores {
		sum += math.Exp(s)
	}
	out, size := make([]float64, width), make([]float64, width)
	for i, row := range a.Rows {
		if sum == 0 {
			break
		}
		scores[i] = math.Exp(scores[i]) / sum
		for c := range out {
			v := scores[i] * float64(a.V[int(row)*a.LDV+c])
			out[c], size[c] = out[c]+v, size[c]+math.Abs(v)
		}
	}
	// Weights are off by the error of their scores and of the sum of the others', and by some rounding.
	relative := 2*slack + float64(n+20)*ulp
	for c, want := range out {
		if diff := math.Abs(float64(a.Out[c]) - want); !(diff <= relative*size[c]) {
			t.Fatalf("%v: %v: output %d is %v, want %v within %g", Current(), what, c, a.Out[c], want, relative*size[c])
		}
	}
	for s, mass := range a.Mass {
		lo, hi, want := 0, n, 0.0
		if a.Segments != nil {
			lo, hi = int(a.Segments[s]), int(a.Segments[s+1])
		}
		for _, p := range scores[lo:hi] {
			if sum > 0 {
				want += p
			}
		}
		if !(math.Abs(float64(mass)-want) <= relative*want) {
			t.Fatalf("%v: %v: mass %d is %v, want %v", Current(), what, s, mass, want)
		}
	}
}

func rowAttentionCases() []rowAttentionCase {
	var cases []rowAttentionCase
	for _, width := range append(edges(8, 16, 24, 32, 64), 1, 48, 100, 128) {
		if width == 0 {
			continue
		}
		for _, listed := range []int{0, 1, 2, 3, 4, 5, 8, 31, 130} {
			c := rowAttentionCase{width: width, rows: 9, listed: listed, pad: width % 3, mass: listed%2 == 0}
			cases = append(cases, c)
			c.segments = []int32{0, int32(listed / 2), int32(listed / 2), int32(listed)}
			c.bias = []float32{-1, 3, 0.5}
			cases = append(cases, c)
			c.bias, c.mass = []float32{negInf, 0, float32(listed%4) - 1}, true
			cases = append(cases, c)
			c.bias = []float32{negInf, negInf, negInf}
			cases = append(cases, c)
		}
	}
	return cases
}

func TestRowAttention(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(51, 52))
		for _, c := range rowAttentionCases() {
			checkRowAttention(t, c, c.args(rng, func(n int) []float32 { return make([]float32, n) }))
		}
	})
}

func TestRowAttentionGuardPages(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(53, 54))
		for _, width := range []int{1, 7, 8, 9, 16, 17, 31, 32, 63, 64, 65, 80} {
			for _, atEnd := range []bool{true, false} {
				c := rowAttentionCase{width: width, rows: 5, listed: 7, pad: width % 2}
				checkRowAttention(t, c, c.args(rng, func(n int) []float32 {
					end, start := guard.Alloc(t, n)
					if atEnd {
						return end
					}
					return start
				}))
			}
		}
	})
}

// A query's result is the same whatever rows are listed behind masked ones' places in
// the matrices, and NaN comes through.
func TestRowAttentionNaN(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		nan := float32(math.NaN())
		for _, name := range []string{"Q", "K", "V"} {
			c := rowAttentionCase{width: 17, rows: 5, listed: 5}
			a := c.args(rand.New(rand.NewPCG(55, 56)), func(n int) []float32 { return make([]float32, n) })
			map[string][]float32{"Q": a.Q, "K": a.K[a.LDK*4:], "V": a.V[a.LDV*4:]}[name][3] = nan
			RowAttention(a)
			if a.Out[3] == a.Out[3] {
				t.Errorf("%v: NaN in %s gives %v", Current(), name, a.Out[3])
			}
		}
	})
}

func TestRowAttentionPanics(t *testing.T) {
	for want, change := range map[string]func(a *RowAttentionArgs){
		"len(Out) is 3":          func(a *RowAttentionArgs) { a.Out = a.Out[:3] },
		"row -1":                 func(a *RowAttentionArgs) { a.Rows[2] = -1 },
		"K is 6x4":               func(a *RowAttentionArgs) { a.Rows[2] = 5 },
		"V is 5x4":               func(a *RowAttentionArgs) { a.V = a.V[:19] },
		"rows 3 apart":           func(a *RowAttentionArgs) { a.LDK = 3 },
		"len(bias) is 1, want 2": func(a *RowAttentionArgs) { a.Segments, a.Bias = []int32{0, 1, 6}, []float32{1} },
		"do not run from 0 to 6": func(a *RowAttentionArgs) { a.Segments = []int32{0, 5} },
		"len(Mass) is 2, want 1": func(a *RowAttentionArgs) { a.Mass = make([]float32, 2) },
	} {
		c := rowAttentionCase{width: 4, rows: 5, listed: 6}
		a := c.args(rand.New(rand.NewPCG(57, 58)), func(n int) []float32 { return make([]float32, n) })
		change(a)
		func() {
			defer func() {
				if msg := fmt.Sprint(recover()); !strings.Contains(msg, want) {
					t.Errorf("panicked with %q, want %q in it", msg, want)
				}
			}()
			RowAttention(a)
		}()
	}
}

// Any shape.
func FuzzRowAttention(f *testing.F) {
	f.Add(uint64(1), uint8(64), uint8(128), uint8(3))
	f.Add(uint64(2), uint8(1), uint8(0), uint8(0))
	f.Fuzz(func(t *testing.T, seed uint64, width, listed, pad uint8) {
		if width == 0 {
			return
		}
		c := rowAttentionCase{width: int(width), rows: 3, listed: int(listed), pad: int(pad) % 5, mass: true}
		forEachISA(t, func(t *testing.T) {
			a := c.args(rand.New(rand.NewPCG(seed, 1)), func(n int) []float32 { return make([]float32, n) })
			checkRowAttention(t, c, a)
		})
	})
}

// A head of 64 columns of a model of width 512, after 128 tokens.
func BenchmarkRowAttention(b *testing.B) {
	benchmarkEachISA(b, func(b *testing.B) {
		c := rowAttentionCase{width: 64, rows: 128, listed: 128, pad: 448}
		a := c.args(rand.New(rand.NewPCG(59, 60)), func(n int) []float32 { return make([]float32, n) })
		for i := range a.Rows {
			a.Rows[i] = int32(i)
		}
		b.SetBytes(2 * 4 * 64 * 128)
		for b.Loop() {
			RowAttention(a)
		}
	})
}
