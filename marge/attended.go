package marge

import (
	"math"

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
func (m *Model) EvidenceAttention(b *Batch) (*EvidenceAttention, error) {
	if err := b.Validate(&m.Config); err != nil {
		return nil, err
	}
	a := &EvidenceAttention{Entropy: make([]float64, len(b.Targets))}
	for range b.Targets {
		a.Mass = append(a.Mass, make([]float64, len(b.Evidence)))
	}
	if len(b.Evidence) == 0 {
		return a, nil
	}
	tp := m.tape()
	defer m.tapes.Put(tp)
	_, bias, z := m.evidence(tp, b)
	hostBias := make([]float32, bias.Len())
	bias.CopyTo(hostBias)
	in := packDecoder(tp, b)
	x := m.embed(tp, &m.decoder.embedder, in)
	for _, l := range m.decoder.base {
		x = l.forward(tp, x, in.offsets, true)
	}
	for i, l := range m.decoder.layers {
		x = l.selfAttend(tp, x, in.offsets, true)
		q := l.cross.Q.Forward(tp, l.crossNorm.Forward(tp, x))
		a.add(m.Runner(), l.cross.Heads, q, in.offsets, z[i], hostBias)
		x = l.feedForward(tp, l.crossAttend(tp, x, in.offsets, z[i], bias))
	}
	for i := range b.Targets {
		n := float64(int(in.offsets[i+1]-in.offsets[i]) * len(m.decoder.layers) * m.Config.DecoderAttentionHeads)
		a.Entropy[i] /= n
		for j := range a.Mass[i] {
			a.Mass[i][j] /= n
		}
	}
	return a, nil
}

// add adds a layer's attention, of queries q [tokens, width] of targets packed
// by offsets, to the sums.
func (a *EvidenceAttention) add(run asm.Runner, heads int, q *tensor.Tensor, offsets []int32, z attention.Evidence, bias []float32) {
	width, evidence := q.Dim(1), z.K.Dim(0)
	queries, keys := make([]float32, q.Len()), make([]float32, z.K.Len())
	q.CopyTo(queries)
	z.K.CopyTo(keys)
	head := width / heads
	for i := range a.Mass {
		rows, documents := int(offsets[i+1]-offsets[i]), len(a.Mass[i])
		scores := make([]float32, rows*evidence)
		for h := range heads {
			asm.Gemm(run, &asm.GemmArgs{
				TransB: true, M: rows, N: evidence, K: head, Alpha: float32(1 / math.Sqrt(float64(head))),
				A: queries[int(offsets[i])*width+h*head:], LDA: width, B: keys[h*head:], LDB: width, C: scores, LDC: evidence,
			})
			for row := range rows {
				weights := scores[row*evidence : (row+1)*evidence]
				asm.Softmax(weights, weights, 1, bias[i*documents:(i+1)*documents], z.Offsets)
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
