package marge

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/index"
	"github.com/marge-go/marge/nn/optim"
)

// PretrainOptions are the settings of Pretrain. The zero value of a field
// stands for the default that its comment gives.
type PretrainOptions struct {
	// Training ends after Steps updates, with the update that reaches
	// TargetTokens predicted tokens, or after Duration, whichever is set; one of
	// the three must be. The learning rate rises to LearningRate (1e-3) over
	// WarmupSteps updates (100, but at most a tenth of Steps; negative: none)
	// and falls linearly to 0 at the end. Models wider than Tiny need less: Small
	// learns at 5e-4 and unlearns g at 1e-3. A run that is bounded by Duration is
	// not repeatable.
	Steps        int
	TargetTokens int64
	Duration     time.Duration
	LearningRate float64
	WarmupSteps  int
	// BetaLearningRate multiplies the learning rate of beta, GLearningRate that
	// of the parameters that g does not share with the decoder (1; negative: 0).
	BetaLearningRate, GLearningRate float64
	WeightDecay                     float64 // of matrices (0.01; negative: none)
	ClipNorm                        float64 // bound of the gradient's norm (1; negative: none)

	// BatchTokens is how many tokens the evidence and the targets of a batch
	// have together (2,048). MaxEvidence and MaxTargets bound its documents.
	// The gradients of Accumulate batches (1) form an update.
	BatchTokens             int
	MaxEvidence, MaxTargets int
	Accumulate              int
	// Links is how many links a target has (with both numbers zero none in its
	// language and its own best 5 in others, see also TFIDFSteps; the paper has 4
	// and 4 on average, the best of a shard), CrossWeight and MonoWeight what a
	// link in two and in one language weighs when batches grow (100 and 1).
	Links                   index.LinkOptions
	CrossWeight, MonoWeight float32
	// OnLinks, if not nil, is called with the items of every shard that is
	// linked, in the order of the index, and the links that were found, best
	// first. Training uses those that it returns: a part of them, or others. An
	// error stops the training. The result of a resumed training is bit-identical
	// if that of OnLinks depends on nothing but its arguments and the corpus.
	OnLinks func(items []index.Item, pairs []index.Pair) ([]index.Pair, error)
	// LanguageTemperature T (1) leaves out and repeats targets so that the share
	// p of a language in the target tokens of a pass becomes proportional to
	// p^(1/T), on average: above 1, targets in rare languages come more often
	// (arXiv:1911.02116, section 3.1).
	LanguageTemperature float64
	// Every IndexEvery updates (4,000; the paper: 10,000) IndexShards shards
	// (0: all) are drawn, encoded with the current g and linked.
	IndexEvery, IndexShards int
	// During the first TFIDFSteps updates (6,000, but at most a third of Steps;
	// negative: none) documents are linked by the TF-IDF of their tokens; then g
	// makes its first index. The paper starts with g; a small random g links so
	// few translations that it is unlearnt before it is of use. Links by TF-IDF
	// are always the best of a shard: among the best of each target too many are
	// of no use, and g is unlearnt too.
	TFIDFSteps int

	// During the first ContrastiveSteps updates (0) g alone is trained, to tell
	// documents apart: see contrast.go. DetachRelevance keeps the gradient of the
	// reconstruction from g; beta still has one. NullDocument adds an empty
	// document to the evidence of every batch, for targets to attend to that
	// find nothing relevant.
	ContrastiveSteps int
	DetachRelevance  bool
	NullDocument     bool
	// DistillWeight (0) adds to the loss as many times what g could learn from
	// the decoder's attention: see distill.go. It teaches g with DetachRelevance
	// too.
	DistillWeight float64

	Seed uint64

	// Dir is where checkpoints go, "" for none: every CheckpointEvery updates
	// (1,000), at the end, and when the context is cancelled. The newest
	// KeepCheckpoints (2) are kept. With Resume the run goes on from the newest
	// valid checkpoint in Dir, if there is one; model, corpus and options
	// should be those of the interrupted run, and the result is then
	// bit-identical to that of an uninterrupted one.
	Dir             string
	CheckpointEvery int
	KeepCheckpoints int
	Resume          bool

	// OnStep, if not nil, is called after every update. An error stops the
	// training, as a cancelled context does.
	OnStep func(Metrics) error
	// OnIndex, if not nil, is called after every index.
	OnIndex func(IndexStats)
}

