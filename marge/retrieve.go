package marge

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/index"
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
	ChunkTokens int // length of a chunk (0: the longest that the model takes)
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
	longest := m.Config.MaxPositionEmbeddings - 2
	setDefault(&o.ChunkTokens, longest)
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

// Index is a set of documents to retrieve from: their vectors, tokens and
// names. Any number of goroutines may use it at the same time, except for Close.
type Index struct {
	flat *index.Flat // its records are documents, see appendDocument; its origin the model's fingerprint

	mu      sync.Mutex
	checked [sha256.Size]byte // sample of the last model that was found to have made the index
}

// String describes the index on one line.
func (x *Index) String() string {
	made := "a model that is not known"
	if x.flat.Origin != [sha256.Size]byte{} {
		made = "model " + short(x.flat.Origin)
	}
	return fmt.Sprintf("index of %d documents, dimension %d, made by %s", x.Len(), x.flat.Dim(), made)
}

// Len returns the number of documents.
func (x *Index) Len() int { return x.flat.Len() }

// Document returns the tokens of document i, in the order of NewIndex.
func (x *Index) Document(i int) []int32 {
	_, tokens := cutDocument(x.flat.Record(i))
	doc := make([]int32, 0, len(tokens)/2)
	for len(tokens) > 0 {
		token, n := binary.Uvarint(tokens)
		doc, tokens = append(doc, int32(token)), tokens[n:]
	}
	return doc
}

// ID returns the name of document i, empty if it has none.
func (x *Index) ID(i int) string {
	id, _ := cutDocument(x.flat.Record(i))
	return string(id)
}

// NewIndex encodes documents, given as token ids without <s> and </s>, with g.
// ids names them; nil leaves them without names.
func (m *Model) NewIndex(ctx context.Context, docs [][]int32, ids []string) (x *Index, err error) {
	defer tensor.Recover(&err)
	if ids != nil && len(ids) != len(docs) {
		return nil, fmt.Errorf("index: %d ids for %d documents", len(ids), len(docs))
	}
	rows, err := m.Embed(ctx, docs)
	if err != nil {
		return nil, fmt.Errorf("index: %w", err)
	}
	records := make([][]byte, len(docs))
	for i, doc := range docs {
		id := ""
		if ids != nil {
			id = ids[i]
		}
		records[i] = appendDocument(nil, id, doc)
	}
	x = &Index{flat: index.NewFlat(m.Config.EmbeddingDim())}
	x.flat.Origin = m.retrievalFingerprint()
	if err := x.flat.AddRecords(rows, records); err != nil {
		return nil, err
	}
	return x, nil
}

// Save writes the index to a file, whole or not at all; see [OpenIndex].
func (x *Index) Save(path string) error { return x.flat.Save(path) }

// OpenIndex opens a file that [Index.Save] wrote. The vectors stay in the file,
// which is mapped into memory where the system can do so; until Close it must
// not be changed in place. They are not read, so that damage to them is left for
// [Index.Verify] to find.
//
// The file tells [Model.Retrieve] which model made it. Files from before this
// was so can be searched with any model of the same width: whether it is the
// one that made them is not known.
func OpenIndex(path string) (*Index, error) {
	flat, err := index.OpenFlat(path)
	if err != nil {
		return nil, err
	}
	for i := range flat.Len() {
		if err := checkRecord(flat.Record(i)); err != nil {
			return nil, errors.Join(fmt.Errorf("index: open %s: document %d: %w", path, i, err), flat.Close())
		}
	}
	return &Index{flat: flat}, nil
}

// Verify reads the whole file of an opened index and returns an error if it is
// not as it was written.
func (x *Index) Verify() error { return x.flat.Verify() }

// Close frees the index, which has no documents then, and its file.
func (x *Index) Close() error { return x.flat.Close() }

// appendDocument appends the record of a document: the length of its name as an
// unsigned varint, the name, and the tokens as unsigned varints.
func appendDocument(record []byte, id string, doc []int32) []byte {
	record = append(binary.AppendUvarint(record, uint64(len(id))), id...)
	for _, token := range doc {
		record = binary.AppendUvarint(record, uint64(token))
	}
	return record
}

// cutDocument returns the parts of a record that checkRecord accepts.
func cutDocument(record []byte) (id, tokens []byte) {
	length, n := binary.Uvarint(record)
	end := n + int(length)
	return record[n:end], record[end:]
}

// checkRecord tells whether a record is one of appendDocument.
func checkRecord(record []byte) error {
	length, n := binary.Uvarint(record)
	if n <= 0 || length > uint64(len(record)-n) {
		return fmt.Errorf("the record of %d bytes holds no name", len(record))
	}
	for rest := record[n+int(length):]; len(rest) > 0; rest = rest[n:] {
		var token uint64
		if token, n = binary.Uvarint(rest); n <= 0 || token > math.MaxInt32 {
			return errors.New("its tokens are damaged")
		}
	}
	return nil
}

// Hit is a retrieved document.
type Hit struct {
	Document  int     // number in the index
	ID        string  // name in the index
	Relevance float32 // f(query, document), a cosine
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
	if k < 1 {
		return nil, fmt.Errorf("retrieve: k is %d, must be at least 1", k)
	}
	if err := x.checkModel(m); err != nil {
		return nil, fmt.Errorf("retrieve: %w", err)
	}
	vector, err := m.Embed(ctx, [][]int32{query})
	if err != nil {
		return nil, fmt.Errorf("retrieve: %w", err)
	}
	found, scores, err := x.flat.Search(ctx, m.Runner(), vector, k)
	if err != nil {
		return nil, fmt.Errorf("retrieve: %w", err)
	}
	k = min(k, x.Len())
	hits = make([]Hit, k)
	for i := range hits {
		hits[i] = Hit{Document: int(found[i]), ID: x.ID(int(found[i])), Relevance: scores[i]}
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
