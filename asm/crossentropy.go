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

// CrossEntropyGradient returns the loss of CrossEntropy and replaces the logits by
// scale times its gradient,
//
//	dlogits[c] = scale * (exp(logits[c]-lse) - (1-smoothing)*[c == target] - smoothing/len(logits))
//
// It takes each exponential once. If a logit is NaN or +Inf, or all are -Inf,
// the loss and the gradient are NaN.
func CrossEntropyGradient(logits []float32, target int, smoothing, scale float32) (loss float32) {
	checkTarget("cross-entropy gradient", len(logits), target)
	// The exponentials of a part are relative to the greatest logit so far.
	var greatest [64]float32
	part := (len(logits) + len(greatest) - 1) / len(greatest)
	part = (part + sumBlock - 1) / sumBlock * sumBlock
	t, m, sum, total := logits[target], negInf, 0.0, 0.0
	parts := 0
	for rest := logits; len(rest) > 0; parts++ {
		x := rest[:min(part, len(rest))]
		rest = rest[len(x):]
		if smoothing != 0 {
			total += Sum(x)
		}
		before := m
		m = max(m, maxScaled(x, 1))
		greatest[parts] = m
		switch {
		case m == negInf:
			clear(x)
			continue
		case !(m <= math.MaxFloat32):
			return fillNaN(logits)
		case m > before:
			sum *= math.Exp(float64(before) - float64(m))
		}
		sum += expSumBlocks(x, x, 1, -m)
	}
	if m == negInf {
		return fillNaN(logits)
	}
	lse := float64(m) + math.Log(sum)
	uniform := smoothing / float32(len(logits))
	for i := range parts {
		x := logits[i*part : min((i+1)*part, len(logits))]
		affine(x, float32(float64(scale)*math.Exp(float64(greatest[i])-float64(m))/sum), x, -scale*uniform)
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
