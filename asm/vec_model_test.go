package asm

import (
	"math"
	"math/rand/v2"
	"testing"
)

// refLSE returns the log-sum-exp and the softmax of s.
func refLSE(s []float64) (lse float64, p []float64) {
	m := math.Inf(-1)
	for _, v := range s {
		m = math.Max(m, v)
	}
	p = make([]float64, len(s))
	if math.IsInf(m, -1) {
		return m, p
	}
	sum := 0.0
	for _, v := range s {
		sum += math.Exp(v - m)
	}
	for i, v := range s {
		p[i] = math.Exp(v-m) / sum
	}
	return m + math.Log(sum), p
}

// refScores returns the scaled and biased scores, and the segment of each.
func refScores(x []float32, scale float32, bias []float32, offsets []int32) (s []float64, segment []int) {
	for i, v := range x {
		k := 0
		for offsets != nil && int32(i) >= offsets[k+1] {
			k++
		}
		b := 0.0
		if bias != nil {
			b = float64(bias[k])
		}
		s, segment = append(s, float64(scale)*float64(v)+b), append(segment, k)
		if math.IsInf(b, -1) {
			s[i] = b
		}
	}
	return s, segment
}

// randomSegments cuts n columns in up to five segments, some of them empty.
func randomSegments(rng *rand.Rand, n int) []int32 {
	offsets := []int32{0}
	for range rng.IntN(5) {
		last := int(offsets[len(offsets)-1])
		offsets = append(offsets, int32(last+rng.IntN(n-last+1)))
	}
	return append(offsets, int32(n))
}

func testSoftmax(e *env, n int) {
	negInf := float32(math.Inf(-1))
	for trial := range 6 {
		x, y := e.normal(n, 3, 20), e.place(n)
		scale := []float32{0.125, 1, -0.5}[trial%3]
		var offsets []int32
		var bias []float32
		if trial >= 2 {
			offsets = randomSegments(e.rng, n)
			bias = e.normal(len(offsets)-1, 0, 4)
			if trial == 5 {
				bias[e.rng.IntN(len(bias))] = negInf
			}
		}
		s, segment := refScores(x, scale, bias, offsets)
		wantLSE, want := refLSE(s)

		lse := Softmax(y, x, scale, bias, offsets)
		e.near(at("lse", n, trial), lse, wantLSE, eps*(2*math.Abs(wantLSE)+16))
		for j := range y {
			// Rounding of the score, the bias less the maximum and the exponential.
			size := math.Abs(s[j]) + math.Abs(wantLSE) + 12
			if want[j] == 0 {
				size = 0
			}
			if bias != nil && !math.IsInf(float64(bias[segment[j]]), 0) {
				size += math.Abs(float64(bias[segment[j]]))
			}
			e.near(at("y", n, j), y[j], want[j], 3*eps*size*want[j]+1e-44)
		}
	}
}

func testCrossEntropy(e *env, n int) {
	if n == 0 {
		return
	}
	for _, smoothing := range []float32{0, 0.1} {
		logits := e.normal(n, 2, 4)
		target, scale := e.rng.IntN(n), float32(0.25)
		lse64, p := refLSE(to64(logits))
		nll, mean, s := lse64-float64(logits[target]), 0.0, float64(smoothing)
		for _, v := range logits {
			mean += (lse64 - float64(v)) / float64(n)
		}
		loss := CrossEntropy(logits, target, smoothing)
		size := math.Abs(lse64) + math.Abs(float64(logits[target])) + 16
		e.near(at("loss", n, target), loss, (1-s)*nll+s*mean, 2*eps*size)

		d := e.put(logits)
		loss = CrossEntropyGradient(d, target, smoothing, scale)
		e.near(at("loss with gradient", n, target), loss, (1-s)*nll+s*mean, 2*eps*size)
		for i := range d {
			want := p[i] - s/float64(n)
			if i == target {
				want -= 1 - s
			}
			e.near(at("dlogits", n, i), d[i], float64(scale)*want, float64(scale)*eps*
				(p[i]*3*(size+math.Abs(float64(logits[i])))+2*s/float64(n)+math.Abs(want)*4+2*eps))
		}
	}
}

// refNorm returns the normalised row and its 1/sqrt(variance+eps).
func refNorm(x []float64, epsilon float64) (xhat []float64, mean, rstd float64) {
	n := float64(len(x))
	for _, v := range x {
		mean += v / n
	}
	variance := 0.0
	for _, v := range x {
		variance += (v - mean) * (v - mean) / n
	}
	rstd = 1 / math.Sqrt(variance+epsilon)
	for _, v := range x {
		xhat = append(xhat, (v-mean)*rstd)
	}
	return xhat, mean, rstd
}

