package marge

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"time"

	"github.com/marge-go/marge/marge/index"
	"github.com/marge-go/marge/nn/dist"
)

// PretrainOptions are the settings of Pretrain. The zero value of a field
// stands for the default that its comment gives.
type PretrainOptions struct {
	// Training ends after Steps updates, with the update that reaches
	// TargetTokens predicted tokens, or after Duration, whichever is set; one of
	// the three must be. The learning rate rises to LearningRate (see
	// DefaultLearningRate) over WarmupSteps updates (100, but at most a tenth of
	// Steps; negative: none) and falls linearly to 0 at the end. A run that is
	// bounded by Duration is not repeatable.
	//
	// The predicted tokens of MLM and TLM are all that the encoder reads, hidden or
	// not.
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
	BatchTokens             int
	MaxEvidence, MaxTargets int
	// An update is made from Replicas (1) times Accumulate (1) batches. A replica
	// adds up the gradients of Accumulate batches one after the other; the
	// gradients of the replicas are added in a perfect binary tree, nearest
	// neighbours first, so that the sum does not depend on which of them run
	// on one machine.
	Accumulate, Replicas int
	// BFloat16Gradients rounds the gradients of each replica, and each sum of two, to
	// bfloat16: ranks of a Group send half as many bytes. The result is another one,
	// but does not depend on the number of ranks either.
	BFloat16Gradients bool
	// Links is how many links a target has. With both numbers zero it has none
	// in its own language and its best 5 in others, but see TFIDFSteps; the paper
	// has 4 and 4 on average, the best of a shard. CrossWeight and MonoWeight are
	// what a link in two and in one language weighs when batches grow (100 and 1).
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
	// makes its first index. The paper starts with g; a small random g finds so
	// few translations that training degrades it before it is of use. Links by
	// TF-IDF are always the best of a shard: the best of each target are mostly
	// noise and degrade g too.
	TFIDFSteps int

	// During the first ContrastiveSteps updates (0) g alone is trained, to tell
	// documents apart: see contrast.go. DetachRelevance keeps the gradient of the
	// reconstruction from g; beta still has one. NullDocument adds an empty
	// document to the evidence of every batch, for targets to attend to that
	// find nothing relevant.
	ContrastiveSteps int
	DetachRelevance  bool
	NullDocument     bool
	// DistillWeight (0) is the weight in the loss of what g can learn from the
	// decoder's attention: see distill.go. It teaches g with DetachRelevance too.
	// The divergence of a batch is a mean over its targets and counts as often as
	// the batch has predicted tokens.
	DistillWeight float64

	// Objective is what is trained for (MARGE). The others link no documents: the
	// options about links, indexes, g and beta are errors with them, and MaxTargets
	// bounds the documents of a batch. MaskedShare is the share of the tokens that MLM
	// and TLM hide (0.15) and that Denoise removes (0.35). Pairs are the known
	// translations that TLM and Translate learn from: two chunks of the corpus each,
	// see [corpus.Store.KnownPairs].
	Objective   Objective
	MaskedShare float64
	Pairs       [][2]int

	Seed uint64

	// Group, if not nil, are the ranks that train together: every one calls Pretrain
	// with the same model, corpus and options, and makes the gradients of its part
	// of the Replicas, which must be a multiple of the ranks by a power of two. The
	// result is that of one rank, bit for bit, on processors with one instruction
	// set. What differs is an error at the start that names the rank and the option.
	// Shards are encoded and linked by the ranks in turn, and OnLinks is called on
	// every rank for all of them. Rank 0 calls the other callbacks and writes
	// checkpoints, in its Dir; a training that is resumed may have another number of
	// ranks, which read the checkpoint in the same Dir, if it is there, or get it
	// from rank 0. A rank's failure, and a context that is cancelled on one, end the
	// training on all of them, with the same error. When a rank is lost there is no
	// checkpoint of that moment, as its part of the optimiser's state is lost too,
	// and the model is to be read from the last checkpoint.
	//
	// Each rank has a part of the optimiser's state and updates that part of the
	// parameters, see [MemoryOf]. With one batch for each rank, Replicas as many as
	// ranks and Accumulate 1, gradients do not take memory all at once either.
	Group *dist.Group

	// Dir is where checkpoints go, "" for none: every CheckpointEvery updates
	// (1,000), at the end, and when the context is cancelled. The newest
	// KeepCheckpoints (2) are kept. Only one training at a time may use Dir.
	//
	// With Resume the run goes on from the newest valid checkpoint in Dir, if
	// there is one, and ends with the same bits as an uninterrupted run. The
	// model's size, its tokenizer, the corpus and the options must be those of the
	// interrupted run: another is an error that names both. What may change is
	// the length of the training, the callbacks and what says which checkpoints
	// are kept. Without Resume, checkpoints in Dir are an error.
	Dir             string
	CheckpointEvery int
	KeepCheckpoints int
	Resume          bool

	// OnStep, if not nil, is called after every update. An error stops the
	// training, as a cancelled context does.
	OnStep func(Metrics) error
	// OnIndex, if not nil, is called after every index.
	OnIndex func(IndexStats)
	// OnWarning is called with what went wrong but does not stop the training,
	// such as a damaged checkpoint where an older one is used; nil stands for the
	// standard logger.
	OnWarning func(error)
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
	// Each calls yield with every link, shard by shard, the best first or in the
	// order of PretrainOptions.OnLinks, until it returns false. It may be called
	// until OnIndex returns.
	Each iter.Seq[Link]
}

