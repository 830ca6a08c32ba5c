package marge

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"

	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/nn/safetensors"
	"github.com/marge-go/marge/tensor"
)

// contrastScale is the inverse of the temperature of InfoNCE, 0.05 as in
// SimCSE (arXiv:2104.08821).
const contrastScale = 20

// contrast is an objective that trains g alone: of two random halves of each
// of some documents, the second is to be found from the first among those of
// all (InfoNCE on independent crops, arXiv:2112.09118). Targets and evidence
// of a batch are the first and the second halves.
type contrast struct{ m *Model }

func (c *contrast) loss(tp *tensor.Tape, b *Batch) batchLoss {
	n := len(b.Targets)
	_, g := c.m.retrieval(tp, packEncoder(tp, append(b.Targets[:n:n], b.Evidence...)))
	own := make([]int32, n)
	for i := range own {
		own[i] = int32(i)
	}
	loss, _ := tp.CrossEntropy(tp.Scale(contrastScale, tp.Rows(g, 0, n)), tp.Rows(g, n, 2*n), tp.Ints(own), 0, 1)
	return batchLoss{sum: loss, reported: loss, weight: n}
}

// crops is the source of batches of random halves of random documents. Which
// they are follows from the seed and the number of the update: it has no place.
type crops struct {
	m     *Model
	o     *PretrainOptions
	store *corpus.Store
}

func (c *crops) take(_ context.Context, step, n int) (batches []*Batch, err error) {
	for i := range n {
		rng := random(c.o.Seed, contrastStream, uint64(step*n+i))
		b := &Batch{}
		for tokens := 0; tokens < c.o.BatchTokens; tokens += 2*len(b.Targets[len(b.Targets)-1]) + 4 {
			doc := c.store.Tokens(rng.IntN(c.store.Len()))
			b.Targets, b.Evidence = append(b.Targets, crop(rng, doc)), append(b.Evidence, crop(rng, doc))
		}
		batches = append(batches, b)
	}
	return batches, nil
}

func (c *crops) putBack() {}

func (c *crops) documents(b *Batch) []string {
	return []string{fmt.Sprintf("halves of %d documents of the contrastive phase", len(b.Targets))}
}

func (c *crops) place() (any, []safetensors.Tensor) { return nil, nil }

func (c *crops) restore(json.RawMessage, int, *safetensors.File) ([]string, error) { return nil, nil }

// crop returns a random half of a document.
func crop(rng *rand.Rand, doc []int32) []int32 {
	n := (len(doc) + 1) / 2
	at := rng.IntN(len(doc) - n + 1)
	return doc[at : at+n]
}
