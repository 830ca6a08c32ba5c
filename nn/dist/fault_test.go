package dist_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/marge-go/marge/nn/dist"
	"github.com/marge-go/marge/nn/dist/disttest"
)

// ends are those of the parts of ten numbers, for up to four ranks.
var ends = []int{2, 4, 7, 10}

// work is a program of some collective operations.
func work(g *dist.Group) error {
	for i := range 10 {
		x := make([]float32, 100)
		if err := g.AllReduce(x); err != nil {
			return err
		}
		if _, err := g.AllGather([]byte(fmt.Sprint(i))); err != nil {
			return err
		}
		parts := make([]float32, 10)
		err := g.Overlap(context.Background(), 2, func(_ context.Context, ready func()) error {
			ready()
			ready()
			return nil
		}, func(int) error {
			if err := g.ReduceScatter(parts, ends[len(ends)-g.Size():]); err != nil {
				return err
			}
			return g.AllGatherParts(parts, ends[len(ends)-g.Size():])
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Whatever happens to a rank, all end with an error, and some name it.
func TestFaults(t *testing.T) {
	for _, size := range []int{2, 3, 4} {
		for _, f := range disttest.Harmful {
			for _, after := range []int{0, 1, 7, 20} {
				t.Run(fmt.Sprintf("%v after %d exchanges of a rank of %d", f, after, size), func(t *testing.T) {
					t.Parallel()
					testFault(t, f, after, size, after%size)
				})
			}
		}
	}
}

func testFault(t *testing.T, f disttest.Fault, after, size, bad int) {
	errs := disttest.Run(size, dist.Options{Deadline: time.Second / 2}, func(t dist.Transport) dist.Transport {
		if t.Rank() == bad {
			return disttest.Faulty(t, f, after)
		}
		return t
	}, work)
	named := false
	for rank, err := range errs {
		if err == nil {
			t.Errorf("rank %d has no error", rank)
			continue
		}
		named = named || rank != bad && strings.Contains(err.Error(), fmt.Sprintf("rank %d", bad))
	}
	if !named {
		t.Errorf("no other rank names rank %d: %v", bad, errs)
	}
}

// A slow rank is no fault.
func TestDelay(t *testing.T) {
	errs := disttest.Run(3, dist.Options{Deadline: 10 * time.Second}, func(t dist.Transport) dist.Transport {
		if t.Rank() == 1 {
			return disttest.Faulty(t, disttest.Delay, 5)
		}
		return t
	}, work)
	if err := disttest.FirstError(errs); err != nil {
		t.Error(err)
	}
}

// After an error a group does no more, and tells the same.
func TestBroken(t *testing.T) {
	var silent *dist.SilentError
	errs := disttest.Run(2, dist.Options{Deadline: time.Second / 20}, nil, func(g *dist.Group) error {
		if g.Rank() == 1 {
			time.Sleep(time.Second / 5)
			return nil
		}
		first := g.AllReduce(make([]float32, 2))
		if again := g.Broadcast(0, make([]byte, 2)); again != first {
			t.Errorf("first %v, then %v", first, again)
		}
		return first
	})
	if !errors.As(errs[0], &silent) || silent.Rank != 0 || silent.Silent != 1 || errs[1] != nil {
		t.Errorf("errors %v", errs)
	}
	if want := "rank 0 has heard nothing from rank 1 for 50ms"; !strings.Contains(errs[0].Error(), want) {
		t.Errorf("error %q, want %q in it", errs[0], want)
	}
}

// Work may take much longer than the deadline, on any rank.
func TestTogetherOutlastsTheDeadline(t *testing.T) {
	const deadline = time.Second
	for _, size := range []int{2, 3} {
		var done atomic.Int32
		errs := disttest.Run(size, dist.Options{Deadline: deadline}, nil, func(g *dist.Group) error {
			err := g.Together(context.Background(), func(context.Context) error {
				if g.Rank() == size-1 {
					time.Sleep(3 * deadline / 2)
				}
				done.Add(1)
				return nil
			})
			if n := done.Load(); int(n) != size {
				t.Errorf("rank %d of %d goes on when %d have finished", g.Rank(), size, n)
			}
			return err
		})
		if err := disttest.FirstError(errs); err != nil {
			t.Error(err)
		}
	}
}

// The failure of one rank stops the work of the others, and is the error of all.
func TestTogetherFails(t *testing.T) {
	failure := errors.New("disk full")
	for _, size := range []int{1, 2, 3, 4} {
		bad := size - 1
		errs := disttest.Run(size, dist.Options{Deadline: time.Second}, nil, func(g *dist.Group) error {
			err := g.Together(context.Background(), func(ctx context.Context) error {
				if g.Rank() == bad {
					return failure
				}
				<-ctx.Done()
				return fmt.Errorf("stopped: %w", ctx.Err())
			})
			if errors.Is(err, failure) != (g.Rank() == bad) {
				t.Errorf("rank %d of %d: error %v", g.Rank(), size, err)
			}
			if again := g.Together(context.Background(), func(context.Context) error { return nil }); again != nil {
				t.Errorf("the group is of no more use: %v", again)
			}
			return err
		})
		for rank, err := range errs {
			var of *dist.RankError
			if size > 1 && (!errors.As(err, &of) || of.Rank != bad) || !strings.Contains(fmt.Sprint(err), "disk full") ||
				errors.Is(err, context.Canceled) {
				t.Errorf("rank %d of %d: error %v", rank, size, err)
			}
		}
	}
}

// A context that is cancelled on one rank is cancelled on all.
func TestTogetherCancelled(t *testing.T) {
	for _, cause := range []error{context.Canceled, context.DeadlineExceeded} {
		errs := disttest.Run(3, dist.Options{}, nil, func(g *dist.Group) error {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			if g.Rank() == 1 {
				cancel()
				if cause == context.DeadlineExceeded {
					ctx, cancel = context.WithTimeout(context.Background(), 0)
					defer cancel()
				}
			}
			return g.Together(ctx, func(ctx context.Context) error { return ctx.Err() })
		})
		for rank, err := range errs {
			if !errors.Is(err, cause) || !strings.HasPrefix(err.Error(), "rank 1: ") {
				t.Errorf("rank %d: error %v, want %v", rank, err, cause)
			}
		}
	}
}

func TestTogetherPanic(t *testing.T) {
	errs := disttest.Run(2, dist.Options{}, nil, func(g *dist.Group) (err error) {
		defer func() {
			if v := recover(); v != nil {
				err = fmt.Errorf("recovered %v", v)
			}
		}()
		return g.Together(context.Background(), func(ctx context.Context) error {
			if g.Rank() == 1 {
				panic("out of memory")
			}
			return nil
		})
	})
	if fmt.Sprint(errs) != "[rank 1: a panic recovered out of memory]" {
		t.Errorf("errors %v", errs)
	}
}

func TestLead(t *testing.T) {
	var leads atomic.Int32
	errs := disttest.Run(4, dist.Options{}, nil, func(g *dist.Group) error {
		return g.Lead(context.Background(), func(context.Context) error {
			leads.Add(int32(1 + g.Rank()))
			return errors.New("bad")
		})
	})
	if leads.Load() != 1 || slices.ContainsFunc(errs, func(err error) bool { return fmt.Sprint(err) != "rank 0: bad" }) {
		t.Errorf("led %d times, errors %v", leads.Load(), errs)
	}
}

// A transport that is closed, and messages of another length, are errors.
func TestLocal(t *testing.T) {
	ctx := context.Background()
	ranks := dist.Local(2)
	if err := ranks[0].Exchange(ctx, 1, []byte("abc"), 0, nil); err != nil {
		t.Fatal(err)
	}
	ranks[0].Close()
	ranks[0].Close()
	got := make([]byte, 3)
	if err := ranks[1].Exchange(ctx, 0, nil, 0, got); err != nil || string(got) != "abc" {
		t.Errorf("%q, error %v: what was sent before the rank left", got, err)
	}
	for _, c := range []struct {
		rank       int
		send, recv []byte
		want       string
	}{{1, nil, got, "it has left"}, {0, got, nil, "the transport is closed"}} {
		if err := ranks[c.rank].Exchange(ctx, 1-c.rank, c.send, 1-c.rank, c.recv); err == nil || err.Error() != c.want {
			t.Errorf("error %v, want %s", err, c.want)
		}
	}
	ranks = dist.Local(2)
	if err := ranks[0].Exchange(ctx, 1, []byte("abcd"), 0, nil); err != nil {
		t.Fatal(err)
	}
	want := "a message of 4 bytes where 3 are expected: the ranks do not do the same"
	if err := ranks[1].Exchange(ctx, 0, nil, 0, got); err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

// Nothing is left behind by what ends, however it ends.
func TestMain(m *testing.M) { dist.MainWithoutLeaks(m) }
