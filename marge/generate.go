package marge

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/marge-go/marge/marge/tokenizer"
	"github.com/marge-go/marge/tensor"
)

// GenerateOptions are the settings of generation. With a Temperature it samples,
// else it searches. The zero value of a field stands for the default that its
// comment gives. Options that contradict each other are errors.
type GenerateOptions struct {
	Lang string // language of the output, BCP 47: the decoder's first input

	Beams int // width of the beam search; 0 and 1 are greedy search
	// EarlyStopping ends a beam search when as many hypotheses as there are beams
	// have ended, as mBART does. Otherwise it goes on until no unfinished one has a
	// better score than these at its present length.
	EarlyStopping bool
	// LengthPenalty is the power of the length, in predicted tokens, by which
	// log-likelihoods are divided to compare hypotheses (1).
	LengthPenalty float64

	// Temperature, if above 0, draws tokens with the probabilities that logits
	// divided by it have: below 1 likely tokens become likelier. TopK limits the draw
	// to the likeliest tokens, TopP to the fewest whose probabilities add up to it (1:
	// all). Seed decides: equal requests with equal options give equal outputs.
	Temperature float64
	TopK        int
	TopP        float64
	Seed        uint64

	// MaxTokens bounds the output, in tokens; 0 stands for as many as the model
	// has positions. MinTokens is the length from which on the output may end.
	MaxTokens, MinTokens int
	NoRepeatNGram        int     // no sequence of so many tokens comes twice; 0: any may
	Suppress             []int32 // tokens that no output has
	// Prefix are tokens that outputs begin with. Requests can have their own.
	Prefix []int32

	// Return is the number of outputs of a request (1): the best, at most as many as
	// there are beams, or, if it samples, as many draws.
	Return int
	// Relevance is f of each evidence document; nil makes all equal. Requests can have
	// their own.
	Relevance []float32
	// Attention asks for how outputs attend to the evidence documents.
	Attention bool
	// OnToken, if not nil, is called with the tokens of the outputs, as soon as no
	// others can take their places: from a beam search, those that all hypotheses
	// have, of the best output alone. An error stops the generation.
	OnToken func(Token) error
	// Batch is how many requests are worked on together (as many as have 32
	// hypotheses). It changes time and memory, not the outputs.
	Batch int
}

// Request is what an output is generated from.
type Request struct {
	Evidence  []string  // documents
	Lang      string    // of the output, BCP 47; empty: that of the options
	Relevance []float32 // of each document; nil: that of the options
	Prefix    []int32   // tokens that the output begins with; nil: those of the options
}

// TokenRequest is a Request with documents of tokens, without <s> and </s>.
type TokenRequest struct {
	Evidence  [][]int32
	Language  int32 // token
	Relevance []float32
	Prefix    []int32
}

// Output is what was generated.
type Output struct {
	Text   string  // empty if the model has no tokenizer
	Tokens []int32 // without language token and </s>
	// LogProbs has the natural logarithm of the probability of each token given those
	// before it, and of </s> if Finished, without regard to Temperature and to what
	// options rule out.
	LogProbs []float32
	// Score is the sum of LogProbs divided by their number to the power of
	// LengthPenalty.
	Score    float64
	Finished bool // it ends with </s>, and not at a limit
	// Evidence has, if GenerateOptions.Attention is set, what EvidenceAttention.Mass
	// has: the share of each evidence document in the cross-attention.
	Evidence []float64
}

// Token is a token of an output that is being generated.
type Token struct {
	Request, Output int // numbers of the request and of its output
	ID              int32
	// Text is what the token adds to the text: nothing if it ends in the middle of a
	// character. Empty if the model has no tokenizer.
	Text string
}

// Generate returns a document in language o.Lang, reconstructed from evidence
// documents (arXiv:2006.15020, section 2.3). Evidence in one document of another
// language gives a translation of it, several documents a summary.
func (m *Model) Generate(ctx context.Context, evidence []string, o GenerateOptions) (string, error) {
	outputs, err := m.GenerateAll(ctx, []Request{{Evidence: evidence}}, o)
	if err != nil {
		return "", err
	}
	return outputs[0][0].Text, nil
}

// GenerateAll returns the outputs of each request, the best first. Those of one do
// not depend on which others there are.
func (m *Model) GenerateAll(ctx context.Context, requests []Request, o GenerateOptions) ([][]Output, error) {
	if m.Tokenizer == nil {
		return nil, errors.New("generate: the model has no tokenizer")
	}
	list := make([]TokenRequest, len(requests))
	for i, r := range requests {
		lang := r.Lang
		if lang == "" {
			lang = o.Lang
		}
		t := TokenRequest{Relevance: r.Relevance, Prefix: r.Prefix}
		var err error
		if t.Language, err = m.Tokenizer.LanguageToken(lang); err != nil {
			return nil, fmt.Errorf("generate: request %d: %w", i, err)
		}
		for j, text := range r.Evidence {
			tokens, err := m.Tokens(text)
			if err != nil {
				return nil, fmt.Errorf("generate: request %d: document %d: %w", i, j, err)
			}
			t.Evidence = append(t.Evidence, tokens)
		}
		list[i] = t
	}
	return m.GenerateAllTokens(ctx, list, o)
}

// GenerateTokens is Generate on token ids; o.Lang is not used. The result has
// neither language token nor </s>. A search that reaches MaxTokens returns the
// best of all hypotheses, finished or not.
func (m *Model) GenerateTokens(ctx context.Context, evidence [][]int32, language int32,
	o GenerateOptions) ([]int32, error) {
	outputs, err := m.GenerateAllTokens(ctx, []TokenRequest{{Evidence: evidence, Language: language}}, o)
	if err != nil {
		return nil, err
	}
	return outputs[0][0].Tokens, nil
}

