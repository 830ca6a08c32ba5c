package tensor

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
	mustShape("crossentropy", "table", table, Float32, -1, hidden.shape[1])
	mustShape("crossentropy", "targets", targets, Int32, hidden.shape[0])
	loss, nll = tp.New(1), tp.New(hidden.shape[0])
	var dhidden, dtable *Tensor
	if tp.result(loss, hidden, table) {
		dhidden = tp.New(hidden.Shape()...)
		if table.requiresGrad {
			dtable = tp.earlyGradient(table)
		}
		r := tp.push()
		r.backward, r.out, r.in, r.saved = crossEntropyBackward, loss, [MaxExprInputs]*Tensor{hidden, table}, [3]*Tensor{dhidden, dtable}
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
	return (n + blocks - 1) / blocks
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
