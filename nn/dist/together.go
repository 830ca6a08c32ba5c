package dist

import (
	"cmp"
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
	return g.Overlap(ctx, 0, func(ctx context.Context, _ func()) error { return fn(ctx) }, nil)
}

// Overlap does what Together does, and meanwhile lets the ranks exchange what fn has
// made, in a number of parts, the same on all ranks. fn calls ready when the next
// part is ready on its rank. As soon as it is on all, transfer is called with the
// number of the part on each rank, on a goroutine of its own; it may use the
// group, which fn must not. Parts are transferred one after the other. After a
// failure no more are, and an error of transfer is one of the group.
//
// fn may return before the parts are transferred, but not before all are ready.
func (g *Group) Overlap(
	ctx context.Context, parts int, fn func(ctx context.Context, ready func()) error, transfer func(part int) error,
) error {
	if g.Size() == 1 {
		var failed error
		done := 0
		err := fn(ctx, func() {
			if failed == nil {
				failed = transfer(done)
			}
			done++
		})
		return cmp.Or(err, failed)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	w := &work{
		g: g, parts: parts, transfer: transfer, own: make(chan error, 1), made: make(chan struct{}, parts),
		stop: func() { cancel(errOther) },
	}
	outcome := make(chan error, 1)
	go func() { outcome <- w.agree() }()
	finished := false
	defer func() {
		if !finished {
			w.own <- errors.New("a panic")
			<-outcome
		}
	}()
	err := fn(ctx, func() { w.made <- struct{}{} })
	finished = true
	if err != nil && context.Cause(ctx) == errOther && errors.Is(err, context.Canceled) {
		err = errOther
	}
	w.own <- err
	return <-outcome
}

// errOther is the cause of the cancellation of a rank's work by the failure of
// another.
var errOther = errors.New("another rank has failed")

// beats is how often ranks hear from each other in a deadline.
const beats = 4

// work is what a rank does in Overlap.
type work struct {
	g        *Group
	parts    int
	transfer func(part int) error
	own      chan error    // how fn has ended
	made     chan struct{} // has one for each part that fn has made ready
	stop     func()

	err            error // of fn
	ready, done    int   // parts: made ready here, transferred
	ended, failing bool  // fn has ended; a rank has failed
}

// wait waits until fn has ended or made a part that is to be transferred, or until it
// is time to be heard of.
func (w *work) wait(timer *time.Timer) {
	made := w.made
	if w.failing {
		made = nil
	} else if w.ready > w.done {
		timer.Reset(0)
	}
	select {
	case w.err = <-w.own:
		w.ended = true
		w.ready += len(w.made)
		if w.err == nil && w.ready < w.parts {
			w.err = fmt.Errorf("dist: %d of %d parts were made ready", w.ready, w.parts)
		}
	case <-made:
		w.ready++
	case <-timer.C:
	}
}

// agree tells the other ranks how far this one is, transfers what all have ready, and
// returns what all agree on. It calls stop when one has failed.
func (w *work) agree() error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(w.g.deadline / beats)
		if !w.ended {
			w.wait(timer)
		}
		// Who is ahead waits here for the others, at most until their next beat.
		counts := []int64{count(!w.ended), count(w.err != nil), count(w.ready == w.done)}
		if broken := w.g.AllReduceInt64(counts); broken != nil {
			w.stop()
			return broken
		}
		working, failed, lacking := counts[0], counts[1], counts[2]
		switch {
		case failed > 0:
			w.failing = true
			w.stop()
			if working == 0 {
				return w.g.firstError(w.err)
			}
		case w.done < w.parts && lacking == 0:
			if err := w.transfer(w.done); err != nil {
				w.stop()
				return err
			}
			w.done++
		case w.done == w.parts && working == 0:
			return nil
		}
	}
}

// count is 1 for true.
func count(b bool) int64 {
	if b {
		return 1
	}
	return 0
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
