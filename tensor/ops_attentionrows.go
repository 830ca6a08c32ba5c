package tensor

import "fmt"

// AttentionRows returns multi-head attention of single queries q [n, d] to listed
// rows of k and v [m, d/Heads*KVHeads], see AttentionRowsOptions, and, if
// wantMass is set, the sums of the attention weights over each segment, [heads,
// segments that the queries see, query after query]. It has no gradient.
func (tp *Tape) AttentionRows(q, k, v *Tensor, wantMass bool, o AttentionRowsOptions) (out, mass *Tensor) {
	const op = "attentionrows"
	tp.read(op, q, k, v)
	mustShape(op, "q", q, Float32, -1, -1)
	n, d := q.shape[0], q.shape[1]
	if o.Heads < 1 || o.KVHeads < 1 || o.Heads%o.KVHeads != 0 || d%o.Heads != 0 {
		panic(fmt.Sprintf("%s: width %d in %d heads, %d of keys and values", op, d, o.Heads, o.KVHeads))
	}
	mustShape(op, "k", k, Float32, -1, d/o.Heads*o.KVHeads)
	mustShape(op, "v", v, Float32, k.shape[0], k.shape[1])
	if tp.recording && (q.requiresGrad || k.requiresGrad || v.requiresGrad) {
		panic(op + ": on a tape that records")
	}
	seen := o.mustFit(op, n, k.shape[0])
	q, k, v = tp.rows(q), tp.rows(k), tp.rows(v)
	out = tp.New(n, d)
	if wantMass {
		mass = tp.New(o.Heads, seen)
	}
	opt := tp.rowAttention.get()
	*opt = o
	tp.backend.AttentionRows(out, mass, tp.matrix(q), tp.matrix(k), tp.matrix(v), opt)
	return out, mass
}

// mustFit panics unless queries and keys are there as often as the lists say. It
// returns how many segments the queries see.
func (o *AttentionRowsOptions) mustFit(op string, queries, keys int) (seen int) {
	mustOffsets(op, o.Offsets, len(o.Rows))
	segments := len(o.Offsets) - 1
	if o.Bias != nil && len(o.Bias) != segments {
		panic(fmt.Sprintf("%s: bias of %d segments for %d", op, len(o.Bias), segments))
	}
	for _, row := range o.Rows {
		if row < 0 || int(row) >= keys {
			panic(fmt.Sprintf("%s: row %d of %d keys", op, row, keys))
		}
	}
	if len(o.Seen) != 2*queries {
		panic(fmt.Sprintf("%s: %d bounds of segments for %d queries", op, len(o.Seen), queries))
	}
	for i := range queries {
		lo, hi := o.Seen[2*i], o.Seen[2*i+1]
		if lo < 0 || hi < lo || int(hi) > segments {
			panic(fmt.Sprintf("%s: query %d sees the segments %d to %d of %d", op, i, lo, hi, segments))
		}
		seen += int(hi - lo)
	}
	return seen
}
