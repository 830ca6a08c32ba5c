package tensor

import (
	"fmt"
	"testing"
)

// fixedWork is a task whose parts compute for a while on nothing but registers.
type fixedWork struct {
	steps   int
	results [8][8]float64 // a cache line a part
}

func (w *fixedWork) Do(part int) {
	v := w.results[part][0]
	for range w.steps {
		v = v*0.5 + 1
	}
	w.results[part][0] = v
}

// BenchmarkPool tells what it costs to share a task of some 5 microseconds of
// each thread: the difference to one thread, which has half the work.
func BenchmarkPool(b *testing.B) {
	for _, threads := range []int{1, 2} {
		for _, parts := range []int{2, 8} {
			b.Run(fmt.Sprintf("threads=%d/parts=%d", threads, parts), func(b *testing.B) {
				p := NewPool(threads)
				defer p.Close()
				w := &fixedWork{steps: 3300 * threads / parts}
				for b.Loop() {
					p.Run(parts, w)
				}
			})
		}
	}
}
