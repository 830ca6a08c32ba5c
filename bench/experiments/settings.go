package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"time"

	"github.com/marge-go/marge/internal/backends"
	"github.com/marge-go/marge/internal/flags"
	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/index"
	"github.com/marge-go/marge/marge/vectors"
)

// settings are those of a training but for its seed. Their JSON form is part
// of every result, and its hash names the directory of a training. Fields that
// are 0 have the meaning of marge.PretrainOptions.
type settings struct {
	Size       string  `json:"size"`
	Vocabulary int     `json:"vocabulary"`
	Pooling    string  `json:"pooling"`
	Dropout    float64 `json:"dropout"`
	backends.Choice
	RetrievalDim int `json:"retrieval_dim,omitempty"` // with pooling max

	Objective marge.Objective `json:"objective,omitempty"` // "": MARGE

	Steps            int     `json:"steps,omitempty"`
	Tokens           int64   `json:"tokens,omitempty"` // predicted
	Minutes          float64 `json:"minutes,omitempty"`
	LearningRate     float64 `json:"learning_rate"`
	BetaLearningRate float64 `json:"beta_learning_rate,omitempty"`
	GLearningRate    float64 `json:"g_learning_rate,omitempty"`
	BatchTokens      int     `json:"batch_tokens"`
	Accumulate       int     `json:"accumulate"`

	Mono        float64 `json:"mono"`
	Cross       float64 `json:"cross"`
	CrossWeight float64 `json:"cross_weight"` // of a link; those in one language weigh 1
	IndexEvery  int     `json:"index_every"`
	TFIDFSteps  int     `json:"tfidf_steps,omitempty"`

	PerTarget bool           `json:"per_target,omitempty"` // the best links of each target, not of the shard
	Margin    vectors.Margin `json:"margin,omitempty"`     // of their scores
	// KnownLinks links all documents that are known to be translations, and no
	// others, instead of what is found.
	KnownLinks          bool    `json:"known_links,omitempty"`
	LanguageTemperature float64 `json:"language_temperature,omitempty"`

	Beta             *float64 `json:"beta,omitempty"` // at the start; nil: the model's own
	ContrastiveSteps int      `json:"contrastive_steps,omitempty"`
	DetachRelevance  bool     `json:"detach_relevance,omitempty"`
	NullDocument     bool     `json:"null_document,omitempty"`
	DistillWeight    float64  `json:"distill_weight,omitempty"`

	Chunk     int    `json:"chunk"`
	MaxChunks int    `json:"max_chunks,omitempty"`
	Shards    string `json:"shards"`

	// Start is the directory of a model whose weights training starts from.
	Start string `json:"start,omitempty"`

	// Probes is how often the model is measured while it is trained.
	Probes int `json:"probes"`
}

// The values of settings.Shards.
const (
	shardsGiven  = "given"  // those of the documents
	shardsRandom = "random" // as many, of random documents
)

func defaults() settings {
	return settings{
		Size: "tiny", Vocabulary: 8000, Pooling: marge.PoolMax, RetrievalDim: 1024,
		LearningRate: 2e-3, BatchTokens: 2048, Accumulate: 1, Cross: 5, CrossWeight: 100, PerTarget: true, IndexEvery: 1500,
		Chunk: 126, MaxChunks: 2, Shards: shardsGiven, Probes: 10,
	}
}

