package tensor

// Gather returns scale times the rows of table [v, d] that rows [n] names
// (an embedding look-up).
func (tp *Tape) Gather(table, rows *Tensor, scale float32) *Tensor {
	tp.read("gather", table, rows)
	tp.mustWeight("gather", "table", table, -1)
	mustShape("gather", "rows", rows, Int32, -1)
	table, rows = tp.dense(table), tp.dense(rows)
	out := tp.New(rows.shape[0], table.shape[1])
	out.use = useTemporary
	tp.backend.Gather(out, table, rows, scale, false)
	if tp.result(out, table) {
		r := tp.push()
		r.backward, r.out, r.in, r.f = gatherBackward, out, [MaxExprInputs]*Tensor{table, rows}, scale
	}
	return out
}

// AddGather returns x + Gather(table, rows, scale). It may take the memory of x,
// as AddInto does that of a.
func (tp *Tape) AddGather(x, table, rows *Tensor, scale float32) *Tensor {
	tp.mustWeight("addgather", "table", table, -1)
	mustShape("addgather", "rows", rows, Int32, -1)
	mustShape("addgather", "x", x, Float32, rows.shape[0], table.shape[1])
	tp.read("addgather", table, rows)
	table, rows = tp.dense(table), tp.dense(rows)
	out, taken := tp.inPlace("addgather", x)
	if !taken {
		tp.copyInto(out, false, x)
	}
	tp.backend.Gather(out, table, rows, scale, true)
	tp.overwritten(x, taken)
	if tp.result(out, x, table) {
		r := tp.push()
		r.backward, r.out, r.in, r.f = addGatherBackward, out, [MaxExprInputs]*Tensor{table, rows, x}, scale
	}
	return out
}

func gatherBackward(tp *Tape, r *record) {
	if g := tp.sum(r.in[0]); g != nil {
		tp.backend.ScatterAdd(g, r.out.grad, r.in[1], r.f)
	}
}

func addGatherBackward(tp *Tape, r *record) {
	gatherBackward(tp, r)
	tp.pass(r.in[2], r, r.out.grad)
}

// SegmentMean returns, for each segment s, the mean of the rows
// offsets[s]:offsets[s+1] of x [n, d]: [segments, d]. An empty segment has
// mean zero.
func (tp *Tape) SegmentMean(x *Tensor, offsets []int32) *Tensor {
	tp.read("segmentmean", x)
	mustShape("segmentmean", "x", x, Float32, -1, -1)
	mustOffsets("segmentmean", offsets, x.shape[0])
	x = tp.dense(x)
	out := tp.New(len(offsets)-1, x.shape[1])
	tp.backend.SegmentMean(out, x, offsets)
	if tp.result(out, x) {
		r := tp.push()
		r.backward, r.out, r.in, r.offsets = segmentMeanBackward, out, [MaxExprInputs]*Tensor{x}, offsets
	}
	return out
}

func segmentMeanBackward(tp *Tape, r *record) {
	tp.backend.SegmentMeanBackward(tp.sum(r.in[0]), r.out.grad, r.offsets)
}

// LinearMax returns, for each segment s, the greatest value of each column of
// x w^T in the rows offsets[s]:offsets[s+1], for x [n, k] and w [d, k]:
// [segments, d]. The gradient flows through the first row that has it. An empty
// segment has zeros.
func (tp *Tape) LinearMax(x, w *Tensor, offsets []int32) *Tensor {
	tp.read("linearmax", x, w)
	mustShape("linearmax", "x", x, Float32, -1, -1)
	tp.mustWeight("linearmax", "w", w, x.shape[1])
	mustOffsets("linearmax", offsets, x.shape[0])
	x, w = tp.dense(x), tp.dense(w)
	segments, d := len(offsets)-1, w.shape[0]
	out, rows := tp.New(segments, d), tp.newInts(segments, d)
	products := tp.New(x.shape[0], d)
	tp.backend.LinearMax(out, rows, products, x, w, offsets)
	tp.release(products)
	if tp.result(out, x, w) {
		r := tp.push()
		r.backward, r.out, r.in, r.saved[0] = linearMaxBackward, out, [MaxExprInputs]*Tensor{x, w}, rows
	}
	return out
}

func linearMaxBackward(tp *Tape, r *record) {
	x, w := r.in[0], r.in[1]
	tp.backend.LinearMaxBackward(tp.sum(x), tp.sum(w), r.out.grad, x, w, r.saved[0])
}

// Normalize returns the rows of x [..., d], the elements of the last dimension,
// divided by their Euclidean norms; a zero row stays zero.
func (tp *Tape) Normalize(x *Tensor) *Tensor {
	tp.read("normalize", x)
	mustFeatures("normalize", "x", x)
	x = tp.dense(x)
	out, norm := tp.New(x.Shape()...), tp.New(x.Rows())
	tp.backend.Normalize(tp.matrix(out), norm, tp.matrix(x))
	if tp.result(out, x) {
		r := tp.push()
		r.backward, r.out, r.in, r.saved[0] = normalizeBackward, out, [MaxExprInputs]*Tensor{x}, norm
	}
	return out
}

func normalizeBackward(tp *Tape, r *record) {
	tp.backend.NormalizeBackward(tp.matrix(tp.sum(r.in[0])), tp.matrix(r.out.grad), tp.matrix(r.out), r.saved[0])
}
