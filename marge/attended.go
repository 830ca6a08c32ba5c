package marge

import (
	"fmt"
	"math"
	"slices"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/attention"
	"github.com/marge-go/marge/tensor"
)

// EvidenceAttention tells how the tokens of a batch's targets share their
// cross-attention (arXiv:2006.15020, eq. 4) among the evidence documents. What
// a token gives to a document is the sum of its attention weights over the
// document's tokens.
type EvidenceAttention struct {
	// Mass [targets][evidence] is the mean of what is given to a document over
	// the target's tokens, the heads and the layers. The masses of a target sum
	// to 1, or to 0 if it sees no document.
	Mass [][]float64
	// Entropy [targets] is the mean, over the same, of the entropy in nats of
	// what a token gives to the documents: 0 if it attends to one alone,
	// log(documents) if to all alike.
	Entropy []float64
}

// EvidenceAttention computes how the targets of a batch attend to its
// evidence, without dropout.
func (m *Model) EvidenceAttention(b *Batch) (_ *EvidenceAttention, err error) {
	if err := b.Validate(&m.Config); err != nil {
		return nil, err
	}
	defer tensor.Recover(&err)
	sums := newAttendedSums(m, b)
	if len(b.Evidence) > 0 {
		tp := m.tape()
		defer m.tapes.Put(tp)
		_, bias, z := m.evidence(tp, b, false)
		m.decode(tp, packDecoder(tp, b), z, bias, sums)
	}
	a := sums.mean()
	for i, entropy := range a.Entropy {
		if math.IsNaN(entropy) || slices.ContainsFunc(a.Mass[i], math.IsNaN) {
			return nil, fmt.Errorf("attention: that of target %d is not a number: a weight of the model is not finite", i)
		}
	}
	return a, nil
}

// attendedSums adds up the attention of the targets of a batch, over tokens,
// heads and layers.
type attendedSums struct {
	EvidenceAttention
	m *Model
	n []int // of each target: what has been added
}

func newAttendedSums(m *Model, b *Batch) *attendedSums {
	a := &attendedSums{m: m, n: make([]int, len(b.Targets))}
	a.Entropy = make([]float64, len(b.Targets))
	for range b.Targets {
		a.Mass = append(a.Mass, make([]float64, len(b.Evidence)))
	}
	return a
}

// mean returns the averages. The sums are used up.
func (a *attendedSums) mean() *EvidenceAttention {
	for i, n := range a.n {
		if n == 0 {
			continue // no evidence
		}
		a.Entropy[i] /= float64(n)
		for j := range a.Mass[i] {
			a.Mass[i][j] /= float64(n)
		}
	}
	return &a.EvidenceAttention
}

// add adds the attention of a layer from x [tokens, d], of targets packed by
// offsets, without a gradient.
func (a *attendedSums) add(l *decoderLayer, x *tensor.Tensor, offsets []int32, z attention.Evidence,
	bias *tensor.Tensor) {
	tp := a.m.tape()
	defer a.m.tapes.Put(tp)
	q := l.cross.Q.Forward(tp, l.crossNorm.Forward(tp, x))
	width, evidence := q.Dim(1), z.K.Dim(0)
	if evidence == 0 {
		return
	}
	queries, keys, biases := make([]float32, q.Len()), make([]float32, z.K.Len()), make([]float32, bias.Len())
	q.CopyTo(queries)
	z.K.CopyTo(keys)
	bias.CopyTo(biases)
	heads := l.cross.Heads
	head := width / heads
	for i := range a.Mass {
		rows, documents := int(offsets[i+1]-offsets[i]), len(a.Mass[i])
		scores := make([]float32, rows*evidence)
		a.n[i] += rows * heads
		for h := range heads {
			asm.Gemm(a.m.Runner(), &asm.GemmArgs{
				TransB: true, M: rows, N: evidence, K: head, Alpha: float32(1 / math.Sqrt(float64(head))),
				A: queries[int(offsets[i])*width+h*head:], LDA: width, B: keys[h*head:], LDB: width, C: scores, LDC: evidence,
			})
			for row := range rows {
				weights := scores[row*evidence : (row+1)*evidence]
				asm.Softmax(weights, weights, 1, biases[i*documents:(i+1)*documents], z.Offsets)
				for j := range documents {
					mass := asm.Sum(weights[z.Offsets[j]:z.Offsets[j+1]])
					a.Mass[i][j] += mass
					if mass > 0 {
						a.Entropy[i] -= mass * math.Log(mass)
					}
				}
			}
		}
	}
}
