// Package pretrained gives the programs of examples a model to start from: one
// that they load, or one that they train first.
package pretrained

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"github.com/marge-go/marge/examples/internal/program"
	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/checkpoint"
	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/index"
	"github.com/marge-go/marge/marge/tokenizer"
	"github.com/marge-go/marge/tensor"
)

// Load is marge.LoadOn of a model that has a tokenizer.
func Load(dir string, b tensor.Backend) (*marge.Model, error) {
	m, err := marge.LoadOn(dir, marge.Config{Backend: b})
	if err != nil {
		return nil, err
	}
	if m.Tokenizer == nil {
		return nil, fmt.Errorf("%s has no tokenizer", dir)
	}
	return m, nil
}

// ChunkTokens is the length of the documents that Train trains on, as in
// examples/pretrain.
const ChunkTokens = 126

// Options are the settings of Train.
type Options struct {
	Config  marge.Config      // its vocabulary is an upper bound
	Steps   int               // updates, or 0 for Minutes
	Minutes float64           // of training
	Seed    uint64            // of weights and training
	Links   index.LinkOptions // between documents; zero: those of marge.Pretrain
	Dir     string            // of checkpoints
	Resume  bool              // goes on with the training in Dir
	Show    *program.Display
	// OnEnd, if not nil, is told how the training went, to its end or until it was
	// stopped.
	OnEnd func(marge.PretrainStats)
}

// Tiny returns the size that examples/pretrain trains, a model of 2.9 million
// parameters and a g of 1,024 values.
func Tiny() marge.Config {
	c := marge.Tiny()
	c.RetrievalPooling, c.RetrievalDim, c.Dropout = marge.PoolMax, 1024, 0
	return c
}

// Train pre-trains a model on documents from random weights, with the settings
// of examples/pretrain, and returns it with its tokenizer.
func Train(ctx context.Context, docs []corpus.Document, o Options) (*marge.Model, error) {
	t, err := o.tokenizer(docs)
	if err != nil {
		return nil, err
	}
	store, err := corpus.FromDocuments(docs, t, corpus.BuildOptions{ChunkTokens: ChunkTokens})
	if err != nil {
		return nil, err
	}
	o.Config.VocabSize, o.Config.Seed = t.VocabSize(), o.Seed
	m, err := marge.New(o.Config)
	if err != nil {
		return nil, err
	}
	m.Tokenizer = t
	p := marge.PretrainOptions{
		Steps: o.Steps, LearningRate: 2 * marge.DefaultLearningRate(o.Config), TFIDFSteps: 1500, IndexEvery: 1500,
		Links: o.Links, Seed: o.Seed, Dir: o.Dir, Resume: o.Resume,
	}
	if o.Steps == 0 {
		p.Duration = time.Duration(o.Minutes * float64(time.Minute))
	} else {
		p.TFIDFSteps = min(p.TFIDFSteps, max(o.Steps/3, 1))
	}
	p.OnStep = func(s marge.Metrics) error {
		o.Show.Progress(fmt.Sprintf("pre-training %3.0f%%  step %d  loss %.3f", 100*s.Progress, s.Step, s.Loss))
		return nil
	}
	p.OnWarning = func(err error) { o.Show.Message("warning: %v", err) }
	stats, err := marge.Pretrain(ctx, m, store, p)
	o.Show.End()
	if o.OnEnd != nil {
		o.OnEnd(stats)
	}
	if err != nil {
		return nil, err
	}
	o.Show.Message("pre-trained: %v", stats)
	return m, nil
}

// tokenizer learns a vocabulary from the documents, or reads that of the
// training that goes on.
func (o *Options) tokenizer(docs []corpus.Document) (tokenizer.Tokenizer, error) {
	if o.Resume {
		dir, _, err := checkpoint.Latest(o.Dir, nil)
		if err == nil {
			return tokenizer.Load(filepath.Join(dir, "tokenizer.json"))
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	var langs []string
	for _, d := range docs {
		langs = append(langs, d.Lang)
	}
	slices.Sort(langs)
	return tokenizer.Train(func(yield func(string) bool) {
		for _, d := range docs {
			if !yield(d.Text) {
				return
			}
		}
	}, tokenizer.TrainOptions{VocabSize: o.Config.VocabSize, Languages: slices.Compact(langs)})
}
