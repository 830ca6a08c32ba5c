package tensor

import (
	"fmt"

	"github.com/marge-go/marge/internal/ceil"
)

// CrossEntropy returns scale times the sum over rows i of the negative
// log-likelihood of targets[i] under softmax(hidden[i] table^T), for hidden
// [n, d] and table [v, d], and the n summands without scale. With label
// smoothing s a row counts (1-s) times its own term plus s times the mean term
// over the vocabulary.
//
// A recording tape computes the gradients along with the loss, block by block,
// so that the logits are computed only once. If the table has no gradient yet,
// its gradient is computed in place; Backward makes it count.
func (tp *Tape) CrossEntropy(hidden, table, targets *Tensor, smoothing, scale float32) (loss, nll *Tensor) {
	tp.read("crossentropy", hidden, table, targets)
	mustShape("crossentropy", "hidden", hidden, Float32, -1, -1)
	tp.mustWeight("crossentropy", "table", table, hidden.shape[1])
	mustShape("crossentropy", "targets", targets, Int32, hidden.shape[0])
	hidden, table, targets = tp.dense(hidden), tp.dense(table), tp.dense(targets)
	loss, nll = tp.New(1), tp.New(hidden.shape[0])
	var dhidden, dtable *Tensor
	if tp.result(loss, hidden, table) {
		dhidden = tp.New(hidden.Shape()...)
		if table.requiresGrad {
			dtable = tp.earlyGradient(table)
		}
		r := tp.push()
		r.backward, r.out, r.in = crossEntropyBackward, loss, [MaxExprInputs]*Tensor{hidden, table}
		r.saved = [3]*Tensor{dhidden, dtable}
	}
	n, v := hidden.shape[0], table.shape[0]
	logits := tp.New(logitsRows(n, v), v)
	tp.backend.CrossEntropy(loss, nll, dhidden, dtable, hidden, table, targets, logits, smoothing, scale)
	tp.release(logits)
	return loss, nll
}

// A block of logits has at most logitsBlock elements, but at least minLogitsRows
// rows: every block reads the table and its gradient again, which takes longer
// than the products if the block is small.
const (
	logitsBlock   = 1 << 22
	minLogitsRows = 256
)

// logitsRows returns how many of n rows of v logits are computed at a time, in
// blocks of about the same size.
func logitsRows(n, v int) int {
	most := max(minLogitsRows, logitsBlock/max(v, 1))
	blocks := max((n+most-1)/most, 1)
	return ceil.Div(n, blocks)
}

func crossEntropyBackward(tp *Tape, r *record) {
	for i, in := range r.in[:2] {
		saved := r.saved[i]
		if saved != nil && tp.install(in, saved) {
			tp.backend.MulScalar(saved, saved, r.out.grad, false)
			continue
		}
		if g, accumulate := tp.gradient(in); g != nil {
			tp.backend.MulScalar(g, saved, r.out.grad, accumulate)
		}
		if saved != nil && saved.tape != nil {
			tp.release(saved)
		}
	}
}

var (
	exprMSE = binaryExpr("mse", func(x, y Value) Value { d := x.Sub(y); return d.Mul(d) })
	// exp of a negative number, so that nothing overflows.
	exprBCEWithLogits = binaryExpr("bcewithlogits", func(x, target Value) Value {
		return x.Max(Const(0)).Sub(x.Mul(target)).Add(x.Abs().Neg().Exp().Log1p())
	})
	// (1 - target)*x + (1 - target + weight*target) * softplus(-x)
	exprWeightedBCE = NewExpr("bcewithlogits", 3, func(in []Value) Value {
		x, target, weight := in[0], in[1], in[2]
		rest := Const(1).Sub(target)
		softplus := x.Neg().Max(Const(0)).Add(x.Abs().Neg().Exp().Log1p())
		return rest.Mul(x).Add(rest.Add(weight.Mul(target)).Mul(softplus))
	})
	// The logarithm of 1 instead of 0 gives 0*log(0) and its gradients without NaN.
	exprKLDiv = binaryExpr("kldiv", func(x, target Value) Value {
		log := target.Equal(Const(0)).Where(Const(1), target).Log()
		return target.Mul(log.Sub(x))
	})
	exprKLDivLog = binaryExpr("kldiv", func(x, target Value) Value { return target.Exp().Mul(target.Sub(x)) })
)

// Reduction is how the losses of elements become one number.
type Reduction uint8

// The reductions of losses.
const (
	ReductionMean      Reduction = iota // the mean over all elements
	ReductionSum                        // the sum
	ReductionNone                       // the losses of the elements
	ReductionBatchMean                  // the sum divided by the size of the first axis
)

