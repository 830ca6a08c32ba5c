package bench

import (
	"fmt"
	"math/rand/v2"

	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/nn/optim"
	"github.com/marge-go/marge/tensor"
)

// stepWorkloads returns whole training steps: forward, backward, clipping,
// AdamW. Paper takes about 20 GiB.
func stepWorkloads() []Workload {
	var list []Workload
	for _, s := range []struct {
		size         string
		docs, tokens int
	}{{"tiny", 8, 64}, {"small", 4, 128}, {"base", 4, 256}, {"paper", 2, 512}} {
		list = append(list, Workload{
			Spec: Spec{"step", s.size, s.docs, s.tokens, 0, 1, ""}, Name: s.size, Group: s.size,
			Flops: StepFlops(marge.Presets()[s.size], s.docs, s.tokens), Tokens: s.docs * (s.tokens - 1),
			Quick: s.size == "tiny" || s.size == "small", Long: s.size == "paper",
		})
	}
	return list
}

// startStep prepares a training step on a backend.
func startStep(s *Spec, backend tensor.Backend) (run func(), err error) {
	if s.Kind == "gpt" || s.Kind == "lstm" {
		step := startLanguage(s, backend)
		return func() { step() }, nil
	}
	c := marge.Presets()[s.Kind]
	c.Backend = backend
	m, err := marge.New(c)
	if err != nil {
		return nil, err
	}
	rng := rand.New(rand.NewPCG(1, 1))
	document := func() []int32 {
		d := make([]int32, s.N-2) // the encoder adds <s> and </s>
		for i := range d {
			d[i] = int32(100 + rng.IntN(c.VocabSize-100))
		}
		return d
	}
	var batch marge.Batch
	for range s.M {
		batch.Evidence = append(batch.Evidence, document())
		batch.Targets = append(batch.Targets, document())
		batch.Languages = append(batch.Languages, 5)
	}
	params := m.Parameters()
	opt, tape := optim.NewAdamW(params), tensor.NewTape(backend)
	seed := uint64(0)
	return func() {
		seed++
		nn.ZeroGrad(params)
		tape.Reset(tensor.Training, seed)
		tape.BackwardEach(func(*tensor.Tensor) {}, m.Forward(tape, &batch, 0).Loss) // as Pretrain does
		norm, err := optim.GradNorm(params)
		if err != nil {
			panic(fmt.Sprintf("bench: step %d of %s: %v", seed, s.Kind, err))
		}
		opt.Step(1e-4, optim.ClipScale(norm, 1))
	}, nil
}
