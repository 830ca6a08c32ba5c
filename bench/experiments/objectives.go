package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/eval"
	"github.com/marge-go/marge/marge/vectors"
)

// contest trains the same model for the objectives of several systems and
// measures all of them alike.
type contest struct {
	objectives, sizes string
	random            bool // measures models with random weights, too
	tasks             tasks
}

// untrainedName is the row of models with random weights.
const untrainedName = "random weights"

// measured is what one model does.
type measured struct {
	Objective string  `json:"objective"`
	Size      string  `json:"size"`
	Seed      uint64  `json:"seed"`
	Minutes   float64 `json:"minutes"`
	Tokens    int64   `json:"target_tokens"`
	// Vectors is what retrieves best on the held-out documents, of all in ByVectors;
	// with it sentences are retrieved and mined.
	Vectors   string              `json:"vectors"`
	ByVectors map[string]figure   `json:"p_at_1_by_vectors"`
	Scores    map[string]*float64 `json:"scores"`

	retrieval figure
}

func objectives(flags *flag.FlagSet) func(context.Context, *env) (*report, error) {
	c := &contest{}
	var names []string
	for _, o := range marge.Objectives() {
		names = append(names, string(o))
	}
	flags.StringVar(&c.objectives, "objectives", strings.Join(names, ","),
		"`objectives` to compare, or \"\" for none of them")
	flags.BoolVar(&c.random, "random", true, "measure models with random weights, too")
	flags.StringVar(&c.sizes, "sizes", "tiny",
		"`sizes` of the models, each with its own peak learning rate after a colon, as in tiny,small:5e-4, or that of -lr")
	c.tasks.flags(flags)
	return c.run
}

func (c *contest) run(ctx context.Context, e *env) (*report, error) {
	var compared []string
	if c.objectives != "" {
		compared = strings.Split(c.objectives, ",")
	} else if !c.random {
		return nil, errors.New("neither -objectives nor -random: there is nothing to measure")
	}
	if err := c.tasks.read(e); err != nil {
		return nil, err
	}
	sizes, err := parseSizes(c.sizes, e.settings)
	if err != nil {
		return nil, err
	}
	var all []*measured
	var trainings []namedTrain
	for _, s := range sizes {
		for _, seed := range e.seeds {
			for _, objective := range compared {
				s.Objective = ""
				if o := marge.Objective(objective); o != marge.MARGE {
					s.Objective = o
				}
				if err := s.check(); err != nil {
					return nil, err
				}
				t, dir, err := e.train(ctx, s, seed)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", objective, err)
				}
				load := func() (*marge.Model, error) { return e.loadFrom(filepath.Join(dir, t.Checkpoint)) }
				r, err := c.measure(ctx, e, dir, load, objective == string(marge.MARGE))
				if err != nil {
					return nil, fmt.Errorf("%s: %w", objective, err)
				}
				r.Objective, r.Size, r.Seed, r.Minutes, r.Tokens = objective, s.Size, seed, t.Seconds/60, t.TargetTokens
				all, trainings = append(all, r), append(trainings, short(objective, t))
			}
			if !c.random {
				continue
			}
			r, err := c.measureRandom(ctx, e, s, seed)
			if err != nil {
				return nil, err
			}
			all = append(all, r)
		}
	}
	r := c.report(all)
	r.Machine, r.Trainings, r.Results = machineOf(e.backend), trainings, all
	return r, nil
}

// measureRandom measures a model with random weights.
func (c *contest) measureRandom(ctx context.Context, e *env, s settings, seed uint64) (*measured, error) {
	t, err := e.tokenizer()
	if err != nil {
		return nil, err
	}
	config, err := s.config(t.VocabSize())
	if err != nil {
		return nil, err
	}
	config.Seed, config.Backend = seed, e.backend
	key, err := e.dataKey()
	if err != nil {
		return nil, err
	}
	hash, err := hashOf(config, s.Choice.String(), key)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(e.out, "random", fmt.Sprintf("%s-%s-seed%d", s.Size, hash, seed))
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return nil, err
	}
	load := func() (*marge.Model, error) {
		m, err := marge.New(config)
		if err == nil {
			m.Tokenizer = t
		}
		return m, err
	}
	r, err := c.measure(ctx, e, dir, load, true)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", untrainedName, err)
	}
	r.Objective, r.Size, r.Seed = untrainedName, s.Size, seed
	return r, nil
}

