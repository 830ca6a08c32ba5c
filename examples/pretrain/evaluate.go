package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/eval"
	"github.com/marge-go/marge/marge/index"
	"github.com/marge-go/marge/tensor"
)

// document is a held-out document, cut to one chunk.
type document struct {
	id, lang, group, text string
	tokens                []int32
}

// evidenceDocuments is how many documents a held-out target is reconstructed
// from, lossTargets how many targets the loss is measured on.
const (
	evidenceDocuments = 4
	lossTargets       = 300
	probeTargets      = 60
)

// evaluation measures a model on held-out documents.
type evaluation struct {
	docs    []document
	tokens  [][]int32
	meta    []eval.Doc
	targets []int // documents to reconstruct, shuffled; each has a translation
	seed    uint64
}

func newEvaluation(docs []document, seed uint64) *evaluation {
	e := &evaluation{docs: docs, seed: seed}
	languages := map[string]map[string]bool{}
	for _, d := range docs {
		e.tokens = append(e.tokens, d.tokens)
		e.meta = append(e.meta, eval.Doc{Lang: d.lang, Group: d.group})
		if languages[d.group] == nil {
			languages[d.group] = map[string]bool{}
		}
		languages[d.group][d.lang] = true
	}
	for i, d := range docs {
		if d.group != "" && len(languages[d.group]) > 1 {
			e.targets = append(e.targets, i)
		}
	}
	rng := rand.New(rand.NewPCG(seed, 1))
	rng.Shuffle(len(e.targets), func(i, j int) { e.targets[i], e.targets[j] = e.targets[j], e.targets[i] })
	return e
}

func runner(m *marge.Model) asm.Runner {
	if cpu, ok := m.Backend().(*tensor.CPU); ok {
		return cpu.Pool()
	}
	return asm.Serial
}

// retrieval measures cross-lingual retrieval by g, as it is and with the mean
// of each language taken off.
func (e *evaluation) retrieval(ctx context.Context, m *marge.Model) (plain, centred *eval.Report, err error) {
	vectors, err := m.Embed(ctx, e.tokens)
	if err != nil {
		return nil, nil, err
	}
	plain = eval.Retrieval(e.meta, eval.NewDense(runner(m), vectors, m.Config.DModel))
	langs := make([]string, len(e.docs))
	for i, d := range e.docs {
		langs[i] = d.lang
	}
	eval.CenterByLanguage(vectors, m.Config.DModel, langs)
	return plain, eval.Retrieval(e.meta, eval.NewDense(runner(m), vectors, m.Config.DModel)), nil
}

// losses are held-out losses in nats per token by the kind of evidence.
type losses struct {
	Retrieved float64 `json:"retrieved"`
	Oracle    float64 `json:"oracle"`
	Random    float64 `json:"random"`
	None      float64 `json:"none"`
}

// loss measures how well up to n targets are reconstructed: from the documents
// that g retrieves for them among all others, from their translations, from
// random documents that are no translations, and from nothing.
func (e *evaluation) loss(ctx context.Context, m *marge.Model, n int) (losses, error) {
	retrieved, err := e.retrieve(ctx, m, n)
	if err != nil {
		return losses{}, err
	}
	rng := rand.New(rand.NewPCG(e.seed, 2))
	var out losses
	predicted := 0.0
	for i, target := range e.targets[:min(n, len(e.targets))] {
		if err := ctx.Err(); err != nil {
			return losses{}, err
		}
		weight := float64(len(e.tokens[target]) + 1)
		predicted += weight
		for _, kind := range []struct {
			sum  *float64
			docs []int
		}{
			{&out.Retrieved, retrieved[i]},
			{&out.Oracle, e.translations(rng, target)},
			{&out.Random, e.strangers(rng, target)},
			{&out.None, nil},
		} {
			l, err := e.reconstruct(m, target, kind.docs)
			if err != nil {
				return losses{}, err
			}
			*kind.sum += l * weight
		}
	}
	for _, sum := range []*float64{&out.Retrieved, &out.Oracle, &out.Random, &out.None} {
		*sum /= max(predicted, 1)
	}
	return out, nil
}

func (e *evaluation) reconstruct(m *marge.Model, target int, evidence []int) (float64, error) {
	language, err := m.Tokenizer.LanguageToken(e.docs[target].lang)
	if err != nil {
		return 0, err
	}
	b := marge.Batch{Targets: [][]int32{e.tokens[target]}, Languages: []int32{language}}
	for _, i := range evidence {
		b.Evidence = append(b.Evidence, e.tokens[i])
	}
	l, err := m.Loss(&b)
	if err != nil {
		return 0, fmt.Errorf("%s: %w", e.docs[target].id, err)
	}
	return l[0], nil
}

