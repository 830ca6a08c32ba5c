package prepare

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/internal/osfile"
	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/internal/parallel"
	"github.com/marge-go/marge/marge/tokenizer"
	"github.com/marge-go/marge/marge/vectors"
	"github.com/marge-go/marge/tensor"
)

// Encoding is what vectors and tokens depend on, beside the documents.
type Encoding struct {
	Encoder           string `json:"encoder"`   // marge.Model.RetrievalFingerprint
	Tokenizer         string `json:"tokenizer"` // its fingerprint
	Kernels           string `json:"kernels"`   // backend, instruction set, precision: others round otherwise
	ChunkTokens       int    `json:"chunk_tokens"`
	MinTokens         int    `json:"min_tokens"`
	MaxChunks         int    `json:"max_chunks"`
	FirstChunkTargets bool   `json:"first_chunk_targets"`
}

// check returns an error that tells what is wanted otherwise.
func (e Encoding) check(wanted Encoding) error {
	return errors.Join(
		differ("the checkpoint", e.Encoder, wanted.Encoder), differ("the tokenizer", e.Tokenizer, wanted.Tokenizer),
		differ("the instruction set or precision", e.Kernels, wanted.Kernels),
		differ("ChunkTokens", e.ChunkTokens, wanted.ChunkTokens), differ("MinTokens", e.MinTokens, wanted.MinTokens),
		differ("MaxChunks", e.MaxChunks, wanted.MaxChunks),
		differ("FirstChunkTargets", e.FirstChunkTargets, wanted.FirstChunkTargets))
}

// A part is what of an index comes from one shard: it describes the file of its
// vectors, and says that this file is complete.
type part struct {
	Encoding
	ShardFile
	Shard     string `json:"shard"`
	Documents int    `json:"documents"`
	Chunks    int    `json:"chunks"`
	Tokens    int64  `json:"tokens"`
	// Sources are those of documents whose Source is not their ID, by ID.
	Sources   map[string]string      `json:"sources,omitempty"`
	Languages map[string]languageSum `json:"languages"`
}

// partName is the name of the files of a part.
func partName(shard string) string {
	name := filepath.Base(shard)
	for _, suffix := range []string{".zst", ".gz", ".jsonl", ".ndjson", ".json"} {
		name = strings.TrimSuffix(name, suffix)
	}
	return name
}

// vectorsPath is the file of the vectors of a part, for marge.OpenIndex, and partPath its
// description. Both take the path or the name of the shard's file.
func vectorsPath(dir, shard string) string {
	return filepath.Join(dir, workName, partName(shard)+".index")
}

func partPath(dir, shard string) string { return filepath.Join(dir, workName, partName(shard)+".json") }

// readPart reads the part of a shard. The error wraps fs.ErrNotExist if the shard is
// not encoded.
func readPart(dir, shard string) (*part, error) {
	var p part
	if err := readJSON(partPath(dir, shard), &p); err != nil {
		return nil, err
	}
	return &p, nil
}

// encoder makes parts.
type encoder struct {
	model  *marge.Model
	chunks corpus.BuildOptions
	made   Encoding
}

// newEncoder loads the model. o has been resolved.
func newEncoder(o *IndexOptions) (*encoder, error) {
	if o.Checkpoint == "" {
		return nil, errors.New("the directory of the model, Checkpoint, is missing")
	}
	m, err := marge.LoadOn(o.Checkpoint, marge.Config{Backend: o.Backend})
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	if m.Tokenizer == nil {
		return nil, fmt.Errorf("checkpoint: %s has no tokenizer", o.Checkpoint)
	}
	e := &encoder{model: m, chunks: o.Chunks}
	longest := m.Config.MaxPositionEmbeddings - 2 // without <s> and </s>
	e.chunks.ChunkTokens = cmp.Or(e.chunks.ChunkTokens, m.Config.ChunkTokens, longest)
	if e.chunks.ChunkTokens > longest {
		return nil, fmt.Errorf("chunks of %d tokens: the model takes at most %d", e.chunks.ChunkTokens, longest)
	}
	e.chunks.Sources = nil
	p, err := corpus.ProvenanceOf(m.Tokenizer, e.chunks)
	if err != nil {
		return nil, err
	}
	e.made = Encoding{
		Encoder: m.RetrievalFingerprint(), Tokenizer: p.Tokenizer,
		Kernels:     kernelsOf(o.Backend),
		ChunkTokens: p.ChunkTokens, MinTokens: p.MinTokens, MaxChunks: p.MaxChunks, FirstChunkTargets: p.FirstChunkTargets,
	}
	return e, nil
}

// kernelsOf tells what products of a backend depend on.
func kernelsOf(b tensor.Backend) string {
	kernels := fmt.Sprintf("%s %s %v", b.Name(), runtime.GOARCH, asm.Current())
	if cpu, ok := b.(*tensor.CPU); ok && cpu.Precision() != tensor.Float32 {
		kernels += fmt.Sprintf(" %v", cpu.Precision())
	}
	return kernels
}

// part returns the part of a shard, which it makes if it is not there.
func (e *encoder) part(ctx context.Context, dir, shard string) (*part, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(shard)
	if err != nil {
		return nil, err
	}
	file := ShardFile{filepath.Base(shard), sha256Of(data)}
	p, err := readPart(dir, shard)
	if errors.Is(err, fs.ErrNotExist) {
		p, err = e.encode(ctx, dir, shard, data, file)
		if err != nil && ctx.Err() == nil {
			err = fmt.Errorf("%s: %w", shard, err)
		}
		return p, err
	}
	if err == nil {
		if err = errors.Join(differ("the shard", p.ShardFile, file), p.check(e.made)); err != nil {
			err = fmt.Errorf("%s: %w", partPath(dir, shard), err)
		}
	}
	return p, err
}