// measure measures a model; g tells whether it has one. load gives a new copy of it,
// since fine-tuning changes a model. What the tasks give is kept in the model's directory
// and not measured again.
func (c *contest) measure(
	ctx context.Context, e *env, dir string, load func() (*marge.Model, error), g bool,
) (*measured, error) {
	m, err := load()
	if err != nil {
		return nil, err
	}
	h, err := e.heldout(m.Tokenizer)
	if err != nil {
		return nil, err
	}
	r := &measured{ByVectors: map[string]figure{}, Scores: map[string]*float64{}}
	best, first := -1, 1
	if g {
		first = 0
	}
	for layer := first; layer <= m.Config.EncoderLayers; layer++ {
		rows, err := embed(ctx, m, h.tokens, layer)
		if err != nil {
			return nil, err
		}
		scorer, err := centredScorer(ctx, m, rows, h.langs)
		if err != nil {
			return nil, err
		}
		report, err := retrieval(ctx, h.meta, scorer)
		if err != nil {
			return nil, err
		}
		f := p1(report)
		r.ByVectors[vectorsName(layer)] = f
		if best < 0 || f.Value > r.retrieval.Value {
			best, r.retrieval, r.Vectors = layer, f, vectorsName(layer)
		}
	}
	path, known := filepath.Join(dir, "scores.json"), map[string]float64{}
	if err := readJSON(path, &known); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	for _, task := range c.tasks.list {
		hash, err := hashOf(task.settings, r.Vectors)
		if err != nil {
			return nil, err
		}
		key := task.name + " " + hash
		score, ok := known[key]
		if !ok {
			fmt.Fprintf(e.log, "measuring %s\n", task.name)
			if task.tunes {
				if m, err = load(); err != nil {
					return nil, err
				}
			}
			if score, err = task.score(ctx, e, m, best); err != nil {
				return nil, fmt.Errorf("%s: %w", task.name, err)
			}
			known[key] = score
			if err := writeJSON(path, known); err != nil {
				return nil, err
			}
		}
		r.Scores[task.name] = &score
	}
	return r, nil
}

// vectorsName names g, layer 0, or the mean of a layer of the encoder.
func vectorsName(layer int) string {
	if layer == 0 {
		return "g"
	}
	return fmt.Sprintf("layer %d", layer)
}

// embed returns the vectors of documents by g, layer 0, or a layer of the encoder.
func embed(ctx context.Context, m *marge.Model, docs [][]int32, layer int) ([]float32, error) {
	if layer == 0 {
		return m.Embed(ctx, docs)
	}
	return m.EmbedTokens(ctx, docs, layer)
}

// centredScorer compares vectors less the mean of their language, and changes them.
func centredScorer(ctx context.Context, m *marge.Model, rows []float32, langs []string) (*eval.Dense, error) {
	d := len(rows) / len(langs)
	if err := vectors.CenterByLanguage(ctx, m.Runner(), rows, d, langs); err != nil {
		return nil, err
	}
	return eval.NewDense(m.Runner(), rows, d), nil
}

// systems are those that the objectives stand for, as the paper names them.
var systems = map[string]string{
	string(marge.MARGE): "MARGE", string(marge.MLM): "mBERT, XLM-R", string(marge.TLM): "XLM",
	string(marge.Denoise): "mBART", string(marge.Translate): "MMTE",
}

