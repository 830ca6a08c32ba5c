package marge

import (
	"fmt"
	"math/bits"

	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/tensor"
	"github.com/marge-go/marge/tensor/dry"
)

// TrainingSize is what the memory of a training depends on. The zero value of a field
// but for the first stands for one.
type TrainingSize struct {
	Config Config
	// A batch has so many evidence documents and as many targets, of so many tokens with
	// <s> and </s>.
	Documents, Tokens int
	// Precision is that of the backend: with BFloat16 the processor keeps most
	// activations at half the size.
	Precision tensor.DType
	// An update is made of Replicas times Accumulate batches on Ranks ranks, see
	// PretrainOptions.
	Ranks, Replicas, Accumulate int
}

// TrainingMemory is the bytes that a training takes on each rank. What the program,
// the corpus and the tokenizer take comes on top, and what Go has not collected yet: set
// GOMEMLIMIT where memory is short.
type TrainingMemory struct {
	Parameters int64
	Moments    int64 // this rank's part
	// Gradients are those that stay: all of them where a rank makes several batches of an
	// update, else those of the output layer, which are made together with the loss.
	Gradients int64
	Replicas  int64 // sums of gradients, where a rank makes several replicas
	// Tape is for activations. When Backward has gone through them their memory is used
	// for gradients until they are exchanged, for this rank's part of their sum, and for
	// its part of the parameters.
	Tape     int64
	Exchange int64 // what is exchanged
}

// Total returns the sum.
func (m TrainingMemory) Total() int64 {
	return m.Parameters + m.Moments + m.Gradients + m.Replicas + m.Tape + m.Exchange
}

// String returns all parts in one line.
func (m TrainingMemory) String() string {
	gib := func(n int64) string { return fmt.Sprintf("%.2f", float64(n)/(1<<30)) }
	return fmt.Sprintf("%s GiB: parameters %s, moments %s, gradients %s, replicas %s, activations %s, exchange %s",
		gib(m.Total()), gib(m.Parameters), gib(m.Moments), gib(m.Gradients), gib(m.Replicas), gib(m.Tape), gib(m.Exchange))
}

// MemoryOf returns what a training takes on rank 0; others differ by some blocks of 64
// KiB. It goes through an update without computing: that takes no time, and no memory.
func MemoryOf(s TrainingSize) (mem TrainingMemory, err error) {
	defer tensor.Recover(&err)
	for _, n := range []*int{&s.Documents, &s.Ranks, &s.Replicas, &s.Accumulate} {
		*n = max(*n, 1)
	}
	s.Replicas = max(s.Replicas, s.Ranks)
	if each := s.Replicas / s.Ranks; s.Ranks > 1 && (s.Replicas%s.Ranks != 0 || bits.OnesCount(uint(each)) != 1) {
		return mem, fmt.Errorf("memory: %d replicas on %d ranks", s.Replicas, s.Ranks)
	}
	if s.Tokens < 3 || s.Tokens > s.Config.MaxPositionEmbeddings {
		return mem, fmt.Errorf("memory: documents of %d tokens, want 3 to %d", s.Tokens, s.Config.MaxPositionEmbeddings)
	}
	b := dry.New()
	b.Precision = s.Precision
	s.Config.Backend = b
	m, err := build(s.Config)
	if err != nil {
		return mem, fmt.Errorf("memory: %w", err)
	}
	mem.Parameters = b.Bytes()
	part := newShards(m.params, s.Ranks, 0)
	all := int64(nn.Count(m.params))
	own := all
	if s.Ranks > 1 {
		own = 0
		for i := range m.params {
			own += int64(part.length(i))
		}
		mem.Exchange = 4 * bucketsAhead * bucketValues
	}
	mem.Moments = 4 * moments * own
	each := s.Replicas / s.Ranks
	mem.Replicas = 4 * all * int64(bits.Len(uint(each-1)))
	before := b.Bytes()
	tp := tensor.NewTape(b)
	batch := s.batch()
	loss := func() *tensor.Tensor {
		tp.Reset(tensor.Training, 0)
		return (&reconstruction{m: m}).loss(tp, batch).sum
	}
	if each > 1 || s.Accumulate > 1 {
		tp.Backward(loss())
	} else if s.Ranks == 1 {
		tp.BackwardEach(func(*tensor.Tensor) {}, loss())
	}
	if s.Ranks > 1 {
		part.dryUpdate(tp, loss())
	}
	mem.Tape = int64(tp.Bytes())
	mem.Gradients = b.Bytes() - before - mem.Tape
	return mem, nil
}

// batch returns a batch of the size.
func (s *TrainingSize) batch() *Batch {
	b := &Batch{}
	for range s.Documents {
		doc := make([]int32, s.Tokens-2)
		for i := range doc {
			doc[i] = int32(i % s.Config.VocabSize)
		}
		b.Evidence, b.Targets, b.Languages = append(b.Evidence, doc), append(b.Targets, doc), append(b.Languages, 0)
	}
	return b
}

// dryUpdate takes the memory that ranksUpdate takes for an update.
func (s *shards) dryUpdate(tp *tensor.Tape, loss *tensor.Tensor) {
	var order []int
	number := map[*tensor.Tensor]int{}
	for i, p := range s.params {
		number[p.Tensor] = i
	}
	for _, p := range tp.Parameters() {
		order = append(order, number[p])
	}
	f := filling{buckets: s.divide(order, bucketValues), complete: make([]bool, len(s.params))}
	tp.BackwardEach(func(p *tensor.Tensor) {
		for f.complete[number[p]] = true; f.ready(); f.next++ {
			f.release(s, tp, func(param int) { tp.New(s.length(param)) })
		}
	}, loss)
	for _, i := range order {
		tp.New(s.length(i))
	}
}
