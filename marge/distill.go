package marge

import (
	"math"

	"github.com/marge-go/marge/tensor"
)

// distillScale is the inverse of the temperature at which relevance becomes a
// distribution over documents. Relevance is a cosine, as in InfoNCE.
const distillScale = contrastScale

// distill compares the relevance f [targets, evidence] with the attention of
// the decoder (arXiv:2012.04584, section 3.2): what a target gives to a
// document, on average over tokens, heads and layers, tells how useful the
// document was to it. The divergence is the sum over targets of
//
//	KL(a || softmax(f / temperature))
//
// over the documents that the target sees, a being its attention, through
// which no gradient flows. The gradient is that of the divergence by f.
func distill(tp *tensor.Tape, f *tensor.Tensor, attention [][]float64, own [][2]int) (divergence float64,
	gradient *tensor.Tensor) {
	targets, evidence := f.Dim(0), f.Dim(1)
	relevance, d := make([]float32, f.Len()), make([]float32, f.Len())
	f.CopyTo(relevance)
	for _, p := range own {
		relevance[p[0]*evidence+p[1]] = float32(math.Inf(-1))
	}
	for i := range targets {
		row, d := relevance[i*evidence:(i+1)*evidence], d[i*evidence:(i+1)*evidence]
		highest := math.Inf(-1)
		for _, x := range row {
			highest = max(highest, distillScale*float64(x))
		}
		if math.IsInf(highest, -1) {
			continue // the target sees nothing
		}
		sum := 0.0
		for _, x := range row {
			sum += math.Exp(distillScale*float64(x) - highest)
		}
		for j, x := range row {
			logProbability := distillScale*float64(x) - highest - math.Log(sum)
			a := attention[i][j]
			if a > 0 {
				divergence += a * (math.Log(a) - logProbability)
			}
			d[j] = float32(distillScale * (math.Exp(logProbability) - a))
		}
	}
	return divergence, tp.Floats(d, targets, evidence)
}
