package marge

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/index"
	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/tensor"
)

// account is a document of a number of words, which starts with the word
// number first, in shard shard.
func account(lang, shard string, first, words int) corpus.Document {
	numbers := map[string][]string{
		"en": strings.Fields("zero one two three four five six seven eight nine"),
		"de": strings.Fields("null eins zwei drei vier fünf sechs sieben acht neun"),
	}[lang]
	text := make([]string, words)
	for i := range text {
		text[i] = numbers[(first+3*i)%10]
	}
	return corpus.Document{
		ID: fmt.Sprintf("%s/%s/%d/%d", lang, shard, first, words), Lang: lang, Date: shard, Text: strings.Join(text, " "),
	}
}

// trainingOf returns a model without dropout, of a seed, and a corpus of the
// documents.
func trainingOf(t testing.TB, docs ...corpus.Document) (*Model, *corpus.Store) {
	t.Helper()
	tok, _ := testCorpus(t)
	store, err := corpus.FromDocuments(docs, tok, corpus.BuildOptions{ChunkTokens: 60, MinTokens: 1})
	if err != nil {
		t.Fatal(err)
	}
	c := testConfig(2)
	c.Dropout, c.AttentionDropout = 0, 0
	m := testModel(t, c)
	m.Tokenizer = tok
	return m, store
}

// linkAll links all documents of a shard with each other.
func linkAll(items []index.Item, _ []index.Pair) ([]index.Pair, error) {
	var pairs []index.Pair
	for i := range items {
		for j := range items {
			if i != j {
				pairs = append(pairs, index.Pair{Target: int32(i), Evidence: int32(j), Score: 1})
			}
		}
	}
	return pairs, nil
}

// shardBatch is the batch of a shard whose documents are all linked: each is
// evidence and target, and hidden from itself.
func shardBatch(t testing.TB, m *Model, store *corpus.Store, shard int, null bool) Batch {
	t.Helper()
	var b Batch
	for i, chunk := range store.Shard(shard) {
		doc := store.Tokens(chunk)
		language, err := m.Tokenizer.LanguageToken(store.Langs()[store.Chunk(chunk).Lang])
		if err != nil {
			t.Fatal(err)
		}
		b.Evidence, b.Targets, b.Languages = append(b.Evidence, doc), append(b.Targets, doc), append(b.Languages, language)
		b.Own = append(b.Own, [2]int{i, i})
	}
	if null {
		b.Evidence = append(b.Evidence, nil)
	}
	return b
}

// byHand is the training loop, written out: the reference of TestUpdate.
type byHand struct {
	m       *Model
	o       PretrainOptions
	step    int
	moments map[string][2][]float64 // of each parameter
}

// update makes an update with the gradients of some batches.
func (h *byHand) update(t *testing.T, batches []Batch, lr float64) Metrics {
	t.Helper()
	h.step++
	metrics, predicted := Metrics{Step: h.step}, 0
	for _, b := range batches {
		metrics.Targets += len(b.Targets)
		metrics.Evidence += len(b.Evidence)
		for _, doc := range b.Targets {
			predicted += len(doc) + 1 // </s>
		}
	}
	params := h.m.Parameters()
	nn.ZeroGrad(params)
	tp := tensor.NewTape(h.m.Backend())
	for _, b := range batches {
		attention, err := h.m.EvidenceAttention(&b)
		if err != nil {
			t.Fatal(err)
		}
		tp.Reset(tensor.Gradient, 0)
		out := h.m.Forward(tp, &b, 1/float32(predicted))
		metrics.Loss += float64(valuesOf(out.Loss)[0])
		loss := out.Loss
		if h.o.DistillWeight > 0 {
			kl, gradient := divergence(valuesOf(out.Relevance), attention.Mass, b.Own)
			metrics.Distill += kl / float64(metrics.Targets)
			// A batch's mean over targets counts as often as the batch has predicted tokens.
			share := float64(out.NLL.Len()) / float64(predicted)
			for i := range gradient {
				gradient[i] *= h.o.DistillWeight * share / float64(len(b.Targets))
			}
			loss = tp.Add(loss, tp.Dot(out.Relevance, tp.Floats(narrow(gradient), out.Relevance.Shape()...)))
		}
		tp.Backward(loss)
	}
	sum := 0.0
	for _, p := range params {
		for _, g := range gradientOf(p) {
			sum += g * g
		}
	}
	metrics.GradNorm = math.Sqrt(sum)
	clip := 1.0
	if h.o.ClipNorm > 0 && metrics.GradNorm > h.o.ClipNorm {
		clip = h.o.ClipNorm / metrics.GradNorm
	}
	for _, p := range params {
		h.adamW(p, clip, lr)
	}
	return metrics
}