func testLayerNorm(e *env, cols int) {
	if cols == 0 {
		return
	}
	const rows, epsilon = 3, 1e-5
	x, y := e.normal(rows*cols, 5, 3), e.place(rows*cols)
	gamma, beta := e.normal(cols, 1, 0.5), e.normal(cols, 0, 1)
	mean, rstd := e.place(rows), e.place(rows)
	LayerNorm(y, mean, rstd, x, gamma, beta, rows, cols, epsilon)

	dy, dx := e.normal(rows*cols, 0, 1), e.normal(rows*cols, 0, 1)
	dgamma, dbeta := e.normal(cols, 0, 1), e.normal(cols, 0, 1)
	dx0, wantGamma, wantBeta := e.put(dx), to64(dgamma), to64(dbeta)
	sizeGamma, sizeBeta := to64(dgamma), to64(dbeta)
	LayerNormBackward(dx, dgamma, dbeta, dy, x, gamma, mean, rstd, rows, cols, true)
	plain := e.put(dy)
	LayerNormBackward(plain, nil, nil, plain, x, gamma, mean, rstd, rows, cols, false)

	for i := range rows {
		row := func(x []float32) []float32 { return x[i*cols : (i+1)*cols] }
		xhat, m, r := refNorm(to64(row(x)), epsilon)
		// What the rounding of the mean does to the normalised values, which is
		// all of them where the row is constant.
		shift := (2*math.Abs(m) + float64(cols/16+8)/4) * r
		sums := eps * float64(cols/8+16)
		e.near(at("mean", cols, i), mean[i], m, 2*eps*math.Abs(m))
		e.near(at("rstd", cols, i), rstd[i], r, (sums+3*eps*shift)*r)
		var g, gx, size float64
		for j, v := range row(dy) {
			d := float64(v) * float64(gamma[j])
			g, gx, size = g+d, gx+d*xhat[j], size+math.Abs(d)*(1+math.Abs(xhat[j]))
		}
		n := float64(cols)
		for j, v := range row(dy) {
			slack := 2 * (sums*math.Abs(xhat[j]) + eps*shift)
			want := xhat[j]*float64(gamma[j]) + float64(beta[j])
			e.near(at("y", cols, j), row(y)[j], want, slack*math.Abs(float64(gamma[j]))+2*eps*math.Abs(want)+eps)

			d := r * (float64(v)*float64(gamma[j]) - g/n - xhat[j]*gx/n)
			tol := 2 * r * (slack + 4*eps + sums) * (math.Abs(float64(v)*float64(gamma[j])) + (size/n+eps)*(1+math.Abs(xhat[j])))
			e.near(at("dx", cols, j), row(plain)[j], d, tol)
			e.near(at("dx accumulated", cols, j), row(dx)[j], d+float64(row(dx0)[j]), tol+2*eps*math.Abs(d+float64(row(dx0)[j])))
			wantGamma[j] += float64(v) * xhat[j]
			sizeGamma[j] = math.Abs(sizeGamma[j]) + math.Abs(float64(v))*(math.Abs(xhat[j])+shift+sums/eps*math.Abs(xhat[j]))
			wantBeta[j] += float64(v)
			sizeBeta[j] = math.Abs(sizeBeta[j]) + math.Abs(float64(v))
		}
	}
	for j := range cols {
		e.near(at("dgamma", cols, j), dgamma[j], wantGamma[j], 4*eps*sizeGamma[j])
		e.near(at("dbeta", cols, j), dbeta[j], wantBeta[j], 4*eps*sizeBeta[j])
	}
}

// refAdamW is PyTorch's step in float64.
func refAdamW(p, g, m, v *float64, a *AdamWParams) {
	lr, b1, b2 := float64(a.LR), float64(a.Beta1), float64(a.Beta2)
	grad := *g * float64(a.GradScale)
	*p -= lr * float64(a.WeightDecay) * *p
	*m = b1**m + (1-b1)*grad
	*v = b2**v + (1-b2)*grad*grad
	mhat, vhat := *m/(1-math.Pow(b1, float64(a.Step))), *v/(1-math.Pow(b2, float64(a.Step)))
	*p -= lr * mhat / (math.Sqrt(vhat) + float64(a.Eps))
}

func testAdamW(e *env, n int) {
	p, m, v := e.normal(n, 0, 1), e.place(n), e.place(n)
	p64, m64, v64 := to64(p), to64(m), to64(v)
	size := make([]float64, n) // of the terms of m
	a := AdamWParams{LR: 1e-2, Beta1: 0.9, Beta2: 0.98, Eps: 1e-6, WeightDecay: 0.01, GradScale: 0.5}
	for a.Step = 1; a.Step <= 5; a.Step++ {
		g := e.normal(n, 0.2, 1)
		AdamW(p, g, m, v, &a)
		for i := range p {
			grad := float64(g[i])
			refAdamW(&p64[i], &grad, &m64[i], &v64[i], &a)
			size[i] = 0.9*size[i] + 0.1*0.5*math.Abs(grad)
			steps := float64(a.Step)
			e.near(at("m", n, i), m[i], m64[i], 4*eps*steps*size[i])
			e.near(at("v", n, i), v[i], v64[i], 4*eps*steps*v64[i])
			update := float64(a.LR) * size[i] / (math.Sqrt(v64[i]) + 1e-9) * 10
			e.near(at("p", n, i), p[i], p64[i], steps*(2*eps*(math.Abs(p64[i])+0.1)+8*eps*update))
		}
	}
}