// IndexStats describes a finished index.
type IndexStats struct {
	Index    int // number, from 1
	Step     int
	Shards   int
	Chunks   int
	Targets  int
	Links    int
	Cross    int // links between documents in different languages
	Unlinked int // targets without a link
	Batches  int // of the first pass
	Duration time.Duration
	// Each calls yield with every link, shard by shard, the best first or as
	// PretrainOptions.OnLinks has put them, until it returns false. It may be called until OnIndex returns.
	Each iter.Seq[Link]
}

// Link is a target and a document that was found to be relevant to it.
type Link struct {
	Target, Evidence int     // chunks of the corpus
	Score            float32 // cosine, centred by language, of g or of TF-IDF, with the margin of PretrainOptions.Links
}

// Metrics describes an update.
type Metrics struct {
	Step         int     // from 1
	Loss         float64 // nats per predicted token of this update
	Distill      float64 // nats per target that g is from the attention, if PretrainOptions.DistillWeight is not 0
	Beta         float64
	LR           float64
	GradNorm     float64 // before clipping
	Index        int     // number of the index in use
	Targets      int     // target documents of this update
	Evidence     int     // evidence documents of this update
	TargetTokens int64   // predicted tokens since the start of training
	Elapsed      time.Duration
	Progress     float64 // share of the training that is done
}

// PretrainStats describes a training as a whole.
type PretrainStats struct {
	Steps        int
	TargetTokens int64
	Elapsed      time.Duration // of training, without OnStep, over all runs
	Loss         float64       // mean of the last updates, up to 100
	Indexes      int
	Checkpoint   string // path of the last checkpoint, if Dir was set
}