// retrieve returns the documents most relevant to each of the first n targets,
// by g, other than the target.
func (e *evaluation) retrieve(ctx context.Context, m *marge.Model, n int) ([][]int, error) {
	d := m.Config.DModel
	vectors, err := m.Embed(ctx, e.tokens)
	if err != nil {
		return nil, err
	}
	flat := index.NewFlat(d)
	flat.Add(vectors)
	targets := e.targets[:min(n, len(e.targets))]
	var queries []float32
	for _, t := range targets {
		queries = append(queries, vectors[t*d:(t+1)*d]...)
	}
	const k = evidenceDocuments + 1
	ids, _ := flat.Search(runner(m), queries, k)
	found := make([][]int, len(targets))
	for i, t := range targets {
		for _, id := range ids[i*k : (i+1)*k] {
			if id >= 0 && int(id) != t && len(found[i]) < evidenceDocuments {
				found[i] = append(found[i], int(id))
			}
		}
	}
	return found, nil
}

// translations returns documents equivalent to the target in other languages.
func (e *evaluation) translations(rng *rand.Rand, target int) []int {
	var found []int
	for _, i := range rng.Perm(len(e.docs)) {
		if len(found) < evidenceDocuments && e.docs[i].group == e.docs[target].group && e.docs[i].lang != e.docs[target].lang {
			found = append(found, i)
		}
	}
	return found
}

// strangers returns random documents that are not equivalent to the target.
func (e *evaluation) strangers(rng *rand.Rand, target int) []int {
	var found []int
	for range 100 {
		i := rng.IntN(len(e.docs))
		if len(found) < evidenceDocuments && e.docs[i].group != e.docs[target].group && !slices.Contains(found, i) {
			found = append(found, i)
		}
	}
	return found
}

// final measures all that a run reports.
func (e *evaluation) final(ctx context.Context, m *marge.Model, random *eval.Report) (*result, error) {
	report, centred, err := e.retrieval(ctx, m)
	if err != nil {
		return nil, err
	}
	l, err := e.loss(ctx, m, lossTargets)
	if err != nil {
		return nil, err
	}
	texts := make([]string, len(e.docs))
	for i, d := range e.docs {
		texts[i] = d.text
	}
	tfidf := eval.Retrieval(e.meta, eval.NewTFIDF(runner(m), texts, eval.TFIDFOptions{}))
	r := &result{
		HeldoutRetrieved: l.Retrieved, HeldoutOracle: l.Oracle, HeldoutRandom: l.Random, HeldoutNone: l.None,
		P1: report.Micro.P1, MRR: report.Micro.MRR, P1Centred: centred.Micro.P1, P1RandomInit: random.Micro.P1, P1TFIDF: tfidf.Micro.P1,
		P1ByPair: map[string]any{}, HeldoutDocuments: len(e.docs), RetrievalQueries: report.Micro.N,
		GoVersion: runtime.Version(), InstructionSet: asm.Current().String(), ThreadsForTensors: runner(m).Threads(),
	}
	for i, p := range report.Pairs {
		r.P1ByPair[p.From+"-"+p.To] = map[string]any{
			"n": p.N, "g": p.P1, "random_init": random.Pairs[i].P1, "tfidf": tfidf.Pairs[i].P1,
		}
	}
	return r, nil
}

// samples prints reconstructions of held-out documents from what g retrieves
// for them.
func (e *evaluation) samples(ctx context.Context, w io.Writer, m *marge.Model, n int) error {
	retrieved, err := e.retrieve(ctx, m, n)
	if err != nil {
		return err
	}
	for i, found := range retrieved {
		target := e.docs[e.targets[i]]
		var evidence []string
		for _, j := range found {
			evidence = append(evidence, e.docs[j].text)
		}
		text, err := m.Generate(ctx, evidence, marge.GenerateOptions{Lang: target.lang, MaxTokens: len(target.tokens) + 20})
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "\ntarget (%s): %s\n", target.lang, target.text)
		for _, j := range found[:min(2, len(found))] {
			fmt.Fprintf(w, "evidence (%s): %s\n", e.docs[j].lang, e.docs[j].text)
		}
		fmt.Fprintf(w, "reconstruction: %s\n", text)
	}
	return nil
}
