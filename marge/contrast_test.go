package marge

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// changed returns the names of the parameters that differ from those of a new
// model.
func changed(t *testing.T, m *Model, c Config) []string {
	t.Helper()
	fresh := testModel(t, c)
	var names []string
	for i, p := range m.params {
		if !slices.Equal(p.Float32s(), fresh.params[i].Float32s()) {
			names = append(names, p.Name)
		}
	}
	return names
}

// The contrastive phase lowers its loss and touches g and the token embeddings
// only.
func TestContrastiveSteps(t *testing.T) {
	tok, store := testCorpus(t)
	m := testModel(t, testConfig(2))
	m.Tokenizer = tok
	o := testOptions("")
	o.Steps, o.ContrastiveSteps, o.BatchTokens, o.LearningRate = 100, 100, 1000, 1e-3
	o.WarmupSteps = 10
	var losses []float64
	o.OnStep = func(m Metrics) error {
		losses = append(losses, m.Loss)
		if m.Targets != 0 || m.TargetTokens != 0 {
			t.Errorf("step %d reconstructed", m.Step)
		}
		return nil
	}
	o.OnIndex = func(IndexStats) { t.Error("an index was made before it was needed") }
	if _, err := Pretrain(context.Background(), m, store, o); err != nil {
		t.Fatal(err)
	}
	mean := func(x []float64) (s float64) {
		for _, v := range x {
			s += v / float64(len(x))
		}
		return s
	}
	if first, last := mean(losses[:10]), mean(losses[90:]); last > first-0.2 {
		t.Errorf("loss fell from %v to %v only", first, last)
	}
	own := map[string]bool{"shared.weight": true}
	for _, p := range m.retrievalParameters() {
		own[p.Name] = true
	}
	for _, name := range changed(t, m, testConfig(2)) {
		if !own[name] {
			t.Errorf("%s was changed", name)
		}
	}
}

func TestCrop(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	doc := []int32{1, 2, 3, 4, 5}
	starts := map[int32]bool{}
	for range 100 {
		c := crop(rng, doc)
		if len(c) != 3 || c[2] != c[0]+2 {
			t.Fatalf("crop of %v: %v", doc, c)
		}
		starts[c[0]] = true
	}
	if len(starts) != 3 {
		t.Errorf("crops start with %v, want 1, 2 and 3", starts)
	}
	for _, short := range [][]int32{{}, {7}} {
		if c := crop(rng, short); !slices.Equal(c, short) {
			t.Errorf("crop of %v: %v", short, c)
		}
	}
}

// Without a learning rate of its own and without a gradient from the relevance
// g stays as it is, except for the embeddings.
func TestGLearningRate(t *testing.T) {
	tok, store := testCorpus(t)
	for _, c := range []struct {
		name   string
		set    func(o *PretrainOptions)
		frozen func(m *Model) []string
	}{
		{"GLearningRate", func(o *PretrainOptions) { o.GLearningRate = -1 }, func(m *Model) (names []string) {
			for _, p := range m.retrievalParameters() {
				names = append(names, p.Name)
			}
			return names
		}},
		{"DetachRelevance", func(o *PretrainOptions) { o.DetachRelevance = true }, func(*Model) []string {
			return []string{"encoder.retrieval_layer_norm.weight", "encoder.retrieval_layer_norm.bias"}
		}},
		{"BetaLearningRate", func(o *PretrainOptions) { o.BetaLearningRate = -1 },
			func(*Model) []string { return []string{"beta"} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := testModel(t, testConfig(2))
			m.Tokenizer = tok
			o := testOptions("")
			o.Steps = 10
			c.set(&o)
			if _, err := Pretrain(context.Background(), m, store, o); err != nil {
				t.Fatal(err)
			}
			frozen, moved := c.frozen(m), changed(t, m, testConfig(2))
			for _, name := range frozen {
				if slices.Contains(moved, name) {
					t.Errorf("%s was changed", name)
				}
			}
			if len(moved)+len(frozen) != len(m.params) {
				t.Errorf("of %d parameters %d were changed and %d should stay: %v", len(m.params), len(moved), len(frozen), moved)
			}
		})
	}
}

// Every batch has the null document as its last evidence, hidden from nobody.
func TestNullDocument(t *testing.T) {
	tok, store := testCorpus(t)
	m := testModel(t, testConfig(2))
	m.Tokenizer = tok
	o := testOptions("")
	o.NullDocument = true
	_, links, err := newPretraining(m, store, o)
	if err != nil {
		t.Fatal(err)
	}
	batches, err := links.take(context.Background(), 0, 100)
	if err != nil || len(batches) < 2 {
		t.Fatalf("%d batches, error %v", len(batches), err)
	}
	for _, b := range batches {
		last := len(b.Evidence) - 1
		if len(b.Evidence[last]) != 0 {
			t.Fatalf("the last evidence document is %v", b.Evidence[last])
		}
		for _, own := range b.Own {
			if own[1] == last {
				t.Fatalf("the null document is hidden from target %d", own[0])
			}
		}
	}
}

// Resumed in the contrastive phase or after it, a training ends with the same
// bits.
func TestContrastiveStepsResume(t *testing.T) {
	o := testOptions("")
	o.Steps, o.ContrastiveSteps = 20, 8
	want, _, err := train(t, 2, o)
	if err != nil {
		t.Fatal(err)
	}
	o.Dir, o.Resume, o.CheckpointEvery = t.TempDir(), true, 1
	for _, stop := range []int{3, 12} {
		o.OnStep = func(m Metrics) error {
			if m.Step == stop {
				return context.Canceled
			}
			return nil
		}
		if _, _, err := train(t, 2, o); err == nil || !strings.Contains(err.Error(), "stopped") {
			t.Fatalf("error %v", err)
		}
	}
	o.OnStep = nil
	got, stats, err := train(t, 2, o)
	if err != nil {
		t.Fatal(err)
	}
	if stats.Steps != 20 || !bytes.Equal(got, want) {
		t.Errorf("the resumed training of %d steps ended with other parameters", stats.Steps)
	}
}
