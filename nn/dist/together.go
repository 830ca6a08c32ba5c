package dist

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// RankError is what one rank failed with, as all ranks see it.
type RankError struct {
	Rank int
	Err  error // on that rank its error, on others its text
}

func (e *RankError) Error() string { return fmt.Sprintf("rank %d: %v", e.Rank, e.Err) }
func (e *RankError) Unwrap() error { return e.Err }

// Together runs fn on every rank, however long it takes: ranks that have finished
// wait for the others and hear from them several times in a deadline. It returns
// nil on all ranks if no fn failed. Else it returns on all ranks what the lowest
// of those failed with, a *RankError; the context that fn of the others got was
// cancelled in the meantime. That a context was cancelled or its deadline exceeded
// is seen by errors.Is on every rank.
//
// fn must not use the group. A panic of fn is a failure on the other ranks.
func (g *Group) Together(ctx context.Context, fn func(ctx context.Context) error) error {
	if g.Size() == 1 {
		return fn(ctx)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	own, outcome := make(chan error, 1), make(chan error, 1)
	go func() { outcome <- g.agree(own, func() { cancel(errOther) }) }()
	finished := false
	defer func() {
		if !finished {
			own <- errors.New("a panic")
			<-outcome
		}
	}()
	err := fn(ctx)
	finished = true
	if err != nil && context.Cause(ctx) == errOther && errors.Is(err, context.Canceled) {
		err = errOther
	}
	own <- err
	return <-outcome
}

// errOther is the cause of the cancellation of a rank's work by the failure of
// another.
var errOther = errors.New("another rank has failed")

// beats is how often ranks hear from each other in a deadline.
const beats = 4

// agree tells the other ranks that this one works until it has its error, or nil,
// from own, and returns what all agree on. It calls stop when one has failed.
func (g *Group) agree(own <-chan error, stop func()) error {
	var err error
	working, failed := int64(1), int64(0)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if working == 1 {
			timer.Reset(g.deadline / beats)
			select {
			case err = <-own:
				working = 0
				if err != nil {
					failed = 1
				}
			case <-timer.C:
			}
		}
		// Who has finished waits here for the others, at most until their next beat.
		counts := []int64{working, failed}
		if broken := g.AllReduceInt64(counts); broken != nil {
			stop()
			return broken
		}
		if counts[1] > 0 {
			stop()
		}
		if counts[0] == 0 {
			if counts[1] == 0 {
				return nil
			}
			return g.firstError(err)
		}
	}
}

// What a rank tells of its error, before the text.
const (
	noError = iota
	plainError
	canceledError
	deadlineError
	otherError // another rank has failed
)

// maxText bounds what a rank tells of its error.
const maxText = 1 << 14

// firstError returns the error of the lowest rank that has one of its own.
func (g *Group) firstError(own error) error {
	var mine []byte
	switch {
	case own == nil:
		mine = []byte{noError}
	case own == errOther:
		mine = []byte{otherError}
	default:
		kind := byte(plainError)
		if errors.Is(own, context.Canceled) {
			kind = canceledError
		} else if errors.Is(own, context.DeadlineExceeded) {
			kind = deadlineError
		}
		text := own.Error()
		mine = append([]byte{kind}, text[:min(len(text), maxText)]...)
	}
	all, err := g.AllGather(mine)
	if err != nil {
		return err
	}
	for rank, told := range all {
		if len(told) == 0 || told[0] == noError || told[0] == otherError {
			continue
		}
		if rank == g.Rank() {
			return &RankError{rank, own}
		}
		return &RankError{rank, &remoteError{told[0], string(told[1:])}}
	}
	return errOther // a rank's context was cancelled though none has failed
}

// remoteError is the error of another rank.
type remoteError struct {
	kind byte
	text string
}

func (e *remoteError) Error() string { return e.text }

func (e *remoteError) Is(target error) bool {
	return e.kind == canceledError && target == context.Canceled ||
		e.kind == deadlineError && target == context.DeadlineExceeded
}

// Lead runs fn on rank 0 while the others wait, as Together does.
func (g *Group) Lead(ctx context.Context, fn func(ctx context.Context) error) error {
	return g.Together(ctx, func(ctx context.Context) error {
		if g.Rank() > 0 {
			return nil
		}
		return fn(ctx)
	})
}