// difference returns the derivative of f with respect to x[i].
func difference(f func(x []float64) float64, x []float64, i int) float64 {
	const h = 1e-5
	y := append([]float64(nil), x...)
	y[i] = x[i] + h
	up := f(y)
	y[i] = x[i] - h
	return (up - f(y)) / (2 * h)
}

// Gradients against finite differences of the float64 forward functions.
func TestGradients(t *testing.T) {
	const n, tol = 37, 3e-6
	forEachISA(t, func(t *testing.T) {
		e := &env{t, rand.New(rand.NewPCG(7, 8)), onHeap}
		x, w := e.normal(n, 0, 1), e.normal(n, 0, 1) // the loss is sum(w*f(x))
		x64 := to64(x)
		weighted := func(y []float64) (s float64) {
			for i, v := range y {
				s += v * float64(w[i])
			}
			return s
		}
		got := make([]float32, n)
		check := func(name string, loss func(x []float64) float64) {
			t.Helper()
			for i := range got {
				e.near(at(name, n, i), got[i], difference(loss, x64, i), tol)
			}
		}

		GELUBackward(got, w, x, false)
		check("GELU", func(x []float64) float64 {
			y := make([]float64, n)
			for i, v := range x {
				y[i] = refGELU(v)
			}
			return weighted(y)
		})

		const target, smoothing = 20, 0.1
		copy(got, x)
		CrossEntropyGradient(got, target, smoothing, 1)
		check("cross-entropy", func(x []float64) float64 {
			lse, _ := refLSE(x)
			mean := 0.0
			for _, v := range x {
				mean += (lse - v) / n
			}
			return (1-smoothing)*(lse-x[target]) + smoothing*mean
		})

		gamma, y, mean, rstd := e.normal(n, 1, 0.3), make([]float32, n), make([]float32, 1), make([]float32, 1)
		LayerNorm(y, mean, rstd, x, gamma, make([]float32, n), 1, n, 1e-5)
		LayerNormBackward(got, nil, nil, w, x, gamma, mean, rstd, 1, n, false)
		check("layer norm", func(x []float64) float64 {
			y, _, _ := refNorm(x, 1e-5)
			for i := range y {
				y[i] *= float64(gamma[i])
			}
			return weighted(y)
		})
	})
}

// Softmax of rows with infinities and NaN, and rows that are masked whole.
func TestSoftmaxSpecial(t *testing.T) {
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	forEachISA(t, func(t *testing.T) {
		for _, c := range []struct {
			x, bias []float32
			offsets []int32
			want    []float32
			lse     float32
		}{
			{x: []float32{}, want: []float32{}, lse: -inf},
			{x: []float32{-inf, -inf}, want: []float32{0, 0}, lse: -inf},
			{x: []float32{-inf, 3}, want: []float32{0, 1}, lse: 3},
			{x: []float32{nan, nan}, bias: []float32{-inf}, want: []float32{0, 0}, lse: -inf},
			{x: []float32{nan, 5}, bias: []float32{-inf, -1}, offsets: []int32{0, 1, 2}, want: []float32{0, 1}, lse: 4},
			{x: []float32{nan, 5}, want: []float32{nan, nan}, lse: nan},
			{x: []float32{inf, 5}, want: []float32{nan, nan}, lse: nan},
			{x: []float32{1000, 1000}, want: []float32{0.5, 0.5}, lse: 1000 + math.Ln2},
			{x: []float32{-1000, -1000}, want: []float32{0.5, 0.5}, lse: -1000 + math.Ln2},
		} {
			y := append([]float32(nil), c.x...)
			lse := Softmax(y, y, 1, c.bias, c.offsets)
			same := func(a, b float32) bool { return a == b || a != a && b != b }
			ok := same(lse, c.lse)
			for i := range y {
				ok = ok && same(y[i], c.want[i])
			}
			if !ok {
				t.Errorf("softmax(%v, bias %v) = %v, lse %v; want %v, %v", c.x, c.bias, y, lse, c.want, c.lse)
			}
		}
		for _, c := range []struct{ x, want float32 }{{inf, inf}, {nan, nan}, {-inf, -inf}} {
			got := float32(LogSumExp([]float32{1, c.x, 2}[1:2]))
			if got != c.want && c.want == c.want || got == got && c.want != c.want {
				t.Errorf("log-sum-exp of %v is %v", c.x, got)
			}
		}
	})
}
