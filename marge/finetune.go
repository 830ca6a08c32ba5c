package marge

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path"
	"time"

	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/nn/dist"
	"github.com/marge-go/marge/tensor"
)

// FrozenForTransfer is the paper's setting for zero-shot transfer to languages
// without training data (arXiv:2006.15020, section 4): the embeddings and the
// decoder's layers without cross-attention stay as they are.
var FrozenForTransfer = []string{
	"shared.*", "*.embed_positions.*", "*.layernorm_embedding.*", "decoder.base_layers.*",
}

// FineTuneOptions are the settings of FineTune. The zero value of a field stands
// for the default that its comment gives.
type FineTuneOptions struct {
	// Training ends after Epochs passes over the data, after Steps updates, with
	// the update that reaches TargetTokens tokens read or written by the decoder,
	// or after Duration, whichever is set; one of the four must be. The learning
	// rate rises to LearningRate (a fifth of DefaultLearningRate) over WarmupSteps
	// updates (100, but at most a tenth of Steps; negative: none) and falls
	// linearly to 0 at the end.
	Epochs, Steps int
	TargetTokens  int64
	Duration      time.Duration
	LearningRate  float64
	WarmupSteps   int
	WeightDecay   float64 // of matrices (0.01; negative: none)
	ClipNorm      float64 // bound of the gradient's norm (1; negative: none)

	// BatchTokens is how many tokens encoder and decoder read for a batch (2,048),
	// BatchRecords how many records it has at most (0: no bound). An update is made
	// from Replicas (1) times Accumulate (1) batches, as that of PretrainOptions.
	BatchTokens, BatchRecords int
	Accumulate, Replicas      int
	BFloat16Gradients         bool // see PretrainOptions

	// Frozen names the parameters that keep their values: names, or patterns where
	// * stands for any characters. See FrozenForTransfer.
	Frozen []string
	// Dropout replaces that of the model's configuration (0: the model's; negative:
	// none). LabelSmoothing s (0) takes the part s of the loss from the mean over all
	// tokens, classes or places instead of the right one.
	Dropout        float64
	LabelSmoothing float64

	// The model is measured on the task's development data, if it has any, every
	// EvaluateEvery updates (0: once for each pass over the data) and at the end. In
	// the end it has the parameters that were best: those with the highest
	// accuracy of a Classification, F1 of a SpanExtraction, and the lowest loss of a
	// SequenceToSequence. Score, if not nil, measures the model instead; the highest
	// is best. It may run the model, but must not change it, and must depend on
	// nothing but the model if resumed trainings are to end alike.
	//
	// After Patience measurements (0: no bound) in a row of which none is the best
	// so far the training ends.
	EvaluateEvery int
	Patience      int
	Score         func(ctx context.Context, m *Model) (float64, error)

	Seed uint64

	// Group, if not nil, are the ranks that train together: see PretrainOptions.
	// Development data is measured, and Score is called, on every rank.
	Group *dist.Group

	// Dir is where checkpoints go, "" for none, when and how many, and what Resume
	// means: see PretrainOptions. At the end the model itself is saved in Dir, so
	// that Load(Dir) gives what FineTune has made, not the last checkpoint.
	Dir             string
	CheckpointEvery int
	KeepCheckpoints int
	Resume          bool

	// OnStep and OnWarning are those of PretrainOptions.
	OnStep    func(Metrics) error
	OnWarning func(error)
}

// FineTuneStats describes a fine-tuning as a whole.
type FineTuneStats struct {
	Steps        int
	TargetTokens int64 // read or written by the decoder
	Elapsed      time.Duration
	Loss         float64 // mean of the last updates, up to 100
	// Packing is the share of BatchTokens that batches have on average. Documents of
	// a batch are laid out one after the other: there is no padding.
	Packing float64
	// Cut is how many training records were longer than the model takes and have
	// been cut. Dropped is how many have not been used: the answer is longer than
	// the part of its context that is read at once.
	Cut, Dropped int
	// Best is what was measured when the model had the parameters that it has in the
	// end; nil if nothing was measured.
	Best       *Evaluation
	Checkpoint string // path of the last checkpoint, if Dir was set
}

