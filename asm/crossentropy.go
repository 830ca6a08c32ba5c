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
//
// The loss does not depend on an offset of all logits and is never negative. If
// a logit is NaN or +Inf, or all are -Inf, it is NaN.
func CrossEntropy(logits []float32, target int, smoothing float32) (loss float32) {
	checkTarget("cross-entropy", len(logits), target)
	greatest, log := logSumExp(logits)
	if greatest == negInf || !(greatest <= math.MaxFloat32) {
		return float32(math.NaN())
	}
	nll := float64(greatest) - float64(logits[target]) + log
	if smoothing == 0 {
		return float32(nll)
	}
	mean := float64(greatest) - Sum(logits)/float64(len(logits)) + log
	return smoothed(nll, mean, smoothing)
}

// smoothed returns the loss of label smoothing from the loss of the target and
// the mean over the classes.
func smoothed(nll, mean float64, smoothing float32) float32 {
	s := float64(smoothing)
	return float32(float64((1-s)*nll) + float64(s*mean))
}

// lossBlock is the length of the blocks of logits in CrossEntropyGradient. It
// computes the exponentials of one block while the next is fetched.
const lossBlock = 1024

// lastBlock is the length of the blocks in which the gradient is scaled.
const lastBlock = 4 * lossBlock

// lossSlack is by how much a logit may exceed the reference before the earlier
// exponentials are rescaled. exp(20) has 29 bits.
const lossSlack = 20

// lossReference is close to the greatest logit. The kernels compute
// 2**(bits*(x-base) - shift) for a logit x and bits = inBits(1).
type lossReference struct{ greatest, base, shift float32 }

// lossReferenceTo returns the reference for the given greatest logit; exactBits
// explains the two cases.
func lossReferenceTo(greatest, bits float32) lossReference {
	if m := bits * greatest; withinExactBits(m) {
		return lossReference{greatest, 0, m}
	}
	return lossReference{greatest, greatest, 0}
}

// value returns the logit to which the exponentials are relative.
func (r *lossReference) value(bits float32) float64 {
	return float64(r.base) + float64(float64(r.shift)*(1/float64(bits)))
}

// CrossEntropyGradient returns the loss of CrossEntropy and replaces the logits by
// scale times its gradient,
//
//	dlogits[c] = scale * (exp(logits[c]-lse) - (1-smoothing)*[c == target] - smoothing/len(logits))
//
// It takes each exponential once. Where the loss is NaN, so is the gradient.
func CrossEntropyGradient(logits []float32, target int, smoothing, scale float32) (loss float32) {
	checkTarget("cross-entropy gradient", len(logits), target)
	bits := inBits(1)
	t, ref, sum, total := logits[target], lossReference{greatest: negInf}, 0.0, 0.0
	x := logits[:min(lossBlock, len(logits))]
	greatest := maxScaled(x, 1)
	for lo := 0; len(x) > 0; {
		rest := logits[lo+len(x):]
		next := rest[:min(lossBlock, len(rest))]
		if smoothing != 0 {
			total += Sum(x)
		}
		if greatest == negInf { // or NaN is among -Inf
			greatest = maxScaled(x, 1)
		}
		switch {
		case !(greatest <= math.MaxFloat32):
			return fillNaN(logits)
		case ref.greatest == negInf:
			clear(logits[:lo])
			ref = lossReferenceTo(greatest, bits)
		case greatest > ref.greatest+lossSlack:
			raised := lossReferenceTo(greatest, bits)
			less := math.Exp(ref.value(bits) - raised.value(bits))
			sum *= less
			affine(logits[:lo], float32(less), logits[:lo], 0)
			ref = raised
		}
		if ref.base != 0 {
			affine(x, 1, x, -ref.base)
		}
		var s float32
		switch {
		case ref.greatest == negInf:
			greatest = maxScaled(next, 1)
		case len(next) == lossBlock:
			s, greatest = powerSumMax(x, x, next, bits, -ref.shift)
		default:
			s, greatest = powerSum(x, x, bits, -ref.shift), maxScaled(next, 1)
		}
		sum += float64(s)
		lo, x = lo+len(x), next
	}
	if ref.greatest == negInf || sum != sum {
		return fillNaN(logits)
	}
	// Powers are rounded, so that the loss of a sure target could come out negative.
	relative := logOfPowers(sum)
	nll := max(ref.value(bits)-float64(t)+relative, 0)
	uniform := smoothing / float32(len(logits))
	factor := float32(float64(scale) / sum)
	for hi := len(logits); hi > 0; { // from the end, which is still in the cache
		lo := (hi - 1) &^ (lastBlock - 1)
		affine(logits[lo:hi], factor, logits[lo:hi], float32(-scale*uniform))
		hi = lo
	}
	// The target's entry in one rounding: its probability is close to 1 where it matters.
	logits[target] = float32(float64(scale) * (math.Exp(-nll) - float64(1-smoothing) - float64(uniform)))
	if smoothing == 0 {
		return float32(nll)
	}
	return smoothed(nll, max(ref.value(bits)-total/float64(len(logits))+relative, 0), smoothing)
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
