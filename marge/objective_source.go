package marge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/marge-go/marge/internal/jsonx"
	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/tokenizer"
	"github.com/marge-go/marge/nn/safetensors"
)

// chunks makes examples of the chunks of a corpus, those that may be targets.
type chunks struct {
	m         *Model
	o         *PretrainOptions
	store     *corpus.Store
	languages []int32 // language token of each of the store's languages
}

// alone returns an example of each chunk: the encoder reads it and, if rendered is
// set, the decoder makes it.
func (c *chunks) alone(rendered bool) (all []example) {
	for i := range c.store.Len() {
		if !c.store.Chunk(i).Target || len(c.store.Tokens(i)) == 0 {
			continue
		}
		e := example{source: c.store.Tokens(i), record: i, language: c.languages[c.store.Chunk(i).Lang]}
		if rendered {
			e.target = c.store.Tokens(i)
		}
		all = append(all, e)
	}
	return all
}

// pairs returns two examples of each pair of known translations, one in each
// direction.
func (c *chunks) pairs() (all []example, err error) {
	for i, p := range c.o.Pairs {
		for _, chunk := range p {
			if chunk < 0 || chunk >= c.store.Len() {
				return nil, fmt.Errorf("option Pairs: pair %d is %v, the corpus has %d chunks", i, p, c.store.Len())
			}
		}
		if p[0] == p[1] {
			return nil, fmt.Errorf("option Pairs: pair %d is %v, a chunk and itself", i, p)
		}
		if len(c.store.Tokens(p[0])) == 0 || len(c.store.Tokens(p[1])) == 0 {
			continue
		}
		for _, p := range [][2]int{p, {p[1], p[0]}} {
			all = append(all, example{
				source: c.store.Tokens(p[0]), target: c.store.Tokens(p[1]), record: p[1],
				language: c.languages[c.store.Chunk(p[1]).Lang],
			})
		}
	}
	return all, nil
}

// beside lays the two documents of a pair side by side, as the encoder reads two
// documents one after the other, the outer <s> and </s> left out.
func beside(e example) example {
	e.second = len(e.source) + 1
	e.source, e.target = slices.Concat(e.source, []int32{tokenizer.EOS, tokenizer.BOS}, e.target), nil
	return e
}

// source returns passes over examples, each changed anew whenever it comes. It is
// an error of take if there are none.
func (c *chunks) source(number uint64, all []example, change func(*rand.Rand, example) example) *epochs {
	e := &epochs{
		all: all, tokens: c.o.BatchTokens, records: c.o.MaxTargets, seed: c.o.Seed, number: number, change: change,
		name: func(i int) string { return c.store.DocumentID(c.store.Chunk(i).Doc) },
	}
	if c.o.LanguageTemperature != 1 {
		amounts := make([]float64, len(c.languages)) // of tokens
		for _, x := range all {
			amounts[c.store.Chunk(x.record).Lang] += float64(x.tokens())
		}
		weights := temper(amounts, c.o.LanguageTemperature)
		e.times = make([]float64, len(all))
		for i, x := range all {
			e.times[i] = weights[c.store.Chunk(x.record).Lang]
		}
	}
	e.start(0)
	return e
}

// alternation takes the batches of updates in turn from two sources.
type alternation [2]*epochs

// turn returns the source of the update that follows step updates.
func (a *alternation) turn(step int) *epochs { return a[step%2] }

func (a *alternation) take(ctx context.Context, step, n int) ([]*Batch, error) {
	a.turn(step + 1).taken = 0 // putBack is for the last take
	return a.turn(step).take(ctx, step, n)
}

func (a *alternation) putBack() {
	for _, s := range a {
		s.putBack()
	}
}

func (a *alternation) documents(b *Batch) []string { return a[0].documents(b) } // both name chunks

func (a *alternation) place() (any, []safetensors.Tensor) {
	var places [2]any
	for i, s := range a {
		places[i], _ = s.place()
	}
	return places, nil
}

func (a *alternation) restore(place json.RawMessage, step int, f *safetensors.File) ([]string, error) {
	var places []json.RawMessage
	if err := jsonx.UnmarshalStrict(place, &places); err != nil {
		return nil, err
	}
	if len(places) != len(a) {
		return nil, errors.New("not the places of two sources")
	}
	for i, s := range a {
		if _, err := s.restore(places[i], step, f); err != nil {
			return nil, err
		}
	}
	return nil, nil
}
