package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/marge-go/marge/bench"
	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/checkpoint"
	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/eval"
	"github.com/marge-go/marge/marge/index"
	"github.com/marge-go/marge/marge/probe"
	"github.com/marge-go/marge/marge/vectors"
	"github.com/marge-go/marge/nn"
)

// training is the result of a training: result.json in its directory.
type training struct {
	Seed     uint64   `json:"seed"`
	Settings settings `json:"settings"`
	Machine  machine  `json:"machine"`

	Parameters   int     `json:"parameters"`
	Steps        int     `json:"steps"`
	TargetTokens int64   `json:"target_tokens"`
	Seconds      float64 `json:"seconds"`
	FLOPs        float64 `json:"flops"` // of the matrix products, see compute
	Beta         float64 `json:"beta"`
	TrainLoss    float64 `json:"train_loss"`
	Checkpoint   string  `json:"checkpoint"` // below the directory of the training

	Final evaluation `json:"final"`
	Curve []sample   `json:"curve"`
}

// sample is a measurement during a training, on fewer documents than the final
// one.
type sample struct {
	Step         int          `json:"step"`
	TargetTokens int64        `json:"target_tokens"`
	Seconds      float64      `json:"seconds"`
	Beta         float64      `json:"beta"`
	TrainLoss    float64      `json:"train_loss"`
	P1           float64      `json:"p_at_1"`
	P1Centered   float64      `json:"p_at_1_centered"`
	Loss         probe.Losses `json:"loss"`
}

// evaluation is how good a model is on the held-out documents.
type evaluation struct {
	// Retrieval of translations by g, and the same with the mean of each
	// language taken off.
	G        *eval.Report `json:"g"`
	Centered *eval.Report `json:"centered"`
	// Loss by what targets are reconstructed from, four documents.
	Loss *eval.LossReport `json:"loss"`
}

// train trains a model, or goes on with a training that was interrupted, and
// evaluates it. Of a finished training it returns the result.
func (e *env) train(ctx context.Context, s settings, seed uint64) (*training, string, error) {
	key, err := e.dataKey()
	if err != nil {
		return nil, "", err
	}
	hash, err := hashOf(s, key)
	if err != nil {
		return nil, "", err
	}
	name := fmt.Sprintf("%s-%s-seed%d", s.Size, hash, seed)
	dir := filepath.Join(e.out, "runs", name)
	path := filepath.Join(dir, "result.json")
	r := &training{}
	if err := readJSON(path, r); !errors.Is(err, fs.ErrNotExist) {
		return r, dir, err
	}
	fmt.Fprintf(e.log, "training %s\n", name)
	r, err = e.trainIn(ctx, dir, s, seed)
	if err != nil {
		return nil, "", fmt.Errorf("training %s: %w", name, err)
	}
	return r, dir, writeJSON(path, r)
}

func (e *env) trainIn(ctx context.Context, dir string, s settings, seed uint64) (*training, error) {
	t, err := e.tokenizer()
	if err != nil {
		return nil, err
	}
	held, err := e.heldout(t)
	if err != nil {
		return nil, err
	}
	store, err := e.store(ctx, t, &s)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	c, err := s.config(t.VocabSize())
	if err != nil {
		return nil, err
	}
	c.Seed, c.Backend = seed, e.backend
	m, err := marge.New(c)
	if err != nil {
		return nil, err
	}
	m.Tokenizer = t
	if err := e.takeWeights(m); err != nil {
		return nil, err
	}
	if s.Beta != nil {
		m.SetBeta(float32(*s.Beta))
	}
	po := probe.Options{Dir: dir, Store: store, Probes: s.Probes, OnRecord: e.progress}
	if s.Objective == "" { // another has no g and reconstructs from nothing
		po.Heldout = probe.NewHeldout(held.docs, probe.HeldoutOptions{Seed: 1})
	}
	monitor, err := probe.NewMonitor(ctx, m, po)
	if err != nil {
		return nil, err
	}
	o := s.pretrain(seed, dir)
	o.OnStep, o.OnIndex = monitor.OnStep, monitor.OnIndex
	if s.KnownLinks {
		o.OnLinks = knownLinks(store)
	}
	if s.Objective.UsesPairs() {
		o.Pairs = store.KnownPairs()
	}
	stats, err := marge.Pretrain(ctx, m, store, o)
	if err := errors.Join(err, monitor.Close()); err != nil {
		return nil, err
	}
	r := &training{
		Seed: seed, Settings: s, Machine: machineOf(e.backend), Parameters: nn.Count(m.Parameters()), Steps: stats.Steps,
		TargetTokens: stats.TargetTokens, Seconds: stats.Elapsed.Seconds(), Beta: float64(m.Beta()), TrainLoss: stats.Loss,
		Checkpoint: filepath.Base(stats.Checkpoint),
	}
	r.FLOPs = float64(r.TargetTokens) * flopsPerToken(c, store.TotalTokens()/store.Len()+2, s.BatchTokens)
	if r.Curve, err = curve(filepath.Join(dir, probe.LogName)); err != nil {
		return nil, err
	}
	if s.Objective == "" {
		r.Final, err = e.evaluate(ctx, m)
	}
	return r, err
}

