package marge

import (
	"context"
	"fmt"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/vectors"
	"github.com/marge-go/marge/tensor"
)

// encodeTokens is about how many tokens are encoded at once where documents do
// not depend on each other: 4,096, and fewer of wide models, so that a cancelled
// context is seen within a second or so.
func (m *Model) encodeTokens() int { return min(4096, 1<<20/m.Config.DModel) }

// Runner returns the threads for work on the host, see [tensor.HostRunner].
func (m *Model) Runner() asm.Runner { return tensor.HostRunner(m.backend) }

// Embed returns g of each document, [documents, width of g] row-major, of unit
// length (arXiv:2006.15020, section 2.2). Documents are token ids without <s>
// and </s>. A value that is not finite is an error: the weights are not, or
// what they compute overflows.
func (m *Model) Embed(ctx context.Context, docs [][]int32) ([]float32, error) {
	return m.embedGroups(ctx, docs, m.Config.EmbeddingDim(), func(tp *tensor.Tape, docs [][]int32) *tensor.Tensor {
		_, g := m.retrieval(tp, packEncoder(tp, docs))
		return g
	})
}

// DocumentOptions say how documents are cut into chunks, as
// [corpus.BuildOptions] do. A last chunk of less than [corpus.DefaultMinTokens]
// tokens is dropped, unless it is the only one.
type DocumentOptions struct {
	ChunkTokens int // length of a chunk (0: Config.ChunkTokens)
	MaxChunks   int // chunks of a document that count, from its beginning (0: all)
}

// EmbedChunks returns g of the chunks of each document, however long it is:
// rows offsets[i] to offsets[i+1], at least one, of [chunks, width of g] are those
// of document i.
func (m *Model) EmbedChunks(
	ctx context.Context, docs [][]int32, o DocumentOptions,
) (rows []float32, offsets []int, err error) {
	chunks, offsets, err := m.chunks(docs, o)
	if err != nil {
		return nil, nil, err
	}
	rows, err = m.Embed(ctx, chunks)
	return rows, offsets, err
}

// chunks cuts documents: chunks offsets[i] to offsets[i+1], at least one, are
// those of document i.
func (m *Model) chunks(docs [][]int32, o DocumentOptions) (chunks [][]int32, offsets []int, err error) {
	longest := m.Config.longest()
	setDefault(&o.ChunkTokens, m.Config.chunk())
	if o.ChunkTokens < 1 || o.ChunkTokens > longest {
		return nil, nil, fmt.Errorf("embed: chunks of %d tokens: the model takes 1 to %d", o.ChunkTokens, longest)
	}
	if o.MaxChunks < 0 {
		return nil, nil, fmt.Errorf("embed: %d chunks of a document", o.MaxChunks)
	}
	least := min(corpus.DefaultMinTokens, o.ChunkTokens)
	offsets = []int{0}
	for i, doc := range docs {
		for n := 0; n == 0 || len(doc) >= least && (o.MaxChunks == 0 || n < o.MaxChunks); n++ {
			end := min(o.ChunkTokens, len(doc))
			chunks, doc = append(chunks, doc[:end]), doc[end:]
		}
		if err := checkDocuments(&m.Config, chunks[offsets[i]:], 2); err != nil {
			return nil, nil, fmt.Errorf("embed: document %d, in chunks: %w", i, err)
		}
		offsets = append(offsets, len(chunks))
	}
	return chunks, offsets, nil
}

// EmbedDocuments returns a vector for each document, however long it is: the
// sum of g of its chunks, scaled to unit length, [documents, width of g]
// row-major. Of a document of one chunk that is g.
func (m *Model) EmbedDocuments(ctx context.Context, docs [][]int32, o DocumentOptions) ([]float32, error) {
	chunks, offsets, err := m.EmbedChunks(ctx, docs, o)
	if err != nil {
		return nil, err
	}
	return vectors.Sum(chunks, m.Config.EmbeddingDim(), offsets), nil
}

