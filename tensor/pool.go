package tensor

import (
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/internal/ceil"
)

// Pool is a set of threads that carry out the numbered parts of one task at a
// time. It implements asm.Runner. Parts write to disjoint places, and how work is
// split never changes the order in which numbers are added: results are
// bit-identical for any number of threads.
//
// A training step is thousands of tasks of some microseconds, far less than it
// takes to wake a thread. So threads that wait look for the next task for a
// while before they go to sleep.
//
// The threads end with Close, or when the garbage collector finds the pool
// unreachable.
type Pool struct {
	threads *threads
	closed  atomic.Bool
	cleanup runtime.Cleanup
}

// threads is what the helpers of a pool share. They do not refer to the Pool, so
// that it can be collected while they wait.
type threads struct {
	lanes  []*lane // of the caller of Run and of each helper
	busy   sync.Mutex
	helped int64 // parts that helpers did up to the previous task

	waiting atomic.Bool // Run sleeps until a helper has done its parts
	left    chan struct{}
	failed  atomic.Pointer[any] // what a part panicked with in a helper
}

// lane is a thread's share of the parts of a task: consecutive ones. As all
// tasks are shared in the same way, a thread finds the rows that it works on in
// its own caches, where its part of the previous task left them.
//
// Each message between threads costs a cache-line transfer, so a helper reads
// all that it needs from one line of its own and writes that it is done to
// another, the only one that Run reads while it waits.
type lane struct {
	parts atomic.Uint64 // the next part in the lower half, the end in the upper
	task  asm.Task      // of the parts; read after one was claimed, which keeps Run from the next task
	_     [40]byte

	done   atomic.Int64 // parts, of any lane, that this helper has done since it began
	asleep atomic.Bool
	wake   chan struct{}
	_      [40]byte
}

// A waiting thread yields to other goroutines every poolYield looks, and goes to
// sleep after poolLooks, some 100 microseconds.
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
	t := &threads{left: make(chan struct{}, 1), lanes: make([]*lane, n)}
	for i := range t.lanes {
		t.lanes[i] = &lane{wake: make(chan struct{}, 1)}
	}
	for i := range n - 1 {
		go t.help(i + 1)
	}
	p := &Pool{threads: t}
	p.cleanup = runtime.AddCleanup(p, (*threads).end, t)
	return p
}

// Close ends the pool's threads. It must not be called during Run. Run panics
// afterwards; closing again does nothing.
func (p *Pool) Close() {
	if !p.closed.Swap(true) {
		p.cleanup.Stop()
		p.threads.end()
	}
}

// end makes the helpers return when they next go to sleep.
func (t *threads) end() {
	for _, l := range t.lanes[1:] {
		close(l.wake)
	}
}

// mustBeOpen panics after Close.
func (p *Pool) mustBeOpen() {
	if p.closed.Load() {
		panic("tensor: CPU or Pool used after Close")
	}
}

// Threads returns the number of threads.
func (p *Pool) Threads() int { return len(p.threads.lanes) }

// left reports whether the lane has parts to claim.
func (l *lane) left() bool {
	v := l.parts.Load()
	return uint32(v) < uint32(v>>32)
}

// help takes part in every task that has parts in its own lane.
func (t *threads) help(own int) {
	l := t.lanes[own]
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
		t.helpOnce(own)
		if t.waiting.Load() && t.waiting.CompareAndSwap(true, false) {
			t.left <- struct{}{}
		}
	}
}

// helpOnce takes part in a task until no part is left or one panics.
func (t *threads) helpOnce(own int) {
	var done int64
	defer func() {
		if v := recover(); v != nil {
			failure := v // on the heap, unlike v
			t.failed.CompareAndSwap(nil, &failure)
		}
		t.lanes[own].done.Add(done)
	}()
	t.work(own, &done)
}

// wait pauses between two looks.
func wait(looks int) {
	if looks%poolYield == 0 {
		runtime.Gosched()
	} else {
		asm.Pause()
	}
}

