package bench

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/nn/optim"
	"github.com/marge-go/marge/tensor"
)

// ceiling returns the multiply-adds a second of the instruction set in use on
// the given number of threads, in floating-point operations: the best of
// several measurements.
func ceiling(threads int) float64 {
	pool := tensor.NewPool(threads)
	defer pool.Close()
	best := 0.0
	for range 5 {
		var p peakTask
		start := time.Now()
		pool.Run(threads, &p)
		best = max(best, p.flops*float64(threads)/time.Since(start).Seconds())
	}
	return best
}

// BenchmarkStep is a whole training step: forward, backward, clipping, AdamW.
func BenchmarkStep(b *testing.B) {
	for _, size := range []struct {
		name        string
		docs, words int // evidence documents, and as many targets, and their tokens
	}{{"tiny", 8, 64}, {"small", 4, 128}, {"base", 4, 256}} {
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/threads=%d", size.name, threads), func(b *testing.B) {
				c := marge.Presets()[size.name]
				c.Backend = tensor.NewCPU(threads)
				step(b, c, size.docs, size.words)
			})
		}
	}
}

func step(b *testing.B, c marge.Config, docs, words int) {
	m, err := marge.New(c)
	if err != nil {
		b.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	document := func() []int32 {
		d := make([]int32, words-2) // the encoder adds <s> and </s>
		for i := range d {
			d[i] = int32(100 + rng.IntN(c.VocabSize-100))
		}
		return d
	}
	var batch marge.Batch
	for range docs {
		batch.Evidence = append(batch.Evidence, document())
		batch.Targets = append(batch.Targets, document())
		batch.Languages = append(batch.Languages, 5)
	}
	opt, tape := optim.NewAdamW(m.Parameters()), tensor.NewTape(m.Backend())
	b.ReportAllocs()
	for b.Loop() {
		nn.ZeroGrad(m.Parameters())
		tape.Reset(tensor.Training, 1)
		tape.Backward(m.Forward(tape, &batch, 0).Loss)
		norm, err := optim.GradNorm(m.Parameters())
		if err != nil {
			b.Fatal(err)
		}
		opt.Step(1e-4, optim.ClipScale(norm, 1))
	}
	b.ReportMetric(float64(docs*(words-1))*float64(b.N)/b.Elapsed().Seconds(), "target-tokens/s")
	b.ReportMetric(float64(tape.Bytes())/(1<<20), "tape-MB")
}