func (o *PretrainOptions) setDefaults() error {
	bounds := 0
	for _, set := range []bool{o.Steps != 0, o.TargetTokens != 0, o.Duration != 0} {
		if set {
			bounds++
		}
	}
	if bounds != 1 || o.Steps < 0 || o.TargetTokens < 0 || o.Duration < 0 {
		return errors.New("pretrain: set one of Steps, TargetTokens and Duration")
	}
	setDefault(&o.LearningRate, 1e-3)
	warmup := 100
	if o.Steps > 0 {
		warmup = min(warmup, max(1, o.Steps/10))
	}
	setDefault(&o.WarmupSteps, warmup)
	setDefault(&o.BetaLearningRate, 1)
	setDefault(&o.GLearningRate, 1)
	setDefault(&o.WeightDecay, 0.01)
	setDefault(&o.ClipNorm, 1)
	setDefault(&o.BatchTokens, 2048)
	setDefault(&o.Accumulate, 1)
	if o.Links.Mono == 0 && o.Links.Cross == 0 {
		o.Links.Cross, o.Links.PerTarget = 5, true
	}
	if err := o.Links.Validate(); err != nil {
		return fmt.Errorf("pretrain: Links: %w", err)
	}
	if o.Links.PerTarget && math.Round(o.Links.Mono)+math.Round(o.Links.Cross) == 0 {
		return fmt.Errorf("pretrain: Links: Mono %v and Cross %v round to no link of a target; PerTarget takes whole numbers", o.Links.Mono, o.Links.Cross)
	}
	setDefault(&o.LanguageTemperature, 1)
	setDefault(&o.IndexEvery, 4000)
	tfidf := 6000
	if o.Steps > 0 {
		tfidf = min(tfidf, o.Steps/3)
	}
	setDefault(&o.TFIDFSteps, tfidf)
	setDefault(&o.CheckpointEvery, 1000)
	setDefault(&o.KeepCheckpoints, 2)
	for name, v := range map[string]int{
		"BatchTokens": o.BatchTokens, "Accumulate": o.Accumulate, "IndexEvery": o.IndexEvery, "CheckpointEvery": o.CheckpointEvery,
		"IndexShards": o.IndexShards + 1, "ContrastiveSteps": o.ContrastiveSteps + 1,
		"MaxEvidence": o.MaxEvidence + 1, "MaxTargets": o.MaxTargets + 1,
	} {
		if v < 1 {
			return fmt.Errorf("pretrain: %s is out of range", name)
		}
	}
	for name, v := range map[string]float64{
		"LearningRate": o.LearningRate, "BetaLearningRate": max(o.BetaLearningRate, 0), "GLearningRate": max(o.GLearningRate, 0),
		"WeightDecay": max(o.WeightDecay, 0), "ClipNorm": max(o.ClipNorm, 0), "LanguageTemperature": o.LanguageTemperature,
		"DistillWeight": o.DistillWeight,
	} {
		if !(v >= 0) || math.IsInf(v, 0) {
			return fmt.Errorf("pretrain: %s is %v", name, v)
		}
	}
	return nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Pretrain trains a model on a corpus by paraphrasing (arXiv:2006.15020,
// sections 2 and 3). It encodes shards of the corpus with g, links each target
// with the documents most relevant to it, grows batches from the links, and
// learns to reconstruct the targets; after IndexEvery updates it does so
// again with the g learnt so far.
//
// When the context is cancelled, Pretrain writes a checkpoint and returns
// what it has done, with an error that wraps the context's. A loss that is not
// finite is an error; the parameters are then those before the failed update.
func Pretrain(ctx context.Context, m *Model, store *corpus.Store, o PretrainOptions) (PretrainStats, error) {
	if err := o.setDefaults(); err != nil {
		return PretrainStats{}, err
	}
	t, err := newTrainer(m, store, o)
	if err != nil {
		return PretrainStats{}, fmt.Errorf("pretrain: %w", err)
	}
	if o.Resume {
		if err := t.resume(); err != nil {
			return PretrainStats{}, fmt.Errorf("pretrain: resume: %w", err)
		}
	}
	err = t.run(ctx)
	if err != nil {
		err = fmt.Errorf("pretrain: %w", err)
	}
	return t.stats(), err
}

func (t *trainer) run(ctx context.Context) error {
	for t.progress() < 1 {
		err := ctx.Err()
		var metrics Metrics
		if err == nil {
			start := time.Now()
			metrics, err = t.update(ctx)
			t.elapsed += time.Since(start)
		}
		var bad *stepError
		if errors.As(err, &bad) {
			return err
		}
		if err == nil && t.o.OnStep != nil {
			metrics.Elapsed, metrics.Progress = t.elapsed, t.progress()
			err = t.o.OnStep(metrics)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("stopped after step %d: %w", t.step, err), t.save())
		}
		if t.step%t.o.CheckpointEvery == 0 && t.progress() < 1 {
			if err := t.save(); err != nil {
				return err
			}
		}
	}
	return t.save()
}

// progress returns the share of the training that is done.
func (t *trainer) progress() float64 {
	switch {
	case t.o.Steps > 0:
		return min(1, float64(t.step)/float64(t.o.Steps))
	case t.o.TargetTokens > 0:
		return min(1, float64(t.tokens)/float64(t.o.TargetTokens))
	}
	return min(1, float64(t.elapsed)/float64(t.o.Duration))
}

// learningRate returns the rate of the coming update.
func (t *trainer) learningRate() float64 {
	step := t.step + 1
	s := optim.LinearDecay{Peak: t.o.LearningRate, Warmup: max(t.o.WarmupSteps, 0), Total: t.o.Steps + 1}
	if t.o.Steps > 0 {
		return s.LR(step)
	}
	s.Total = 0
	return s.LR(step) * (1 - t.progress())
}

// A stepError is a loss or gradient that is not finite.
type stepError struct {
	step int
	docs []string
	err  error
}

func (e *stepError) Error() string {
	if len(e.docs) == 0 {
		return fmt.Sprintf("step %d: %v", e.step, e.err)
	}
	return fmt.Sprintf("step %d: %v; target documents: %v", e.step, e.err, e.docs)
}

func (e *stepError) Unwrap() error { return e.err }
