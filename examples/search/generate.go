package main

import (
	"cmp"
	"context"

	"github.com/marge-go/marge/marge"
)

// Limits of what a request may ask to generate.
const (
	maxEvidence = 32
	maxOutputs  = 16 // and beams
)

type generateRequest struct {
	// Evidence is what the output is made from; without it, the K (4) best
	// passages for Query are.
	Evidence []string `json:"evidence"`
	Query    string   `json:"query"`
	K        int      `json:"k"`
	Lang     string   `json:"lang"` // of the output

	// The others are those of marge.GenerateOptions.
	N             int     `json:"n"`     // outputs (1)
	Beams         int     `json:"beams"` // 4, or 1 with a temperature
	Temperature   float64 `json:"temperature"`
	TopK          int     `json:"top_k"`
	TopP          float64 `json:"top_p"`
	Seed          uint64  `json:"seed"`
	MinTokens     int     `json:"min_tokens"`
	MaxTokens     int     `json:"max_tokens"`
	NoRepeatNGram int     `json:"no_repeat_ngram"`
}

type generateAnswer struct {
	Lang     string      `json:"lang"`
	Outputs  []generated `json:"outputs"`            // the best first
	Evidence []passage   `json:"evidence,omitempty"` // for Query
}

type generated struct {
	Text     string  `json:"text"`
	Score    float64 `json:"score"`    // see marge.Output
	Finished bool    `json:"finished"` // not cut off by a limit
}

// options checks what a request asks for.
func (r *generateRequest) options(m *marge.Model) (o marge.GenerateOptions, err error) {
	switch _, err := m.Tokenizer.LanguageToken(r.Lang); {
	case err != nil:
		return o, invalid("lang", "lang: %v", err)
	case (r.Query == "") == (len(r.Evidence) == 0):
		return o, invalid("evidence", "give either evidence, a list of texts, or a query")
	case max(len(r.Evidence), r.K) > maxEvidence:
		return o, invalid("evidence", "%d documents of evidence, at most %d are possible",
			max(len(r.Evidence), r.K), maxEvidence)
	case max(r.Beams, r.N) > maxOutputs:
		return o, invalid("beams", "beams is %d and n is %d, at most %d are possible", r.Beams, r.N, maxOutputs)
	}
	o = marge.GenerateOptions{
		Lang: r.Lang, Return: r.N, Beams: r.Beams, Temperature: r.Temperature, TopK: r.TopK, TopP: r.TopP, Seed: r.Seed,
		MinTokens: r.MinTokens, MaxTokens: r.MaxTokens, NoRepeatNGram: r.NoRepeatNGram,
	}
	if r.Beams == 0 && r.Temperature == 0 {
		o.Beams = max(4, r.N)
	}
	// Without a request, this checks the options alone.
	if _, err := m.GenerateAll(context.Background(), nil, o); err != nil {
		return o, invalid("", "%v", err)
	}
	return o, nil
}

func (s *server) generate(ctx context.Context, r generateRequest) (a generateAnswer, err error) {
	o, err := r.options(s.model)
	if err != nil {
		return a, err
	}
	if r.Query != "" {
		if a.Evidence, err = s.hits(ctx, request{Query: r.Query, K: cmp.Or(r.K, 4)}); err != nil {
			return a, err
		}
		for _, hit := range a.Evidence {
			r.Evidence, o.Relevance = append(r.Evidence, hit.Text), append(o.Relevance, hit.Score)
		}
	}
	outputs, err := s.model.GenerateAll(ctx, []marge.Request{{Evidence: r.Evidence}}, o)
	if err != nil {
		return a, err
	}
	a.Lang = r.Lang
	for _, out := range outputs[0] {
		a.Outputs = append(a.Outputs, generated{out.Text, out.Score, out.Finished})
	}
	return a, nil
}