// GenerateAllTokens is GenerateAll on token ids; o.Lang is not used.
func (m *Model) GenerateAllTokens(ctx context.Context, requests []TokenRequest, o GenerateOptions) (
	outputs [][]Output, err error) {
	defer func() {
		if err != nil {
			outputs, err = nil, fmt.Errorf("generate: %w", err)
		}
	}()
	defer tensor.Recover(&err)
	if err := o.complete(&m.Config); err != nil {
		return nil, err
	}
	never := append(m.neverGenerated(), o.Suppress...)
	searches := make([]*search, len(requests))
	for i, r := range requests {
		if r.Relevance == nil {
			r.Relevance = o.Relevance
		}
		if r.Prefix == nil {
			r.Prefix = o.Prefix
		}
		if err := r.check(m, &o, never); err != nil {
			return nil, fmt.Errorf("request %d: %w", i, err)
		}
		searches[i] = newSearch(m, i, r, &o)
	}
	return m.searchAll(ctx, searches, never, &o)
}

// neverGenerated returns the tokens that no output has. </s> ends one.
func (m *Model) neverGenerated() []int32 {
	never := []int32{tokenizer.BOS, tokenizer.Pad, tokenizer.Unk}
	if t := m.Tokenizer; t != nil {
		for _, lang := range t.Languages() {
			if id, err := t.LanguageToken(lang); err == nil {
				never = append(never, id)
			}
		}
	}
	return never
}

// leastTemperature is the least whose inverse is a finite float32.
const leastTemperature = 1e-38

// complete sets defaults, and tells what is wrong with the options.
func (o *GenerateOptions) complete(c *Config) error {
	if err := errors.Join(
		atLeast("Beams", o.Beams, 0), atLeast("MaxTokens", o.MaxTokens, 0), atLeast("MinTokens", o.MinTokens, 0),
		atLeast("NoRepeatNGram", o.NoRepeatNGram, 0), atLeast("TopK", o.TopK, 0), atLeast("Return", o.Return, 0),
		atLeast("Batch", o.Batch, 0),
	); err != nil {
		return err
	}
	setDefault(&o.Beams, 1)
	setDefault(&o.Return, 1)
	setDefault(&o.LengthPenalty, 1)
	switch {
	case !finite(o.LengthPenalty):
		return fmt.Errorf("option LengthPenalty is %v, want a finite number", o.LengthPenalty)
	case o.Temperature != 0 && !(o.Temperature >= leastTemperature && o.Temperature <= math.MaxFloat32):
		return fmt.Errorf("option Temperature is %v, want a number above 0, or 0 for a search", o.Temperature)
	case !(o.TopP >= 0 && o.TopP <= 1):
		return fmt.Errorf("option TopP is %v, want it above 0 and at most 1", o.TopP)
	case o.Temperature > 0 && o.Beams > 1:
		return fmt.Errorf("option Beams is %d with a Temperature: a beam search does not sample", o.Beams)
	case o.Temperature == 0 && (o.TopK > 0 || o.TopP > 0 || o.Seed > 0):
		return errors.New("options TopK, TopP or Seed without a Temperature: nothing is sampled")
	case o.Temperature == 0 && o.Return > o.Beams:
		return fmt.Errorf("option Return is %d, more than Beams, %d", o.Return, o.Beams)
	case o.EarlyStopping && o.Beams == 1:
		return errors.New("option EarlyStopping without Beams: it is for a beam search")
	}
	setDefault(&o.TopP, 1)
	limit := c.MaxPositionEmbeddings - 1
	if o.MaxTokens == 0 || o.MaxTokens > limit {
		o.MaxTokens = limit
	}
	if o.MinTokens > o.MaxTokens {
		return fmt.Errorf("option MinTokens is %d, more than the limit of %d tokens", o.MinTokens, o.MaxTokens)
	}
	for _, id := range o.Suppress {
		if id < 0 || int(id) >= c.VocabSize {
			return fmt.Errorf("option Suppress: token %d is outside the vocabulary of %d", id, c.VocabSize)
		}
	}
	if o.Batch == 0 {
		o.Batch = max(1, 32/max(o.Beams, o.Return))
	}
	return nil
}

// check tells what is wrong with a request.
func (r *TokenRequest) check(m *Model, o *GenerateOptions, never []int32) error {
	b := Batch{Evidence: r.Evidence, Targets: [][]int32{r.Prefix}, Languages: []int32{r.Language}}
	if err := b.Validate(&m.Config); err != nil {
		return err
	}
	if r.Relevance != nil && len(r.Relevance) != len(r.Evidence) {
		return fmt.Errorf("relevance of %d documents for %d of evidence", len(r.Relevance), len(r.Evidence))
	}
	for i, f := range r.Relevance {
		if !finite(float64(f)) {
			return fmt.Errorf("relevance of document %d is %v", i, f)
		}
	}
	if len(r.Prefix) > o.MaxTokens {
		return fmt.Errorf("option Prefix has %d tokens, more than the limit of %d", len(r.Prefix), o.MaxTokens)
	}
	for i, id := range r.Prefix {
		if id == tokenizer.EOS || slices.Contains(never, id) {
			return fmt.Errorf("option Prefix: token %d at %d is one that no output has", id, i)
		}
	}
	return nil
}
