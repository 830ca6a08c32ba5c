package marge

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/tokenizer"
	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/tensor"
)

// The learning rate rises linearly for WarmupSteps and falls linearly to zero
// after the last update.
func TestLearningRate(t *testing.T) {
	for _, c := range []struct {
		steps, warmup, want int
	}{
		{30, 10, 10}, {30, -1, 0}, {30, 0, 3}, {4, 0, 1},
	} {
		m, store := trainingOf(t, pairsOfShards(1)...)
		o := PretrainOptions{Steps: c.steps, WarmupSteps: c.warmup, LearningRate: 2e-3, OnLinks: linkAll}
		step := 0
		o.OnStep = func(m Metrics) error {
			step++
			want := 2e-3 * float64(step) / float64(c.want)
			if step > c.want {
				want = 2e-3 * float64(c.steps+1-step) / float64(c.steps+1-c.want)
			}
			if math.Abs(m.LR-want) > 1e-9 {
				t.Errorf("%d steps, WarmupSteps %d: rate %v at step %d, want %v", c.steps, c.warmup, m.LR, step, want)
			}
			return nil
		}
		if _, err := Pretrain(context.Background(), m, store, o); err != nil || step != c.steps {
			t.Fatalf("%d steps: %v", step, err)
		}
	}
}

// stillLosses returns the loss of every update of a training that changes
// nothing.
func stillLosses(t *testing.T, c Config, steps, accumulate int, docs ...corpus.Document) (losses []float64) {
	t.Helper()
	m, store := trainingOf(t, docs...)
	c.Backend = m.Backend()
	tok := m.Tokenizer
	m = testModel(t, c)
	m.Tokenizer = tok
	o := PretrainOptions{Steps: steps, LearningRate: 1e-30, WeightDecay: -1, Accumulate: accumulate, OnLinks: linkAll}
	o.OnStep = func(m Metrics) error {
		losses = append(losses, m.Loss)
		return nil
	}
	if _, err := Pretrain(context.Background(), m, store, o); err != nil {
		t.Fatal(err)
	}
	return losses
}

// Both kinds of dropout are on in training, with another mask in every update.
func TestDropoutOfTraining(t *testing.T) {
	for _, c := range []struct{ dropout, attention float32 }{{0, 0}, {0.1, 0}, {0, 0.1}} {
		config := testConfig(1)
		config.Dropout, config.AttentionDropout = c.dropout, c.attention
		distinct := map[float64]bool{}
		for _, loss := range stillLosses(t, config, 6, 1, pairsOfShards(1)...) {
			distinct[loss] = true
		}
		want := 6
		if c.dropout+c.attention == 0 {
			want = 1
		}
		if len(distinct) != want {
			t.Errorf("dropout %v and %v: %d losses of 6 updates differ, want %d", c.dropout, c.attention, len(distinct), want)
		}
	}
}

// silence sets all that the layers of a model add to its embeddings to zero,
// but for the parts whose names are given, and draws the other weights at
// random, biases too.
func silence(m *Model, but ...string) {
	rng := rand.New(rand.NewPCG(8, 1))
	for _, p := range m.Parameters() {
		nn.Normal(p.Tensor, rng, 0.5)
		spoken := slices.ContainsFunc(but, func(part string) bool { return strings.HasPrefix(p.Name, part) })
		if (strings.Contains(p.Name, ".out_proj.") || strings.Contains(p.Name, ".fc2.")) && !spoken {
			nn.Constant(p.Tensor, 0)
		}
	}
}

