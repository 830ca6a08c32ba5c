// Package disttest has what tests of distributed programs need: ranks that are
// goroutines, and transports that fail.
package disttest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/marge-go/marge/nn/dist"
)

// Fault is what a transport does from a number of exchanges on.
type Fault int

// The faults.
const (
	None  Fault = iota
	Drop        // one message is lost
	Delay       // every exchange is late, by a hundredth of a second
	Cut         // nothing arrives any more, in either direction, and nobody is told
	Kill        // the rank leaves, as one whose process ends
	Short       // one message arrives without its last byte
)

func (f Fault) String() string {
	return [...]string{"none", "drop", "delay", "cut", "kill", "short"}[f]
}

// Harmful are the faults that end a training.
var Harmful = []Fault{Drop, Cut, Kill, Short}

const delay = time.Second / 100

// ErrKilled is the error of exchanges of a rank that Kill has made leave.
var ErrKilled = errors.New("this rank was killed")

// Faulty returns a transport that has a fault from exchange number after on,
// counted from 0.
func Faulty(t dist.Transport, f Fault, after int) dist.Transport {
	return &faulty{Transport: t, fault: f, after: after}
}

type faulty struct {
	dist.Transport
	fault       Fault
	after, made int
}

func (t *faulty) Exchange(ctx context.Context, to int, send []byte, from int, recv []byte) error {
	n := t.made
	t.made++
	if n < t.after {
		return t.Transport.Exchange(ctx, to, send, from, recv)
	}
	switch {
	case t.fault == Drop && len(send) > 0:
		t.fault = None
		if len(recv) == 0 {
			return nil
		}
		send = nil
	case t.fault == Delay:
		time.Sleep(delay)
	case t.fault == Cut:
		<-ctx.Done()
		return ctx.Err()
	case t.fault == Kill:
		return errors.Join(ErrKilled, t.Close())
	case t.fault == Short && len(send) > 1:
		t.fault = None
		send = send[:len(send)-1]
	}
	return t.Transport.Exchange(ctx, to, send, from, recv)
}

// Run runs a function on every rank of n in one process and returns their errors.
// wrap, if not nil, may replace the transport of a rank.
func Run(
	n int, o dist.Options, wrap func(dist.Transport) dist.Transport, fn func(g *dist.Group) error,
) []error {
	errs := make([]error, n)
	var running sync.WaitGroup
	for i, t := range dist.Local(n) {
		if wrap != nil {
			t = wrap(t)
		}
		running.Go(func() {
			g, err := dist.New(t, o)
			if err == nil {
				err = fn(g)
				err = errors.Join(err, g.Close())
			}
			errs[i] = err
		})
	}
	running.Wait()
	return errs
}

// FirstError returns the first of the errors of ranks, with its rank.
func FirstError(errs []error) error {
	for i, err := range errs {
		if err != nil {
			return fmt.Errorf("rank %d: %w", i, err)
		}
	}
	return nil
}