func (s *settings) flags(fs *flag.FlagSet) {
	fs.StringVar(&s.Size, "size", s.Size, "size of the model: mini, tiny, small, base or paper")
	fs.IntVar(&s.Vocabulary, "vocabulary", s.Vocabulary, "tokens of the vocabulary, for all sizes")
	fs.StringVar(&s.Pooling, "pooling", s.Pooling,
		"how g sums up a document: by its first token (first), by the mean of all (mean), or by the greatest values "+
			"of learned functions of them (max)")
	fs.IntVar(&s.RetrievalDim, "retrieval-dim", s.RetrievalDim,
		"width of g with -pooling max (otherwise that of the model)")
	fs.Float64Var(&s.Dropout, "dropout", s.Dropout, "dropout")
	s.Choice.Define(fs)
	fs.IntVar(&s.Steps, "steps", 0, "updates of a training, which is then repeatable")
	fs.Var((*flags.Count)(&s.Tokens), "tokens",
		"target `tokens` of a training, as in 3e6 or 3M, instead of -steps, and repeatable too")
	fs.Float64Var(&s.Minutes, "minutes", 0, "minutes of a training, instead of -steps or -tokens")
	fs.Float64Var(&s.LearningRate, "lr", s.LearningRate, "peak learning rate")
	fs.Float64Var(&s.BetaLearningRate, "beta-lr", 0, "factor of the learning rate of beta (default 1; negative: 0)")
	fs.Float64Var(&s.GLearningRate, "g-lr", 0, "factor of the learning rate of g (default 1; negative: 0)")
	fs.IntVar(&s.BatchTokens, "batch-tokens", s.BatchTokens, "tokens of the documents of a batch")
	fs.IntVar(&s.Accumulate, "accumulate", s.Accumulate, "batches of an update")
	fs.Float64Var(&s.Mono, "mono", s.Mono, "links of a target with documents in its language, on average")
	fs.Float64Var(&s.Cross, "cross", s.Cross, "links of a target with documents in other languages, on average")
	fs.Float64Var(&s.CrossWeight, "cross-weight", s.CrossWeight, "weight of a link between languages; others weigh 1")
	fs.IntVar(&s.IndexEvery, "index-every", s.IndexEvery, "updates between two indexes")
	fs.BoolVar(&s.PerTarget, "per-target", s.PerTarget,
		"keep the best -mono and -cross links of each target that g finds, rounded, instead of the shard's")
	fs.StringVar((*string)(&s.Margin), "margin", "",
		"set the score of a link against those of the neighbours: ratio, distance or none")
	fs.BoolVar(&s.KnownLinks, "known-links", false,
		"link documents of the same group, in different languages, instead of what is found: an upper bound")
	fs.Float64Var(&s.LanguageTemperature, "language-temperature", 0,
		"train on languages in proportion to p^(1/T), p being their share (default 1)")
	fs.IntVar(&s.TFIDFSteps, "tfidf-steps", 0, "updates during which TF-IDF finds the links instead of g")
	fs.IntVar(&s.ContrastiveSteps, "contrastive-steps", 0, "updates at the start that train g alone")
	fs.Float64Var(&s.DistillWeight, "distill", 0, "weight of what g learns from the decoder's attention")
	fs.IntVar(&s.Chunk, "chunk", s.Chunk, "tokens of a chunk of a document, and of a held-out document")
	fs.IntVar(&s.MaxChunks, "max-chunks", s.MaxChunks, "chunks of a document to train on (0: all)")
	fs.StringVar(&s.Start, "start", "", "start from the weights of the model in this `directory`, a checkpoint or "+
		"that of a training, where names and shapes agree, and use its tokenizer (default: random weights)")
	fs.IntVar(&s.Probes, "probes", s.Probes, "measurements during a training")
}

func (s *settings) check() error {
	given := 0
	for _, set := range []bool{s.Steps > 0, s.Tokens > 0, s.Minutes > 0} {
		if set {
			given++
		}
	}
	if s.Steps < 0 || s.Minutes < 0 || given > 1 {
		return errors.New("-steps, -tokens and -minutes must not be negative, and only one of them set")
	}
	if given == 0 {
		s.Minutes = 5
	}
	if s.Chunk < 1 || s.Probes < 1 || s.IndexEvery < 1 || s.MaxChunks < 0 {
		return errors.New("-chunk, -probes and -index-every must be positive, -max-chunks not negative")
	}
	if !(s.Mono >= 0 && s.Cross >= 0 && s.Mono+s.Cross > 0) {
		return errors.New("-mono and -cross must not be negative, and one of them positive")
	}
	if s.Margin == vectors.MarginNone {
		s.Margin = "" // the same training
	}
	if s.Pooling != marge.PoolMax {
		s.RetrievalDim = 0 // is not used, and must not name another training
	}
	s.Choice = s.Canonical() // the same training
	links := s.links()
	if err := links.Validate(); err != nil {
		return err
	}
	if !(s.LanguageTemperature >= 0 && s.DistillWeight >= 0) {
		return errors.New("-language-temperature and -distill must not be negative")
	}
	c, err := s.config(s.Vocabulary)
	if err != nil {
		return err
	}
	if s.Chunk > c.MaxPositionEmbeddings-2 {
		return fmt.Errorf("-chunk %d: a model of size %s takes %d tokens", s.Chunk, s.Size, c.MaxPositionEmbeddings-2)
	}
	return nil
}

