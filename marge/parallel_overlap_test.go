package marge

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/marge-go/marge/marge/checkpoint"
	"github.com/marge-go/marge/nn/dist"
	"github.com/marge-go/marge/nn/dist/disttest"
	"github.com/marge-go/marge/tensor"
)

// largeMessages counts messages that only gradients and parameters have.
type largeMessages struct {
	dist.Transport
	count *atomic.Int64
}

func (l *largeMessages) Exchange(ctx context.Context, to int, send []byte, from int, recv []byte) error {
	err := l.Transport.Exchange(ctx, to, send, from, recv)
	if len(send) >= blockValues {
		l.count.Add(1)
	}
	return err
}

// watchedBackward is an objective that calls functions before Backward begins, and when
// it is all but over.
type watchedBackward struct {
	objective
	m          *Model
	begin, end func()
}

func (o *watchedBackward) loss(tp *tensor.Tape, b *Batch) batchLoss {
	// Backward comes to the first operation last.
	first := tp.Apply(func(tp *tensor.Tape, in []*tensor.Tensor) (*tensor.Tensor, func(*tensor.Tensor) []*tensor.Tensor) {
		return tp.Scale(0, in[0]), func(*tensor.Tensor) []*tensor.Tensor {
			o.end()
			return []*tensor.Tensor{nil}
		}
	}, o.m.beta)
	out := o.objective.loss(tp, b)
	o.begin()
	out.sum = tp.Add(out.sum, first)
	return out
}

// Gradients are exchanged while Backward makes others, and that changes no bit.
func TestGradientsAreExchangedDuringBackward(t *testing.T) {
	tok, store := testCorpus(t)
	o := parallelOptions("")
	o.Steps, o.Replicas = 4, 2
	run := func(g *dist.Group, bucketValues int, begin, end func()) ([]byte, error) {
		m, err := New(testConfig(1))
		if err != nil {
			return nil, err
		}
		m.Tokenizer = tok
		own := o
		own.Group = g
		l, _, err := newPretraining(m, store, own)
		if err != nil {
			return nil, err
		}
		if l.ranks != nil {
			l.ranks.setBuckets(bucketValues)
		}
		l.phases[1].objective = &watchedBackward{l.phases[1].objective, m, begin, end}
		err = l.run(context.Background())
		return weights(m), err
	}
	want, err := run(nil, 0, func() {}, func() {})
	if err != nil {
		t.Fatal(err)
	}
	for _, small := range []bool{true, false} {
		var sent [2]atomic.Int64 // of each rank
		values := bucketValues
		if small {
			values = blockValues
		}
		wrap := func(t dist.Transport) dist.Transport { return &largeMessages{t, &sent[t.Rank()]} }
		errs := disttest.Run(2, dist.Options{}, wrap, func(g *dist.Group) error {
			count, before := &sent[g.Rank()], int64(0)
			got, err := run(g, values, func() { before = count.Load() }, func() {
				for began := time.Now(); small && count.Load() == before; time.Sleep(time.Millisecond) {
					if time.Since(began) > 20*time.Second {
						t.Errorf("rank %d: nothing is exchanged until Backward is over", g.Rank())
						return
					}
				}
				// A bucket of everything has embeddings, which are complete at the end.
				if !small && count.Load() != before {
					t.Errorf("rank %d: gradients are exchanged that are not complete", g.Rank())
				}
			})
			if err == nil && !bytes.Equal(got, want) {
				t.Errorf("rank %d: buckets of %d values make other parameters", g.Rank(), values)
			}
			return err
		})
		if err := disttest.FirstError(errs); err != nil {
			t.Error(err)
		}
	}
}

// An update that is cancelled while gradients are exchanged is not made, and leaves a
// checkpoint.
func TestCancelDuringBackward(t *testing.T) {
	tok, store := testCorpus(t)
	o := parallelOptions(t.TempDir())
	o.Steps, o.Replicas = 6, 2
	run := func(g *dist.Group, dir string, ctx context.Context, begin func(*loop)) (*loop, error) {
		m, err := New(testConfig(1))
		if err != nil {
			return nil, err
		}
		m.Tokenizer = tok
		own := o
		own.Group, own.Dir, own.Resume = g, dir, true
		l, _, err := newPretraining(m, store, own)
		if err != nil {
			return nil, err
		}
		l.ranks.setBuckets(blockValues)
		l.phases[1].objective = &watchedBackward{l.phases[1].objective, m, func() { begin(l) }, func() {}}
		release, err := l.open(ctx)
		if err != nil {
			return nil, err
		}
		defer release()
		return l, l.run(ctx)
	}
	train := func(dir string, cancelAt int) []byte {
		var result []byte
		errs := disttest.Run(2, dist.Options{Deadline: 20 * time.Second}, nil, func(g *dist.Group) error {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			l, err := run(g, dir, ctx, func(l *loop) {
				if l.step == cancelAt && g.Rank() == 1 {
					cancel()
				}
			})
			if cancelAt >= 0 {
				if !errors.Is(err, context.Canceled) || l.step != cancelAt {
					t.Errorf("rank %d: %d steps, error %v", g.Rank(), l.step, err)
				}
				return nil
			}
			if g.Rank() == 0 && err == nil {
				result = weights(l.m)
			}
			return err
		})
		if err := disttest.FirstError(errs); err != nil {
			t.Fatal(err)
		}
		return result
	}
	want := train(t.TempDir(), -1)
	train(o.Dir, 3)
	if _, step, err := checkpoint.Latest(o.Dir, nil); err != nil || step != 3 {
		t.Errorf("checkpoint of step %d, error %v", step, err)
	}
	if !bytes.Equal(train(o.Dir, -1), want) {
		t.Error("resumed: another result")
	}
}
