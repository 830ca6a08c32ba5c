package tensor

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
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
