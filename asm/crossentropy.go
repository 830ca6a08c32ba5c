package asm

import (
	"fmt"
	"math"
)

// CrossEntropy returns the cross-entropy loss of one row of logits for the
// class target with label smoothing, as PyTorch defines it,
//
//	loss = (1-smoothing)*nll(target) + smoothing*(mean over classes c of nll(c))
//	nll(c) = (log-sum-exp of the logits) - logits[c]
func CrossEntropy(logits []float32, target int, smoothing float32) (loss float32) {
	checkTarget("cross-entropy", len(logits), target)
	lse, sum := logSumExp(logits)
	nll := float64(lse) - float64(logits[target])
	if smoothing == 0 {
		return float32(nll)
	}
	mean := float64(lse) - sum/float64(len(logits))
	s := float64(smoothing)
	return float32((1-s)*nll + s*mean)
}

// lossBlock is the length of the blocks of logits that CrossEntropyGradient
// takes: while one's exponentials are computed, the next is fetched.
const lossBlock = 1024

// lastBlock is the length of the blocks in which the gradient gets its scale.
const lastBlock = 4 * lossBlock

// lossSlack is by how many bits a logit may exceed the one that the
// exponentials so far are relative to.
const lossSlack = 29

// CrossEntropyGradient returns the loss of CrossEntropy and replaces the logits by
// scale times its gradient,
//
//	dlogits[c] = scale * (exp(logits[c]-lse) - (1-smoothing)*[c == target] - smoothing/len(logits))
//
// It takes each exponential once. If a logit is NaN or +Inf, or all are -Inf,
// the loss and the gradient are NaN.
func CrossEntropyGradient(logits []float32, target int, smoothing, scale float32) (loss float32) {
	checkTarget("cross-entropy gradient", len(logits), target)
	// The exponentials are relative to m, in bits as are the maxima.
	bits := inBits(1)
	t, m, sum, total := logits[target], negInf, 0.0, 0.0
	x := logits[:min(lossBlock, len(logits))]
	greatest := maxScaled(x, bits)
	for lo := 0; len(x) > 0; {
		rest := logits[lo+len(x):]
		next := rest[:min(lossBlock, len(rest))]
		if smoothing != 0 {
			total += Sum(x)
		}
		if greatest == negInf { // or NaN is among -Inf
			greatest = maxScaled(x, bits)
		}
		switch {
		case !(greatest <= math.MaxFloat32):
			return fillNaN(logits)
		case m == negInf:
			clear(logits[:lo])
			m = greatest
		case greatest > m+lossSlack:
			less := math.Exp2(float64(m) - float64(greatest))
			sum *= less
			affine(logits[:lo], float32(less), logits[:lo], 0)
			m = greatest
		}
		var s float32
		switch {
		case m == negInf:
			greatest = maxScaled(next, bits)
		case len(next) == lossBlock:
			s, greatest = powerSumMax(x, x, next, bits, -m)
			greatest *= bits
		default:
			s, greatest = powerSum(x, x, bits, -m), maxScaled(next, bits)
		}
		sum += float64(s)
		lo, x = lo+len(x), next
	}
	if m == negInf || sum != sum {
		return fillNaN(logits)
	}
	lse := logOfPowers(m, 1, sum)
	uniform := smoothing / float32(len(logits))
	factor := float32(float64(scale) / sum)
	for hi := len(logits); hi > 0; { // from the end, which is still in the cache
		lo := (hi - 1) &^ (lastBlock - 1)
		affine(logits[lo:hi], factor, logits[lo:hi], -scale*uniform)
		hi = lo
	}
	// The target's entry in one rounding: its probability is close to 1 where it matters.
	nll := lse - float64(t)
	logits[target] = float32(float64(scale) * (math.Exp(-nll) - float64(1-smoothing) - float64(uniform)))
	if smoothing == 0 {
		return float32(nll)
	}
	s := float64(smoothing)
	return float32((1-s)*nll + s*(lse-total/float64(len(logits))))
}

func fillNaN(x []float32) float32 {
	nan := float32(math.NaN())
	for i := range x {
		x[i] = nan
	}
	return nan
}

func checkTarget(op string, classes, target int) {
	if target < 0 || target >= classes {
		panic(fmt.Sprintf("%s: target %d of %d classes", op, target, classes))
	}
}
