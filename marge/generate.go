package marge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/attention"
	"github.com/marge-go/marge/marge/tokenizer"
	"github.com/marge-go/marge/tensor"
)

// GenerateOptions are the settings of generation.
type GenerateOptions struct {
	Lang  string // language of the output, BCP 47: the decoder's first input
	Beams int    // width of the beam search; 0 and 1 are greedy search
	// MaxTokens bounds the output; 0 stands for as many as the model has
	// positions.
	MaxTokens int
	// LengthPenalty is the power of the length by which the beam search
	// divides log-likelihoods; 0 stands for 1.
	LengthPenalty float64
	// Relevance is f of each evidence document; nil makes all equal.
	Relevance []float32
}

// check tells what is wrong with the options for a number of evidence documents.
func (o *GenerateOptions) check(documents int) error {
	if o.Relevance != nil && len(o.Relevance) != documents {
		return fmt.Errorf("relevance of %d documents for %d of evidence", len(o.Relevance), documents)
	}
	for i, f := range o.Relevance {
		if !finite(float64(f)) {
			return fmt.Errorf("relevance of document %d is %v", i, f)
		}
	}
	if !finite(o.LengthPenalty) {
		return fmt.Errorf("LengthPenalty is %v, want a finite number", o.LengthPenalty)
	}
	return errors.Join(atLeast("Beams", o.Beams, 0), atLeast("MaxTokens", o.MaxTokens, 0))
}

// Generate returns a document in language o.Lang, reconstructed from evidence
// documents (arXiv:2006.15020, section 2.3). Evidence in one document of another
// language gives a translation of it, several documents a summary.
func (m *Model) Generate(ctx context.Context, evidence []string, o GenerateOptions) (string, error) {
	if m.Tokenizer == nil {
		return "", errors.New("generate: the model has no tokenizer")
	}
	language, err := m.Tokenizer.LanguageToken(o.Lang)
	if err != nil {
		return "", fmt.Errorf("generate: %w", err)
	}
	docs := make([][]int32, len(evidence))
	for i, text := range evidence {
		if docs[i], err = m.Tokens(text); err != nil {
			return "", fmt.Errorf("generate: %w", err)
		}
	}
	ids, err := m.GenerateTokens(ctx, docs, language, o)
	if err != nil {
		return "", err
	}
	return m.Tokenizer.Decode(ids), nil
}

// hypothesis is a partial or finished output.
type hypothesis struct {
	tokens   []int32 // without </s>
	score    float64 // log-likelihood, in nats
	finished bool    // the score includes that of </s>
}

// normalized returns the score by which hypotheses of different lengths are
// compared: per predicted token if the penalty is 1.
func (h *hypothesis) normalized(penalty float64) float64 {
	n := len(h.tokens)
	if h.finished {
		n++
	}
	return h.score / math.Pow(float64(n), penalty)
}

// GenerateTokens is Generate on token ids; o.Lang is not used. The result has
// neither language token nor </s>. A search that reaches MaxTokens returns the
// best of all hypotheses, finished or not.
func (m *Model) GenerateTokens(ctx context.Context, evidence [][]int32, language int32,
	o GenerateOptions) (ids []int32, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("generate: %w", err)
		}
	}()
	defer tensor.Recover(&err)
	b := Batch{Evidence: evidence, Targets: [][]int32{nil}, Languages: []int32{language}}
	if err := errors.Join(o.check(len(evidence)), b.Validate(&m.Config)); err != nil {
		return nil, err
	}
	limit := m.Config.MaxPositionEmbeddings - 1
	if o.MaxTokens > 0 {
		limit = min(limit, o.MaxTokens)
	}
	setDefault(&o.LengthPenalty, 1)
	setDefault(&o.Beams, 1)
	s := newSearch(m, language, o)
	defer s.close()
	s.encode(evidence, o.Relevance)
	for range limit {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if err := s.extend(); err != nil {
			return nil, err
		}
		if len(s.live) == 0 || len(s.done) >= s.beams {
			break
		}
	}
	return s.best().tokens, nil
}

// search is a beam search. The evidence is encoded and projected once; every
// step decodes all hypotheses, as documents of one packed batch that share
// the evidence.
type search struct {
	m            *Model
	language     int32
	beams        int
	penalty      float64
	never        []int32 // tokens that no output has
	prefix, step *tensor.Tape
	z            []attention.Evidence
	bias         []float32 // beta times the relevance of each evidence document
	live, done   []hypothesis
}

