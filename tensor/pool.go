package tensor

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/marge-go/marge/asm"
)

// Pool is a set of threads that carry out the numbered parts of one task at a
// time. It implements asm.Runner. Parts write to disjoint places, and how work is
// split never changes the order in which numbers are added: results are
// bit-identical for any number of threads.
//
// A training step is thousands of tasks of some microseconds, far less than it
// takes to wake a thread. So threads that wait look for the next task for a
// while before they go to sleep.
type Pool struct {
	helpers []*helper
	busy    sync.Mutex

	task  asm.Task
	lanes []lane

	// state is the number of the task in its upper half, whether it is closed
	// for helpers, and how many of them are at work on it.
	state   atomic.Uint64
	waiting atomic.Bool // Run sleeps until the last helper leaves
	left    chan struct{}
}

const (
	poolTask   = 1 << 32
	poolClosed = 1 << 31
)

// lane is a thread's own share of the parts of a task, consecutive ones. As all
// tasks are shared out in the same way, a thread finds the rows that it works on
// in its own caches, where its part of the task before left them.
type lane struct {
	next atomic.Int64
	end  int64
	_    [48]byte // no cache line in common with the next lane
}

// helper is a thread of a pool besides the caller of Run.
type helper struct {
	asleep atomic.Bool
	wake   chan struct{}
	_      [64]byte // no cache line in common with the next helper
}

// A thread that waits yields to other goroutines every poolYield looks, and
// sleeps after poolLooks, which take some 100 microseconds.
const (
	poolYield = 1 << 6
	poolLooks = 1 << 13
)

// NewPool returns a pool of n threads, the caller of Run among them; n < 1
// means runtime.GOMAXPROCS(0).
func NewPool(n int) *Pool {
	if n < 1 {
		n = runtime.GOMAXPROCS(0)
	}
	p := &Pool{left: make(chan struct{}, 1), lanes: make([]lane, n)}
	p.state.Store(poolClosed)
	for i := range n - 1 {
		h := &helper{wake: make(chan struct{}, 1)}
		p.helpers = append(p.helpers, h)
		go p.help(h, i+1)
	}
	return p
}

// Close ends the pool's threads. Run must not be called afterwards.
func (p *Pool) Close() {
	for _, h := range p.helpers {
		close(h.wake)
	}
}

// Threads returns the number of threads.
func (p *Pool) Threads() int { return len(p.helpers) + 1 }

// help takes part in one task after the other, from its own lane on.
func (p *Pool) help(h *helper, own int) {
	last := p.state.Load() / poolTask
	for {
		v := p.state.Load()
		for looks := 1; v&poolClosed != 0 || v/poolTask == last; looks++ {
			if looks == poolLooks {
				h.asleep.Store(true)
				if v := p.state.Load(); v&poolClosed != 0 || v/poolTask == last || !h.asleep.CompareAndSwap(true, false) {
					if _, ok := <-h.wake; !ok {
						return
					}
				}
				looks = 0
			}
			wait(looks)
			v = p.state.Load()
		}
		if !p.state.CompareAndSwap(v, v+1) {
			continue
		}
		last = v / poolTask
		p.work(own)
		if v := p.state.Add(^uint64(0)); v%poolTask == poolClosed && p.waiting.CompareAndSwap(true, false) {
			p.left <- struct{}{}
		}
	}
}

// wait passes the time between two looks.
func wait(looks int) {
	if looks%poolYield == 0 {
		runtime.Gosched()
	} else {
		asm.Pause()
	}
}

// work carries out the parts of a thread's own lane, then what is left of the
// others.
func (p *Pool) work(own int) {
	for n := range p.lanes {
		l := &p.lanes[(own+n)%len(p.lanes)]
		for i := l.next.Add(1) - 1; i < l.end; i = l.next.Add(1) - 1 {
			p.task.Do(int(i))
		}
	}
}

// Run carries out all parts of a task and returns when they are done. Called
// while the pool is busy, from within a part or from another goroutine, it
// does all parts itself.
func (p *Pool) Run(parts int, t asm.Task) {
	if parts < 2 || len(p.helpers) == 0 || !p.busy.TryLock() {
		asm.Serial.Run(parts, t)
		return
	}
	p.task = t
	for i := range p.lanes {
		p.lanes[i].next.Store(int64(i * parts / len(p.lanes)))
		p.lanes[i].end = int64((i + 1) * parts / len(p.lanes))
	}
	p.state.Store((p.state.Load()/poolTask + 1) * poolTask)
	for _, h := range p.helpers[:min(len(p.helpers), parts-1)] {
		if h.asleep.CompareAndSwap(true, false) {
			h.wake <- struct{}{}
		}
	}
	p.work(0)
	p.state.Or(poolClosed)
	for looks := 1; p.state.Load()%poolTask != poolClosed; looks++ {
		if looks == poolLooks {
			p.waiting.Store(true)
			if p.state.Load()%poolTask != poolClosed || !p.waiting.CompareAndSwap(true, false) {
				<-p.left
			}
			break
		}
		wait(looks)
	}
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
