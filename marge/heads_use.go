package marge

import (
	"context"
	"fmt"
	"slices"

	"github.com/marge-go/marge/marge/tokenizer"
	"github.com/marge-go/marge/tensor"
)

// Class is what a model says of a text.
type Class struct {
	Label       string // the most probable
	Probability float64
	// Probabilities are those of all labels, in the order of Config.Labels.
	Probabilities []float64
}

// Classify returns the class of each text, or pair of texts, as the model has
// learnt to tell them apart by [FineTune] for a [Classification]. Label of the
// texts is not used. It is an error if the model has no head for it.
func (m *Model) Classify(ctx context.Context, texts ...Labeled) (found []Class, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("classify: %w", err)
		}
	}()
	if m.heads.class == nil {
		return nil, errNoClasses
	}
	r, err := newReader(m)
	if err != nil {
		return nil, err
	}
	var examples []example
	for i := range texts {
		e, _, err := r.labeled(&texts[i])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", recordName("text", i, texts[i].Where), err)
		}
		examples = append(examples, e)
	}
	scores, err := m.headScores(ctx, examples, m.classScores)
	if err != nil {
		return nil, err
	}
	for _, row := range scores {
		p := softmax(row)
		best := slices.Index(p, slices.Max(p))
		found = append(found, Class{m.Config.Labels[best], p[best], p})
	}
	return found, nil
}

// labeled returns what the model reads of a text, or of two; if they are too long,
// the beginning of each.
func (r *reader) labeled(l *Labeled) (e example, cut bool, err error) {
	if e.language, err = r.language(l.Lang); err != nil {
		return example{}, false, err
	}
	text, err := r.text("the text", l.Text)
	if err != nil {
		return example{}, false, err
	}
	room := r.room()
	if l.Other == "" {
		cut = len(text) > room
		e.source = text[:min(len(text), room)]
	} else {
		other, err := r.text("the other text", l.Other)
		if err != nil {
			return example{}, false, err
		}
		room-- // </s> between the two
		cut = len(text)+len(other) > room
		text = text[:min(len(text), max(room-len(other), (room+1)/2))]
		other = other[:min(len(other), room-len(text))]
		e.source = slices.Concat(text, []int32{tokenizer.EOS}, other)
	}
	e.target = e.source
	return e, cut, nil
}

// headScores returns the scores of a head for each example, row after row.
func (m *Model) headScores(
	ctx context.Context, examples []example, head func(*tensor.Tape, *Batch) headScores,
) (all [][]float32, err error) {
	err = m.inBatches(ctx, examples, func(tp *tensor.Tape, b *Batch) {
		scores := head(tp, b)
		width := scores.Dim(1)
		values := make([]float32, scores.Len())
		scores.CopyTo(values)
		for i := range b.examples {
			all = append(all, values[int(scores.offsets[i])*width:int(scores.offsets[i+1])*width])
		}
	})
	if err != nil {
		return nil, err
	}
	for i, scores := range all {
		if slices.ContainsFunc(scores, func(s float32) bool { return !finite(float64(s)) }) {
			return nil, fmt.Errorf("a score of record %d is not finite: a weight of the model is not, or the scores overflow",
				examples[i].record)
		}
	}
	return all, nil
}

// inBatches runs the model on examples, as many at a time as encodeTokens says.
func (m *Model) inBatches(ctx context.Context, examples []example, run func(*tensor.Tape, *Batch)) (err error) {
	defer tensor.Recover(&err)
	for len(examples) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, tokens := 0, 0
		for n < len(examples) && (n == 0 || tokens+examples[n].tokens() <= m.encodeTokens()) {
			tokens += examples[n].tokens()
			n++
		}
		tp := m.tape()
		run(tp, newBatch(examples[:n]))
		m.tapes.Put(tp)
		examples = examples[n:]
	}
	return nil
}
