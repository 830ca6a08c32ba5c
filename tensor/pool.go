package tensor

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/marge-go/marge/asm"
)

// Pool is a set of threads that carry out the numbered parts of one task at a
// time. It implements asm.Runner. How work is split in parts depends on the
// shapes alone, never on the number of threads, and parts write to disjoint
// places: results are bit-identical for any number of threads.
type Pool struct {
	threads int
	wake    []chan struct{}
	busy    sync.Mutex

	task  asm.Task
	parts int64
	next  atomic.Int64
	left  atomic.Int64 // helpers that have not finished the task
	done  chan struct{}
}

// NewPool returns a pool of n threads, the caller of Run among them; n < 1
// means runtime.GOMAXPROCS(0).
func NewPool(n int) *Pool {
	if n < 1 {
		n = runtime.GOMAXPROCS(0)
	}
	p := &Pool{threads: n, done: make(chan struct{}, 1)}
	for range n - 1 {
		wake := make(chan struct{}, 1)
		p.wake = append(p.wake, wake)
		go func() {
			for range wake {
				p.work()
				if p.left.Add(-1) == 0 {
					p.done <- struct{}{}
				}
			}
		}()
	}
	return p
}

// Close ends the pool's threads. Run must not be called afterwards.
func (p *Pool) Close() {
	for _, w := range p.wake {
		close(w)
	}
}

// Threads returns the number of threads.
func (p *Pool) Threads() int { return p.threads }

func (p *Pool) work() {
	for {
		i := p.next.Add(1) - 1
		if i >= p.parts {
			return
		}
		p.task.Do(int(i))
	}
}

// Run carries out all parts of a task and returns when they are done. Called
// while the pool is busy, from within a part or from another goroutine, it
// does all parts itself.
func (p *Pool) Run(parts int, t asm.Task) {
	helpers := min(p.threads, parts) - 1
	if helpers < 1 || !p.busy.TryLock() {
		asm.Serial.Run(parts, t)
		return
	}
	p.task, p.parts = t, int64(parts)
	p.next.Store(0)
	p.left.Store(int64(helpers))
	for i := range helpers {
		p.wake[i] <- struct{}{}
	}
	p.work()
	<-p.done
	p.task = nil
	p.busy.Unlock()
}

// span is a task that splits the numbers 0..n-1 in runs of grain and calls fn
// with each run. Spans are reused, so that splitting allocates nothing.
type span[A any] struct {
	args     A
	fn       func(a *A, lo, hi int)
	n, grain int
}

func (s *span[A]) Do(part int) {
	lo := part * s.grain
	s.fn(&s.args, lo, min(lo+s.grain, s.n))
}

// spans keeps the unused spans of one kind of operation.
type spans[A any] struct{ free sync.Pool }

func (ss *spans[A]) run(r asm.Runner, n, grain int, args A, fn func(a *A, lo, hi int)) {
	if n == 0 {
		return
	}
	s, _ := ss.free.Get().(*span[A])
	if s == nil {
		s = new(span[A])
	}
	s.args, s.fn, s.n, s.grain = args, fn, n, max(grain, 1)
	if parts := (n + s.grain - 1) / s.grain; parts == 1 {
		fn(&s.args, 0, n)
	} else {
		r.Run(parts, s)
	}
	var none A
	s.args = none
	ss.free.Put(s)
}
