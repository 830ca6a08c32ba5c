package asm

import (
	"fmt"
	"slices"
	"sync"
)

// RowAttentionArgs describes one head of attention of one query to listed rows of
// matrices K and V, as a step of generation needs it:
//
//	s[t] = Scale*dot(Q, K[Rows[t]]) + Bias[segment of t]
//	p = softmax(s)
//	Out = sum of p[t]*V[Rows[t]]
//
// If no key is left, all being masked by -Inf or none listed, Out is zero.
type RowAttentionArgs struct {
	Q, Out   []float32 // [width]
	K, V     []float32 // rows of that width
	LDK, LDV int       // distances between the starts of two rows
	Rows     []int32
	Scale    float32
	// Segments divides Rows: segment i is Rows[Segments[i]:Segments[i+1]]. Nil
	// stands for one segment.
	Segments []int32
	Bias     []float32 // of each segment, or nil
	Mass     []float32 // nil, or receives the sum of p over each segment
}

// check panics unless the slices fit together.
func (a *RowAttentionArgs) check() {
	const op = "row attention"
	checkLen(op, "Out", len(a.Out), len(a.Q))
	if len(a.Rows) > 0 {
		if least := slices.Min(a.Rows); least < 0 {
			panic(fmt.Sprintf("%s: row %d", op, least))
		}
		rows := int(slices.Max(a.Rows)) + 1
		checkRows(op, "K", a.K, rows, len(a.Q), a.LDK)
		checkRows(op, "V", a.V, rows, len(a.Q), a.LDV)
	}
	if a.Mass != nil {
		segs := segments(op, len(a.Rows), a.Bias, a.Segments)
		checkLen(op, "Mass", len(a.Mass), segs.n)
	}
}

// rowScores keeps the buffers of RowAttention.
var rowScores = sync.Pool{New: func() any { return new([]float32) }}

// RowAttention computes a.Out and a.Mass on the calling goroutine.
func RowAttention(a *RowAttentionArgs) {
	a.check()
	buf := rowScores.Get().(*[]float32)
	defer rowScores.Put(buf)
	grow(buf, len(a.Rows))
	p := (*buf)[:len(a.Rows)]
	rowDots(p, a.Q, a.K, a.LDK, a.Rows)
	Softmax(p, p, a.Scale, a.Bias, a.Segments)
	rowSum(a.Out, p, a.V, a.LDV, a.Rows)
	if a.Mass != nil {
		segs := segments("row attention", len(p), nil, a.Segments)
		for i := range a.Mass {
			lo, hi, _ := segs.at(i)
			a.Mass[i] = float32(Sum(p[lo:hi]))
		}
	}
}