// The model drops out embeddings, what every part of every layer adds to them,
// and attention weights. With embeddings of zero and all parts silent but one,
// dropout is seen there or nowhere.
func TestDropoutPlaces(t *testing.T) {
	for _, c := range []struct {
		part               string
		dropout, attention bool // where it is seen
	}{
		{"nothing", false, false},
		{"encoder.layernorm_embedding", true, false},
		{"decoder.layernorm_embedding", true, false},
		{"encoder.layers.0.self_attn", true, true},
		{"encoder.layers.0.fc2", true, false},
		{"decoder.base_layers.0.self_attn", true, true},
		{"decoder.base_layers.0.fc2", true, false},
		{"decoder.layers.0.self_attn", true, true},
		{"decoder.layers.0.encoder_attn", true, true},
		{"decoder.layers.0.fc2", true, false},
	} {
		seen := func(dropout, attention float32) bool {
			config := testConfig(1)
			config.Dropout, config.AttentionDropout = dropout, attention
			m := testModel(t, config)
			silence(m, c.part)
			for _, p := range m.Parameters() {
				if strings.Contains(p.Name, "layernorm_embedding.") && !strings.HasPrefix(p.Name, c.part) {
					nn.Constant(p.Tensor, 0)
				}
			}
			tp := tensor.NewTape(m.Backend())
			outcomes := map[string]bool{}
			for seed := range uint64(4) {
				tp.Reset(tensor.Training, seed)
				out := m.Forward(tp, testBatch(), 0)
				outcomes[fmt.Sprint(valuesOf(out.Loss), valuesOf(out.Relevance))] = true
			}
			return len(outcomes) > 1
		}
		if got := seen(0.3, 0); got != c.dropout {
			t.Errorf("%q: dropout is seen: %v, want %v", c.part, got, c.dropout)
		}
		if got := seen(0, 0.3); got != c.attention {
			t.Errorf("%q: attention dropout is seen: %v, want %v", c.part, got, c.attention)
		}
	}
}

// The batches of an update have masks of their own: the mean loss of two equal
// batches varies half as much as the loss of one.
func TestDropoutOfAccumulatedBatches(t *testing.T) {
	variance := func(accumulate int, docs ...corpus.Document) float64 {
		config := testConfig(1)
		config.Dropout, config.AttentionDropout = 0.3, 0
		losses := stillLosses(t, config, 500, accumulate, docs...)
		mean, sum := 0.0, 0.0
		for _, l := range losses {
			mean += l / float64(len(losses))
		}
		for _, l := range losses {
			sum += (l - mean) * (l - mean) / float64(len(losses)-1)
		}
		return sum
	}
	once := []corpus.Document{account("en", "a", 0, 3), account("de", "a", 0, 3)}
	twice := append(once, account("en", "b", 0, 3), account("de", "b", 0, 3))
	// Of 500 losses the variance is known to 6%.
	if ratio := variance(2, twice...) / variance(1, once...); !(ratio > 0.35 && ratio < 0.7) {
		t.Errorf("the loss of two batches varies %v times as much as that of one, want 0.5", ratio)
	}
}

// A new model makes what it reads in the evidence more likely.
func TestNewModelCopies(t *testing.T) {
	m := testModel(t, testConfig(1))
	loss := func(evidence ...[]int32) float64 {
		l, err := m.Loss(&Batch{Evidence: evidence, Targets: [][]int32{{10, 11, 12, 13}}, Languages: []int32{5}})
		if err != nil {
			t.Fatal(err)
		}
		return l[0]
	}
	same, other := loss([]int32{13, 11, 10, 12}), loss([]int32{20, 21, 22, 23})
	if same > other-0.3 {
		t.Errorf("loss %v with the target's tokens in the evidence, %v with others", same, other)
	}
}

// In a new model documents of the same tokens are more relevant to each other
// than those of others, in every way to form g.
func TestNewModelRelevance(t *testing.T) {
	for pooling, c := range poolings(1) {
		m := testModel(t, c)
		g, err := m.Embed(context.Background(), [][]int32{{10, 11, 12, 13}, {12, 10, 13, 11}, {20, 21, 22, 23}})
		if err != nil {
			t.Fatal(err)
		}
		d, same, other := c.EmbeddingDim(), 0.0, 0.0
		for i := range d {
			same += float64(g[i]) * float64(g[d+i])
			other += float64(g[i]) * float64(g[2*d+i])
		}
		if same < other+0.1 {
			t.Errorf("%s: f of the same tokens is %v, of others %v", pooling, same, other)
		}
	}
}

