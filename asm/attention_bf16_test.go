package asm

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// Every operand is rounded, and nothing else: a query and two keys of width 1.
func TestAttentionBF16Rounding(t *testing.T) {
	round := func(x float64) float64 { return float64(bf16Of(roundBF16(float32(x)))) }
	// sure reports whether x rounds to the same value in spite of errors of exp.
	sure := func(x float64) bool { return round(x*(1-1e-6)) == round(x*(1+1e-6)) }
	forEachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(93, 94))
		checked := 0
		for range 500 {
			a, g := attentionCase{queries: 1, keys: 2, width: 1, bf16: true}.data(rng, onHeap)
			g.AddDQ, g.AddDK, g.AddDV = false, false, false
			a.Scale = 0.7
			q, given := round(float64(a.Q[0])), float64(g.DOut[0])
			scaled, dout := round(float64(float32(q)*a.Scale)), round(given)
			var k, v, score, weight, p, ds [2]float64
			for j := range k {
				k[j], v[j] = round(float64(a.K[j])), round(float64(a.V[j]))
				score[j] = scaled * k[j]
			}
			top, sum := max(score[0], score[1]), 0.0
			for j := range k {
				weight[j] = math.Exp(score[j] - top)
				sum += weight[j]
			}
			out := (round(weight[0])*v[0] + round(weight[1])*v[1]) / sum
			certain := true
			for j := range k {
				p[j] = weight[j] / sum
				ds[j] = p[j] * (dout*v[j] - given*out)
				// What cancels leaves errors of the terms.
				near := 1e-6 * p[j] * (math.Abs(dout*v[j]) + math.Abs(given*out))
				certain = certain && sure(weight[j]) && sure(p[j]) && round(ds[j]-near) == round(ds[j]+near)
			}
			if !certain {
				continue
			}
			checked++
			Attention(a)
			AttentionBackward(a, g)
			check := func(name string, got float32, want, size float64) {
				t.Helper()
				if !(math.Abs(float64(got)-want) <= 1e-6*size) {
					t.Fatalf("%s is %v, want %v", name, got, want)
				}
			}
			check("Out", a.Out[0], out, math.Abs(v[0])+math.Abs(v[1]))
			check("LSE", a.LSE[0], top+math.Log(sum), 1+math.Abs(top))
			scale := float64(a.Scale)
			for j := range k {
				check("DV", g.DV[j], round(p[j])*dout, math.Abs(dout))
				check("DK", g.DK[j], scale*round(ds[j])*q, math.Abs(scale*round(ds[j])*q))
			}
			terms := [2]float64{scale * round(ds[0]) * k[0], scale * round(ds[1]) * k[1]}
			check("DQ", g.DQ[0], terms[0]+terms[1], math.Abs(terms[0])+math.Abs(terms[1]))
		}
		if checked < 400 {
			t.Errorf("%d cases were checked", checked)
		}
	})
}

// What queries that see less keys than others have beside them does not depend on the
// values of these: pairs of keys and of queries do not mix them.
func TestAttentionBF16Hidden(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		c := attentionCase{queries: 9, keys: 9, width: 5, causal: true, bf16: true}
		a, g := c.data(rand.New(rand.NewPCG(95, 96)), onHeap)
		g.AddDQ, g.AddDK, g.AddDV = false, false, false
		run := func() [][]float32 {
			results := attentionOutputs(a, g)
			for i := range results {
				results[i] = append([]float32(nil), results[i]...)
			}
			return results
		}
		want := run()
		for i := 6 * c.width; i < 9*c.width; i++ { // keys that queries 0 to 5 do not see
			a.K[i], a.V[i] = 3-a.K[i], 2-a.V[i]
		}
		got := run()
		for i := range 6 * c.width {
			if got[0][i] != want[0][i] || got[2][i] != want[2][i] {
				t.Fatalf("Out[%d] or DQ[%d] depends on hidden keys", i, i)
			}
		}
	})
}

// What lanes of padding see, in a pair with the last of an odd number of queries, does
// not reach gradients: here keys that are no numbers and that all queries do not see.
func TestAttentionBF16Padding(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		c := attentionCase{queries: 9, keys: 9, width: 5, bias: []float32{0, negInf}, bf16: true,
			qOffsets: []int32{0, 9}, kOffsets: []int32{0, 4, 9}}
		a, g := c.data(rand.New(rand.NewPCG(97, 98)), onHeap)
		g.AddDV = false
		hidden := 4 * c.width
		for i := hidden; i < len(a.K); i++ {
			a.K[i] = float32(math.NaN())
		}
		attentionOutputs(a, g)
		for i, v := range g.DV[hidden:] {
			if v != 0 {
				t.Fatalf("DV[%d] of a hidden key is %v", hidden+i, v)
			}
		}
	})
}

func BenchmarkAttentionBF16(b *testing.B) {
	for _, name := range []string{"float32", "bfloat16"} {
		b.Run(name, func(b *testing.B) {
			a, g := attentionCase{queries: 256, keys: 1024, width: 64, bf16: name != "float32", pad: 448}.
				data(rand.New(rand.NewPCG(1, 2)), onHeap)
			for b.Loop() {
				Attention(a)
				AttentionBackward(a, g)
			}
			b.ReportMetric(7*2*256*1024*64*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
	}
}

// Queries, keys and values that are rounded already give the same bits, whatever the scale.
func TestAttentionBF16Rounded(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		run := func(rounded bool) (results []float32) {
			a, g := attentionCase{queries: 70, keys: 40, width: 24, bf16: true}.data(rand.New(rand.NewPCG(95, 96)), onHeap)
			a.Scale = 0.3
			if rounded {
				for _, x := range [][]float32{a.Q, a.K, a.V} {
					halves := make([]uint16, len(x))
					ToBF16(halves, x)
					FromBF16(x, halves)
				}
			}
			Attention(a)
			AttentionBackward(a, g)
			return slices.Concat(a.Out, a.LSE, g.DQ, g.DK, g.DV)
		}
		if want, got := run(false), run(true); !slices.Equal(got, want) {
			t.Error("other values")
		}
	})
}
