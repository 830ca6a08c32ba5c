package asm

import "fmt"

// CrossEntropy returns the cross-entropy loss of one row of logits for the
// class target with label smoothing, as PyTorch defines it,
//
//	loss = (1-smoothing)*nll(target) + smoothing*(mean over classes c of nll(c))
//	nll(c) = lse - logits[c]
//
// and lse, the log-sum-exp of the logits, for CrossEntropyBackward.
func CrossEntropy(logits []float32, target int, smoothing float32) (loss, lse float32) {
	checkTarget("cross-entropy", len(logits), target)
	lse, sum := logSumExp(logits)
	nll := float64(lse) - float64(logits[target])
	if smoothing == 0 {
		return float32(nll), lse
	}
	mean := float64(lse) - sum/float64(len(logits))
	s := float64(smoothing)
	return float32((1-s)*nll + s*mean), lse
}

// CrossEntropyBackward computes scale times the gradient of CrossEntropy,
//
//	dlogits[c] = scale * (exp(logits[c]-lse) - (1-smoothing)*[c == target] - smoothing/len(logits))
//
// where lse is what CrossEntropy returned for these logits. Of another lse, which
// a logit exceeds by more than 70, the gradient is not specified: the kernels'
// exponential has no larger results. dlogits may be logits.
func CrossEntropyBackward(dlogits, logits []float32, target int, smoothing, lse, scale float32) {
	const op = "cross-entropy backward"
	checkLen(op, "dlogits", len(dlogits), len(logits))
	checkTarget(op, len(logits), target)
	p := exp32(logits[target] - lse)
	uniform := smoothing / float32(len(logits))
	expAffine(dlogits, logits, -lse, scale, -scale*uniform)
	// The target's entry in one rounding: p is close to 1 where it matters.
	dlogits[target] = scale * (p - (1 - smoothing) - uniform)
}

func checkTarget(op string, classes, target int) {
	if target < 0 || target >= classes {
		panic(fmt.Sprintf("%s: target %d of %d classes", op, target, classes))
	}
}
