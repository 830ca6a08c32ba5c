package marge

import (
	"context"
	"math"
	"slices"
	"strings"
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
	s := newSearch(m, 5, GenerateOptions{Beams: 1})
	s.encode(evidence, nil)
	var want []int32
	for len(want) < 6 {
		s.live = []hypothesis{{tokens: want}}
		logits := s.logits()
		for _, token := range s.never {
			logits[token] = float32(math.Inf(-1))
		}
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
	s := newSearch(m, 5, GenerateOptions{Beams: 3, LengthPenalty: 1})
	s.encode(nil, nil)
	for range 4 {
		if err := s.extend(); err != nil {
			t.Fatal(err)
		}
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

// A search that is cut at its limit returns the best of all hypotheses: as
// Hugging Face's generate does, which compares those that have ended and those
// that have not by their scores per predicted token.
func TestBeamSearchAtTheLimit(t *testing.T) {
	evidence := [][]int32{{10, 11, 12}, {20, 21}}
	cut := 0
	for seed := range uint64(20) {
		c := testConfig(1)
		c.Seed = seed
		m := testModel(t, c)
		o := GenerateOptions{Beams: 2, MaxTokens: 12, LengthPenalty: 1}
		got, err := m.GenerateTokens(context.Background(), evidence, 5, o)
		if err != nil {
			t.Fatal(err)
		}
		s := newSearch(m, 5, o)
		s.encode(evidence, nil)
		for range o.MaxTokens {
			if err := s.extend(); err != nil {
				t.Fatal(err)
			}
			if len(s.live) == 0 || len(s.done) >= s.beams {
				break
			}
		}
		var want []int32
		highest := math.Inf(-1)
		for _, h := range s.done {
			if score := h.score / float64(len(h.tokens)+1); score > highest {
				highest, want = score, h.tokens
			}
		}
		for _, h := range s.live {
			if score := h.score / float64(len(h.tokens)); score > highest {
				highest, want = score, h.tokens
				if len(s.done) > 0 {
					cut++
				}
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("seed %d: got %v, want %v, which scores %v", seed, got, want, highest)
		}
	}
	if cut == 0 {
		t.Error("no search of this test is cut while a hypothesis that has not ended is the best")
	}
}

// Log-probabilities do not change when all scores grow by the same number.
func TestLogSumExpOfLargeScores(t *testing.T) {
	for _, offset := range []float32{0, 1e3, -1e4, 1e5, 1e6} {
		sum, err := logSumExp([]float32{offset, offset + 1, offset + 2})
		if err != nil {
			t.Fatal(err)
		}
		if got := float64(offset) - sum; math.Abs(got+2.4076059644) > 2e-6 {
			t.Errorf("scores from %v on: the log-probability of the first is %v, want -2.4076060", offset, got)
		}
	}
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1))} {
		if _, err := logSumExp([]float32{1, bad, 2}); err == nil {
			t.Errorf("a score of %v is no error", bad)
		}
	}
}

// With a vocabulary of nothing but special tokens there is only the empty output.
func TestGenerateWithoutTokens(t *testing.T) {
	c := testConfig(1)
	c.VocabSize = 5
	got, err := testModel(t, c).GenerateTokens(context.Background(), nil, 4, GenerateOptions{Beams: 3, MaxTokens: 4})
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range got {
		if id < 4 {
			t.Errorf("the output %v has a special token", got)
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
	nan := math.NaN()
	for want, o := range map[string]GenerateOptions{
		"Beams is -1":                     {Beams: -1},
		"MaxTokens is -5":                 {MaxTokens: -5},
		"LengthPenalty is NaN":            {LengthPenalty: nan},
		"relevance of document 0 is NaN":  {Relevance: []float32{float32(nan)}},
		"LengthPenalty is -Inf":           {LengthPenalty: math.Inf(-1)},
		"relevance of document 0 is -Inf": {Relevance: []float32{float32(math.Inf(-1))}},
	} {
		if _, err := m.GenerateTokens(ctx, [][]int32{{10}}, 5, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	m.shared.Weight.Float32s()[7] = float32(nan)
	if _, err := m.GenerateTokens(ctx, [][]int32{{10}}, 5, GenerateOptions{Beams: 2}); err == nil {
		t.Error("a weight that is not a number is no error of Generate")
	}
	if _, err := m.Loss(testBatch()); err == nil {
		t.Error("a weight that is not a number is no error of Loss")
	}
	if _, err := m.EvidenceAttention(&Batch{
		Evidence: [][]int32{{0}}, Targets: [][]int32{{0}}, Languages: []int32{5},
	}); err == nil {
		t.Error("a weight that is not a number is no error of EvidenceAttention")
	}
	cancel()
	if _, err := m.GenerateTokens(ctx, [][]int32{{10}}, 5, GenerateOptions{}); err == nil {
		t.Error("a cancelled context is no error")
	}
}