// report makes the table: means over seeds, with the bounds of retrieval and, of
// other scores, the least and the greatest of any seed.
func (c *contest) report(all []*measured) *report {
	r := &report{Columns: []string{"size", "objective", "as in", "known pairs", "target tokens (M)", "minutes",
		"documents, P@1", "by"}}
	for _, t := range c.tasks.list {
		r.Columns = append(r.Columns, t.name)
	}
	type row struct{ size, objective string }
	var rows []row
	groups := map[row][]*measured{}
	for _, m := range all {
		k := row{m.Size, m.Objective}
		if groups[k] == nil {
			rows = append(rows, k)
		}
		groups[k] = append(groups[k], m)
	}
	plots := []panel{{title: "documents, P@1"}}
	for _, t := range c.tasks.list {
		plots = append(plots, panel{title: t.name})
	}
	for i := range plots {
		plots[i].series = []series{{}}
	}
	for i, k := range rows {
		models := groups[k]
		documents := over(models, func(m *measured) figure { return m.retrieval })
		var by []string
		for _, m := range models {
			by = append(by, m.Vectors)
		}
		slices.Sort(by)
		pairs := ""
		if marge.Objective(k.objective).UsesPairs() {
			pairs = "yes"
		}
		cells := []any{k.size, k.objective, systems[k.objective], pairs,
			over(models, func(m *measured) figure { return exact(float64(m.Tokens) / 1e6) }).Value,
			over(models, func(m *measured) figure { return exact(m.Minutes) }).Value,
			documents, strings.Join(slices.Compact(by), ", ")}
		figures := []figure{documents}
		for _, t := range c.tasks.list {
			f := over(models, func(m *measured) figure { return exact(*m.Scores[t.name]) })
			cells, figures = append(cells, f), append(figures, f)
		}
		r.row(cells...)
		for j, f := range figures {
			plots[j].names = append(plots[j].names, k.size+" "+k.objective)
			plots[j].series[0].points = append(plots[j].series[0].points, f.point(float64(i)))
		}
	}
	r.panels = plots
	for i, name := range slices.Concat([]string{"documents, P@1"}, c.tasks.names()) {
		for _, size := range slices.Compact(sizesOf(rows, func(k row) string { return k.size })) {
			r.find("%s, %s: %s.", name, size, ordering(plots[i], size))
		}
	}
	r.note("Documents: P@1 of translations among held-out documents, centred by language, by the vectors that are best " +
		"there of g, if the objective trains it, and of the means of the encoder's layers; brackets are the widest bounds " +
		"of the 95%% bootstrap intervals of single seeds. With the same vectors sentences are found. Brackets of all else: " +
		"the least and the greatest of any seed.")
	r.note("The paper compares with published models, trained on other data for longer (arXiv:2006.15020, section 4): " +
		"BUCC MARGE 75.9, XLM-R 66.0 F1; PAWS-X MARGE 86.5, XLM-R 86.4; MLQA XLM-R 71.6, MARGE 71.0 F1; supervised WMT19 " +
		"en-de MARGE 39.2, mBART 38.5 BLEU.")
	for _, t := range c.tasks.list {
		r.note("%s: %s", t.name, t.about)
	}
	return r
}

func sizesOf[T any](rows []T, size func(T) string) (sizes []string) {
	for _, k := range rows {
		sizes = append(sizes, size(k))
	}
	return sizes
}

// ordering lists the rows of a size in a plot from the best on.
func ordering(p panel, size string) string {
	type place struct {
		name  string
		value float64
	}
	var places []place
	for i, name := range p.names {
		if objective, ok := strings.CutPrefix(name, size+" "); ok && !math.IsNaN(p.series[0].points[i].y) {
			places = append(places, place{objective, p.series[0].points[i].y})
		}
	}
	slices.SortStableFunc(places, func(a, b place) int { return int(math.Copysign(1, b.value-a.value)) })
	var list []string
	for _, x := range places {
		list = append(list, fmt.Sprintf("%s %.3f", x.name, x.value))
	}
	return strings.Join(list, ", ")
}