func newSearch(m *Model, language int32, o GenerateOptions) *search {
	s := &search{m: m, language: language, beams: o.Beams, penalty: o.LengthPenalty, prefix: m.tape(), step: m.tape()}
	s.never = []int32{tokenizer.BOS, tokenizer.Pad, tokenizer.Unk}
	if t := m.Tokenizer; t != nil {
		for _, lang := range t.Languages() {
			if id, err := t.LanguageToken(lang); err == nil {
				s.never = append(s.never, id)
			}
		}
	}
	s.live = []hypothesis{{}}
	return s
}

func (s *search) close() {
	s.m.tapes.Put(s.prefix)
	s.m.tapes.Put(s.step)
}

func (s *search) encode(evidence [][]int32, relevance []float32) {
	s.bias = make([]float32, len(evidence))
	if relevance != nil {
		beta := s.m.Beta()
		for i, f := range relevance {
			s.bias[i] = beta * f
		}
	}
	if len(evidence) == 0 {
		s.z, _ = s.m.noEvidence(s.prefix, 1)
		return
	}
	docs := packEncoder(s.prefix, evidence)
	x, _ := s.m.retrieval(s.prefix, docs)
	s.z = s.m.project(s.prefix, s.m.encode(s.prefix, x, docs.offsets), docs.offsets)
}

// best returns the best hypothesis. One that the limit has cut off competes
// with those that have ended.
func (s *search) best() hypothesis {
	return slices.MaxFunc(append(s.done, s.live...), func(a, b hypothesis) int {
		return cmp.Compare(a.normalized(s.penalty), b.normalized(s.penalty))
	})
}

// logits returns the scores of the token that follows each live hypothesis:
// [hypotheses, vocabulary].
func (s *search) logits() []float32 {
	s.step.Reset(tensor.Inference, 0)
	docs := make([][]int32, len(s.live))
	bias := make([]float32, 0, len(s.live)*len(s.bias))
	for i, h := range s.live {
		docs[i] = h.tokens
		bias = append(bias, s.bias...)
	}
	in := pack(s.step, docs, func(int) int32 { return s.language }, -1)
	hidden := s.m.decode(s.step, in, s.z, s.step.Floats(bias, len(docs), len(s.bias)), nil)
	last := make([]int32, len(docs))
	for i := range last {
		last[i] = in.offsets[i+1] - 1
	}
	out := s.step.MatMul(s.step.Gather(hidden, s.step.Ints(last), 1), s.m.shared.Weight, true)
	logits := make([]float32, out.Len())
	out.CopyTo(logits)
	return logits
}

// candidate is a hypothesis with one more token.
type candidate struct {
	parent int
	token  int32
	score  float64
}

// extend adds one token to the hypotheses and keeps the best ones.
func (s *search) extend() error {
	logits, v := s.logits(), s.m.Config.VocabSize
	var next []candidate
	for i, h := range s.live {
		row := logits[i*v : (i+1)*v]
		sum, err := logSumExp(row)
		if err != nil {
			return err
		}
		for _, token := range s.never {
			row[token] = float32(math.Inf(-1))
		}
		// Even if half of the best end the text, enough are left.
		for range min(2*s.beams, v) {
			token := asm.ArgMax(row)
			if math.IsInf(float64(row[token]), -1) {
				break // the others may not be
			}
			next = append(next, candidate{i, int32(token), h.score + float64(row[token]) - sum})
			row[token] = float32(math.Inf(-1))
		}
	}
	slices.SortStableFunc(next, func(a, b candidate) int { return cmp.Compare(b.score, a.score) })
	var live []hypothesis
	for rank, c := range next {
		parent := s.live[c.parent].tokens
		if c.token == tokenizer.EOS {
			if rank < s.beams {
				s.done = append(s.done, hypothesis{parent, c.score, true})
			}
		} else if len(live) < s.beams {
			live = append(live, hypothesis{append(slices.Clip(parent), c.token), c.score, false})
		}
	}
	if s.beams == 1 && len(s.done) > 0 {
		live = nil
	}
	s.live = live
	return nil
}

// logSumExp returns the logarithm of the sum of the exponentials of the scores
// of all tokens. It is an error if a score is not finite.
func logSumExp(row []float32) (float64, error) {
	sum := asm.LogSumExp(row)
	if !finite(sum) {
		return 0, errors.New("a score of a token is not finite: a weight of the model is not, or the scores overflow")
	}
	return sum, nil
}
