package marge

import "github.com/marge-go/marge/tensor"

// UnmaskingLoss returns the loss per hidden token of documents, of which second
// says where the second of a pair begins and hidden has places and tokens.
func UnmaskingLoss(tp *tensor.Tape, m *Model, docs [][]int32, second []int, hidden [][][2]int32) *tensor.Tensor {
	examples := make([]example, len(docs))
	for i, doc := range docs {
		examples[i] = example{source: doc, second: second[i]}
		for _, h := range hidden[i] {
			examples[i].masked = append(examples[i].masked, masked{h[0], h[1]})
		}
	}
	out := (&unmasking{m}).loss(tp, newBatch(examples))
	return tp.Scale(1/float32(out.weight), out.sum)
}
