package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/marge-go/marge/examples/internal/program"
	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/eval"
	"github.com/marge-go/marge/marge/probe"
)

// How many held-out documents the loss is measured on, at the end and while
// the model is trained.
const (
	lossTargets  = 300
	probeTargets = 60
)

// evaluation measures a model on held-out documents: on the first chunk of
// each.
type evaluation struct {
	docs    []probe.Document
	seen    []string // text of the chunks
	seed    uint64
	missing string // why nothing can be measured, or ""
}

func (e *evaluation) heldout(targets int, onProgress func(done, total int)) *probe.Heldout {
	return probe.NewHeldout(e.docs, probe.HeldoutOptions{Seed: e.seed, LossTargets: targets, OnProgress: onProgress})
}

// random measures a model before it is trained.
func (e *evaluation) random(ctx context.Context, m *marge.Model) (*eval.Report, error) {
	if e.missing != "" {
		return nil, nil
	}
	report, _, err := e.heldout(probeTargets, nil).Retrieval(ctx, m)
	return report, err
}

// final measures a trained model and adds the figures to a result. Where
// nothing can be measured it adds why, and returns no measurement.
func (e *evaluation) final(
	ctx context.Context, m *marge.Model, random *eval.Report, r *result, d *program.Display,
) (*probe.Measurement, error) {
	r.HeldoutDocuments, r.NotEvaluated = len(e.docs), e.missing
	if e.missing != "" {
		return nil, nil
	}
	defer d.End()
	h, tfidf, err := e.measure(ctx, m, func(done, total int) {
		d.Progress(fmt.Sprintf("%3d%%  evaluation", 100*done/total))
	})
	if err != nil {
		r.NotEvaluated = err.Error()
		if ctx.Err() != nil {
			r.NotEvaluated = "the evaluation was interrupted"
		}
		return nil, fmt.Errorf("evaluation: %w", err)
	}
	r.measured(h, random, tfidf)
	return h, nil
}

// measure measures a model, and retrieval by TF-IDF beside it.
func (e *evaluation) measure(
	ctx context.Context, m *marge.Model, onProgress func(done, total int),
) (*probe.Measurement, *eval.Report, error) {
	h, err := e.heldout(lossTargets, onProgress).Measure(ctx, m)
	if err != nil {
		return nil, nil, err
	}
	docs := make([]eval.Doc, len(e.docs))
	for i, d := range e.docs {
		docs[i] = eval.Doc{Lang: d.Lang, Group: d.Group}
	}
	scorer, err := eval.NewTFIDF(ctx, m.Runner(), e.seen, eval.TFIDFOptions{})
	if err != nil {
		return nil, nil, err
	}
	tfidf, err := eval.Retrieval(ctx, docs, scorer, nil)
	return h, tfidf, err
}

// samples prints reconstructions of up to n held-out documents from what g
// retrieves for them.
func (e *evaluation) samples(ctx context.Context, w io.Writer, m *marge.Model, h *probe.Measurement, n int) error {
	for i, target := range h.Targets[:min(n, len(h.Targets))] {
		doc := &e.docs[target]
		language, err := m.Tokenizer.LanguageToken(doc.Lang)
		if err != nil {
			return err
		}
		var evidence [][]int32
		for _, j := range h.Retrieved[i] {
			evidence = append(evidence, e.docs[j].Tokens)
		}
		tokens, err := m.GenerateTokens(ctx, evidence, language, marge.GenerateOptions{MaxTokens: len(doc.Tokens) + 20})
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "\ntarget (%s): %s\n", doc.Lang, e.seen[target])
		for _, j := range h.Retrieved[i][:min(2, len(h.Retrieved[i]))] {
			fmt.Fprintf(w, "evidence (%s): %s\n", e.docs[j].Lang, e.seen[j])
		}
		fmt.Fprintf(w, "reconstruction: %s\n", strings.ToValidUTF8(m.Tokenizer.Decode(tokens), ""))
	}
	return nil
}
