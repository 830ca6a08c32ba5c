package main

import (
	"fmt"
	"path/filepath"

	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/tensor"
)

// defaultChunk is the length of chunks, in tokens, that suits minutes of training.
const defaultChunk = 126

// model names what is trained.
func (o *options) model() string {
	if o.initFrom != "" {
		return filepath.Base(o.initFrom)
	}
	return o.config
}

// loadInitial loads the model of -init-from, if it is given, and completes what
// depends on its sizes.
func (o *options) loadInitial(backend tensor.Backend) error {
	if o.initFrom == "" {
		return nil
	}
	from := marge.MBARTOptions{RetrievalPooling: o.pooling, Seed: o.seed, Backend: backend}
	if o.pooling == marge.PoolMax {
		from.RetrievalDim = o.dim
	}
	m, err := marge.FromMBARTOn(o.initFrom, from)
	if err != nil {
		return fmt.Errorf("-init-from: %w", err)
	}
	if m.Tokenizer == nil {
		return fmt.Errorf("-init-from %s: there is no tokenizer.json, which gives the tokens of a text", o.initFrom)
	}
	longest := m.Config.MaxPositionEmbeddings - 2 // beside <s> and </s>
	if !o.given("chunk") {
		o.chunk = min(defaultChunk, longest)
	} else if o.chunk > longest {
		return fmt.Errorf("-chunk %d: want 1 to %d, what the model of -init-from takes", o.chunk, longest)
	}
	if !o.given("lr") {
		o.lr = marge.DefaultLearningRate(m.Config)
	}
	o.initial = m
	return nil
}

// newModel returns the model to train: that of -init-from, or one with random weights.
func (o *options) newModel(d *data, backend tensor.Backend) (*marge.Model, error) {
	if o.initial != nil {
		return o.initial, nil
	}
	config := o.modelConfig()
	config.VocabSize, config.Backend = d.tokenizer.VocabSize(), backend
	m, err := marge.New(config)
	if err != nil {
		return nil, err
	}
	m.Tokenizer = d.tokenizer
	return m, nil
}
