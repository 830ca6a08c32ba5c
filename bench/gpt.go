package bench

import (
	"fmt"
	"math/rand/v2"

	"github.com/marge-go/marge/attention"
	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/nn/optim"
	"github.com/marge-go/marge/tensor"
)

// Sizes of the language models of section gpt. peers/language_torch.py and
// peers/gomlx have the same.
const (
	gptLayers, gptWidth, gptHeads, gptHidden = 6, 384, 6, 1024
	lstmLayers, lstmWidth                    = 2, 512
	languageVocabulary                       = 4096
)

// languageWorkloads returns training steps of language models: of a GPT in the
// style of Llama on 8 sequences of 256 tokens, and of an LSTM on 16 of 64.
func languageWorkloads() []Workload {
	gpt := Workload{Spec: Spec{"step", "gpt", 8, 256, 0, 1, ""}, Name: "gpt", Flops: gptFlops(8, 256)}
	lstm := Workload{Spec: Spec{"step", "lstm", 16, 64, 0, 1, ""}, Name: "lstm", Flops: lstmFlops(16, 64)}
	list := []Workload{gpt, lstm}
	for i := range list {
		w := &list[i]
		w.Group, w.Tokens, w.Quick = w.Name, w.M*w.N, true
	}
	return list
}

// gptFlops returns the floating-point operations of the matrix products in a
// step, as StepFlops counts them.
func gptFlops(sequences, tokens int) float64 {
	const d = gptWidth
	rows, length := float64(sequences*tokens), float64(tokens)
	layer := 4*linearFlops(rows, d, d) + 3*linearFlops(rows, gptHidden, d) + attentionFlops(rows*(length+1)/2, d)
	return gptLayers*layer + linearFlops(rows, languageVocabulary, d)
}

// lstmFlops does so for the LSTM. The state before the first token is zero, and
// has no gradient.
func lstmFlops(sequences, tokens int) float64 {
	const d = lstmWidth
	rows := float64(sequences * tokens)
	layer := 2*linearFlops(rows, 4*d, d) - linearFlops(float64(sequences), 4*d, d)/3
	return lstmLayers*layer + linearFlops(rows, languageVocabulary, d)
}

// languageModel predicts tokens from those before them.
type languageModel struct {
	embed   *nn.Embedding
	forward func(tp *tensor.Tape, x *tensor.Tensor, offsets []int32) *tensor.Tensor
	head    *nn.Linear
	params  []nn.Parameter
}

func newGPT(b tensor.Backend, tokens int, rng *rand.Rand) *languageModel {
	m := &languageModel{embed: nn.NewEmbedding(b, languageVocabulary, gptWidth, nil)}
	rotary := attention.NewRotary(b, attention.HalfSplit, gptWidth/gptHeads, tokens, 10000)
	norm := nn.NewRMSNorm(b, gptWidth, 1e-5)
	m.params = norm.Parameters(m.embed.Parameters(nil, "embed."), "norm.")
	var blocks []*attention.TransformerBlock
	for i := range gptLayers {
		block := attention.NewTransformerBlock(b, attention.BlockOptions{
			Width: gptWidth, Heads: gptHeads, Hidden: gptHidden, Causal: true,
			Rotary: rotary, RMSNorm: true, SwiGLU: true, NoBias: true,
		}, nil)
		blocks = append(blocks, block)
		m.params = block.Parameters(m.params, fmt.Sprintf("blocks.%d.", i))
	}
	m.forward = func(tp *tensor.Tape, x *tensor.Tensor, offsets []int32) *tensor.Tensor {
		for _, block := range blocks {
			x = block.Forward(tp, x, offsets)
		}
		return norm.Forward(tp, x)
	}
	m.addHead(b, gptWidth, rng)
	return m
}

func newLSTM(b tensor.Backend, rng *rand.Rand) *languageModel {
	m := &languageModel{embed: nn.NewEmbedding(b, languageVocabulary, lstmWidth, nil)}
	network := nn.NewLSTM(b, lstmWidth, lstmWidth, lstmLayers, rng)
	m.params = network.Parameters(m.embed.Parameters(nil, "embed."), "lstm.")
	m.forward = func(tp *tensor.Tape, x *tensor.Tensor, offsets []int32) *tensor.Tensor {
		y, _ := network.Forward(tp, x, offsets, nil)
		return y
	}
	m.addHead(b, lstmWidth, rng)
	return m
}

// addHead adds what gives every token a score, and draws the matrices.
func (m *languageModel) addHead(b tensor.Backend, width int, rng *rand.Rand) {
	m.head = &nn.Linear{Weight: nn.NewParameter(b, languageVocabulary, width)}
	m.params = m.head.Parameters(m.params, "head.")
	for _, p := range m.params {
		if len(p.Shape()) == 2 {
			nn.Normal(p.Tensor, rng, 0.02)
		}
	}
}

// startLanguage prepares a training step of a language model on a backend:
// forward, backward, clipping, AdamW.
func startLanguage(s *Spec, backend tensor.Backend) (run func() (loss float32)) {
	rng := rand.New(rand.NewPCG(1, 1))
	var m *languageModel
	if s.Kind == "lstm" {
		m = newLSTM(backend, rng)
	} else {
		m = newGPT(backend, s.N, rng)
	}
	ids, targets, offsets := make([]int32, s.M*s.N), make([]int32, s.M*s.N), make([]int32, s.M+1)
	for i := range ids {
		ids[i], targets[i] = rng.Int32N(languageVocabulary), rng.Int32N(languageVocabulary)
	}
	for i := range offsets {
		offsets[i] = int32(i * s.N)
	}
	opt, tape := optim.NewAdamW(m.params), tensor.NewTape(backend)
	step := uint64(0)
	return func() float32 {
		step++
		nn.ZeroGrad(m.params)
		tape.Reset(tensor.Training, step)
		h := m.forward(tape, m.embed.Forward(tape, tape.Ints(ids), 1), offsets)
		loss, _ := tape.CrossEntropy(h, m.head.Weight, tape.Ints(targets), 0, 1/float32(len(targets)))
		tape.Backward(loss)
		value := loss.Item()
		if _, err := optim.ClippedStep(opt, m.params, 1e-4, 1); err != nil {
			panic(fmt.Sprintf("bench: step %d of %s: %v", step, s.Kind, err))
		}
		return value
	}
}