// takeWeights copies from the model in -start, if given, the parameters that m
// has too.
func (e *env) takeWeights(m *marge.Model) error {
	if e.settings.Start == "" {
		return nil
	}
	start, _, err := e.loadModel(e.settings.Start)
	if err != nil {
		return err
	}
	have := map[string]nn.Parameter{}
	for _, p := range start.Parameters() {
		have[p.Name] = p
	}
	for _, p := range m.Parameters() {
		if from, ok := have[p.Name]; ok && slices.Equal(from.Shape(), p.Shape()) {
			values := make([]float32, from.Len())
			from.CopyTo(values)
			p.SetFloat32s(values)
		} else {
			fmt.Fprintf(e.log, "%s starts at random: %s has none of its shape\n", p.Name, e.settings.Start)
		}
	}
	return nil
}

// knownLinks returns a function that links the chunks of the same number in
// documents of one group that are in different languages.
func knownLinks(store *corpus.Store) func([]index.Item, []index.Pair) ([]index.Pair, error) {
	type key struct {
		group string
		chunk int
	}
	return func(items []index.Item, _ []index.Pair) ([]index.Pair, error) {
		equivalents := map[key][]int{}
		keyOf := func(item *index.Item) key {
			c := store.Chunk(item.Chunk)
			return key{store.Group(c.Doc), c.Index}
		}
		for i := range items {
			if k := keyOf(&items[i]); k.group != "" {
				equivalents[k] = append(equivalents[k], i)
			}
		}
		var pairs []index.Pair
		for i := range items {
			if !items[i].Target {
				continue
			}
			for _, j := range equivalents[keyOf(&items[i])] {
				if items[i].Lang != items[j].Lang && items[i].Source != items[j].Source {
					pairs = append(pairs, index.Pair{Target: int32(i), Evidence: int32(j), Score: 1})
				}
			}
		}
		return pairs, nil
	}
}

// flopsPerToken estimates the floating-point operations of training for each
// predicted token, from a batch of as many evidence as target documents, all
// of the given length.
func flopsPerToken(c marge.Config, length, batchTokens int) float64 {
	documents := max(1, batchTokens/(2*length))
	return bench.StepFlops(c, documents, length) / float64(documents*(length-1))
}

// progress tells of measurements.
func (e *env) progress(r *probe.Record) error {
	if h := r.Heldout; h != nil {
		fmt.Fprintf(e.log, "step %d, %v: P@1 %.3f, centred %.3f; held-out loss: retrieved %.3f, translations %.3f, "+
			"random %.3f, none %.3f\n",
			r.Step, time.Duration(r.Seconds*1e9).Round(time.Second), h.P1, h.P1Centered, h.Loss.Retrieved, h.Loss.Oracle,
			h.Loss.Random, h.Loss.None)
	}
	if r.Warning != "" {
		fmt.Fprintf(e.log, "warning: step %d: %s\n", r.Step, r.Warning)
	}
	return nil
}

// curve reads the measurements of a training.
func curve(path string) ([]sample, error) {
	records, err := probe.ReadRecords(path)
	if err != nil {
		return nil, err
	}
	var samples []sample
	for _, r := range records {
		if r.Heldout == nil {
			continue
		}
		s := sample{
			Step: r.Step, TargetTokens: r.TargetTokens, Seconds: r.Seconds,
			P1: r.Heldout.P1, P1Centered: r.Heldout.P1Centered, Loss: r.Heldout.Loss,
		}
		if r.Train != nil {
			s.Beta, s.TrainLoss = r.Train.Beta, r.Train.Loss
		}
		samples = append(samples, s)
	}
	return samples, nil
}

// bootstrap is how all intervals are estimated.
var bootstrap = eval.Bootstrap{Seed: 1}

// retrieval measures retrieval, with intervals over groups.
func retrieval(ctx context.Context, docs []eval.Doc, s eval.Scorer) (*eval.Report, error) {
	r, err := eval.Retrieval(ctx, docs, s, nil)
	if err != nil {
		return nil, err
	}
	return r, r.Bootstrap(ctx, bootstrap, true)
}

// scorers returns g as it is, and with the mean of each language taken off.
func (h *heldout) scorers(ctx context.Context, m *marge.Model) (plain, centered eval.Scorer, err error) {
	rows, err := m.Embed(ctx, h.tokens)
	if err != nil {
		return nil, nil, err
	}
	return h.scorersOf(ctx, m, rows)
}