// lossOf reduces the losses of elements.
func (tp *Tape) lossOf(op string, loss *Tensor, r Reduction) *Tensor {
	switch r {
	case ReductionMean:
		return tp.Mean(loss, false)
	case ReductionSum:
		return tp.Sum(loss, false)
	case ReductionNone:
		return loss
	case ReductionBatchMean:
		if loss.rank > 0 {
			return tp.Scale(float32(1/float64(loss.shape[0])), tp.Sum(loss, false))
		}
	}
	panic(fmt.Sprintf("%s: reduction %d of losses %v", op, r, loss))
}

// MSE returns the squared differences of x and y, which are broadcast.
func (tp *Tape) MSE(x, y *Tensor, r Reduction) *Tensor {
	return tp.lossOf("mse", tp.Map(exprMSE, x, y), r)
}

// BCEWithLogits returns the binary cross-entropies of probabilities Sigmoid(x) for
// targets from 0 to 1, without overflow: -w*target*log(p) - (1-target)*log(1-p), where
// w, the weight of what is positive, is posWeight, or 1 if that is nil. The shapes are
// broadcast.
func (tp *Tape) BCEWithLogits(x, target, posWeight *Tensor, r Reduction) *Tensor {
	if posWeight == nil {
		return tp.lossOf("bcewithlogits", tp.Map(exprBCEWithLogits, x, target), r)
	}
	return tp.lossOf("bcewithlogits", tp.Map(exprWeightedBCE, x, target, posWeight), r)
}

// KLDiv returns target*(log(target) - x) for logarithms x of probabilities: summed
// up, the Kullback-Leibler divergence of x from the target, 0 where the target is
// 0. If logTarget is set, the target is given by its logarithms, too. As in
// PyTorch, ReductionMean divides by the number of elements, and ReductionBatchMean
// gives the divergence.
func (tp *Tape) KLDiv(x, target *Tensor, logTarget bool, r Reduction) *Tensor {
	e := exprKLDiv
	if logTarget {
		e = exprKLDivLog
	}
	return tp.lossOf("kldiv", tp.Map(e, x, target), r)
}

// CrossEntropyOptions are the settings of CrossEntropyLoss. The zero value is
// PyTorch's default.
type CrossEntropyOptions struct {
	Weight      *Tensor // [classes], of the classes; nil: 1. It has no gradient.
	IgnoreIndex *int32  // rows with this target do not count; nil: -100
	Smoothing   float32 // of labels, from 0 to 1
	Reduction   Reduction
}

// CrossEntropyLoss returns the cross-entropies of softmax(logits[i]) for targets[i],
// for logits [..., classes] and int32 targets [...], of which there can be any number
// of dimensions. Where PyTorch has the classes along axis 1, Transpose or Permute the
// logits. With weights w and smoothing s, row i with target t has the loss
//
//	(1-s)*w[t]*nll(t) + s/classes * (sum over classes c of w[c]*nll(c))
//
// and ReductionMean divides the sum by the sum of all w[t], as PyTorch does. Rows
// that are ignored have loss 0. A target that is no class is a panic. For the logits
// of a vocabulary, CrossEntropy takes less memory.
func (tp *Tape) CrossEntropyLoss(logits, targets *Tensor, o CrossEntropyOptions) *Tensor {
	const op = "crossentropyloss"
	tp.read(op, logits, targets, o.Weight)
	mustFeatures(op, "logits", logits)
	classes := logits.shape[logits.rank-1]
	mustShape(op, "targets", targets, Int32, logits.shape[:logits.rank-1]...)
	if o.Weight != nil {
		mustShape(op, "weight", o.Weight, Float32, classes)
	}
	if !(o.Smoothing >= 0 && o.Smoothing <= 1) {
		panic(fmt.Sprintf("%s: smoothing %v, want [0, 1]", op, o.Smoothing))
	}
	ignore := int32(-100)
	if o.IgnoreIndex != nil {
		ignore = *o.IgnoreIndex
	}
	logits, targets, o.Weight = tp.rows(logits), tp.dense(targets), tp.dense(o.Weight)
	losses, counts := tp.New(targets.Shape()...), tp.New(targets.Len())
	tp.backend.CrossEntropyRows(
		tp.vector(losses), counts, tp.matrix(logits), tp.vector(targets), o.Weight, o.Smoothing, ignore)
	if tp.result(losses, logits) {
		r := tp.push()
		r.backward, r.out, r.in = crossEntropyRowsBackward, losses, [MaxExprInputs]*Tensor{logits, targets, o.Weight}
		r.f, r.n = o.Smoothing, int(ignore)
	}
	if o.Reduction == ReductionMean {
		return tp.Div(tp.Sum(losses, false), tp.Sum(counts, false))
	}
	return tp.lossOf(op, losses, o.Reduction)
}

func crossEntropyRowsBackward(tp *Tape, r *record) {
	g, accumulate := tp.gradient(r.in[0])
	logits, targets, weight := r.in[0], r.in[1], r.in[2]
	tp.backend.CrossEntropyRowsBackward(tp.matrix(g), tp.vector(r.out.grad), tp.matrix(logits), tp.vector(targets), weight,
		r.f, int32(r.n), accumulate)
}
