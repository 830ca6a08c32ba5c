package asm

import (
	"math"
	"testing"
)

// testStreams compares the functions that stream with those that do not.
func testStreams(e *env, n int) {
	same := e.same
	x, dy := e.normal(n, 0, 2), e.normal(n, 0, 1)
	y, want := e.normal(n, 0, 1), e.place(n)
	GELU(want, x)
	GELUStream(y, x)
	same("GELU", y, want)
	GELUBackward(want, dy, x, false)
	GELUBackwardStream(y, dy, x)
	same("slope of GELU", y, want)
	if n == 0 {
		return
	}

	const rows = 3
	gamma, beta := e.normal(n, 1, 0.5), e.normal(n, 0, 1)
	x, dy = e.normal(rows*n, 5, 3), e.normal(rows*n, 0, 1)
	y, want = e.place(rows*n), e.place(rows*n)
	odd := e.put(x) // rows without a distribution
	for j := range n {
		odd[j] = negInf
	}
	odd[n], odd[3*n-1] = -negInf, float32(math.NaN())
	for _, scale := range []float32{-0.5, 0, 1} {
		for _, x := range [][]float32{x, odd} {
			for i := range rows {
				Softmax(want[i*n:(i+1)*n], x[i*n:(i+1)*n], scale, nil, nil)
			}
			SoftmaxStream(y, e.place(n), x, rows, n, scale)
			same("softmax", y, want)
			if scale == 1 {
				y := e.place(rows * n)
				SoftmaxRows(y, x, rows, n)
				same("SoftmaxRows", y, want)
				in := e.put(x)
				SoftmaxRows(in, in, rows, n)
				same("SoftmaxRows in place", in, want)
			}
		}
	}
	mean, rstd, mean2, rstd2 := e.place(rows), e.place(rows), e.place(rows), e.place(rows)
	LayerNorm(want, mean, rstd, x, gamma, beta, rows, n, 1e-5)
	LayerNormStream(y, mean2, rstd2, x, gamma, beta, rows, n, 1e-5)
	same("layer norm", y, want)
	same("mean", mean2, mean)
	same("rstd", rstd2, rstd)
	dgamma, dbeta := e.normal(n, 0, 1), e.normal(n, 0, 1)
	dgamma2, dbeta2 := e.put(dgamma), e.put(dbeta)
	LayerNormBackward(want, dgamma, dbeta, dy, x, gamma, mean, rstd, rows, n, false)
	LayerNormBackwardStream(y, dgamma2, dbeta2, dy, x, gamma, mean, rstd, rows, n)
	same("dx", y, want)
	same("dgamma", dgamma2, dgamma)
	same("dbeta", dbeta2, dbeta)
}

// A row of logits that is no distribution has no loss, and its gradient says so.
func TestCrossEntropyGradientNaN(t *testing.T) {
	inf := -negInf
	forEachISA(t, func(t *testing.T) {
		for _, bad := range []float32{inf, inf - inf} {
			x := make([]float32, 3*sumBlock)
			x[2*sumBlock+5] = bad
			if loss := CrossEntropyGradient(x, 0, 0.1, 1); loss == loss {
				t.Errorf("a logit of %v: loss %v, want NaN", bad, loss)
			}
			for i, v := range x {
				if v == v {
					t.Fatalf("a logit of %v: gradient %d is %v, want NaN", bad, i, v)
				}
			}
		}
		masked := []float32{negInf, 1, negInf}
		if loss := CrossEntropyGradient(masked, 1, 0, 1); loss != 0 || masked[0] > 1e-30 || masked[1] != 0 {
			t.Errorf("one class left: loss %v, gradient %v", loss, masked)
		}
	})
}
