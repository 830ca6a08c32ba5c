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
) (h *probe.Measurement, err error) {
	defer d.End()
	err = e.evaluate(ctx, m, r, func() (err error) {
		h, err = e.heldout(lossTargets, func(done, total int) {
			d.Progress(fmt.Sprintf("%3d%%  evaluation", 100*done/total))
		}).Measure(ctx, m)
		return err
	})
	if h == nil || err != nil {
		return nil, err
	}
	r.measured(h, random)
	return h, nil
}

// layers does the same for a model that has no g, by the means of the encoder's
// layers.
func (e *evaluation) layers(ctx context.Context, m *marge.Model, r *result) error {
	return e.evaluate(ctx, m, r, func() error {
		plain, centered, err := e.heldout(0, nil).Layers(ctx, m)
		for i := range plain {
			r.P1Layers = append(r.P1Layers, plain[i].Micro.P1)
			r.P1LayersCentered = append(r.P1LayersCentered, centered[i].Micro.P1)
		}
		return err
	})
}

// evaluate has a model measured, and adds retrieval by TF-IDF to the result, or why
// nothing is measured.
func (e *evaluation) evaluate(ctx context.Context, m *marge.Model, r *result, measure func() error) error {
	r.HeldoutDocuments, r.NotEvaluated = len(e.docs), e.missing
	if e.missing != "" {
		return nil
	}
	err := measure()
	if err == nil {
		var tfidf *eval.Report
		if tfidf, err = e.tfidf(ctx, m); err == nil {
			r.compared(tfidf)
			return nil
		}
	}
	r.NotEvaluated = err.Error()
	if ctx.Err() != nil {
		r.NotEvaluated = "the evaluation was interrupted"
	}
	return fmt.Errorf("evaluation: %w", err)
}

// tfidf measures retrieval by TF-IDF.
func (e *evaluation) tfidf(ctx context.Context, m *marge.Model) (*eval.Report, error) {
	docs := make([]eval.Doc, len(e.docs))
	for i, d := range e.docs {
		docs[i] = eval.Doc{Lang: d.Lang, Group: d.Group}
	}
	scorer, err := eval.NewTFIDF(ctx, m.Runner(), e.seen, eval.TFIDFOptions{})
	if err != nil {
		return nil, err
	}
	return eval.Retrieval(ctx, docs, scorer, nil)
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
