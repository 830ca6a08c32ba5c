package bench

import "github.com/marge-go/marge/marge"

// linearFlops returns the floating-point operations of a linear layer
// [out, in] on n rows: forward, input gradient and weight gradient.
func linearFlops(n, out, in float64) float64 { return 6 * n * out * in }

// attentionFlops returns those of attention between the given number of pairs
// of a query and a key that it sees, all heads together d wide: two products
// forward and four backward, without what a backward pass computes again.
func attentionFlops(pairs, d float64) float64 { return 12 * pairs * d }

// StepFlops returns the floating-point operations of the matrix products in a
// training step of a model, forward and backward: its linear layers, attention,
// relevance and output, on as many evidence as target documents of equal
// length, <s> and </s> among their tokens. Nothing is counted twice that an
// implementation may compute again, and of causal attention only what is seen.
func StepFlops(c marge.Config, documents, tokens int) float64 {
	docs, length, d := float64(documents), float64(tokens), float64(c.DModel)
	layers := func(n int, rows, pairs float64, ffn int) float64 {
		return float64(n) * (4*linearFlops(rows, d, d) + 2*linearFlops(rows, float64(ffn), d) + attentionFlops(pairs, d))
	}
	evidence := docs * length
	// The encoder's first layers see the targets too.
	total := layers(c.RetrievalLayers, 2*evidence, 2*evidence*length, c.EncoderFFNDim)
	total += layers(c.EncoderLayers-c.RetrievalLayers, evidence, evidence*length, c.EncoderFFNDim)
	total += linearFlops(docs, docs, float64(c.EmbeddingDim())) // the relevance f
	if c.RetrievalPooling == marge.PoolMax {
		total += linearFlops(2*evidence, float64(c.RetrievalDim), d) / 3 // the gradients are sparse
	}

	// The decoder reads a language token and what is between <s> and </s>.
	targets, pairs := docs*(length-1), docs*(length-1)*length/2
	total += layers(c.DecoderBaseLayers, targets, pairs, c.DecoderBaseFFNDim)
	total += layers(c.DecoderLayers, targets, pairs, c.DecoderFFNDim)
	cross := 2*linearFlops(targets, d, d) + 2*linearFlops(evidence, d, d) + attentionFlops(targets*evidence, d)
	return total + float64(c.DecoderLayers)*cross + linearFlops(targets, float64(c.VocabSize), d)
}
