package tensor

import "testing"

// The parts of a run of queries are all of its queries, each once, and start at
// whole blocks from its first on.
func TestAttentionParts(t *testing.T) {
	for _, queries := range []int{0, 1, attentionBlock, attentionBlock + 1, 700, 5000} {
		for _, rows := range []int{1, attentionBlock, 100, 512, 10000} {
			const segment, first = 3, 11
			var task attentionTask
			task.split(segment, first, first+queries, rows)
			next := first
			for _, p := range task.parts {
				if p.segment != segment || p.lo != next || p.hi < p.lo || (p.lo-first)%attentionBlock != 0 {
					t.Fatalf("%d queries in parts of %d: %+v follows %d", queries, rows, p, next)
				}
				if size := p.hi - p.lo; size > rows+rows/2+attentionBlock {
					t.Errorf("%d queries in parts of %d: %+v has %d", queries, rows, p, size)
				}
				next = p.hi
			}
			if next != first+queries {
				t.Errorf("%d queries in parts of %d: they end at %d", queries, rows, next-first)
			}
		}
	}
}
