package dist_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/marge-go/marge/nn/dist"
	"github.com/marge-go/marge/nn/dist/disttest"
)

// Parts are exchanged while the work that makes others goes on, in their order, when
// all ranks have them, however long that takes.
func TestOverlap(t *testing.T) {
	const parts, deadline = 5, time.Second / 2
	for size := 1; size <= 4; size++ {
		errs := disttest.Run(size, dist.Options{Deadline: deadline}, nil, func(g *dist.Group) error {
			var order []int
			first := make(chan struct{})
			made := make([][]float32, parts)
			err := g.Overlap(context.Background(), parts, func(ctx context.Context, ready func()) error {
				for i := range made {
					if i == parts-1 {
						<-first // the work does not end before a part has been exchanged
						if g.Rank() == size-1 {
							time.Sleep(3 * deadline / 2)
						}
					}
					made[i] = []float32{float32(i * (g.Rank() + 1))}
					ready()
				}
				return nil
			}, func(part int) error {
				if order = append(order, part); part == 0 {
					close(first)
				}
				return g.AllReduce(made[part])
			})
			if !slices.Equal(order, []int{0, 1, 2, 3, 4}) {
				t.Errorf("rank %d of %d: parts %v", g.Rank(), size, order)
			}
			for i, x := range made {
				if want := float32(i * size * (size + 1) / 2); x[0] != want {
					t.Errorf("rank %d of %d: part %d is %v, want %v", g.Rank(), size, i, x[0], want)
				}
			}
			return err
		})
		if err := disttest.FirstError(errs); err != nil {
			t.Error(err)
		}
	}
}

// A failure in the middle ends the work on all ranks, and nothing more is exchanged.
func TestOverlapFails(t *testing.T) {
	failure := errors.New("disk full")
	for _, size := range []int{2, 3} {
		for name, c := range map[string]struct {
			fn       func(rank int, ctx context.Context, ready func()) error
			transfer func(g *dist.Group, part int) error
			want     string
		}{
			"the work": {func(rank int, ctx context.Context, ready func()) error {
				ready()
				if rank == 1 {
					return failure
				}
				ready()
				ready()
				<-ctx.Done()
				return ctx.Err()
			}, nil, "rank 1: disk full"},
			"a part is forgotten": {func(rank int, ctx context.Context, ready func()) error {
				for range 3 - rank {
					ready()
				}
				return nil
			}, nil, "rank 1: dist: 2 of 3 parts were made ready"},
			"a transfer": {func(_ int, ctx context.Context, ready func()) error {
				ready()
				<-ctx.Done()
				return ctx.Err()
			}, func(*dist.Group, int) error { return failure }, "disk full"},
		} {
			errs := disttest.Run(size, dist.Options{}, nil, func(g *dist.Group) error {
				return g.Overlap(context.Background(), 3, func(ctx context.Context, ready func()) error {
					return c.fn(g.Rank(), ctx, ready)
				}, func(part int) error {
					if c.transfer != nil {
						return c.transfer(g, part)
					}
					if part == 2 {
						t.Errorf("%s: part 2 is exchanged", name)
					}
					return g.AllReduce([]float32{1})
				})
			})
			for rank, err := range errs {
				// Rank 2 and others see what the lowest rank that failed says.
				if err == nil || !strings.Contains(err.Error(), c.want) && name != "a part is forgotten" ||
					!strings.Contains(fmt.Sprint(errs), c.want) {
					t.Errorf("%s: rank %d of %d: error %v, want %s", name, rank, size, err, c.want)
				}
			}
		}
	}
}

// On a rank alone parts are exchanged at once.
func TestOverlapAlone(t *testing.T) {
	var g *dist.Group
	failure := errors.New("bad")
	n := 0
	err := g.Overlap(context.Background(), 2, func(_ context.Context, ready func()) error {
		ready()
		if n != 1 {
			t.Error("the part is not exchanged when it is ready")
		}
		ready()
		return nil
	}, func(part int) error {
		n++
		return failure
	})
	if err != failure || n != 1 {
		t.Errorf("%d parts, error %v", n, err)
	}
}