// Link is a target and a document that was found to be relevant to it.
type Link struct {
	Target, Evidence int // chunks of the corpus
	// Score is the cosine, centred by language, of g or of TF-IDF, with the margin
	// of PretrainOptions.Links.
	Score float32
}

// Metrics describes an update.
type Metrics struct {
	Step         int     // from 1
	Loss         float64 // nats per predicted token of this update
	Distill      float64 // nats per target between relevance and attention, with PretrainOptions.DistillWeight
	Beta         float64
	LR           float64
	GradNorm     float64 // before clipping
	Index        int     // number of the index in use
	Targets      int     // target documents of this update
	Evidence     int     // evidence documents of this update
	TargetTokens int64   // predicted tokens since the start of training
	Elapsed      time.Duration
	Progress     float64 // share of the training that is done
	// Development is what FineTune has measured after this update, or nil.
	Development *Evaluation
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

// String returns the figures in one line.
func (s PretrainStats) String() string {
	text := fmt.Sprintf("%d updates, %d target tokens, %d indexes in %v: loss %.3f nats a token",
		s.Steps, s.TargetTokens, s.Indexes, s.Elapsed.Round(time.Second), s.Loss)
	if s.Checkpoint != "" {
		text += ", checkpoint " + s.Checkpoint
	}
	return text
}

// DefaultLearningRate returns the learning rate that training starts from
// unless the options give one: 1e-3 up to width 128, then in inverse proportion
// to the width. Small (256) learns at 5e-4 and degrades g at 1e-3; for the
// paper's width, 1,024, it is 1.25e-4, where the paper has 1e-4 to 2e-4
// (arXiv:2006.15020, section 3).
func DefaultLearningRate(c Config) float64 {
	return 1e-3 * 128 / float64(max(c.DModel, 128))
}

// loop returns the settings of the training loop.
func (o *PretrainOptions) loop() loopOptions {
	return loopOptions{
		Steps: o.Steps, TargetTokens: o.TargetTokens, Duration: o.Duration,
		LearningRate: o.LearningRate, WarmupSteps: o.WarmupSteps, WeightDecay: o.WeightDecay, ClipNorm: o.ClipNorm,
		Accumulate: o.Accumulate, Replicas: o.Replicas, Seed: o.Seed, Group: o.Group,
		BFloat16Gradients: o.BFloat16Gradients,
		Dir:               o.Dir, CheckpointEvery: o.CheckpointEvery, KeepCheckpoints: o.KeepCheckpoints, Resume: o.Resume,
		OnStep: o.OnStep, OnWarning: o.OnWarning,
	}
}

// setDefaults replaces zero values by defaults, but for the settings of the
// loop, and checks all of them.
func (o *PretrainOptions) setDefaults() error {
	if err := o.checkObjective(); err != nil {
		return err
	}
	setDefault(&o.BetaLearningRate, 1)
	setDefault(&o.GLearningRate, 1)
	setDefault(&o.BatchTokens, 2048)
	if o.Links.Mono == 0 && o.Links.Cross == 0 {
		o.Links.Cross, o.Links.PerTarget = 5, true
	}
	if err := o.Links.Validate(); err != nil {
		return fmt.Errorf("option Links: %w", err)
	}
	if o.Links.PerTarget && math.Round(o.Links.Mono)+math.Round(o.Links.Cross) == 0 {
		return fmt.Errorf("option Links: Mono %v and Cross %v round to no link of a target; PerTarget takes whole numbers",
			o.Links.Mono, o.Links.Cross)
	}
	if o.CrossWeight == 0 && o.MonoWeight == 0 {
		o.CrossWeight, o.MonoWeight = 100, 1
	}
	setDefault(&o.LanguageTemperature, 1)
	setDefault(&o.IndexEvery, 4000)
	tfidf := 6000
	if o.Steps > 0 {
		tfidf = min(tfidf, o.Steps/3)
	}
	setDefault(&o.TFIDFSteps, tfidf)
	return errors.Join(
		atLeast("BatchTokens", o.BatchTokens, 1), atLeast("MaxEvidence", o.MaxEvidence, 0),
		atLeast("MaxTargets", o.MaxTargets, 0), atLeast("IndexEvery", o.IndexEvery, 1),
		atLeast("IndexShards", o.IndexShards, 0), atLeast("ContrastiveSteps", o.ContrastiveSteps, 0),
		notNegative("BetaLearningRate", max(o.BetaLearningRate, 0)), notNegative("GLearningRate", max(o.GLearningRate, 0)),
		notNegative("CrossWeight", float64(o.CrossWeight)), notNegative("MonoWeight", float64(o.MonoWeight)),
		notNegative("LanguageTemperature", o.LanguageTemperature), notNegative("DistillWeight", o.DistillWeight),
	)
}

// record lists the settings that the result of a training depends on, for its
// checkpoints; see loopOptions.record.
func (o *PretrainOptions) record() map[string]string {
	if o.Objective != MARGE {
		return map[string]string{
			"Objective": string(o.Objective), "MaskedShare": fmt.Sprint(o.MaskedShare), "Pairs": fingerprintPairs(o.Pairs),
			"BatchTokens": fmt.Sprint(o.BatchTokens), "MaxTargets": fmt.Sprint(o.MaxTargets),
			"LanguageTemperature": fmt.Sprint(o.LanguageTemperature),
		}
	}
	return map[string]string{
		"BetaLearningRate": fmt.Sprint(max(o.BetaLearningRate, 0)), "GLearningRate": fmt.Sprint(max(o.GLearningRate, 0)),
		"BatchTokens": fmt.Sprint(o.BatchTokens), "MaxEvidence": fmt.Sprint(o.MaxEvidence),
		"MaxTargets": fmt.Sprint(o.MaxTargets),
		"Links":      fmt.Sprintf("%+v", o.Links), "CrossWeight": fmt.Sprint(o.CrossWeight),
		"MonoWeight": fmt.Sprint(o.MonoWeight),
		"OnLinks":    fmt.Sprint(o.OnLinks != nil), "LanguageTemperature": fmt.Sprint(o.LanguageTemperature),
		"IndexEvery": fmt.Sprint(o.IndexEvery), "IndexShards": fmt.Sprint(o.IndexShards),
		tfidfSteps:         fmt.Sprint(max(o.TFIDFSteps, 0)),
		"ContrastiveSteps": fmt.Sprint(o.ContrastiveSteps), "DetachRelevance": fmt.Sprint(o.DetachRelevance),
		"NullDocument": fmt.Sprint(o.NullDocument), "DistillWeight": fmt.Sprint(o.DistillWeight),
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func atLeast[T int | int64 | time.Duration](name string, value, least T) error {
	if value < least {
		return fmt.Errorf("%s is %v, want at least %v", name, value, least)
	}
	return nil
}

func finite(value float64) bool { return !math.IsNaN(value) && !math.IsInf(value, 0) }

func notNegative(name string, value float64) error {
	if !finite(value) || value < 0 {
		return fmt.Errorf("%s is %v, want a finite number of at least 0", name, value)
	}
	return nil
}
