package bench

import (
	"fmt"
	"math"

	"github.com/marge-go/marge/tensor"
)

// biasedDocuments is the number of targets, and of evidence documents, of
// biased attention.
const biasedDocuments = 4

// attentionWorkloads returns attention forward and backward in 8 heads of 64
// columns: self and causal on as many documents as make 4096 tokens, and
// biased, where 4 targets attend to all of 4 evidence documents, with lengths of
// all four together, and the bias has a gradient too.
func attentionWorkloads() []Workload {
	var list []Workload
	const heads, width = 8, 64
	for _, kind := range []string{"self", "causal", "biased"} {
		for n := 128; n <= 4096; n *= 2 {
			batch, pairs := 4096/n, float64(n)*float64(n)
			if kind == "causal" {
				pairs = float64(n) * float64(n+1) / 2
			}
			if kind == "biased" {
				batch = 1
			}
			list = append(list, Workload{
				Spec: Spec{"attention", kind, heads, n, width, batch, ""}, Name: fmt.Sprintf("%s/%d", kind, n), Group: kind,
				Flops: attentionFlops(float64(batch)*pairs, heads*width), Quick: n == 512,
			})
		}
	}
	return list
}

func startAttention(s *Spec, c tensor.Backend) (run func()) {
	rows, d := s.Batch*s.N, s.M*s.K
	documents := s.Batch
	var bias, dbias *tensor.Tensor
	if s.Kind == "biased" {
		documents = biasedDocuments
		bias = tensor.FromSlice(c, filled(documents*documents), documents, documents)
		dbias = tensor.New(c, tensor.Float32, documents, documents)
	}
	offsets := make([]int32, documents+1)
	for i := range offsets {
		offsets[i] = int32(i * rows / documents)
	}
	o := &tensor.AttentionOptions{Heads: s.M, QOffsets: offsets, KOffsets: offsets, Causal: s.Kind == "causal",
		Scale: float32(1 / math.Sqrt(float64(s.K)))}
	matrix := func() *tensor.Tensor { return tensor.FromSlice(c, filled(rows*d), rows, d) }
	empty := func() *tensor.Tensor { return tensor.New(c, tensor.Float32, rows, d) }
	q, k, v, dout := matrix(), matrix(), matrix(), matrix()
	out, dq, dk, dv := empty(), empty(), empty(), empty()
	lse := tensor.New(c, tensor.Float32, s.M, rows)
	return func() {
		c.Attention(out, lse, q, k, v, bias, o)
		c.AttentionBackward(dq, dk, dv, dbias, dout, out, lse, q, k, v, bias, o, [4]bool{})
	}
}
