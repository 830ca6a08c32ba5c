//go:build cuda

package gpu

import (
	"math"

	"github.com/marge-go/marge/tensor"
)

// AttentionRows implements tensor.Backend.
func (b *Backend) AttentionRows(out, mass, q, k, v *tensor.Tensor, o *tensor.AttentionRowsOptions) {
	defer b.enter("AttentionRows")()
	queries, width := q.Dim(0), q.Dim(1)/o.Heads
	// First and last segment of each query, and the keys and segments of those before it.
	lists := make([]int32, 0, 4*queries)
	keys, segments := int32(0), int32(0)
	for i := range queries {
		lo, hi := o.Seen[2*i], o.Seen[2*i+1]
		lists = append(lists, lo, hi, keys, segments)
		keys += o.Offsets[hi] - o.Offsets[lo]
		segments += hi - lo
	}
	if queries == 0 {
		return
	}
	var bias devptr
	if o.Bias != nil {
		bias = b.floats(o.Bias)
	}
	b.launch("attention_rows", [3]int{queries, o.Heads, 1}, 128, 0, b.ptr(out), leading(out), b.ptr(mass),
		b.scratch(o.Heads*int(keys)*4), b.ptr(q), leading(q), b.ptr(k), leading(k), b.ptr(v), leading(v), b.table(lists),
		b.table(o.Rows), b.table(o.Offsets), bias, width, o.Heads/o.KVHeads, int(keys), int(segments), o.Scale)
}

// floats returns a copy of a small table of numbers on the device.
func (b *Backend) floats(values []float32) devptr {
	bits := make([]int32, len(values))
	for i, v := range values {
		bits[i] = int32(math.Float32bits(v))
	}
	return b.table(bits)
}
