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
	"github.com/marge-go/marge/nn/optim"
	"github.com/marge-go/marge/tensor"
)

// testConfig is a model small enough for tests.
func testConfig(threads int) Config {
	return Config{
		VocabSize: 400, DModel: 32,
		EncoderLayers: 2, EncoderFFNDim: 64, EncoderAttentionHeads: 2, RetrievalLayers: 1,
		DecoderBaseLayers: 1, DecoderBaseFFNDim: 64,
		DecoderLayers: 1, DecoderFFNDim: 64, DecoderAttentionHeads: 2,
		MaxPositionEmbeddings: 64, Dropout: 0.1, AttentionDropout: 0.1,
		Seed: 7, Backend: tensor.NewCPU(threads),
	}
}

// testDocuments are two languages' accounts of numbered events, two dates of
// them.
func testDocuments(events int) []corpus.Document {
	words := map[string][]string{
		"en": strings.Fields("zero one two three four five six seven eight nine"),
		"de": strings.Fields("null eins zwei drei vier fünf sechs sieben acht neun"),
	}
	var docs []corpus.Document
	for e := range events {
		for _, lang := range []string{"en", "de"} {
			var b strings.Builder
			for _, digit := range fmt.Sprintf("%05d", e*7919%100000) {
				fmt.Fprintf(&b, "%s ", words[lang][digit-'0'])
			}
			docs = append(docs, corpus.Document{
				ID: fmt.Sprintf("%d/%s", e, lang), Lang: lang, Text: strings.TrimSpace(b.String()),
				Date: fmt.Sprintf("2020-01-%02d", e%2+1), Group: fmt.Sprint(e),
			})
		}
	}
	return docs
}

func testCorpus(t testing.TB) (tokenizer.Tokenizer, *corpus.Store) {
	t.Helper()
	docs := testDocuments(24)
	tok, err := tokenizer.Train(func(yield func(string) bool) {
		for _, d := range docs {
			if !yield(d.Text) {
				return
			}
		}
	}, tokenizer.TrainOptions{VocabSize: 300, Languages: []string{"de", "en"}})
	if err != nil {
		t.Fatal(err)
	}
	store, err := corpus.FromDocuments(docs, tok, corpus.BuildOptions{ChunkTokens: 60, MinTokens: 1})
	if err != nil {
		t.Fatal(err)
	}
	return tok, store
}

