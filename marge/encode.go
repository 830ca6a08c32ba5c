package marge

import (
	"context"
	"errors"
	"fmt"

	"github.com/marge-go/marge/marge/vectors"
)

// EncodeOptions say which vectors [Model.Encode] returns.
type EncodeOptions struct {
	// Layer says what a vector is: 0, g, by which the model retrieves; n, the
	// mean over the tokens of what layer n of the encoder puts out, by which the
	// paper retrieves sentences with n = 5 (arXiv:2006.15020, section 4.1).
	Layer int
	// DocumentOptions say how a text that is longer than the model takes is cut.
	// MaxChunks 1 reads its beginning alone.
	DocumentOptions
}

// Encode returns a vector of unit length for each text, of as many values as g
// or the model has. A text's vector is the sum of those of its chunks, see
// [DocumentOptions], scaled to unit length. Its bits depend neither on the other
// texts nor on the number of threads.
//
// It is an error if the model has no tokenizer or no such layer, if the options
// are not valid, if a vector is not finite, and if the context is cancelled.
func (m *Model) Encode(ctx context.Context, texts []string, o EncodeOptions) ([][]float32, error) {
	if m.Tokenizer == nil {
		return nil, errNoTokenizer
	}
	docs := make([][]int32, len(texts))
	for i, text := range texts {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("embed: %w", err)
		}
		docs[i] = m.Tokenizer.Encode(text)
	}
	chunks, offsets, err := m.chunks(docs, o.DocumentOptions)
	if err != nil {
		return nil, err
	}
	rows, err := m.embedLayer(ctx, chunks, o.Layer)
	if err != nil {
		return nil, err
	}
	dim := m.Config.DModel
	if o.Layer == 0 {
		dim = m.Config.EmbeddingDim()
	}
	rows = vectors.Sum(rows, dim, offsets)
	encoded := make([][]float32, len(texts))
	for i := range encoded {
		encoded[i] = rows[i*dim : (i+1)*dim : (i+1)*dim]
	}
	return encoded, nil
}

// embedLayer returns the vectors that EncodeOptions.Layer says.
func (m *Model) embedLayer(ctx context.Context, docs [][]int32, layer int) ([]float32, error) {
	if layer == 0 {
		return m.Embed(ctx, docs)
	}
	return m.EmbedTokens(ctx, docs, layer)
}

var errNoTokenizer = errors.New("marge: the model has no tokenizer")
