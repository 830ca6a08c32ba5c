package dist

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Local returns the transports of n ranks in one process, for tests and for
// several models in one program. Each is used by a goroutine of its own.
func Local(n int) []Transport {
	w := &localWorld{}
	ranks := make([]Transport, n)
	for i := range ranks {
		var from []chan []byte
		for range n {
			from = append(from, make(chan []byte, 1))
		}
		w.inboxes = append(w.inboxes, from)
		w.closed = append(w.closed, make(chan struct{}))
		ranks[i] = &local{world: w, rank: i}
	}
	return ranks
}

// localWorld is what the ranks of a process share.
type localWorld struct {
	inboxes [][]chan []byte // of each rank, by sender
	closed  []chan struct{} // of each rank
}

type local struct {
	world *localWorld
	rank  int
	once  sync.Once
}

func (l *local) Rank() int { return l.rank }
func (l *local) Size() int { return len(l.world.closed) }

func (l *local) Close() error {
	l.once.Do(func() { close(l.world.closed[l.rank]) })
	return nil
}

var errLeft = errors.New("it has left")

func (l *local) Exchange(ctx context.Context, to int, send []byte, from int, recv []byte) error {
	w := l.world
	select {
	case <-w.closed[l.rank]:
		return errors.New("the transport is closed")
	default:
	}
	var out, in chan []byte
	var outClosed, inClosed <-chan struct{}
	var message []byte
	if len(send) > 0 {
		out, outClosed, message = w.inboxes[to][l.rank], w.closed[to], slices.Clone(send)
	}
	if len(recv) > 0 {
		in, inClosed = w.inboxes[l.rank][from], w.closed[from]
	}
	for out != nil || in != nil {
		select {
		case out <- message:
			out, outClosed = nil, nil
		case got := <-in:
			if err := take(recv, got); err != nil {
				return err
			}
			in, inClosed = nil, nil
		case <-outClosed:
			return errLeft
		case <-inClosed:
			// It may have sent before it left.
			select {
			case got := <-in:
				if err := take(recv, got); err != nil {
					return err
				}
				in, inClosed = nil, nil
			default:
				return errLeft
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// take copies a message.
func take(recv, got []byte) error {
	if len(got) != len(recv) {
		return fmt.Errorf("a message of %d bytes where %d are expected: the ranks do not do the same", len(got), len(recv))
	}
	copy(recv, got)
	return nil
}