func testModel(t testing.TB, c Config) *Model {
	t.Helper()
	m, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// testBatch has ragged lengths, an evidence document that is a copy of the
// first target, and another that only the second target may see.
func testBatch() *Batch {
	return &Batch{
		Evidence:  [][]int32{{10, 11, 12, 13}, {20}, {30, 31, 32, 33, 34, 35, 36}},
		Targets:   [][]int32{{10, 11, 12, 13}, {40, 41}},
		Languages: []int32{5, 6},
		Own:       [][2]int{{0, 0}, {0, 1}},
	}
}

func TestParameters(t *testing.T) {
	for name, want := range map[string]int{"tiny": 2_874_497, "paper": 963_344_385} {
		m, err := build(Presets()[name])
		if err != nil {
			t.Fatal(err)
		}
		if got := nn.Count(m.Parameters()); got != want {
			t.Errorf("%s: %d parameters, want %d", name, got, want)
		}
		names := map[string]bool{}
		for _, p := range m.Parameters() {
			if names[p.Name] {
				t.Errorf("%s: two parameters are named %s", name, p.Name)
			}
			names[p.Name] = true
		}
	}
}

func TestSmallTrainsAStep(t *testing.T) {
	m := testModel(t, Small())
	opt := optim.NewAdamW(m.Parameters())
	tp := tensor.NewTape(m.Backend())
	losses := make([]float32, 2)
	for i := range losses {
		tp.Reset(tensor.Gradient, 1)
		out := m.Forward(tp, testBatch(), 0)
		losses[i] = out.Loss.Float32s()[0]
		nn.ZeroGrad(m.Parameters())
		tp.Backward(out.Loss)
		norm, err := optim.GradNorm(m.Parameters())
		if err != nil || norm <= 0 {
			t.Fatalf("gradient norm %v, error %v", norm, err)
		}
		opt.Step(1e-4, 1)
	}
	if !(losses[1] < losses[0]) {
		t.Errorf("loss %v, after a step %v", losses[0], losses[1])
	}
}

// The gradient of the whole model, along random directions, against
// differences of the loss.
func TestModelGradient(t *testing.T) {
	m := testModel(t, testConfig(1))
	b := testBatch()
	tp := tensor.NewTape(m.Backend())
	loss := func() float64 {
		tp.Reset(tensor.Gradient, 0)
		out := m.Forward(tp, b, 1)
		sum := 0.0
		for _, l := range out.NLL.Float32s() {
			sum += float64(l)
		}
		return sum
	}
	tp.Reset(tensor.Gradient, 0)
	tp.Backward(m.Forward(tp, b, 1).Loss)
	rng := rand.New(rand.NewPCG(1, 1))
	const h = 2e-3
	for _, p := range m.Parameters() {
		if strings.HasSuffix(p.Name, "k_proj.bias") {
			continue // has gradient zero
		}
		values, grad := p.Float32s(), p.Grad().Float32s()
		keep := slices.Clone(values)
		direction := make([]float32, len(values))
		norm := 0.0
		for i := range direction {
			direction[i] = float32(rng.NormFloat64()) + 10*grad[i]
			norm += float64(direction[i]) * float64(direction[i])
		}
		want, length := 0.0, math.Sqrt(norm)
		move := func(by float64) float64 {
			for i := range values {
				values[i] = keep[i] + float32(by*float64(direction[i])/length)
			}
			return loss()
		}
		up, down := move(h), move(-h)
		copy(values, keep)
		for i, g := range grad {
			want += float64(g) * float64(direction[i]) / length
		}
		if got := (up - down) / (2 * h); math.Abs(got-want) > 0.01*math.Abs(want)+2e-3 {
			t.Errorf("%s: difference %v, gradient %v", p.Name, got, want)
		}
	}
}

func TestTargetsDoNotSeeOwnEvidence(t *testing.T) {
	m := testModel(t, testConfig(1))
	b := testBatch()
	before, err := m.Loss(b)
	if err != nil {
		t.Fatal(err)
	}
	b.Evidence[0], b.Evidence[1] = []int32{50, 51}, []int32{60, 61, 62}
	after, err := m.Loss(b)
	if err != nil {
		t.Fatal(err)
	}
	if before[0] != after[0] {
		t.Errorf("target 0 lost %v, then %v: it sees evidence that is hidden from it", before[0], after[0])
	}
	if before[1] == after[1] {
		t.Errorf("target 1 lost %v either way: it does not see its evidence", before[1])
	}
}

func TestRelevance(t *testing.T) {
	m := testModel(t, testConfig(1))
	tp := tensor.NewTape(m.Backend())
	tp.Reset(tensor.Inference, 0)
	f := m.Forward(tp, testBatch(), 0).Relevance.Float32s()
	for i, v := range f {
		if v < -1.0001 || v > 1.0001 {
			t.Errorf("f[%d] = %v is no cosine", i, v)
		}
	}
	if math.Abs(float64(f[0])-1) > 1e-5 {
		t.Errorf("the relevance of a document to itself is %v", f[0])
	}
}

func TestEvidenceIsASet(t *testing.T) {
	m := testModel(t, testConfig(1))
	b := testBatch()
	want, err := m.Loss(b)
	if err != nil {
		t.Fatal(err)
	}
	b.Evidence[0], b.Evidence[2] = b.Evidence[2], b.Evidence[0]
	b.Own = [][2]int{{0, 2}, {0, 1}}
	got, err := m.Loss(b)
	if err != nil {
		t.Fatal(err)
	}
	for i := range want {
		if math.Abs(got[i]-want[i]) > 1e-5 {
			t.Errorf("target %d: loss %v in one order of the evidence, %v in another", i, want[i], got[i])
		}
	}
}

func TestLossWithoutEvidence(t *testing.T) {
	m := testModel(t, testConfig(1))
	b := testBatch()
	b.Evidence, b.Own = nil, nil
	none, err := m.Loss(b)
	if err != nil {
		t.Fatal(err)
	}
	hidden := testBatch()
	hidden.Own = nil
	for i := range hidden.Targets {
		for j := range hidden.Evidence {
			hidden.Own = append(hidden.Own, [2]int{i, j})
		}
	}
	all, err := m.Loss(hidden)
	if err != nil {
		t.Fatal(err)
	}
	for i := range none {
		if math.IsNaN(none[i]) || math.Abs(none[i]-all[i]) > 1e-6 {
			t.Errorf("target %d: loss %v without evidence, %v with all of it hidden", i, none[i], all[i])
		}
	}
}

func TestBatchErrors(t *testing.T) {
	m := testModel(t, testConfig(1))
	for name, change := range map[string]func(b *Batch){
		"no targets":                   func(b *Batch) { b.Targets, b.Languages = nil, nil },
		"1 languages for 2 targets":    func(b *Batch) { b.Languages = b.Languages[:1] },
		"evidence document 1: token":   func(b *Batch) { b.Evidence[1] = []int32{400} },
		"target document 0: token -1":  func(b *Batch) { b.Targets[0] = []int32{-1} },
		"do not fit in 64 positions":   func(b *Batch) { b.Targets[1] = make([]int32, 63) },
		"language token 400":           func(b *Batch) { b.Languages[1] = 400 },
		"own pair [2 0] of 2 targets":  func(b *Batch) { b.Own = [][2]int{{2, 0}} },
		"own pair [0 -1] of 2 targets": func(b *Batch) { b.Own = [][2]int{{0, -1}} },
	} {
		b := testBatch()
		change(b)
		if _, err := m.Loss(b); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v, want one with %q", err, name)
		}
	}
}

// weights returns the bytes of all parameters.
func weights(m *Model) []byte {
	var b bytes.Buffer
	if err := writeTensors(&b, m.Parameters()); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func TestRetrieve(t *testing.T) {
	m := testModel(t, testConfig(1))
	docs := [][]int32{{10, 11}, {20, 21, 22}, {30}, {40, 41, 42, 43}}
	ctx := context.Background()
	x, err := m.NewIndex(ctx, docs, []string{"a", "b", "c", "d"})
	if err != nil {
		t.Fatal(err)
	}
	for i, doc := range docs {
		hits, err := m.Retrieve(ctx, doc, x, 9)
		if err != nil {
			t.Fatal(err)
		}
		if len(hits) != len(docs) || hits[0].Document != i || hits[0].ID != string("abcd"[i]) ||
			math.Abs(float64(hits[0].Relevance)-1) > 1e-5 {
			t.Errorf("document %d retrieves %+v", i, hits)
		}
	}
	if _, err := m.Retrieve(ctx, []int32{1000}, x, 1); err == nil {
		t.Error("a token outside the vocabulary is no error")
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := m.NewIndex(cancelled, docs, nil); err == nil {
		t.Error("a cancelled context is no error")
	}
}
