package marge

import (
	"context"
	"math"
	"slices"
	"testing"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/marge/tokenizer"
)

// logLikelihood is the model's for a whole output, by Loss.
func logLikelihood(t *testing.T, m *Model, evidence [][]int32, language int32, output []int32) float64 {
	t.Helper()
	l, err := m.Loss(&Batch{Evidence: evidence, Targets: [][]int32{output}, Languages: []int32{language}})
	if err != nil {
		t.Fatal(err)
	}
	return -l[0] * float64(len(output)+1)
}

// Greedy search by its definition: the best next token for every prefix, found
// with Loss's own forward pass.
func TestGreedyGeneration(t *testing.T) {
	m := testModel(t, testConfig(1))
	ctx := context.Background()
	var evidence [][]int32 // without any, the relevance plays no part
	got, err := m.GenerateTokens(ctx, evidence, 5, GenerateOptions{MaxTokens: 6})
	if err != nil {
		t.Fatal(err)
	}
	s := &search{m: m, language: 5, beams: 1, prefix: m.tape(), step: m.tape()}
	s.encode(evidence, nil)
	var want []int32
	for len(want) < 6 {
		s.live = []hypothesis{{tokens: want}}
		logits := s.logits()
		s.forbid(logits)
		next := int32(asm.ArgMax(logits))
		if next == tokenizer.EOS {
			break
		}
		want = append(want, next)
	}
	if !slices.Equal(got, want) {
		t.Errorf("greedy search gives %v, want %v", got, want)
	}
}

func TestSearchScoresAreLogLikelihoods(t *testing.T) {
	m := testModel(t, testConfig(1))
	s := &search{m: m, language: 5, beams: 3, penalty: 1, prefix: m.tape(), step: m.tape()}
	s.encode(nil, nil)
	s.live = []hypothesis{{}}
	for range 4 {
		s.extend()
	}
	if len(s.live) != 3 {
		t.Fatalf("%d hypotheses live, want 3", len(s.live))
	}
	for _, h := range s.live {
		row := (&search{m: m, language: 5, beams: 1, z: s.z, step: m.tape(), live: []hypothesis{h}}).logits()
		end := float64(row[tokenizer.EOS]) - float64(asm.LogSumExp(row))
		if want := logLikelihood(t, m, nil, 5, h.tokens); math.Abs(h.score+end-want) > 1e-4 {
			t.Errorf("%v: score %v with </s>, want %v", h.tokens, h.score+end, want)
		}
	}
}

func TestBeamSearchIsNoWorse(t *testing.T) {
	m := testModel(t, testConfig(1))
	ctx := context.Background()
	evidence := [][]int32{{10, 11, 12}, {20, 21}}
	o := GenerateOptions{MaxTokens: 5}
	greedy, err := m.GenerateTokens(ctx, evidence, 5, o)
	if err != nil {
		t.Fatal(err)
	}
	o.Beams = 400
	o.MaxTokens = 2
	wide, err := m.GenerateTokens(ctx, evidence, 5, o)
	if err != nil {
		t.Fatal(err)
	}
	if len(greedy) > 5 || len(wide) > 2 {
		t.Errorf("outputs of %d and %d tokens exceed the limits", len(greedy), len(wide))
	}
	for _, id := range append(greedy, wide...) {
		if id == tokenizer.BOS || id == tokenizer.Pad || id == tokenizer.EOS || id == tokenizer.Unk {
			t.Errorf("the output has special token %d", id)
		}
	}
}

func TestGenerateErrors(t *testing.T) {
	m := testModel(t, testConfig(1))
	ctx, cancel := context.WithCancel(context.Background())
	if _, err := m.GenerateTokens(ctx, [][]int32{{10}}, 5, GenerateOptions{Relevance: []float32{1, 2}}); err == nil {
		t.Error("relevance of 2 documents for 1 is no error")
	}
	if _, err := m.GenerateTokens(ctx, [][]int32{{1000}}, 5, GenerateOptions{}); err == nil {
		t.Error("a token outside the vocabulary is no error")
	}
	if _, err := m.Generate(ctx, []string{"x"}, GenerateOptions{Lang: "de"}); err == nil {
		t.Error("no tokenizer is no error")
	}
	cancel()
	if _, err := m.GenerateTokens(ctx, [][]int32{{10}}, 5, GenerateOptions{}); err == nil {
		t.Error("a cancelled context is no error")
	}
}
