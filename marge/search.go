package marge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/marge-go/marge/internal/langtag"
	"github.com/marge-go/marge/tensor"
)

// SearchOptions say what [Model.Search] returns.
type SearchOptions struct {
	K int // number of hits (0: 10)
	// Lang leaves out passages in other languages; "pt" lets "pt-BR" pass, but not
	// the other way round. "" lets all pass.
	Lang string
}

// Search returns the passages of an index that are most relevant to a text, best
// first, as [Model.Retrieve] does for token ids. A long text is encoded whole,
// see [Model.Encode]. It is an error if the text is empty.
//
//	x, err := model.NewIndex(ctx, nil, nil)
//	_, err = x.Add(ctx, model, documents, marge.AddOptions{})
//	hits, err := model.Search(ctx, "When does the ferry leave?", x, marge.SearchOptions{})
func (m *Model) Search(ctx context.Context, text string, x *Index, o SearchOptions) (hits []Hit, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("search: %w", err)
		}
	}()
	defer tensor.Recover(&err)
	setDefault(&o.K, 10)
	if err := x.check(m, o.K); err != nil {
		return nil, err
	}
	if text == "" {
		return nil, errors.New("the text is empty")
	}
	var keep func(lang string) bool
	if o.Lang != "" {
		if _, err := langtag.Canonical(o.Lang); err != nil {
			return nil, err
		}
		known := []string{o.Lang}
		keep = func(lang string) bool {
			_, ok := langtag.Match(lang, known)
			return ok
		}
	}
	encoded, err := m.Encode(ctx, []string{text}, EncodeOptions{})
	if err != nil {
		return nil, err
	}
	return x.nearest(ctx, m, encoded[0], o.K, keep)
}

// check tells what keeps a model from being asked for k documents of an index.
func (x *Index) check(m *Model, k int) error {
	if k < 1 {
		return fmt.Errorf("k is %d, must be at least 1", k)
	}
	return x.CheckModel(m)
}

// nearest returns the k documents whose vectors are nearest, or fewer, in
// languages that keep accepts; nil accepts all.
func (x *Index) nearest(
	ctx context.Context, m *Model, vector []float32, k int, keep func(lang string) bool,
) ([]Hit, error) {
	x.lock.RLock()
	defer x.lock.RUnlock()
	k = min(k, max(x.flat.Len(), 1))
	var accept func(int32) bool
	if keep != nil {
		accept = func(i int32) bool { return keep(string(x.recordLocked(int(i)).lang)) }
	}
	found, scores, err := x.flat.SearchFunc(ctx, m.Runner(), vector, k, accept)
	if err != nil {
		return nil, err
	}
	hits := make([]Hit, 0, k)
	for i, row := range found {
		if row >= 0 {
			hits = append(hits, Hit{Document: int(row), Relevance: scores[i], Passage: x.recordLocked(int(row)).passage()})
		}
	}
	return hits, nil
}

// Rerank returns hits in the order of how well the query can be reconstructed
// from each (arXiv:2006.15020, section 2.3): by the loss per token of the query
// with the hit as its only evidence, see [Hit.Loss]. lang is the language of
// the query. A query or a hit that is longer than the model takes is cut.
func (m *Model) Rerank(ctx context.Context, query, lang string, hits []Hit) (ranked []Hit, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("rerank: %w", err)
		}
	}()
	target, err := m.Tokens(query)
	if err != nil {
		return nil, err
	}
	language, err := m.Tokenizer.LanguageToken(lang)
	if err != nil {
		return nil, err
	}
	ranked = slices.Clone(hits)
	for i := range ranked {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		evidence, err := m.Tokens(ranked[i].Text)
		if err != nil {
			return nil, err
		}
		b := Batch{Evidence: [][]int32{evidence}, Targets: [][]int32{target}, Languages: []int32{language}}
		losses, err := m.Loss(&b)
		if err != nil {
			return nil, fmt.Errorf("%v: %w", ranked[i], err)
		}
		ranked[i].Loss = losses[0]
	}
	slices.SortStableFunc(ranked, func(a, b Hit) int { return cmp.Compare(a.Loss, b.Loss) })
	return ranked, nil
}
