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
	lanes  []*lane // of the caller of Run and of each helper
	busy   sync.Mutex
	helped int64 // parts that helpers have done up to the task before

	waiting atomic.Bool // Run sleeps until a helper has done its parts
	left    chan struct{}
}

// lane is a thread's own share of the parts of a task, consecutive ones. As all
// tasks are shared out in the same way, a thread finds the rows that it works on
// in its own caches, where its part of the task before left them.
//
// What the threads tell each other costs as long as a cache line takes from one
// core to another, for every line in turn: so a helper finds all that it needs
// in a line of its own, and tells that it is done in another, the only one that Run
// looks at while it waits.
type lane struct {
	parts atomic.Uint64 // the next part in the lower half, the end in the upper
	task  asm.Task      // of the parts; read after one was claimed, which keeps Run from the next task
	_     [40]byte

	done   atomic.Int64 // parts, of any lane, that this helper has done since it began
	asleep atomic.Bool
	wake   chan struct{}
	_      [40]byte
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
	p := &Pool{left: make(chan struct{}, 1), lanes: make([]*lane, n)}
	for i := range p.lanes {
		p.lanes[i] = &lane{wake: make(chan struct{}, 1)}
	}
	for i := range n - 1 {
		go p.help(i + 1)
	}
	return p
}

// Close ends the pool's threads. Run must not be called afterwards.
func (p *Pool) Close() {
	for _, l := range p.lanes[1:] {
		close(l.wake)
	}
}

// Threads returns the number of threads.
func (p *Pool) Threads() int { return len(p.lanes) }

// left says whether parts of the lane are left to claim.
func (l *lane) left() bool {
	v := l.parts.Load()
	return uint32(v) < uint32(v>>32)
}

// help takes part in every task that has parts in its own lane.
func (p *Pool) help(own int) {
	l := p.lanes[own]
	for {
		for looks := 1; !l.left(); looks++ {
			if looks == poolLooks {
				l.asleep.Store(true)
				if !l.left() || !l.asleep.CompareAndSwap(true, false) {
					if _, ok := <-l.wake; !ok {
						return
					}
				}
				looks = 0
			}
			wait(looks)
		}
		l.done.Add(p.work(own))
		if p.waiting.Load() && p.waiting.CompareAndSwap(true, false) {
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
// others, and returns how many.
func (p *Pool) work(own int) (done int64) {
	for n := range p.lanes {
		l := p.lanes[(own+n)%len(p.lanes)]
		for l.left() {
			v := l.parts.Add(1) - 1
			if uint32(v) >= uint32(v>>32) {
				break
			}
			l.task.Do(int(uint32(v)))
			done++
		}
	}
	return done
}

// Run carries out all parts of a task and returns when they are done. Called
// while the pool is busy, from within a part or from another goroutine, it
// does all parts itself.
func (p *Pool) Run(parts int, t asm.Task) {
	if parts < 2 || len(p.lanes) == 1 || !p.busy.TryLock() {
		asm.Serial.Run(parts, t)
		return
	}
	// The caller's lane comes last: helpers start the sooner.
	for i := len(p.lanes) - 1; i >= 0; i-- {
		l, next, end := p.lanes[i], i*parts/len(p.lanes), (i+1)*parts/len(p.lanes)
		if next == end {
			continue
		}
		l.task = t
		l.parts.Store(uint64(end)<<32 | uint64(next))
		if l.asleep.Load() && l.asleep.CompareAndSwap(true, false) {
			l.wake <- struct{}{}
		}
	}
	p.helped += int64(parts) - p.work(0)
	for looks := 1; !p.finished(); looks++ {
		if looks == poolLooks {
			p.waiting.Store(true)
			if !p.finished() || !p.waiting.CompareAndSwap(true, false) {
				<-p.left
			}
			looks = 0
		}
		wait(looks)
	}
	for _, l := range p.lanes {
		l.task = nil
	}
	p.busy.Unlock()
}

// finished says whether helpers have done all parts that Run has left to them.
func (p *Pool) finished() bool {
	var done int64
	for _, l := range p.lanes[1:] {
		done += l.done.Load()
	}
	return done == p.helped
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
