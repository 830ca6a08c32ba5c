// Gpt trains a small language model on the characters of a text, and lets it write.
//
//	gpt                         # on generated news, for five minutes
//	gpt -corpus shakespeare.txt -minutes 20
//
// The model is a GPT in the style of Llama: rotary positions, RMSNorm, SwiGLU.
// bench/peers/gpt_torch.py is the same program in PyTorch.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/marge-go/marge/attention"
	"github.com/marge-go/marge/internal/backends"
	"github.com/marge-go/marge/marge/corpus/news"
	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/nn/optim"
	"github.com/marge-go/marge/tensor"
)

func main() {
	o := options{layers: 4, width: 192, heads: 6, kvHeads: 3, context: 256, batch: 8}
	flag.StringVar(&o.corpus, "corpus", "", "`file` with the text; generated news if empty")
	flag.IntVar(&o.steps, "steps", 0, "updates; 0: as many as -minutes allow")
	flag.Float64Var(&o.minutes, "minutes", 5, "how long to train")
	flag.Uint64Var(&o.seed, "seed", 1, "of weights, batches and samples")
	flag.StringVar(&o.write, "write", "", "only write text and first weights to a `folder`, for gpt_torch.py")
	o.backend.Define(flag.CommandLine)
	flag.Parse()
	if err := run(os.Stdout, o); err != nil {
		log.Fatal(err)
	}
}

type options struct {
	layers, width, heads, kvHeads int
	context, batch                int // characters of a sequence, sequences of an update
	corpus                        string
	steps                         int
	minutes                       float64
	seed                          uint64
	write                         string
	backend                       backends.Choice
}

// text returns the text to learn from.
func (o *options) text() (string, error) {
	if o.corpus != "" {
		data, err := os.ReadFile(o.corpus)
		return string(data), err
	}
	var b strings.Builder
	for d := range news.Documents(news.Options{Seed: 1, Events: 4000, Languages: []string{"en"}}) {
		b.WriteString(d.Text + "\n")
	}
	return b.String(), nil
}

// gpt predicts the next character from those before it.
type gpt struct {
	embed  *nn.Embedding
	blocks []*attention.TransformerBlock
	norm   *nn.RMSNorm
	head   *nn.Linear // its weight gives a score to each character
	params []nn.Parameter
}

func newGPT(b tensor.Backend, vocabulary int, o options, rng *rand.Rand) *gpt {
	m := &gpt{
		embed: nn.NewEmbedding(b, vocabulary, o.width, nil),
		norm:  nn.NewRMSNorm(b, o.width, 1e-5),
		head:  &nn.Linear{Weight: nn.NewParameter(b, vocabulary, o.width)},
	}
	rotary := attention.NewRotary(b, attention.HalfSplit, o.width/o.heads, o.context, 10000)
	for range o.layers {
		m.blocks = append(m.blocks, attention.NewTransformerBlock(b, attention.BlockOptions{
			Width: o.width, Heads: o.heads, KVHeads: o.kvHeads, Hidden: o.width * 8 / 3, Causal: true,
			Rotary: rotary, RMSNorm: true, SwiGLU: true, NoBias: true,
		}, nil))
	}
	m.params = m.embed.Parameters(nil, "embed.")
	for i, block := range m.blocks {
		m.params = block.Parameters(m.params, fmt.Sprintf("blocks.%d.", i))
	}
	m.params = m.head.Parameters(m.norm.Parameters(m.params, "norm."), "head.")
	for _, p := range m.params {
		if len(p.Shape()) == 2 {
			nn.Normal(p.Tensor, rng, 0.02)
		}
	}
	return m
}

// forward returns the last layer's values for sequences of characters, packed by
// offsets. With caches, one for each block, the characters continue those there.
func (m *gpt) forward(tp *tensor.Tape, ids, offsets []int32, caches []*attention.Cache) *tensor.Tensor {
	x := m.embed.Forward(tp, tp.Ints(ids), 1)
	for i, block := range m.blocks {
		if caches == nil {
			x = block.Forward(tp, x, offsets)
		} else {
			x = block.ForwardCached(tp, x, offsets, caches[i])
		}
	}
	return m.norm.Forward(tp, x)
}

// loss returns the mean negative log-likelihood of the targets, in nats.
func (m *gpt) loss(tp *tensor.Tape, ids, targets, offsets []int32) *tensor.Tensor {
	h := m.forward(tp, ids, offsets, nil)
	loss, _ := tp.CrossEntropy(h, m.head.Weight, tp.Ints(targets), 0, 1/float32(len(targets)))
	return loss
}

// batches draws sequences from a text. gpt_torch.py draws the same ones.
type batches struct {
	text    []int32
	state   uint64
	offsets []int32
}