// The seed of a configuration determines every random weight.
func TestSeedOfWeights(t *testing.T) {
	c := testConfig(1)
	one := weights(testModel(t, c))
	if !bytes.Equal(one, weights(testModel(t, c))) {
		t.Error("a seed gives two models")
	}
	c.Seed++
	if bytes.Equal(one, weights(testModel(t, c))) {
		t.Error("two seeds give the same model")
	}
}

// scoresByPlace returns a model of 4 tokens, from 4 on, whose scores for the
// next token depend on its place in the output: row i has those at place i, of
// </s> and the 4 tokens.
func scoresByPlace(t *testing.T, scores ...[5]float32) *Model {
	t.Helper()
	c := testConfig(1)
	c.VocabSize, c.DModel, c.MaxPositionEmbeddings = 8, 8, len(scores)+2
	m := testModel(t, c)
	silence(m)
	for _, p := range m.Parameters() {
		norm := strings.HasPrefix(p.Name, "decoder.layernorm_embedding.") || strings.HasPrefix(p.Name, "decoder.layer_norm.")
		switch {
		case p.Name == "shared.weight":
			nn.Constant(p.Tensor, 0)
			nn.AddIdentity(p.Tensor, 1)
		case p.Name == "decoder.embed_positions.weight":
			values := make([]float32, p.Len())
			for i, row := range scores {
				values[i*8+tokenizer.EOS] = 100 * row[0] // so large that the embedding of the token before is nothing
				for j, s := range row[1:] {
					values[i*8+4+j] = 100 * s
				}
			}
			p.SetFloat32s(values)
		case norm && strings.HasSuffix(p.Name, ".weight"):
			nn.Constant(p.Tensor, 2)
		case norm:
			nn.Constant(p.Tensor, 0)
		}
	}
	return m
}

// A beam search that is wide enough for everything finds the output with the
// greatest log-likelihood divided by its length, with </s>, to the power of
// LengthPenalty.
func TestLengthPenalty(t *testing.T) {
	m := scoresByPlace(t,
		[5]float32{6, 5, 4, 3, 1}, [5]float32{-1, 0, 5, 2, 1}, [5]float32{3, 2, 0, 0, 0}, [5]float32{9, 0, 0, 0, 0})
	outputs := [][]int32{{}}
	for lo, length := 0, 0; length < 3; length++ {
		hi := len(outputs)
		for ; lo < hi; lo++ {
			for token := range int32(4) {
				outputs = append(outputs, append(slices.Clone(outputs[lo]), 4+token))
			}
		}
	}
	languages := make([]int32, len(outputs))
	for i := range languages {
		languages[i] = 4
	}
	losses, err := m.Loss(&Batch{Targets: outputs, Languages: languages})
	if err != nil {
		t.Fatal(err)
	}
	found := map[int]bool{}
	for _, penalty := range []float64{0.01, 0, 1, 2} {
		power := penalty
		if penalty == 0 {
			power = 1 // the default
		}
		best, most := 0, math.Inf(-1)
		for i, output := range outputs {
			n := float64(len(output) + 1)
			if score := -losses[i] * n / math.Pow(n, power); score > most {
				best, most = i, score
			}
		}
		o := GenerateOptions{Beams: 400, MaxTokens: 4, LengthPenalty: penalty}
		got, err := m.GenerateTokens(context.Background(), nil, 4, o)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, outputs[best]) {
			t.Errorf("LengthPenalty %v: %v, want %v", penalty, got, outputs[best])
		}
		found[len(outputs[best])] = true
	}
	if len(found) < 2 {
		t.Errorf("the best output has the same length, %v, whatever the penalty", found)
	}
}
