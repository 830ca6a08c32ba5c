package tensor

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/marge-go/marge/asm"
)

// counted counts how often each part is done.
type counted struct {
	times []atomic.Int32
	delay func(part int)
}

func (c *counted) Do(part int) {
	if c.delay != nil {
		c.delay(part)
	}
	c.times[part].Add(1)
}

func (c *counted) check(t *testing.T) {
	t.Helper()
	for part := range c.times {
		if n := c.times[part].Load(); n != 1 {
			t.Errorf("part %d of %d was done %d times", part, len(c.times), n)
		}
	}
}

// Every part is done once before Run returns: whatever their number, whichever
// take longer, with helpers awake or asleep.
func TestPoolDoesEveryPartOnce(t *testing.T) {
	for _, threads := range []int{1, 2, 3, 8} {
		p := NewPool(threads)
		for round := range 300 {
			for _, parts := range []int{0, 1, 2, 3, 7, 8, 9, 64} {
				c := &counted{times: make([]atomic.Int32, parts)}
				switch round {
				case 10: // helpers take what is left in the lane of the caller
					c.delay = func(part int) {
						if part == 0 {
							time.Sleep(2 * time.Millisecond)
						}
					}
				case 20: // the caller takes what is left in the lanes of helpers, then sleeps until they are done
					c.delay = func(part int) {
						if part >= parts/2 {
							time.Sleep(time.Millisecond)
						}
					}
				case 30: // helpers sleep
					time.Sleep(2 * time.Millisecond)
				}
				p.Run(parts, c)
				c.check(t)
			}
		}
		p.Close()
	}
}

// nested runs a task of the same pool in each of its parts.
type nested struct {
	pool  *Pool
	inner []counted
}

func (n *nested) Do(part int) { n.pool.Run(len(n.inner[part].times), &n.inner[part]) }

func TestPoolNestedAndShared(t *testing.T) {
	p := NewPool(3)
	defer p.Close()
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for range 200 {
				n := &nested{pool: p, inner: make([]counted, 5)}
				for i := range n.inner {
					n.inner[i].times = make([]atomic.Int32, 6)
				}
				p.Run(len(n.inner), n)
				for i := range n.inner {
					n.inner[i].check(t)
				}
			}
		})
	}
	callers.Wait()
}

// panicOf returns what f panics with.
func panicOf(f func()) (v any) {
	defer func() { v = recover() }()
	f()
	return nil
}

// mustPanic fails unless f panics with a string that contains want.
func mustPanic(t *testing.T, want string, f func()) {
	t.Helper()
	if got, _ := panicOf(f).(string); !strings.Contains(got, want) {
		t.Errorf("panic %q, want %q in it", got, want)
	}
}

// taskFunc is a function as a task.
type taskFunc func(part int)

func (f taskFunc) Do(part int) { f(part) }

// A panic in a part, on the caller's thread or a helper's, reaches the caller of
// Run, and the pool goes on.
func TestPoolPanic(t *testing.T) {
	for _, threads := range []int{1, 2, 3} {
		p := NewPool(threads)
		for _, parts := range []int{1, 2, 3, 9} {
			for bad := range parts {
				want := fmt.Sprintf("part %d of %d", bad, parts)
				var running atomic.Int32
				got := panicOf(func() {
					p.Run(parts, taskFunc(func(part int) {
						running.Add(1)
						defer running.Add(-1)
						if part == bad {
							panic(want)
						}
						time.Sleep(100 * time.Microsecond)
					}))
				})
				if got != want {
					t.Errorf("%d threads, %s: Run panicked with %v", threads, want, got)
				}
				if n := running.Load(); n != 0 {
					t.Errorf("%d threads, %s: %d parts still run", threads, want, n)
				}
				if !p.threads.busy.TryLock() {
					t.Fatalf("%d threads, %s: the pool stays busy", threads, want)
				}
				p.threads.busy.Unlock()
				c := &counted{times: make([]atomic.Int32, 8)}
				p.Run(8, c)
				c.check(t)
			}
		}
		p.Close()
	}
}

