package main

import (
	"context"
	"fmt"
	"io"
	"runtime"

	"github.com/marge-go/marge/asm"
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

// evaluation measures a model on held-out documents.
type evaluation struct {
	docs  []probe.Document
	texts []string
	seed  uint64
}

func (e *evaluation) heldout(targets int) *probe.Heldout {
	return probe.NewHeldout(e.docs, probe.HeldoutOptions{Seed: e.seed, LossTargets: targets})
}

// final measures all that a run reports.
func (e *evaluation) final(ctx context.Context, m *marge.Model, random *eval.Report) (*result, *probe.Measurement, error) {
	h, err := e.heldout(lossTargets).Measure(ctx, m)
	if err != nil {
		return nil, nil, err
	}
	docs := make([]eval.Doc, len(e.docs))
	for i, d := range e.docs {
		docs[i] = eval.Doc{Lang: d.Lang, Group: d.Group}
	}
	baseline, err := eval.NewTFIDF(ctx, m.Runner(), e.texts, eval.TFIDFOptions{})
	if err != nil {
		return nil, nil, err
	}
	tfidf, err := eval.Retrieval(ctx, docs, baseline, nil)
	if err != nil {
		return nil, nil, err
	}
	r := &result{
		HeldoutRetrieved: h.Loss.Retrieved, HeldoutOracle: h.Loss.Oracle, HeldoutRandom: h.Loss.Random, HeldoutNone: h.Loss.None,
		P1: h.P1, MRR: h.MRR, P1Centered: h.P1Centered, P1RandomInit: random.Micro.P1, P1TFIDF: tfidf.Micro.P1,
		RelevanceAUC: h.RelevanceAUC, AttentionEntropy: h.AttentionEntropy,
		AttentionTranslation: h.AttentionTranslation, AttentionUniform: h.AttentionUniform,
		P1ByPair: map[string]any{}, HeldoutDocuments: len(e.docs), RetrievalQueries: h.Report.Micro.N,
		GoVersion: runtime.Version(), InstructionSet: asm.Current().String(), ThreadsForTensors: m.Runner().Threads(),
	}
	for i, p := range h.Report.Pairs {
		r.P1ByPair[p.From+"-"+p.To] = map[string]any{
			"n": p.N, "g": p.P1, "random_init": random.Pairs[i].P1, "tfidf": tfidf.Pairs[i].P1,
		}
	}
	return r, h, nil
}

// samples prints reconstructions of up to n held-out documents from what g
// retrieves for them.
func (e *evaluation) samples(ctx context.Context, w io.Writer, m *marge.Model, h *probe.Measurement, n int) error {
	for i, target := range h.Targets[:min(n, len(h.Targets))] {
		found, lang := h.Retrieved[i], e.docs[target].Lang
		var evidence []string
		for _, j := range found {
			evidence = append(evidence, e.texts[j])
		}
		text, err := m.Generate(ctx, evidence, marge.GenerateOptions{Lang: lang, MaxTokens: len(e.docs[target].Tokens) + 20})
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "\ntarget (%s): %s\n", lang, e.texts[target])
		for _, j := range found[:min(2, len(found))] {
			fmt.Fprintf(w, "evidence (%s): %s\n", e.docs[j].Lang, e.texts[j])
		}
		fmt.Fprintf(w, "reconstruction: %s\n", text)
	}
	return nil
}