// work carries out the parts of a thread's own lane, then those left in the
// others, and counts them.
func (t *threads) work(own int, done *int64) {
	for n := range t.lanes {
		l := t.lanes[(own+n)%len(t.lanes)]
		for l.left() {
			v := l.parts.Add(1) - 1
			if uint32(v) >= uint32(v>>32) {
				break
			}
			*done++
			l.task.Do(int(uint32(v)))
		}
	}
}

// drop claims all remaining parts without doing them, and returns their number.
func (t *threads) drop() (parts int64) {
	for _, l := range t.lanes {
		v := l.parts.Swap(0)
		parts += max(0, int64(uint32(v>>32))-int64(uint32(v)))
	}
	return parts
}

// Run carries out all parts of a task and returns when they are done. Called
// while the pool is busy, from within a part or from another goroutine, it
// does all parts itself. If a part panics, on any thread, Run panics with the
// same value after all threads have stopped; other parts may be left undone.
func (p *Pool) Run(parts int, task asm.Task) {
	p.mustBeOpen()
	t := p.threads
	if parts < 2 || len(t.lanes) == 1 || !t.busy.TryLock() {
		asm.Serial.Run(parts, task)
		return
	}
	t.run(parts, task)
	runtime.KeepAlive(p)
}

func (t *threads) run(parts int, task asm.Task) {
	// The caller's lane comes last: helpers start the sooner.
	for i := len(t.lanes) - 1; i >= 0; i-- {
		l, next, end := t.lanes[i], i*parts/len(t.lanes), (i+1)*parts/len(t.lanes)
		if next == end {
			continue
		}
		l.task = task
		l.parts.Store(uint64(end)<<32 | uint64(next))
		if l.asleep.Load() && l.asleep.CompareAndSwap(true, false) {
			l.wake <- struct{}{}
		}
	}
	var own int64
	returned := false
	defer func() {
		if !returned {
			own += t.drop()
		}
		failed := t.join(int64(parts) - own)
		if failed != nil && returned { // otherwise the caller's own panic goes on
			panic(*failed)
		}
	}()
	t.work(0, &own)
	returned = true
}

// join waits until the helpers have done their parts, given their number, and
// frees the pool. It returns what a part panicked with in a helper, or nil.
func (t *threads) join(parts int64) (failed *any) {
	t.helped += parts
	for looks := 1; !t.finished(); looks++ {
		if looks == poolLooks {
			t.waiting.Store(true)
			if !t.finished() || !t.waiting.CompareAndSwap(true, false) {
				<-t.left
			}
			looks = 0
		}
		wait(looks)
	}
	for _, l := range t.lanes {
		l.task = nil
	}
	if failed = t.failed.Load(); failed != nil {
		t.failed.Store(nil)
	}
	t.busy.Unlock()
	return failed
}

// finished reports whether the helpers have done all parts that Run left to them.
func (t *threads) finished() bool {
	var done int64
	for _, l := range t.lanes[1:] {
		done += l.done.Load()
	}
	return done == t.helped
}

// span is a task that splits the numbers 0..n-1 into runs of grain and calls fn
// for each run. Spans are reused, so that splitting allocates nothing.
type span[A any] struct {
	args     A
	fn       func(a *A, lo, hi int)
	n, grain int
}

func (s *span[A]) Do(part int) {
	lo := part * s.grain
	s.fn(&s.args, lo, min(lo+s.grain, s.n))
}

// spans holds the unused spans of one kind of operation.
type spans[A any] struct{ free sync.Pool }

func (ss *spans[A]) run(r *Pool, n, grain int, args A, fn func(a *A, lo, hi int)) {
	r.mustBeOpen()
	if n == 0 {
		return
	}
	s, _ := ss.free.Get().(*span[A])
	if s == nil {
		s = new(span[A])
	}
	s.args, s.fn, s.n, s.grain = args, fn, n, max(grain, 1)
	if parts := ceil.Div(n, s.grain); parts == 1 {
		fn(&s.args, 0, n)
	} else {
		r.Run(parts, s)
	}
	var none A
	s.args = none
	ss.free.Put(s)
}