// sizes are the models that -size names.
var sizes = func() map[string]marge.Config {
	m := marge.Presets()
	m["mini"] = marge.Config{
		DModel: 64, EncoderLayers: 3, EncoderFFNDim: 256, EncoderAttentionHeads: 2, RetrievalLayers: 2,
		DecoderBaseLayers: 1, DecoderBaseFFNDim: 256, DecoderLayers: 2, DecoderFFNDim: 512, DecoderAttentionHeads: 2,
		MaxPositionEmbeddings: 256,
	}
	return m
}()

// config returns the model's, without seed.
func (s *settings) config(vocabulary int) (marge.Config, error) {
	c, ok := sizes[s.Size]
	if !ok {
		return c, fmt.Errorf("-size %s: no such size", s.Size)
	}
	c.VocabSize, c.RetrievalPooling, c.RetrievalDim, c.Dropout = vocabulary, s.Pooling, s.RetrievalDim, float32(s.Dropout)
	return c, c.Validate()
}

func (s *settings) links() index.LinkOptions {
	return index.LinkOptions{Mono: s.Mono, Cross: s.Cross, PerTarget: s.PerTarget, Margin: s.Margin}
}

func (s *settings) pretrain(seed uint64, dir string) marge.PretrainOptions {
	if s.Objective != "" { // links nothing
		return marge.PretrainOptions{
			Objective: s.Objective, Steps: s.Steps, TargetTokens: s.Tokens,
			Duration: time.Duration(s.Minutes * float64(time.Minute)), LearningRate: s.LearningRate,
			BatchTokens: s.BatchTokens, Accumulate: s.Accumulate, LanguageTemperature: s.LanguageTemperature,
			Seed: seed, Dir: dir, Resume: true,
		}
	}
	return marge.PretrainOptions{
		Steps: s.Steps, TargetTokens: s.Tokens, Duration: time.Duration(s.Minutes * float64(time.Minute)),
		LearningRate:     s.LearningRate,
		BetaLearningRate: s.BetaLearningRate, GLearningRate: s.GLearningRate,
		BatchTokens: s.BatchTokens, Accumulate: s.Accumulate,
		Links: s.links(), LanguageTemperature: s.LanguageTemperature, CrossWeight: float32(s.CrossWeight), MonoWeight: 1,
		IndexEvery: s.IndexEvery, TFIDFSteps: s.tfidfSteps(), ContrastiveSteps: s.ContrastiveSteps,
		DetachRelevance: s.DetachRelevance, NullDocument: s.NullDocument, DistillWeight: s.DistillWeight,
		Seed: seed, Dir: dir, Resume: true,
	}
}

// tfidfSteps returns TFIDFSteps as PretrainOptions has it: negative for none.
func (s *settings) tfidfSteps() int {
	if s.TFIDFSteps == 0 {
		return -1
	}
	return s.TFIDFSteps
}

// updates returns how many updates a share of a training has, about as many if
// it ends by tokens, half of which are of targets, or, if its updates are not
// known before, the given number.
func (s *settings) updates(share float64, unknown int) int {
	switch {
	case s.Steps > 0:
		return max(1, int(share*float64(s.Steps)))
	case s.Tokens > 0:
		return max(1, int(share*float64(s.Tokens)/(float64(s.BatchTokens*s.Accumulate)/2)))
	}
	return unknown
}

// hashOf returns a short name for values that have a JSON form.
func hashOf(values ...any) (string, error) {
	data, err := json.Marshal(values)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:5]), nil
}
