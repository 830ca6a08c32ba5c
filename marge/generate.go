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
	tokens []int32
	score  float64 // log-likelihood, in nats
}

func (h *hypothesis) normalized(penalty float64) float64 {
	return h.score / math.Pow(float64(len(h.tokens)+1), penalty)
}

// GenerateTokens is Generate on token ids; o.Lang is not used. The result has
// neither language token nor </s>.
func (m *Model) GenerateTokens(ctx context.Context, evidence [][]int32, language int32, o GenerateOptions) ([]int32, error) {
	b := Batch{Evidence: evidence, Targets: [][]int32{nil}, Languages: []int32{language}}
	if err := b.Validate(&m.Config); err != nil {
		return nil, fmt.Errorf("generate: %w", err)
	}
	if o.Relevance != nil && len(o.Relevance) != len(evidence) {
		return nil, fmt.Errorf("generate: relevance of %d documents for %d of evidence", len(o.Relevance), len(evidence))
	}
	limit := m.Config.MaxPositionEmbeddings - 1
	if o.MaxTokens > 0 {
		limit = min(limit, o.MaxTokens)
	}
	setDefault(&o.LengthPenalty, 1)
	setDefault(&o.Beams, 1)
	s := &search{m: m, language: language, beams: o.Beams, penalty: o.LengthPenalty, prefix: m.tape(), step: m.tape()}
	defer m.tapes.Put(s.prefix)
	defer m.tapes.Put(s.step)
	s.encode(evidence, o.Relevance)
	s.live = []hypothesis{{}}
	for range limit {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("generate: %w", err)
		}
		s.extend()
		if len(s.live) == 0 || len(s.done) >= s.beams {
			break
		}
	}
	if len(s.done) == 0 { // cut at the limit
		s.done = s.live
	}
	best := slices.MaxFunc(s.done, func(a, b hypothesis) int {
		return cmp.Compare(a.normalized(s.penalty), b.normalized(s.penalty))
	})
	return best.tokens, nil
}

// search is a beam search. The evidence is encoded and projected once; every
// step decodes all hypotheses, as documents of one packed batch that share
// the evidence.
type search struct {
	m            *Model
	language     int32
	beams        int
	penalty      float64
	prefix, step *tensor.Tape
	z            []attention.Evidence
	relevance    []float32
	live, done   []hypothesis
}

func (s *search) encode(evidence [][]int32, relevance []float32) {
	s.relevance = make([]float32, len(evidence))
	copy(s.relevance, relevance)
	if len(evidence) == 0 {
		s.z, _ = s.m.noEvidence(s.prefix, 1)
		return
	}
	docs := packEncoder(s.prefix, evidence)
	x, _ := s.m.retrieval(s.prefix, docs)
	s.z = s.m.project(s.prefix, s.m.encode(s.prefix, x, docs.offsets), docs.offsets)
}

// logits returns the scores of the token that follows each live hypothesis:
// [hypotheses, vocabulary].
func (s *search) logits() []float32 {
	s.step.Reset(tensor.Inference, 0)
	docs := make([][]int32, len(s.live))
	bias := make([]float32, 0, len(s.live)*len(s.relevance))
	for i, h := range s.live {
		docs[i] = h.tokens
		for _, f := range s.relevance {
			bias = append(bias, s.m.Beta()*f)
		}
	}
	in := pack(s.step, docs, func(int) int32 { return s.language }, -1)
	hidden := s.m.decode(s.step, in, s.z, s.step.Floats(bias, len(docs), len(s.relevance)), nil)
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
func (s *search) extend() {
	logits, v := s.logits(), s.m.Config.VocabSize
	var next []candidate
	for i, h := range s.live {
		row := logits[i*v : (i+1)*v]
		lse := float64(asm.LogSumExp(row))
		s.forbid(row)
		// Even if half of the best end the text, enough are left.
		for range min(2*s.beams, v) {
			token := asm.ArgMax(row)
			next = append(next, candidate{i, int32(token), h.score + float64(row[token]) - lse})
			row[token] = float32(math.Inf(-1))
		}
	}
	slices.SortStableFunc(next, func(a, b candidate) int { return cmp.Compare(b.score, a.score) })
	var live []hypothesis
	for rank, c := range next {
		parent := s.live[c.parent].tokens
		if c.token == tokenizer.EOS {
			if rank < s.beams {
				s.done = append(s.done, hypothesis{parent, c.score})
			}
		} else if len(live) < s.beams {
			live = append(live, hypothesis{append(slices.Clip(parent), c.token), c.score})
		}
	}
	if s.beams == 1 && len(s.done) > 0 {
		live = nil
	}
	s.live = live
}

// forbid rules out the special tokens other than </s>.
func (s *search) forbid(row []float32) {
	never := float32(math.Inf(-1))
	row[tokenizer.BOS], row[tokenizer.Pad], row[tokenizer.Unk] = never, never, never
	if t := s.m.Tokenizer; t != nil {
		for _, lang := range t.Languages() {
			if id, err := t.LanguageToken(lang); err == nil {
				row[id] = never
			}
		}
	}
}
