// Package dist lets several processes, ranks, train one model: it adds up what
// they have computed, so that the sum has the same bits for any number of ranks.
//
// A [Transport] moves bytes between ranks: [Local] between goroutines, package
// nn/dist/mpi between machines. A [Group] is what all ranks do together on top
// of one. All sums are made here, in the order that [Group.AllReduce] states, so
// that results depend neither on the transport nor on the order in which
// messages arrive.
//
// Every rank calls the same methods of its group in the same order. A rank that
// is silent for longer than the group's deadline is an error on those that wait
// for it, which names it. After an error of the transport a group is of no more
// use: MPI fails as a whole, and a training goes on from its last checkpoint.
package dist

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/bits"
	"time"
)

// Transport moves bytes between the ranks of a group. One goroutine at a time
// uses it.
type Transport interface {
	Rank() int // from 0
	Size() int // number of ranks
	// Exchange sends bytes to a rank and receives bytes from one at the same time;
	// with nothing to send or nothing to receive it does the other alone. It
	// returns when recv is full and send may be changed. A message of another size
	// than recv has is an error. When the context ends, so does Exchange, with an
	// error that wraps the context's; the transport is then of no more use.
	Exchange(ctx context.Context, to int, send []byte, from int, recv []byte) error
	// Close ends the part of this rank.
	Close() error
}

// DefaultDeadline is how long a rank may be silent unless Options say otherwise.
const DefaultDeadline = time.Minute

// Options are the settings of a group. The zero value of a field stands for the
// default that its comment gives.
type Options struct {
	// Deadline is how long a rank may be silent (DefaultDeadline). In
	// [Group.Together] ranks hear from each other however long they work.
	Deadline time.Duration
}

// Group is the ranks that work together. A nil Group is one rank alone: nothing
// is exchanged.
type Group struct {
	transport Transport
	deadline  time.Duration
	chunk     int    // bytes of a message at most
	buffer    []byte // for what is received
	short     []bfloat16
	broken    error // the first error of the transport
}

// chunkBytes is 4 MiB: large enough that latencies do not count, small enough
// that the sum of one message is in the cache while the next is on its way.
const chunkBytes = 4 << 20

// New returns the group of the ranks of a transport.
func New(t Transport, o Options) (*Group, error) {
	if o.Deadline < 0 {
		return nil, fmt.Errorf("dist: deadline of %v", o.Deadline)
	}
	if t.Size() < 1 || t.Rank() < 0 || t.Rank() >= t.Size() {
		return nil, fmt.Errorf("dist: rank %d of %d", t.Rank(), t.Size())
	}
	return &Group{transport: t, deadline: cmp.Or(o.Deadline, DefaultDeadline), chunk: chunkBytes}, nil
}

// Rank returns the number of this rank, from 0.
func (g *Group) Rank() int {
	if g == nil {
		return 0
	}
	return g.transport.Rank()
}

// Size returns the number of ranks.
func (g *Group) Size() int {
	if g == nil {
		return 1
	}
	return g.transport.Size()
}

// Err returns the error of the transport after which the group is of no more use,
// or nil.
func (g *Group) Err() error {
	if g == nil {
		return nil
	}
	return g.broken
}

// Close closes the transport.
func (g *Group) Close() error {
	if g == nil {
		return nil
	}
	return g.transport.Close()
}

// Share returns which of the summands 0 ... summands-1 of a sum this rank makes:
// those from first on, before end. Their number must be a multiple of the size of
// the group by a power of two; else the sum would depend on the number of ranks.
// A group of one makes any number.
func (g *Group) Share(summands int) (first, end int, err error) {
	size := g.Size()
	each := summands / size
	if size > 1 && (each < 1 || summands%size != 0 || bits.OnesCount(uint(each)) != 1) {
		return 0, 0, fmt.Errorf("dist: %d summands on %d ranks: want a multiple of the ranks by 1, 2, 4 or another "+
			"power of two", summands, size)
	}
	return g.Rank() * each, (g.Rank() + 1) * each, nil
}

// SilentError tells that a rank has not been heard of for the group's deadline.
type SilentError struct {
	Rank     int // that has waited
	Silent   int
	Deadline time.Duration
}

func (e *SilentError) Error() string {
	return fmt.Sprintf("dist: rank %d has heard nothing from rank %d for %v", e.Rank, e.Silent, e.Deadline)
}

// exchange is that of the transport, with one rank and with the deadline.
func (g *Group) exchange(peer int, send, recv []byte) error {
	if g.broken != nil {
		return g.broken
	}
	if len(send) == 0 && len(recv) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), g.deadline)
	defer cancel()
	err := g.transport.Exchange(ctx, peer, send, peer, recv)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.DeadlineExceeded):
		g.broken = &SilentError{Rank: g.Rank(), Silent: peer, Deadline: g.deadline}
	default:
		g.broken = fmt.Errorf("dist: rank %d with rank %d: %w", g.Rank(), peer, err)
	}
	return g.broken
}
