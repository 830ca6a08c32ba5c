package marge

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/marge-go/marge/nn"
)

// EvidenceAttention agrees with attention weights that are computed one by one
// in float64.
func TestEvidenceAttention(t *testing.T) {
	m := testModel(t, testConfig(2))
	nn.Normal(m.decoder.layers[0].cross.Q.Weight, rand.New(rand.NewPCG(1, 1)), 0.3)
	b := testBatch()
	b.Own = [][2]int{{0, 0}}
	got, err := m.EvidenceAttention(b)
	if err != nil {
		t.Fatal(err)
	}

	tp := m.tape()
	in := packDecoder(tp, b)
	read := func(x interface {
		Len() int
		CopyTo([]float32)
	}) []float32 {
		out := make([]float32, x.Len())
		x.CopyTo(out)
		return out
	}
	x := m.embed(tp, &m.decoder.embedder, in)
	for _, l := range m.decoder.base {
		x = l.forward(tp, x, in.offsets, true)
	}
	d, heads := m.Config.DModel, m.Config.DecoderAttentionHeads
	for target := range b.Targets {
		lo, hi := int(in.offsets[target]), int(in.offsets[target+1])
		_, biasTensor, z := m.evidence(tp, b, false)
		bias := read(biasTensor)
		mass, entropy, n := make([]float64, len(b.Evidence)), 0.0, 0.0
		x := x
		for i, l := range m.decoder.layers {
			q := read(l.cross.Q.Forward(tp, l.crossNorm.Forward(tp, l.selfAttend(tp, x, in.offsets, true))))
			k := read(z[i].K)
			x = l.forward(tp, x, in.offsets, z[i], biasTensor, nil)
			for token := lo; token < hi; token++ {
				for h := range heads {
					share, total := make([]float64, len(b.Evidence)), 0.0
					for doc := range b.Evidence {
						for j := int(z[i].Offsets[doc]); j < int(z[i].Offsets[doc+1]); j++ {
							dot := 0.0
							for c := h * d / heads; c < (h+1)*d/heads; c++ {
								dot += float64(q[token*d+c]) * float64(k[j*d+c])
							}
							share[doc] += math.Exp(dot/math.Sqrt(float64(d/heads)) + float64(bias[target*len(b.Evidence)+doc]))
						}
						total += share[doc]
					}
					for doc, s := range share {
						if s > 0 {
							mass[doc] += s / total
							entropy -= s / total * math.Log(s/total)
						}
					}
					n++
				}
			}
		}
		if diff := math.Abs(got.Entropy[target] - entropy/n); !(diff < 1e-5) || got.Entropy[target] < 0.01 {
			t.Errorf("target %d: entropy %v, want %v", target, got.Entropy[target], entropy/n)
		}
		for doc := range mass {
			if diff := math.Abs(got.Mass[target][doc] - mass[doc]/n); !(diff < 1e-5) {
				t.Errorf("target %d, document %d: mass %v, want %v", target, doc, got.Mass[target][doc], mass[doc]/n)
			}
		}
	}
	if got.Mass[0][0] != 0 {
		t.Errorf("a target gives %v to its own copy", got.Mass[0][0])
	}
}

// Where the scores of all tokens are equal, the masses follow from the lengths
// and the relevance alone.
func TestEvidenceAttentionOfEqualScores(t *testing.T) {
	m := testModel(t, testConfig(1))
	for _, l := range m.decoder.layers {
		nn.Constant(l.cross.Q.Weight, 0)
	}
	b := testBatch()
	b.Own = nil
	for _, beta := range []float32{0, 2} {
		nn.Constant(m.beta, beta)
		tp := m.tape()
		out := m.Forward(tp, b, 0)
		f := make([]float32, out.Relevance.Len())
		out.Relevance.CopyTo(f)
		got, err := m.EvidenceAttention(b)
		if err != nil {
			t.Fatal(err)
		}
		for i := range b.Targets {
			var want [3]float64
			total, entropy := 0.0, 0.0
			for j, doc := range b.Evidence {
				want[j] = float64(len(doc)+2) * math.Exp(float64(beta)*float64(f[i*3+j]))
				total += want[j]
			}
			for j := range want {
				p := want[j] / total
				entropy -= p * math.Log(p)
				if !(math.Abs(got.Mass[i][j]-p) < 1e-5) {
					t.Errorf("beta %v, target %d, document %d: mass %v, want %v", beta, i, j, got.Mass[i][j], p)
				}
			}
			if !(math.Abs(got.Entropy[i]-entropy) < 1e-5) {
				t.Errorf("beta %v, target %d: entropy %v, want %v", beta, i, got.Entropy[i], entropy)
			}
		}
	}
}

func TestEvidenceAttentionOfNothing(t *testing.T) {
	m := testModel(t, testConfig(1))
	b := testBatch()
	b.Own = [][2]int{{0, 0}, {0, 1}, {0, 2}}
	got, err := m.EvidenceAttention(b)
	if err != nil || got.Entropy[0] != 0 || got.Mass[0][0]+got.Mass[0][1]+got.Mass[0][2] != 0 {
		t.Errorf("all hidden: %+v, %v", got, err)
	}
	b.Evidence, b.Own = nil, nil
	if got, err = m.EvidenceAttention(b); err != nil || len(got.Mass) != 2 || len(got.Mass[0]) != 0 ||
		got.Entropy[1] != 0 {
		t.Errorf("no evidence: %+v, %v", got, err)
	}
	b.Languages = nil
	if _, err := m.EvidenceAttention(b); err == nil {
		t.Error("a bad batch is accepted")
	}
}
