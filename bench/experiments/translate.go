package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"

	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/eval"
)

// minTranslated is how many documents a pair of languages must have in common
// to be measured.
const minTranslated = 2

// translation is how well one model translates between two languages.
type translation struct {
	Seed uint64 `json:"seed"`
	Pair string `json:"pair"`
	// Outputs of the model from the document in the other language; from
	// another document in that language, which tells what it makes up; and that
	// document itself, copied.
	Model     *eval.GenerationReport `json:"model"`
	Unrelated *eval.GenerationReport `json:"unrelated"`
	Copy      *eval.GenerationReport `json:"copy"`
	Examples  []translated           `json:"examples"`
}

type translated struct {
	Source    string `json:"source"`
	Reference string `json:"reference"`
	Output    string `json:"output"`
}

// translator translates held-out documents.
type translator struct {
	list      string // of pairs
	documents int
	beams     int
}

func translate(fs *flag.FlagSet) func(context.Context, *env) (*report, error) {
	var t translator
	fs.StringVar(&t.list, "pairs", "", "`pairs` of languages, as in de-en,en-fr (default: English with all others, "+
		"both ways)")
	fs.IntVar(&t.documents, "documents", 50, "documents to translate of each pair, no longer than -chunk")
	fs.IntVar(&t.beams, "beams", 1, "width of the beam search")
	return t.run
}

func (t *translator) run(ctx context.Context, e *env) (*report, error) {
	if t.documents < minTranslated || t.beams < 1 {
		return nil, fmt.Errorf("-documents must be at least %d and -beams positive", minTranslated)
	}
	r := &report{Columns: []string{"pair", "documents", "BLEU", "BLEU, copy", "chrF", "chrF, copy",
		"chrF, unrelated document"}}
	var pairs []langPair
	results := map[langPair][]*translation{}
	var all []*translation
	err := e.eachModel(ctx, func(m *trained) error {
		r.Machine = machineOf(e.backend)
		h, err := e.heldout(m.model.Tokenizer)
		if err != nil {
			return err
		}
		if pairs, err = h.parsePairs(t.list); err != nil {
			return err
		}
		for _, p := range pairs {
			x, err := t.pair(ctx, h, m, p)
			if err != nil {
				return fmt.Errorf("%v: %w", p, err)
			}
			if x != nil {
				results[p], all = append(results[p], x), append(all, x)
				fmt.Fprintf(e.log, "%v: chrF %.1f, copy %.1f\n", p, x.Model.ChrF.Score, x.Copy.ChrF.Score)
			}
		}
		if m.run != nil {
			r.Trainings = append(r.Trainings, short("default", m.run))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, errors.New("no pair of languages has documents in common that are no longer than -chunk")
	}
	r.Results = all
	r.translationTable(pairs, results)
	r.note("BLEU and chrF of the corpus, as sacrebleu has them, 0 to 100, on up to %d documents of a pair that are "+
		"no longer than %d tokens; beams: %d. Brackets: 95%% bootstrap intervals over documents (1,000 folds). "+
		"\"Copy\" takes the source for its translation, \"unrelated document\" is the model's output from another "+
		"document of the source's language.",
		t.documents, e.settings.Chunk, t.beams)
	return r, nil
}

func bleu(g *eval.GenerationReport) figure { return figure{g.BLEU.Score, *g.BLEU.Interval} }
func chrF(g *eval.GenerationReport) figure { return figure{g.ChrF.Score, *g.ChrF.Interval} }

func (r *report) translationTable(pairs []langPair, results map[langPair][]*translation) {
	scores := panel{title: "chrF", series: []series{{name: "model"}, {name: "copy"}, {name: "unrelated document"}},
		names: []string{}}
	above := [2]int{}
	for _, p := range pairs {
		xs := results[p]
		if len(xs) == 0 {
			continue
		}
		model := func(x *translation) *eval.GenerationReport { return x.Model }
		copied := func(x *translation) *eval.GenerationReport { return x.Copy }
		unrelated := func(x *translation) *eval.GenerationReport { return x.Unrelated }
		of := func(score func(*eval.GenerationReport) figure, which func(*translation) *eval.GenerationReport) figure {
			return over(xs, func(x *translation) figure { return score(which(x)) })
		}
		r.row(p, xs[0].Model.N, of(bleu, model).percent(), of(bleu, copied).percent(),
			of(chrF, model).percent(), of(chrF, copied).percent(), of(chrF, unrelated).percent())
		for i, which := range []func(*translation) *eval.GenerationReport{model, copied, unrelated} {
			scores.series[i].points = append(scores.series[i].points, of(chrF, which).point(float64(len(scores.names))))
			if i > 0 && compare(of(chrF, model), of(chrF, which)) == "above" {
				above[i-1]++
			}
		}
		scores.names = append(scores.names, p.String())
	}
	r.find("By chrF the model is clearly above copying in %d of %d pairs, and above its output from an unrelated "+
		"document in %d.", above[0], len(scores.names), above[1])
	r.panels = append(r.panels, scores)
}

// pair translates documents from one language to another; nil if there are too
// few.
func (t *translator) pair(ctx context.Context, h *heldout, m *trained, p langPair) (*translation, error) {
	from, to := h.aligned(p, func(i int) bool { return h.whole[i] })
	rng := rand.New(rand.NewPCG(1, 2))
	rng.Shuffle(len(from), func(i, j int) { from[i], from[j], to[i], to[j] = from[j], from[i], to[j], to[i] })
	n := min(t.documents, len(from))
	if n < minTranslated {
		return nil, nil
	}
	from, to = from[:n], to[:n]
	var outputs, strange []string
	var references, sources [][]string
	for i := range from {
		source, reference := h.texts[from[i]], h.texts[to[i]]
		// The next document of the sample has nothing to do with this one.
		for _, x := range []struct {
			text    string
			outputs *[]string
		}{{source, &outputs}, {h.texts[from[(i+1)%n]], &strange}} {
			text, err := m.model.Generate(ctx, []string{x.text}, marge.GenerateOptions{
				Lang: p.to, Beams: t.beams, MaxTokens: 2*len(h.tokens[from[i]]) + 20,
			})
			if err != nil {
				return nil, err
			}
			*x.outputs = append(*x.outputs, text)
		}
		references, sources = append(references, []string{reference}), append(sources, []string{source})
	}
	x := &translation{Seed: m.seed, Pair: p.String()}
	o := eval.GenerationOptions{Lang: p.to, Bootstrap: &bootstrap}
	var err [3]error
	x.Model, err[0] = eval.Generation(ctx, outputs, references, o)
	x.Unrelated, err[1] = eval.Generation(ctx, strange, references, o)
	x.Copy, err[2] = eval.CopyEvidence(ctx, sources, references, o)
	for i := range min(n, 3) {
		x.Examples = append(x.Examples, translated{sources[i][0], references[i][0], outputs[i]})
	}
	return x, errors.Join(err[:]...)
}