// valuesOf returns a copy of the elements of a tensor.
func valuesOf(x *tensor.Tensor) []float32 {
	values := make([]float32, x.Len())
	x.CopyTo(values)
	return values
}

func gradientOf(p nn.Parameter) []float64 {
	g := make([]float64, p.Len())
	if p.HasGrad() {
		for i, v := range valuesOf(p.Grad()) {
			g[i] = float64(v)
		}
	}
	return g
}

// adamW is AdamW in float64, with the settings that are the library's.
func (h *byHand) adamW(p nn.Parameter, clip, lr float64) {
	const beta1, beta2, eps = 0.9, 0.98, 1e-6
	if h.moments[p.Name][0] == nil {
		h.moments[p.Name] = [2][]float64{make([]float64, p.Len()), make([]float64, p.Len())}
	}
	if p.Name == "beta" {
		lr *= h.o.BetaLearningRate
	}
	for _, part := range []string{"embed_positions.", "layernorm_embedding.", "layers.0.", "retrieval_"} {
		if strings.HasPrefix(p.Name, "encoder."+part) {
			lr *= h.o.GLearningRate
		}
	}
	decay := 0.0
	if len(p.Shape()) > 1 {
		decay = max(h.o.WeightDecay, 0)
	}
	first, second := h.moments[p.Name][0], h.moments[p.Name][1]
	values := valuesOf(p.Tensor)
	for i, g := range gradientOf(p) {
		g *= clip
		first[i] = beta1*first[i] + (1-beta1)*g
		second[i] = beta2*second[i] + (1-beta2)*g*g
		m := first[i] / (1 - math.Pow(beta1, float64(h.step)))
		v := second[i] / (1 - math.Pow(beta2, float64(h.step)))
		values[i] = float32(float64(values[i])*(1-lr*decay) - lr*m/(math.Sqrt(v)+eps))
	}
	p.SetFloat32s(values)
}

// divergence is the sum over targets of KL(attention || softmax(20 f)) over the
// documents that a target sees, and its gradient by f.
func divergence(f []float32, attention [][]float64, own [][2]int) (kl float64, gradient []float64) {
	for i, row := range attention {
		p, sum := make([]float64, len(row)), 0.0
		for j := range row {
			if !slices.Contains(own, [2]int{i, j}) {
				p[j] = math.Exp(20 * float64(f[i*len(row)+j]))
				sum += p[j]
			}
		}
		for j, a := range row {
			p[j] /= sum
			if a > 0 {
				kl += a * math.Log(a/p[j])
			}
			gradient = append(gradient, 20*(p[j]-a))
		}
	}
	return kl, gradient
}

func narrow(x []float64) []float32 {
	y := make([]float32, len(x))
	for i, v := range x {
		y[i] = float32(v)
	}
	return y
}