// EmbedTokens returns, for each document, the mean over its tokens of the
// outputs of the encoder's first layers, as many as given, scaled to unit
// length: [documents, d_model]. The paper retrieves sentences by the mean of
// the fifth layer (section 4.1).
func (m *Model) EmbedTokens(ctx context.Context, docs [][]int32, layers int) ([]float32, error) {
	if layers < 0 || layers > m.Config.EncoderLayers {
		return nil, fmt.Errorf("embed: %d of %d layers", layers, m.Config.EncoderLayers)
	}
	return m.embedGroups(ctx, docs, m.Config.DModel, func(tp *tensor.Tape, docs [][]int32) *tensor.Tensor {
		in := packEncoder(tp, docs)
		x := m.embed(tp, &m.encoder.embedder, in)
		for _, l := range m.encoder.layers[:layers] {
			x = l.forward(tp, x, in.offsets, false)
		}
		return tp.Normalize(tp.SegmentMean(x, in.offsets))
	})
}

// leastEncoded is the least number of documents that are encoded at once, empty
// ones among them if need be: of a few rows, asm.Gemm adds up the products in
// another order, and the vector of a document would depend on the others.
const leastEncoded = 8

// embedGroups returns a row of dim values for each document, whose bits do not
// depend on the other documents. forward computes them, [documents, dim], for
// groups of consecutive documents, see encodeTokens, on an inference tape.
func (m *Model) embedGroups(
	ctx context.Context, docs [][]int32, dim int, forward func(tp *tensor.Tape, docs [][]int32) *tensor.Tensor,
) (rows []float32, err error) {
	defer tensor.Recover(&err)
	if err := checkDocuments(&m.Config, docs, 2); err != nil {
		return nil, fmt.Errorf("embed: %w", err)
	}
	rows = make([]float32, len(docs)*dim)
	for lo := 0; lo < len(docs); {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("embed: %w", err)
		}
		hi, tokens := lo, 0
		for hi < len(docs) && (hi == lo || tokens+len(docs[hi])+2 <= m.encodeTokens()) {
			tokens += len(docs[hi]) + 2
			hi++
		}
		group := docs[lo:hi:hi]
		for len(group) < leastEncoded {
			group = append(group, nil)
		}
		tp := m.tape()
		tp.Rows(forward(tp, group), 0, hi-lo).CopyTo(rows[lo*dim : hi*dim])
		m.tapes.Put(tp)
		for i := lo; i < hi; i++ {
			if vectors.CheckFinite(rows[i*dim:(i+1)*dim], dim) != nil {
				return nil, fmt.Errorf("embed: the vector of document %d is not finite: "+
					"a weight is not, or the outputs overflow", i)
			}
		}
		lo = hi
	}
	return rows, nil
}

// Hit is a retrieved document.
type Hit struct {
	Document  int     // number in the index
	Relevance float32 // f(query, document), a cosine
	Passage           // what the index knows of the document
	// Loss is what [Model.Rerank] sorts by: the loss of the query, reconstructed
	// from the document, in nats per token.
	Loss float64
}

// String returns the name of the document, or its number if it has none, and
// its relevance.
func (h Hit) String() string {
	if h.ID == "" {
		return fmt.Sprintf("#%d (%.3f)", h.Document, h.Relevance)
	}
	return fmt.Sprintf("%s (%.3f)", h.ID, h.Relevance)
}

// Retrieve returns the k documents of the index that are most relevant to a
// query, best first (section 2.2, eq. 1), or all if there are fewer. The query
// is a document, as token ids.
//
// It is an error if k is not positive, if the index was made by another model
// or with other weights of g, whose vectors cannot be compared, and if a vector
// or a relevance is not finite.
func (m *Model) Retrieve(ctx context.Context, query []int32, x *Index, k int) (hits []Hit, err error) {
	defer tensor.Recover(&err)
	if err := x.check(m, k); err != nil {
		return nil, fmt.Errorf("retrieve: %w", err)
	}
	vector, err := m.Embed(ctx, [][]int32{query})
	if err == nil {
		hits, err = x.nearest(ctx, m, vector, k, nil)
	}
	if err != nil {
		return nil, fmt.Errorf("retrieve: %w", err)
	}
	return hits, nil
}

// Tokens returns the ids of a text, cut to the length that the model takes.
func (m *Model) Tokens(text string) ([]int32, error) {
	if m.Tokenizer == nil {
		return nil, errNoTokenizer
	}
	ids := m.Tokenizer.Encode(text)
	return ids[:min(len(ids), m.Config.MaxPositionEmbeddings-2)], nil
}
