package tensor

import "fmt"

// Recompute frees the memory of y, a result of LayerNorm without views. No later
// operation can read y; the backward pass computes it again (Chen et al. 2016,
// arXiv:1604.06174).
func (tp *Tape) Recompute(y *Tensor) {
	tp.mustUse("recompute", y)
	if y.use&useViewed != 0 || y.base != nil {
		panic(fmt.Sprintf("recompute: %v has views or is one", y))
	}
	if y.tape != tp || y.use&useComputable == 0 {
		panic(fmt.Sprintf("recompute: %v is no result of LayerNorm on this tape", y))
	}
	y.use |= useRecomputed
	if y.use&useAliased == 0 {
		tp.release(y)
		y.store = nil
	}
}

// recompute makes t again if Recompute or Compress freed its memory.
func (tp *Tape) recompute(t *Tensor) {
	if t == nil || t.store != nil || t.use&(useRecomputed|useForgotten) == 0 {
		return
	}
	if t.packed != nil {
		t.store, t.offset = tp.floats.alloc(t.Len())
		tp.compressor().Expand(t, t.packed)
		return
	}
	r := &tp.records[t.record-1]
	for _, in := range r.in {
		tp.recompute(in)
	}
	t.store, t.offset = tp.floats.alloc(t.Len())
	r.forward(tp, r)
}