// TestUpdate compares some updates of Pretrain with the same written out. Every
// pass consists of all shards, one batch each.
func TestUpdate(t *testing.T) {
	one := []corpus.Document{account("en", "a", 0, 9), account("de", "a", 1, 14), account("en", "a", 2, 5)}
	two := append(slices.Clone(one), account("de", "b", 4, 2), account("en", "b", 6, 4))
	three := append(slices.Clone(two), account("de", "c", 7, 7), account("en", "c", 8, 3))
	for _, c := range []struct {
		name   string
		docs   []corpus.Document
		change func(o *PretrainOptions)
	}{
		{"defaults", one, func(*PretrainOptions) {}},
		{"clipping", one, func(o *PretrainOptions) { o.ClipNorm = 0.05 }},
		{"no clipping", one, func(o *PretrainOptions) { o.ClipNorm = -1 }},
		{"weight decay", one, func(o *PretrainOptions) { o.WeightDecay = 3 }},
		{"no weight decay", one, func(o *PretrainOptions) { o.WeightDecay = -1 }},
		{"learning rates", one, func(o *PretrainOptions) { o.BetaLearningRate, o.GLearningRate = 5, 0.25 }},
		{"null document", one, func(o *PretrainOptions) { o.NullDocument = true }},
		{"distillation", one, func(o *PretrainOptions) { o.DistillWeight = 2 }},
		{"accumulation", two, func(o *PretrainOptions) { o.Accumulate = 2 }},
		{"replicas", three, func(o *PretrainOptions) { o.Replicas = 3 }},
		{"replicas, accumulation", three, func(o *PretrainOptions) { o.Replicas, o.Accumulate = 2, 2 }},
		{"accumulation, distillation", two, func(o *PretrainOptions) { o.Accumulate, o.DistillWeight = 2, 2 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, store := trainingOf(t, c.docs...)
			o := PretrainOptions{
				Steps: 4, WarmupSteps: 2, LearningRate: 1e-2, TFIDFSteps: 10, BatchTokens: 200, Seed: 5, OnLinks: linkAll,
			}
			c.change(&o)
			var got []Metrics
			o.OnStep = func(m Metrics) error {
				got = append(got, m)
				return nil
			}
			if _, err := Pretrain(context.Background(), m, store, o); err != nil {
				t.Fatal(err)
			}

			fresh, _ := trainingOf(t, c.docs...)
			hand, _ := trainingOf(t, c.docs...)
			for field, value := range map[*float64]float64{
				&o.ClipNorm: 1, &o.WeightDecay: 0.01, &o.BetaLearningRate: 1, &o.GLearningRate: 1,
			} {
				if *field == 0 {
					*field = value // the default
				}
			}
			h := &byHand{m: hand, o: o, moments: map[string][2][]float64{}}
			var batches []Batch
			for shard := range store.Shards() {
				batches = append(batches, shardBatch(t, hand, store, shard, o.NullDocument))
			}
			for _, g := range got {
				w := h.update(t, batches, g.LR)
				if g.Targets != w.Targets || g.Evidence != w.Evidence {
					t.Fatalf("step %d: %d targets, %d evidence documents, want %d and %d", g.Step, g.Targets, g.Evidence,
						w.Targets, w.Evidence)
				}
				for name, pair := range map[string][2]float64{
					"loss": {g.Loss, w.Loss}, "gradient norm": {g.GradNorm, w.GradNorm}, "divergence": {g.Distill, w.Distill},
				} {
					if !(math.Abs(pair[0]-pair[1]) <= 1e-4*math.Abs(pair[1])) {
						t.Errorf("step %d: %s %v, want %v", g.Step, name, pair[0], pair[1])
					}
				}
			}
			checkMoved(t, fresh, m, hand)
		})
	}
}

// checkMoved tests that a training has moved the parameters of fresh to those
// of want, up to a thousandth of the way: rounding makes 3e-5 of it.
func checkMoved(t *testing.T, fresh, got, want *Model) {
	t.Helper()
	for i, p := range fresh.Parameters() {
		if strings.HasSuffix(p.Name, "k_proj.bias") {
			continue // its gradient is zero but for rounding
		}
		before, after := valuesOf(p.Tensor), valuesOf(got.Parameters()[i].Tensor)
		wanted := valuesOf(want.Parameters()[i].Tensor)
		off, way := 0.0, 0.0
		for j := range before {
			off += math.Pow(float64(after[j]-wanted[j]), 2)
			way += math.Pow(float64(before[j]-wanted[j]), 2)
		}
		if off, way = math.Sqrt(off), math.Sqrt(way); !(off <= 1e-3*way) {
			t.Errorf("%s moved by %v, and is %v off", p.Name, way, off)
		}
	}
}