// All parts panic: one value reaches the caller.
func TestPoolPanicOfAllParts(t *testing.T) {
	p := NewPool(3)
	defer p.Close()
	for range 100 {
		mustPanic(t, "part", func() { p.Run(6, taskFunc(func(int) { panic("part") })) })
	}
	c := &counted{times: make([]atomic.Int32, 8)}
	p.Run(8, c)
	c.check(t)
}

// labelled returns the number of goroutines that bear the label, in
// [runtime/pprof]'s sense, of what was started under it. Those that pools of other
// tests leave behind for a moment do not count.
func labelled(t *testing.T, label string) int {
	var profile bytes.Buffer
	if err := pprof.Lookup("goroutine").WriteTo(&profile, 1); err != nil {
		t.Fatal(err)
	}
	n, alike := 0, 0
	for line := range strings.Lines(profile.String()) {
		if k, _, ok := strings.Cut(line, " @ "); ok { // so many goroutines stand at one place
			alike, _ = strconv.Atoi(k)
		}
		if strings.HasPrefix(line, "# labels:") && strings.Contains(line, strconv.Quote(label)) {
			n += alike
		}
	}
	return n
}

// lingering waits for at most a second until no goroutine bears the label, and returns
// how many do.
func lingering(t *testing.T, label string) int {
	for range 500 {
		if labelled(t, label) == 0 {
			break
		}
		runtime.GC()
		time.Sleep(2 * time.Millisecond)
	}
	return labelled(t, label)
}

func TestPoolThreadsEnd(t *testing.T) {
	under := func(label string, f func()) {
		pprof.Do(t.Context(), pprof.Labels("test", label), func(context.Context) { f() })
	}
	var p *Pool
	under("open", func() { p = NewPool(5) })
	if n := labelled(t, "open"); n != 4 {
		t.Errorf("a pool of 5 has %d goroutines of its own", n)
	}
	p.Close()
	p.Close()
	if n := lingering(t, "open"); n != 0 {
		t.Errorf("Close left %d goroutines", n)
	}
	under("unreachable", func() {
		for range 10 {
			c := NewCPU(4)
			x := FromSlice(c, make([]float32, 1<<16), 1<<16)
			c.Fill(x, 1)
		}
	})
	if n := lingering(t, "unreachable"); n != 0 {
		t.Errorf("10 backends that nobody holds left %d goroutines", n)
	}
}

func TestUseAfterClose(t *testing.T) {
	c := NewCPU(2)
	x, w := New(c, Float32, 2, 2), New(c, Float32, 2, 2)
	for range 2 {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	const want = "used after Close"
	mustPanic(t, want, func() { c.NewStorage(Float32, 1) })
	mustPanic(t, want, func() { x.SetFloat32s(make([]float32, 4)) })
	mustPanic(t, want, func() { x.CopyTo(make([]float32, 4)) })
	mustPanic(t, want, func() { c.Fill(x, 0) })
	mustPanic(t, want, func() { c.Gemm(x, x, w, GemmOptions{Alpha: 1}) })
	mustPanic(t, want, func() { c.Runner().Run(1, taskFunc(func(int) {})) })
	mustPanic(t, want, func() { c.SumSquares(x) })
}

// Tasks come by the thousand in a training step: handing one out allocates
// nothing, on any thread.
func TestRunAllocatesNothing(t *testing.T) {
	p := NewPool(2)
	defer p.Close()
	task := taskFunc(func(int) { // long enough for the helper to begin
		for range 1000 {
			asm.Pause()
		}
	})
	var before, after runtime.MemStats
	p.Run(2, task)
	runtime.ReadMemStats(&before)
	const runs = 1000
	for range runs {
		p.Run(2, task)
	}
	runtime.ReadMemStats(&after)
	if n := after.Mallocs - before.Mallocs; n > runs/10 {
		t.Errorf("%d allocations for %d tasks", n, runs)
	}
}