// String returns the figures in one line.
func (s FineTuneStats) String() string {
	text := fmt.Sprintf("%d updates, %d target tokens in %v: loss %.3f nats", s.Steps, s.TargetTokens,
		s.Elapsed.Round(time.Second), s.Loss)
	text += fmt.Sprintf(", batches %.0f%% full", 100*s.Packing)
	if s.Best != nil {
		text += fmt.Sprintf(", best after update %d: %v", s.Best.Step, s.Best)
	}
	if s.Cut > 0 || s.Dropped > 0 {
		text += fmt.Sprintf(", %d records cut, %d dropped", s.Cut, s.Dropped)
	}
	return text
}

// FineTune trains a model for a task: a [SequenceToSequence], a [Classification]
// or a [SpanExtraction] (arXiv:2006.15020, section 4). The records of the task are
// checked before training starts; an error names the record, and its Where.
//
// A model gets the head of the task, unless it has it already. It is still one to
// retrieve and to generate with, and to fine-tune for other tasks.
//
// When the context is cancelled, FineTune writes a checkpoint and returns what it
// has done, with an error that wraps the context's; the model has then the last
// parameters, not the best.
func FineTune(ctx context.Context, m *Model, task Task, o FineTuneOptions) (stats FineTuneStats, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("fine-tune: %w", err)
		}
	}()
	defer tensor.Recover(&err)
	var data *taskData
	var l *loop
	var batches *epochs
	undo := func() {}
	err = o.Group.Together(ctx, func(ctx context.Context) (err error) {
		if err := m.mustTrain(); err != nil {
			return err
		}
		if data, err = task.read(ctx, m); err != nil {
			return err
		}
		c := task.config(m.Config, data)
		if o.Dropout != 0 {
			c.Dropout = float32(max(o.Dropout, 0))
		}
		adapted, err := m.adapt(c, o.Seed)
		if err != nil {
			return err
		}
		undo = adapted
		l, batches, err = newFineTuning(m, task, data, &o)
		return err
	})
	if err != nil {
		undo()
		return FineTuneStats{}, err
	}
	release, err := l.open(ctx)
	if err != nil {
		undo()
		return FineTuneStats{}, err
	}
	defer release()
	defer freeze(m.params, l.params)()
	err = l.run(ctx)
	stats = FineTuneStats{
		Steps: l.step, TargetTokens: l.tokens, Elapsed: l.elapsed, Loss: l.meanRecent(), Packing: batches.packing(),
		Cut: data.cut, Dropped: data.dropped, Checkpoint: l.saved,
	}
	switch {
	case err == nil:
		stats.Best = l.development.choose()
		m.revision.Add(1) // these may not be the parameters of the last update
		if o.Dir != "" {
			err = o.Group.Lead(ctx, func(context.Context) error { return m.Save(o.Dir) })
		}
	case l.step == 0:
		undo()
	}
	return stats, err
}

