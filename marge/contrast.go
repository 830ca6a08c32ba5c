package marge

import (
	"fmt"
	"math/rand/v2"

	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/tensor"
)

// contrastScale is the inverse of the temperature of InfoNCE, 0.05 as in
// SimCSE (arXiv:2104.08821).
const contrastScale = 20

// contrast makes an update that trains g alone: of two random halves of each
// of some documents, the second is to be found from the first among those of
// all (InfoNCE on independent crops, arXiv:2112.09118).
func (t *trainer) contrast() (Metrics, error) {
	rng := t.random(contrastStream, uint64(t.step))
	var first, second [][]int32
	for tokens := 0; tokens < t.o.BatchTokens; {
		doc := t.store.Tokens(rng.IntN(t.store.Len()))
		first, second = append(first, crop(rng, doc)), append(second, crop(rng, doc))
		tokens += 2*len(first[len(first)-1]) + 4
	}
	n := len(first)
	metrics := Metrics{Step: t.step + 1, LR: t.learningRate(), Index: t.indexes}
	nn.ZeroGrad(t.m.params)
	t.tape.Reset(tensor.Training, rng.Uint64())
	_, g := t.m.retrieval(t.tape, packEncoder(t.tape, append(first, second...)))
	own := make([]int32, n)
	for i := range own {
		own[i] = int32(i)
	}
	out, _ := t.tape.CrossEntropy(t.tape.Scale(contrastScale, t.tape.Rows(g, 0, n)), t.tape.Rows(g, n, 2*n), t.tape.Ints(own), 0, 1/float32(n))
	var err error
	if metrics.Loss, err = finite(out); err != nil {
		return Metrics{}, &stepError{step: t.step + 1, err: fmt.Errorf("contrastive %w", err)}
	}
	t.tape.Backward(out)
	if err := t.optimise(&metrics, 0); err != nil {
		return Metrics{}, &stepError{step: t.step + 1, err: err}
	}
	return metrics, nil
}

// crop returns a random half of a document.
func crop(rng *rand.Rand, doc []int32) []int32 {
	n := (len(doc) + 1) / 2
	at := rng.IntN(len(doc) - n + 1)
	return doc[at : at+n]
}
