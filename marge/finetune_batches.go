package marge

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/marge-go/marge/internal/ceil"
	"github.com/marge-go/marge/internal/jsonx"
	"github.com/marge-go/marge/nn/safetensors"
)

// epochs is a source of batches that are known before training starts: passes
// over examples, whose order follows from the seed and the number of the pass alone.
type epochs struct {
	all             []example
	tokens, records int // of a batch at most; records 0: no bound
	seed, number    uint64
	name            func(record int) string
	// times is how often a pass has each example, on average; nil stands for once.
	times []float64
	// change, if not nil, makes of an example what a batch has of it, anew in each pass.
	change func(*rand.Rand, example) example

	pass, next, taken int
	batches           [][]int // of the pass: the examples of each
}

// poolBatches is how many batches' examples are sorted by their length together.
const poolBatches = 50

func newEpochs(all []example, o *FineTuneOptions, name func(record int) string) *epochs {
	e := &epochs{all: all, tokens: o.BatchTokens, records: o.BatchRecords, seed: o.Seed, name: name}
	e.start(0)
	return e
}

// start begins a pass.
func (e *epochs) start(pass int) {
	e.pass, e.next, e.taken, e.batches = pass, 0, 0, e.order(pass)
}

// batch makes batch i of the pass.
func (e *epochs) batch(i int) *Batch {
	examples := make([]example, len(e.batches[i]))
	rng := random(e.seed, noiseStream, e.number<<48|uint64(e.pass)<<24|uint64(i))
	for j, n := range e.batches[i] {
		examples[j] = e.all[n]
		if e.change != nil {
			examples[j] = e.change(rng, examples[j])
		}
	}
	return newBatch(examples)
}

// shuffled returns the examples of a pass in random order.
func (e *epochs) shuffled(rng *rand.Rand) []int {
	if e.times == nil {
		return rng.Perm(len(e.all))
	}
	var pass []int
	for i, times := range e.times {
		for range int(times + rng.Float64()) {
			pass = append(pass, i)
		}
	}
	rng.Shuffle(len(pass), func(i, j int) { pass[i], pass[j] = pass[j], pass[i] })
	return pass
}

// order returns the examples of each batch of a pass. Those of a batch have similar
// lengths: of random examples, enough for poolBatches batches at a time are sorted
// by their length and cut; then the batches are shuffled.
func (e *epochs) order(pass int) (batches [][]int) {
	rng := random(e.seed, passStream, e.number<<48|uint64(pass))
	shuffled := e.shuffled(rng)
	for len(shuffled) > 0 {
		n, tokens := 0, 0
		for n < len(shuffled) && tokens < poolBatches*e.tokens && (e.records == 0 || n < poolBatches*e.records) {
			tokens += e.all[shuffled[n]].tokens()
			n++
		}
		pool := shuffled[:n]
		shuffled = shuffled[n:]
		slices.SortStableFunc(pool, func(a, b int) int { return cmp.Compare(e.all[a].tokens(), e.all[b].tokens()) })
		for len(pool) > 0 {
			n, tokens := 0, 0
			for n < len(pool) && (n == 0 || tokens+e.all[pool[n]].tokens() <= e.tokens) && (e.records == 0 || n < e.records) {
				tokens += e.all[pool[n]].tokens()
				n++
			}
			batches, pool = append(batches, pool[:n]), pool[n:]
		}
	}
	rng.Shuffle(len(batches), func(i, j int) { batches[i], batches[j] = batches[j], batches[i] })
	return batches
}

// updates returns how many updates of so many batches the first passes make.
func (e *epochs) updates(passes, batches int) (n int) {
	for pass := range passes {
		n += ceil.Div(len(e.order(pass)), batches)
	}
	return n
}

// packing returns the share of the tokens that a batch may have that those of a
// pass have on average.
func (e *epochs) packing() float64 {
	sum := 0
	for _, x := range e.all {
		sum += x.tokens()
	}
	return float64(sum) / float64(len(e.batches)*e.tokens)
}

func (e *epochs) take(_ context.Context, _, n int) ([]*Batch, error) {
	if e.next == len(e.batches) {
		e.start(e.pass + 1)
	}
	e.taken = min(n, len(e.batches)-e.next)
	batches := make([]*Batch, e.taken)
	for i := range batches {
		batches[i] = e.batch(e.next + i)
	}
	e.next += e.taken
	return batches, nil
}

func (e *epochs) putBack() { e.next, e.taken = e.next-e.taken, 0 }

func (e *epochs) documents(b *Batch) (names []string) {
	for _, x := range b.examples {
		names = append(names, e.name(x.record))
	}
	return names
}

// epochsPlace is where the source is.
type epochsPlace struct {
	Pass int `json:"pass"`
	Next int `json:"next_batch"`
}

func (e *epochs) place() (any, []safetensors.Tensor) { return epochsPlace{e.pass, e.next}, nil }

func (e *epochs) restore(place json.RawMessage, _ int, _ *safetensors.File) ([]string, error) {
	var p epochsPlace
	if err := jsonx.UnmarshalStrict(place, &p); err != nil {
		return nil, err
	}
	if p.Pass < 0 || p.Next < 0 {
		return nil, fmt.Errorf("batch %d of pass %d", p.Next, p.Pass)
	}
	e.start(p.Pass)
	if p.Next > len(e.batches) {
		return nil, fmt.Errorf("batch %d of a pass of %d", p.Next, len(e.batches))
	}
	e.next = p.Next
	return nil, nil
}