// newFineTuning checks the options. A fine-tuning is a loop whose batches are
// passes over the records of a task, and whose objective is the task's.
func newFineTuning(m *Model, task Task, data *taskData, o *FineTuneOptions) (
	*loop, *epochs, error) {
	if o.Epochs != 0 && (o.Steps != 0 || o.TargetTokens != 0 || o.Duration != 0) ||
		o.Epochs == 0 && o.Steps == 0 && o.TargetTokens == 0 && o.Duration == 0 {
		return nil, nil, errors.New("set one of Epochs, Steps, TargetTokens and Duration")
	}
	setDefault(&o.LearningRate, DefaultLearningRate(m.Config)/5)
	setDefault(&o.BatchTokens, 2048)
	if err := errors.Join(
		atLeast("Epochs", o.Epochs, 0), atLeast("BatchTokens", o.BatchTokens, 1),
		atLeast("BatchRecords", o.BatchRecords, 0), atLeast("Accumulate", o.Accumulate, 0),
		atLeast("Replicas", o.Replicas, 0), atLeast("EvaluateEvery", o.EvaluateEvery, 0),
		atLeast("Patience", o.Patience, 0),
	); err != nil {
		return nil, nil, err
	}
	if !(o.LabelSmoothing >= 0 && o.LabelSmoothing < 1) {
		return nil, nil, fmt.Errorf("LabelSmoothing is %v, want 0 to 1, without 1", o.LabelSmoothing)
	}
	params, err := unfrozen(m.params, o.Frozen)
	if err != nil {
		return nil, nil, err
	}
	batches := newEpochs(data.train, o, data.name)
	each := max(o.Replicas, 1) * max(o.Accumulate, 1)
	lo := o.loop()
	if o.Epochs > 0 {
		lo.Steps = batches.updates(o.Epochs, each)
	}
	if err := lo.setDefaults(m.Config); err != nil {
		return nil, nil, err
	}
	lo.settings = lo.record(map[string]string{
		"Task": task.name(), "data": data.fingerprint(), "tokenizer": m.Tokenizer.Fingerprint(),
		"BatchTokens": fmt.Sprint(o.BatchTokens), "BatchRecords": fmt.Sprint(o.BatchRecords),
		"Frozen": fmt.Sprintf("%q", o.Frozen), "LabelSmoothing": fmt.Sprint(o.LabelSmoothing),
	})
	l := newLoop(m, params, &lo, phase{batches, task.objective(m, float32(o.LabelSmoothing)), math.MaxInt})
	if len(data.dev) == 0 && o.Score == nil {
		if o.Patience > 0 || o.EvaluateEvery > 0 {
			return nil, nil, errors.New("option Patience or EvaluateEvery without development data or a Score")
		}
		return l, batches, nil
	}
	setDefault(&o.EvaluateEvery, batches.updates(1, each))
	l.development = newDevelopment(m, task, data, o)
	l.development.params = params
	lo.settings["EvaluateEvery"], lo.settings["chosen by"] = fmt.Sprint(o.EvaluateEvery), l.development.chosenBy
	return l, batches, nil
}

// loop returns the settings of the training loop.
func (o *FineTuneOptions) loop() loopOptions {
	return loopOptions{
		Steps: o.Steps, TargetTokens: o.TargetTokens, Duration: o.Duration,
		LearningRate: o.LearningRate, WarmupSteps: o.WarmupSteps, WeightDecay: o.WeightDecay, ClipNorm: o.ClipNorm,
		Accumulate: o.Accumulate, Replicas: o.Replicas, Seed: o.Seed, Group: o.Group,
		BFloat16Gradients: o.BFloat16Gradients,
		Dir:               o.Dir, CheckpointEvery: o.CheckpointEvery, KeepCheckpoints: o.KeepCheckpoints, Resume: o.Resume,
		OnStep: o.OnStep, OnWarning: o.OnWarning,
	}
}

// unfrozen returns the parameters whose names match none of the patterns. It is
// an error if a pattern matches none, or if nothing is left.
func unfrozen(params []nn.Parameter, patterns []string) (left []nn.Parameter, err error) {
	used := make([]bool, len(patterns))
	for _, p := range params {
		frozen := false
		for i, pattern := range patterns {
			ok, err := path.Match(pattern, p.Name)
			if err != nil {
				return nil, fmt.Errorf("option Frozen: %q: %w", pattern, err)
			}
			used[i], frozen = used[i] || ok, frozen || ok
		}
		if !frozen {
			left = append(left, p)
		}
	}
	for i, pattern := range patterns {
		if !used[i] {
			return nil, fmt.Errorf("option Frozen: the model has no parameter with a name like %q", pattern)
		}
	}
	if len(left) == 0 {
		return nil, errors.New("option Frozen: no parameter is left to train")
	}
	return left, nil
}

// freeze keeps gradients from the parameters that are not trained, until thaw.
func freeze(params, trained []nn.Parameter) (thaw func()) {
	set := func(on bool) {
		for _, p := range params {
			p.SetRequiresGrad(on)
		}
		for _, p := range trained {
			p.SetRequiresGrad(true)
		}
	}
	set(false)
	return func() { set(true) }
}
