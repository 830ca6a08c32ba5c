package index

import (
	"math"
	"sync"

	"github.com/marge-go/marge/asm"
)

// perThread holds the state of the threads of a task: each part takes a state
// that no other part uses, and puts it back.
type perThread[T any] struct {
	mu        sync.Mutex
	all, idle []*T
}

// take returns idle state, or that of create where there is none.
func (p *perThread[T]) take(create func() *T) *T {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n := len(p.idle); n > 0 {
		t := p.idle[n-1]
		p.idle = p.idle[:n-1]
		return t
	}
	t := create()
	p.all = append(p.all, t)
	return t
}

func (p *perThread[T]) put(t *T) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, t)
}

// span cuts n into parts of sizes that differ by at most 1 and returns the
// bounds of part i.
func span(n, parts, i int) (from, to int) { return n * i / parts, n * (i + 1) / parts }

// lanes is the number of values that asm.Above compares at once: rows are padded
// to a multiple of it.
const lanes = 16

func padded(n int) int { return (n + lanes - 1) &^ (lanes - 1) }

// Thresholds for asm.Above.
var (
	everything = float32(math.NaN())
	nothing    = float32(math.Inf(1))
)

// notBelow returns the threshold that score and all higher scores are above.
func notBelow(score float32) float32 {
	if math.IsInf(float64(score), -1) {
		return everything
	}
	return math.Nextafter32(score, float32(math.Inf(-1)))
}

// innerProducts computes dst = a b^T for rows of dim values, on the calling
// goroutine. The rows of dst are ld apart.
func innerProducts(a, b []float32, dim int, dst []float32, ld int) {
	asm.Gemm(asm.Serial, &asm.GemmArgs{
		TransB: true, M: len(a) / dim, N: len(b) / dim, K: dim,
		Alpha: 1, A: a, LDA: dim, B: b, LDB: dim,
		C: dst, LDC: ld,
	})
}
