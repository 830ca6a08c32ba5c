package tensor

import "fmt"

// Attention returns multi-head attention of packed documents: q [m, d] is split in
// o.Heads heads of d/heads columns, k and v [n, e] in heads of as many columns, as
// many heads or a divisor of them; bias is nil or [query segments, key segments]. See
// AttentionOptions. Nothing of the size of the score matrix is kept for the backward
// pass, which computes the scores again, block by block.
func (tp *Tape) Attention(q, k, v, bias *Tensor, o AttentionOptions) *Tensor {
	tp.read("attention", q, k, v, bias)
	mustShape("attention", "q", q, Float32, -1, -1)
	mustShape("attention", "k", k, Float32, -1, -1)
	mustShape("attention", "v", v, Float32, k.shape[0], k.shape[1])
	o.mustDivide(q, k)
	mustOffsets("attention", o.QOffsets, q.shape[0])
	mustOffsets("attention", o.KOffsets, k.shape[0])
	if bias != nil {
		mustShape("attention", "bias", bias, Float32, len(o.QOffsets)-1, len(o.KOffsets)-1)
		if o.Causal || o.KLengths != nil {
			panic("attention: Causal or KLengths with a bias between documents")
		}
	} else {
		o.mustFit()
	}
	q, k, v, bias = tp.rows(q), tp.rows(k), tp.rows(v), tp.dense(bias)
	opt := tp.attention.get()
	*opt = o
	if !tp.training {
		opt.Dropout = 0
	} else if o.Dropout > 0 {
		opt.Seed, opt.Stream = tp.seed, tp.stream(uint64(o.Heads)*uint64(q.shape[0])*uint64(k.shape[0]))
	}
	out, lse := tp.New(q.Shape()...), tp.New(o.Heads, q.shape[0])
	tp.backend.Attention(out, lse, tp.matrix(q), tp.matrix(k), tp.matrix(v), bias, opt)
	if tp.result(out, q, k, v, bias) {
		r := tp.push()
		r.backward, r.out, r.in = attentionBackward, out, [MaxExprInputs]*Tensor{q, k, v, bias}
		r.saved[0], r.attn = lse, opt
	}
	return out
}

// mustDivide panics unless q has o.Heads heads and k as many or a divisor of them,
// and unless a window is one of causal attention.
func (o *AttentionOptions) mustDivide(q, k *Tensor) {
	d, e := q.shape[1], k.shape[1]
	if o.Heads < 1 || d == 0 || d%o.Heads != 0 {
		panic(fmt.Sprintf("attention: width %d in %d heads", d, o.Heads))
	}
	if e == 0 || d%e != 0 || e%(d/o.Heads) != 0 {
		panic(fmt.Sprintf("attention: %d heads of queries %v, keys %v", o.Heads, q, k))
	}
	if o.Window < 0 || o.Window > 0 && !o.Causal {
		panic(fmt.Sprintf("attention: a window of %d, causal %v", o.Window, o.Causal))
	}
}

// mustFit panics unless there are as many key segments as query segments, with room for their lengths and, if Causal,
// at least as many keys as queries.
func (o *AttentionOptions) mustFit() {
	segments := len(o.KOffsets) - 1
	if len(o.QOffsets) != len(o.KOffsets) {
		panic(fmt.Sprintf("attention: %d query segments and %d key segments without a bias", len(o.QOffsets)-1, segments))
	}
	if o.KLengths != nil && len(o.KLengths) != segments {
		panic(fmt.Sprintf("attention: %d lengths of %d key segments", len(o.KLengths), segments))
	}
	for i := range segments {
		lo, hi := o.keys(i)
		if hi < lo || hi > int(o.KOffsets[i+1]) {
			panic(fmt.Sprintf("attention: %d keys in segment %d, which has room for %d", hi-lo, i, int(o.KOffsets[i+1])-lo))
		}
		if n := int(o.QOffsets[i+1] - o.QOffsets[i]); o.Causal && n > hi-lo {
			panic(fmt.Sprintf("attention: %d causal queries to %d keys in segment %d", n, hi-lo, i))
		}
	}
}

// keys returns the range of rows of key segment i.
func (o *AttentionOptions) keys(i int) (lo, hi int) {
	lo, hi = int(o.KOffsets[i]), int(o.KOffsets[i+1])
	if o.KLengths != nil {
		hi = lo + int(o.KLengths[i])
	}
	return lo, hi
}

func attentionBackward(tp *Tape, r *record) {
	q, k, v, bias := r.in[0], r.in[1], r.in[2], r.in[3]
	dq, addQ := tp.gradient(q)
	dk, addK := tp.gradient(k)
	dv, addV := tp.gradient(v)
	dbias, addBias := tp.gradient(bias)
	tp.backend.AttentionBackward(tp.matrix(dq), tp.matrix(dk), tp.matrix(dv), dbias, r.out.grad, r.out, r.saved[0],
		tp.matrix(q), tp.matrix(k), tp.matrix(v), bias, r.attn, [4]bool{addQ, addK, addV, addBias})
}

// mustOffsets panics unless offsets rise from 0 to n.
func mustOffsets(op string, offsets []int32, n int) {
	ok := len(offsets) > 0 && offsets[0] == 0 && int(offsets[len(offsets)-1]) == n
	for i := 1; ok && i < len(offsets); i++ {
		ok = offsets[i-1] <= offsets[i]
	}
	if !ok {
		panic(fmt.Sprintf("%s: offsets do not rise from 0 to %d", op, n))
	}
}