func (b *batches) next(o options) (ids, targets []int32) {
	b.offsets = b.offsets[:0]
	for i := range o.batch {
		b.state = b.state*6364136223846793005 + 1442695040888963407
		at := int(b.state>>33) % (len(b.text) - o.context)
		ids = append(ids, b.text[at:at+o.context]...)
		targets = append(targets, b.text[at+1:at+o.context+1]...)
		b.offsets = append(b.offsets, int32(i*o.context))
	}
	b.offsets = append(b.offsets, int32(len(ids)))
	return ids, targets
}

func run(w io.Writer, o options) (err error) {
	defer tensor.Recover(&err)
	text, err := o.text()
	if err != nil {
		return err
	}
	runes := []rune(text)
	vocabulary := slices.Compact(slices.Sorted(slices.Values(runes)))
	ids := make([]int32, len(runes))
	for i, r := range runes {
		at, _ := slices.BinarySearch(vocabulary, r)
		ids[i] = int32(at)
	}
	cut := len(ids) * 9 / 10 // the rest is for validation
	if len(ids)-cut <= o.context {
		return fmt.Errorf("the text has %d characters, want more than %d", len(ids), 10*o.context)
	}
	backend, err := o.backend.Open()
	if err != nil {
		return err
	}
	defer backend.Close()
	rng := rand.New(rand.NewPCG(o.seed, 0))
	m := newGPT(backend, len(vocabulary), o, rng)
	fmt.Fprintf(w, "%d characters, %d different ones, %d parameters\n", len(ids), len(vocabulary), nn.Count(m.params))
	if o.write != "" {
		err := nn.Save(o.write, m.params, 0)
		return errors.Join(err, os.WriteFile(filepath.Join(o.write, "text.txt"), []byte(text), 0o666))
	}

	tape := tensor.NewTape(backend)
	train := &batches{text: ids[:cut], state: o.seed}
	opt := optim.NewAdamW(m.params)
	opt.Beta2, opt.WeightDecay = 0.95, 0.1
	schedule := optim.CosineDecay{Peak: 2e-3, Floor: 2e-4, Warmup: 50, Total: 1000} // in thousandths of the training
	start, done := time.Now(), 0.0
	for step := 1; done < 1; step++ {
		done = time.Since(start).Minutes() / o.minutes
		if o.steps > 0 {
			done = float64(step) / float64(o.steps)
		}
		input, targets := train.next(o)
		nn.ZeroGrad(m.params)
		tape.Reset(tensor.Training, uint64(step))
		loss := m.loss(tape, input, targets, train.offsets)
		tape.Backward(loss)
		value := loss.Item()
		if _, err := optim.ClippedStep(opt, m.params, schedule.LR(int(1000*done)), 1); err != nil {
			return fmt.Errorf("step %d: %w", step, err)
		}
		if step%50 == 0 || done >= 1 {
			fmt.Fprintf(w, "%3.0f%%: step %d, loss %.3f, validation %.3f, %.0f characters/s\n", 100*min(done, 1), step,
				value, m.validate(tape, ids[cut:], o), float64(step*len(input))/time.Since(start).Seconds())
		}
	}
	fmt.Fprintln(w, m.sample(tape, vocabulary, o, rng))
	return nil
}

// validate returns the mean loss of eight batches, always the same ones.
func (m *gpt) validate(tp *tensor.Tape, text []int32, o options) (mean float64) {
	b := &batches{text: text}
	for range 8 {
		ids, targets := b.next(o)
		tp.Reset(tensor.Inference, 0)
		mean += float64(m.loss(tp, ids, targets, b.offsets).Item()) / 8
	}
	return mean
}

// sample writes a text that is as long as the context, character by character.
func (m *gpt) sample(tp *tensor.Tape, vocabulary []rune, o options, rng *rand.Rand) string {
	const temperature = 0.8
	var caches []*attention.Cache
	for _, block := range m.blocks {
		caches = append(caches, block.Attention.NewCache(1, o.context))
	}
	var text strings.Builder
	newline, _ := slices.BinarySearch(vocabulary, '\n')
	last, probabilities := int32(min(newline, len(vocabulary)-1)), make([]float32, len(vocabulary))
	for range o.context {
		tp.Reset(tensor.Inference, 0)
		h := m.forward(tp, []int32{last}, []int32{0, 1}, caches)
		tp.Softmax(tp.Scale(1/temperature, m.head.Forward(tp, h)), -1).CopyTo(probabilities)
		last = draw(probabilities, rng.Float64())
		text.WriteRune(vocabulary[last])
	}
	return text.String()
}

// draw returns the index at which the sum of the probabilities exceeds u.
func draw(probabilities []float32, u float64) int32 {
	for i, p := range probabilities {
		if u -= float64(p); u < 0 {
			return int32(i)
		}
	}
	return int32(len(probabilities) - 1)
}