// wholeScorers returns the same for whole documents, cut into chunks: for the
// sums of g of their chunks, and for the nearest of these.
func (h *heldout) wholeScorers(ctx context.Context, m *marge.Model, o marge.DocumentOptions) (sum, centeredSum,
	nearest, centeredNearest eval.Scorer, err error) {
	rows, offsets, err := m.EmbedChunks(ctx, h.all, o)
	if err != nil {
		return nil, nil, nil, nil, err
	}
	d := m.Config.EmbeddingDim()
	if sum, centeredSum, err = h.scorersOf(ctx, m, vectors.Sum(rows, d, offsets)); err != nil {
		return nil, nil, nil, nil, err
	}
	nearest = eval.NewMaxSim(m.Runner(), rows, d, offsets)
	var langs []string
	for i, lang := range h.langs {
		langs = append(langs, slices.Repeat([]string{lang}, offsets[i+1]-offsets[i])...)
	}
	if err := vectors.CenterByLanguage(ctx, m.Runner(), rows, d, langs); err != nil {
		return nil, nil, nil, nil, err
	}
	return sum, centeredSum, nearest, eval.NewMaxSim(m.Runner(), rows, d, offsets), nil
}

func (h *heldout) scorersOf(ctx context.Context, m *marge.Model, rows []float32) (plain, centered eval.Scorer,
	err error) {
	plain = eval.NewDense(m.Runner(), rows, m.Config.EmbeddingDim())
	centered, err = centredScorer(ctx, m, rows, h.langs)
	return plain, centered, err
}

// evaluate measures a model on the held-out documents. The retrieved evidence
// is in other languages than the target, found with centred vectors as in
// training.
func (e *env) evaluate(ctx context.Context, m *marge.Model) (v evaluation, err error) {
	h, err := e.heldout(m.Tokenizer)
	if err != nil {
		return v, err
	}
	plain, centered, err := h.scorers(ctx, m)
	if err != nil {
		return v, err
	}
	if v.G, err = retrieval(ctx, h.meta, plain); err != nil {
		return v, err
	}
	if v.Centered, err = retrieval(ctx, h.meta, centered); err != nil {
		return v, err
	}
	o := eval.EvidenceOptions{CrossLingual: true, Seed: 1}
	selected, err := eval.SelectEvidence(ctx, h.meta, eval.Targets(h.meta, e.targets, 1), centered, o)
	if err != nil {
		return v, err
	}
	v.Loss, err = selected.Loss(ctx, probe.LossOf(m, h.docs), bootstrap, nil)
	return v, err
}

// trained is a model to evaluate.
type trained struct {
	model *marge.Model
	seed  uint64    // 0 if not known
	run   *training // nil if not known
	curve []sample
}

// eachModel calls fn with the model in -checkpoint or with those that it
// trains, one for each seed.
func (e *env) eachModel(ctx context.Context, fn func(t *trained) error) error {
	if e.checkpoint != "" {
		t, err := e.load()
		if err != nil {
			return err
		}
		return fn(t)
	}
	for _, seed := range e.seeds {
		r, dir, err := e.train(ctx, e.settings, seed)
		if err != nil {
			return err
		}
		m, err := e.loadFrom(filepath.Join(dir, r.Checkpoint))
		if err != nil {
			return err
		}
		if err := fn(&trained{m, seed, r, r.Curve}); err != nil {
			return err
		}
	}
	return nil
}

// load reads the model in -checkpoint and, if there, what was measured while
// it was trained.
func (e *env) load() (*trained, error) {
	m, dir, err := e.loadModel(e.checkpoint)
	if err != nil {
		return nil, err
	}
	if longest := m.Config.MaxPositionEmbeddings - 2; e.settings.Chunk > longest {
		return nil, fmt.Errorf("-chunk %d: the model in %s takes %d tokens", e.settings.Chunk, dir, longest)
	}
	t := &trained{model: m}
	t.curve, err = curve(filepath.Join(filepath.Dir(dir), probe.LogName))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return t, err
}

// loadModel reads a model with its tokenizer from a checkpoint or from the
// directory of a training, and returns the checkpoint's directory too.
func (e *env) loadModel(dir string) (*marge.Model, string, error) {
	dir, err := checkpointIn(dir)
	if err != nil {
		return nil, "", err
	}
	m, err := e.loadFrom(dir)
	if err != nil {
		return nil, "", err
	}
	if m.Tokenizer == nil {
		return nil, "", fmt.Errorf("%s has no tokenizer", dir)
	}
	return m, dir, nil
}

// loadFrom reads a model from a checkpoint.
func (e *env) loadFrom(dir string) (*marge.Model, error) {
	return marge.LoadOn(dir, marge.Config{Backend: e.backend})
}

// checkpointIn returns dir if it is a checkpoint, or the newest one in it.
func checkpointIn(dir string) (string, error) {
	if _, err := os.Stat(filepath.Join(dir, "config.json")); !errors.Is(err, fs.ErrNotExist) {
		return dir, err
	}
	latest, _, err := checkpoint.Latest(dir, nil)
	return latest, err
}
