package marge

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/marge-go/marge/nn/dist"
	"github.com/marge-go/marge/nn/dist/disttest"
	"github.com/marge-go/marge/tensor"
)

// countingCPU counts the bytes of all tensors.
type countingCPU struct {
	*tensor.CPU
	bytes atomic.Int64
}

func (c *countingCPU) NewStorage(dt tensor.DType, n int) *tensor.Storage {
	c.bytes.Add(int64(n) * int64(dt.Size()))
	return c.CPU.NewStorage(dt, n)
}

// What MemoryOf says is what updates take.
func TestMemoryOf(t *testing.T) {
	c := testConfig(1)
	c.DModel, c.EncoderFFNDim, c.DecoderFFNDim = 128, 512, 512 // parameters of several blocks
	for _, s := range []TrainingSize{
		{Documents: 2, Tokens: 30},
		{Documents: 2, Tokens: 30, Ranks: 1, Replicas: 3, Accumulate: 2},
		{Documents: 2, Tokens: 30, Ranks: 2, Replicas: 2},
		{Documents: 1, Tokens: 50, Ranks: 2, Replicas: 2, Accumulate: 2},
		{Documents: 1, Tokens: 40, Ranks: 2, Replicas: 8},
		{Documents: 2, Tokens: 30, Ranks: 3},
		{Documents: 2, Tokens: 30, Precision: tensor.BFloat16},
		{Documents: 1, Tokens: 40, Precision: tensor.BFloat16, Ranks: 2},
	} {
		s.Config = c
		want, err := MemoryOf(s)
		if err != nil {
			t.Fatal(err)
		}
		s.Ranks, s.Replicas, s.Accumulate = max(s.Ranks, 1), max(s.Replicas, s.Ranks, 1), max(s.Accumulate, 1)
		errs := disttest.Run(s.Ranks, dist.Options{}, nil, func(g *dist.Group) error {
			multiplies, err := tensor.NewCPUWith(tensor.CPUOptions{Threads: 1, Precision: s.Precision, Slow: true})
			if err != nil {
				return err
			}
			cpu := &countingCPU{CPU: multiplies}
			defer cpu.Close()
			own := c
			own.Backend = cpu
			m, err := build(own)
			if err != nil {
				return err
			}
			if got := cpu.bytes.Load(); got != want.Parameters {
				t.Errorf("%+v: %d bytes of parameters, want %d", s, got, want.Parameters)
			}
			l := newLoop(m, m.params, &loopOptions{Group: g, Replicas: s.Replicas, Accumulate: s.Accumulate})
			var batches []*Batch
			for range s.Replicas * s.Accumulate {
				batches = append(batches, s.batch())
			}
			gradients, step := l.gradients, l.optimize
			if l.ranks != nil {
				gradients, step = l.ranks.gradients, l.ranks.optimize
			}
			for range 2 {
				l.figures = make([]batchFigures, len(batches))
				if err := gradients(context.Background(), &reconstruction{m: m}, batches); err != nil {
					return err
				}
				if err := step(1e-3, 1); err != nil {
					return err
				}
			}
			losses := int64(4 * len(l.losses))
			if got := cpu.bytes.Load() - losses; g.Rank() == 0 && got != want.Total()-want.Exchange {
				t.Errorf("%d ranks, %d replicas of %d batches: %d bytes, want %d: %v", s.Ranks, s.Replicas, s.Accumulate, got,
					want.Total()-want.Exchange, want)
			}
			return nil
		})
		if err := disttest.FirstError(errs); err != nil {
			t.Error(err)
		}
	}
}

// A rank of eight has room for Paper in 8 GiB, with batches of 1,024 tokens, and in
// 8.25 GiB with those of the paper.
func TestPaperOnEightRanks(t *testing.T) {
	for _, c := range []struct {
		size  TrainingSize
		limit float64 // GiB
	}{
		{TrainingSize{Documents: 1, Tokens: 512, Ranks: 8}, 8},
		{TrainingSize{Documents: 2, Tokens: 512, Ranks: 8}, 8.25},
		{TrainingSize{Documents: 2, Tokens: 512, Ranks: 16}, 8},
	} {
		c.size.Config = Paper()
		got, err := MemoryOf(c.size)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%d ranks, %d tokens: %v", c.size.Ranks, 2*c.size.Documents*c.size.Tokens, got)
		if float64(got.Total()) > c.limit*(1<<30) {
			t.Errorf("%d ranks, batches of %d tokens: %v", c.size.Ranks, 2*c.size.Documents*c.size.Tokens, got)
		}
	}
	alone, err := MemoryOf(TrainingSize{Config: Paper(), Documents: 2, Tokens: 512})
	if err != nil {
		t.Fatal(err)
	}
	t.Log("alone: ", alone)
}

func TestMemoryOfErrors(t *testing.T) {
	for want, s := range map[string]TrainingSize{
		"memory: 6 replicas on 2 ranks":                  {Config: Tiny(), Tokens: 64, Ranks: 2, Replicas: 6},
		"memory: documents of 2 tokens, want 3 to 256":   {Config: Tiny(), Tokens: 2},
		"memory: documents of 999 tokens, want 3 to 256": {Config: Tiny(), Tokens: 999},
		"memory: ": {},
	} {
		if _, err := MemoryOf(s); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error %v, want %s", err, want)
		}
	}
}