func shardFileOf(path string) (ShardFile, error) {
	data, err := os.ReadFile(path)
	return ShardFile{filepath.Base(path), sha256Of(data)}, err
}

func sha256Of(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// encodeBatch is how many chunks are encoded between two looks at the context's error
// and the sums.
const encodeBatch = 1024

// encode makes the part of a shard, whose file holds data.
func (e *encoder) encode(ctx context.Context, dir, shard string, data []byte, file ShardFile) (*part, error) {
	docs, err := readShard(shard, data)
	if err != nil {
		return nil, err
	}
	store, err := corpus.FromDocuments(docs, e.model.Tokenizer, e.chunks)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	p := &part{
		Encoding: e.made, ShardFile: file, Shard: store.Shards()[0], Documents: len(docs), Chunks: store.Len(),
		Tokens: int64(store.TotalTokens()), Sources: map[string]string{}, Languages: map[string]languageSum{},
	}
	for i := range docs {
		if source := docs[i].Source; source != "" && source != docs[i].ID {
			p.Sources[docs[i].ID] = source
		}
	}
	passages, err := e.passages(ctx, docs, store)
	if err != nil {
		return nil, err
	}
	x, err := e.model.NewIndex(ctx, nil, nil)
	if err != nil {
		return nil, err
	}
	langs := store.Langs()
	sums := vectors.NewMeans(len(langs), e.model.Config.EmbeddingDim())
	for from := 0; from < store.Len(); from += encodeBatch {
		var tokens [][]int32
		var rows []float32
		var of []int // languages
		to := min(from+encodeBatch, store.Len())
		for i := from; i < to; i++ {
			tokens, of = append(tokens, store.Tokens(i)), append(of, store.Chunk(i).Lang)
		}
		if err := x.AddPassages(ctx, e.model, passages[from:to], tokens); err != nil {
			return nil, err
		}
		for i := from; i < to; i++ {
			rows = append(rows, x.Vector(i)...)
		}
		if err := sums.Add(ctx, e.model.Runner(), rows, of); err != nil {
			return nil, err
		}
	}
	for i, lang := range langs {
		p.Languages[lang] = sumOf(sums, i)
	}
	if err := os.MkdirAll(filepath.Join(dir, workName), 0o777); err != nil {
		return nil, err
	}
	if err := x.Save(vectorsPath(dir, shard)); err != nil {
		return nil, err
	}
	description, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	return p, osfile.WriteFile(partPath(dir, shard), description)
}

// readShard returns the documents of a file that holds one shard.
func readShard(path string, data []byte) (docs []corpus.Document, err error) {
	name := func(doc *corpus.Document) string { return cmp.Or(doc.Shard, doc.Date) }
	ids := map[string]bool{}
	_, err = corpus.ReadFrom(path, bytes.NewReader(data), corpus.ReadOptions{}, func(doc corpus.Document) error {
		if ids[doc.ID] {
			return fmt.Errorf("two documents have the ID %q", doc.ID)
		}
		if len(docs) > 0 && name(&docs[0]) != name(&doc) {
			return fmt.Errorf("the documents %q and %q are in the shards %q and %q: a file is one shard, as Run makes it",
				docs[0].ID, doc.ID, name(&docs[0]), name(&doc))
		}
		ids[doc.ID] = true
		docs = append(docs, doc)
		return nil
	})
	if err == nil && len(docs) == 0 {
		err = errors.New("there is no document")
	}
	return docs, err
}

// passages returns the texts of the chunks of a store of documents.
func (e *encoder) passages(
	ctx context.Context, docs []corpus.Document, store *corpus.Store,
) (passages []marge.Passage, err error) {
	first := make([]int, len(docs)+1) // chunk of each document
	for i := range store.Len() {
		first[store.Chunk(i).Doc+1]++
	}
	for i := range docs {
		first[i+1] += first[i]
	}
	langs := store.Langs()
	passages = make([]marge.Passage, store.Len())
	err = parallel.Run(ctx, e.model.Runner(), len(docs), func(i int) {
		cutText(e.model.Tokenizer, docs[i].Text, e.chunks.ChunkTokens, passages[first[i]:first[i+1]])
		for k := first[i]; k < first[i+1]; k++ {
			passages[k].ID, passages[k].Lang = docs[i].ID, langs[store.Chunk(k).Lang]
		}
	})
	return passages, err
}

// cutText sets Start and Text of the chunks of a text, without white space around it. A
// character whose bytes are tokens of two chunks is in the first.
func cutText(t tokenizer.Tokenizer, text string, chunk int, chunks []marge.Passage) {
	_, offsets := t.EncodeOffsets(text)
	at, characters := 0, 0 // the first characters of text are its first at bytes
	for i := range chunks {
		from := characterAt(text, offsets[i*chunk])
		to := characterAt(text, offsets[min((i+1)*chunk, len(offsets)-1)])
		inner := strings.TrimLeftFunc(text[from:to], unicode.IsSpace)
		begin := to - len(inner)
		characters += utf8.RuneCountInString(text[at:begin])
		at = begin
		chunks[i].Start, chunks[i].Text = characters, strings.TrimRightFunc(inner, unicode.IsSpace)
	}
}

// characterAt returns where the first character begins that does not before i.
func characterAt(text string, i int) int {
	for i < len(text) && !utf8.RuneStart(text[i]) {
		i++
	}
	return i
}
