package corpus

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash"
	"io"
	"iter"
	"math"
	"runtime"
	"sync"
)

// The values of BuildOptions fields that are 0.
const (
	DefaultChunkTokens = 512 // of arXiv:2006.15020, section 2.4
	DefaultMinTokens   = 8
)

// BuildOptions says how documents are cut into chunks. The zero value cuts
// every document into chunks of 512 tokens, all of which may be targets.
type BuildOptions struct {
	// ChunkTokens is the length of a chunk. The last of a document is shorter.
	// 0 stands for DefaultChunkTokens.
	ChunkTokens int
	// MinTokens is the least length of a chunk. A shorter one is dropped,
	// unless the document has no other. 0 stands for DefaultMinTokens, or for
	// ChunkTokens if that is less.
	MinTokens int
	// MaxChunks is how many chunks of a document are kept, or 0 for all.
	MaxChunks int
	// FirstChunkTargets lets only the first chunk of a document be a target,
	// as the paper does for news (section 3).
	FirstChunkTargets bool
	// Sources is what the documents come from, if the store is to remember it;
	// see Provenance.
	Sources []Source
}

// resolve fills in the defaults.
func (o BuildOptions) resolve() (BuildOptions, error) {
	if o.ChunkTokens < 0 || o.MinTokens < 0 || o.MaxChunks < 0 {
		return o, fmt.Errorf("corpus: negative option: ChunkTokens %d, MinTokens %d, MaxChunks %d",
			o.ChunkTokens, o.MinTokens, o.MaxChunks)
	}
	if o.ChunkTokens == 0 {
		o.ChunkTokens = DefaultChunkTokens
	}
	if o.MinTokens == 0 {
		o.MinTokens = min(DefaultMinTokens, o.ChunkTokens)
	}
	if o.MinTokens > o.ChunkTokens {
		return o, fmt.Errorf("corpus: MinTokens %d is more than ChunkTokens %d", o.MinTokens, o.ChunkTokens)
	}
	return o, nil
}

// An Encoder turns text into tokens, which are not negative. It must be safe
// for concurrent use. Methods that it may have, as tokenizer.Tokenizer has:
//
//   - VocabSize() int: all tokens must be less. The store remembers it.
//   - Fingerprint() string: identifies the encoder. The store remembers it.
//   - LanguageToken(lang string) (int32, error): a document whose language it
//     returns an error for is not accepted.
type Encoder interface {
	// AppendEncode appends the tokens of a text to dst.
	AppendEncode(dst []int32, text string) []int32
}

// FromDocuments makes a store in memory. It returns an error for a document
// without ID, Lang or Text, that is not valid UTF-8, or whose Lang is not a
// language tag or one that the encoder has no token for.
func FromDocuments(docs []Document, enc Encoder, opts BuildOptions) (*Store, error) {
	var tokens, strings bytes.Buffer
	metadata, err := build(&tokens, &strings, func(yield func(Document, error) bool) {
		for _, doc := range docs {
			if !yield(doc, nil) {
				return
			}
		}
	}, enc, opts)
	if err != nil {
		return nil, err
	}
	return newStore(metadata, strings.Bytes(), tokens.Bytes())
}

// build writes two files of a store and returns the content of the third.
func build(
	tokens, strings io.Writer, docs iter.Seq2[Document, error], enc Encoder, opts BuildOptions,
) (metadata []byte, err error) {
	if opts, err = opts.resolve(); err != nil {
		return nil, err
	}
	provenance, err := ProvenanceOf(enc, opts)
	if err != nil {
		return nil, err
	}
	b := &builder{
		opts: opts, tokens: newSumWriter(tokens), strings: newSumWriter(strings),
		langs: numbers{of: map[string]uint32{}}, shards: numbers{of: map[string]uint32{}},
		sources: map[[16]byte]uint32{},
	}
	if v, ok := enc.(interface{ VocabSize() int }); ok {
		b.vocab = v.VocabSize()
	}
	if b.provenance, err = json.Marshal(provenance); err != nil {
		return nil, fmt.Errorf("corpus: %w", err)
	}
	if err := b.addAll(docs, enc); err != nil {
		return nil, err
	}
	return b.finish()
}

// encoding is a document on its way through the encoders.
type encoding struct {
	doc    Document
	tokens []int32
	done   chan struct{}
}

// addAll adds documents in order, several of which are encoded at a time.
func (b *builder) addAll(docs iter.Seq2[Document, error], enc Encoder) error {
	workers := min(runtime.GOMAXPROCS(0), 8)
	todo := make(chan *encoding)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for e := range todo {
				e.tokens = enc.AppendEncode(nil, e.doc.Text)
				close(e.done)
			}
		})
	}
	defer wg.Wait()
	defer close(todo)

	var pending []*encoding
	addFirst := func() error {
		e := pending[0]
		pending = append(pending[:0], pending[1:]...)
		<-e.done
		return b.add(&e.doc, e.tokens)
	}
	language, _ := enc.(interface{ LanguageToken(string) (int32, error) })
	known := map[string]bool{} // languages
	number := 0
	for doc, err := range docs {
		if err != nil {
			return err
		}
		err := doc.check()
		if err == nil && language != nil && !known[doc.Lang] {
			_, err = language.LanguageToken(doc.Lang)
			known[doc.Lang] = true
		}
		if err != nil {
			return fmt.Errorf("corpus: document %d (%q): %w", number, doc.ID, err)
		}
		number++
		if len(pending) == 2*workers {
			if err := addFirst(); err != nil {
				return err
			}
		}
		e := &encoding{doc: doc, done: make(chan struct{})}
		pending = append(pending, e)
		todo <- e
	}
	for len(pending) > 0 {
		if err := addFirst(); err != nil {
			return err
		}
	}
	return nil
}

// builder makes the files of a store document by document. It keeps the
// columns in memory.
type builder struct {
	opts            BuildOptions
	provenance      []byte
	vocab           int // 0: not known
	tokens, strings *sumWriter
	columns         columns
	langs, shards   numbers
	sources         map[[16]byte]uint32 // by hash: there are as many as documents
	scratch         []byte
}

// add adds a document and the chunks that its tokens make.
func (b *builder) add(doc *Document, tokens []int32) error {
	c := &b.columns
	number := len(c.docLang)
	chunks := (len(tokens) + b.opts.ChunkTokens - 1) / b.opts.ChunkTokens
	if last := len(tokens) - (chunks-1)*b.opts.ChunkTokens; chunks > 1 && last < b.opts.MinTokens {
		chunks--
	}
	if b.opts.MaxChunks > 0 {
		chunks = min(chunks, b.opts.MaxChunks)
	}
	if uint64(number) == math.MaxUint32 || uint64(len(c.chunkDoc)+chunks) > math.MaxUint32 {
		return fmt.Errorf("corpus: more than %d documents or chunks", uint32(math.MaxUint32))
	}

	source := [16]byte(hashOf(doc.sourceKey()))
	if _, ok := b.sources[source]; !ok {
		b.sources[source] = uint32(len(b.sources))
	}
	c.docFirst = append(c.docFirst, uint32(len(c.chunkDoc)))
	c.docLang = append(c.docLang, b.langs.number(doc.Lang))
	c.docShard = append(c.docShard, b.shards.number(doc.shardKey()))
	c.docSource = append(c.docSource, b.sources[source])
	if err := b.addStrings(doc.ID, doc.Group); err != nil {
		return err
	}

	tokens = tokens[:min(len(tokens), chunks*b.opts.ChunkTokens)]
	b.scratch = b.scratch[:0]
	for _, token := range tokens {
		if token < 0 {
			return fmt.Errorf("corpus: document %d (%q): the encoder returned token %d", number, doc.ID, token)
		}
		if b.vocab > 0 && int(token) >= b.vocab {
			return fmt.Errorf("corpus: document %d (%q): the encoder, of a vocabulary of %d, returned token %d",
				number, doc.ID, b.vocab, token)
		}
		b.scratch = binary.LittleEndian.AppendUint32(b.scratch, uint32(token))
	}
	for i := range chunks {
		c.chunkDoc = append(c.chunkDoc, uint32(number))
		c.tokenStart = append(c.tokenStart, b.tokens.n/4+uint64(i*b.opts.ChunkTokens))
	}
	return b.tokens.write(b.scratch)
}

func hashOf(s string) []byte {
	sum := sha256.Sum256([]byte(s))
	return sum[:16]
}

// addStrings adds to the strings file.
func (b *builder) addStrings(strings ...string) error {
	for _, s := range strings {
		b.columns.stringStart = append(b.columns.stringStart, b.strings.n)
		if err := b.strings.write([]byte(s)); err != nil {
			return err
		}
	}
	return nil
}

// finish ends the files and returns the metadata.
func (b *builder) finish() ([]byte, error) {
	c := &b.columns
	if err := b.addStrings(b.langs.names...); err != nil {
		return nil, err
	}
	if err := b.addStrings(b.shards.names...); err != nil {
		return nil, err
	}
	c.stringStart = append(c.stringStart, b.strings.n)
	c.tokenStart = append(c.tokenStart, b.tokens.n/4)
	c.docFirst = append(c.docFirst, uint32(len(c.chunkDoc)))

	c.shardStart = make([]uint32, len(b.shards.names)+1)
	for _, doc := range c.chunkDoc {
		c.shardStart[c.docShard[doc]+1]++
	}
	for i := range b.shards.names {
		c.shardStart[i+1] += c.shardStart[i]
	}
	next := append([]uint32(nil), c.shardStart...)
	c.shardChunks = make([]uint32, len(c.chunkDoc))
	for chunk, doc := range c.chunkDoc {
		shard := c.docShard[doc]
		c.shardChunks[next[shard]] = uint32(chunk)
		next[shard]++
	}

	h := header{
		docs: uint32(len(c.docLang)), chunks: uint32(len(c.chunkDoc)),
		langs: uint32(len(b.langs.names)), shards: uint32(len(b.shards.names)),
		tokens: b.tokens.n / 4, stringBytes: b.strings.n,
		version: formatVersion, vocab: uint64(b.vocab), provenance: b.provenance,
	}
	if b.opts.FirstChunkTargets {
		h.flags |= firstChunkTargets
	}
	var err error
	if h.tokensSum, err = b.tokens.finish(); err != nil {
		return nil, err
	}
	if h.stringsSum, err = b.strings.finish(); err != nil {
		return nil, err
	}
	return encodeMetadata(&h, c), nil
}

// numbers numbers strings in the order in which they first occur.
type numbers struct {
	of    map[string]uint32
	names []string
}

func (n *numbers) number(name string) uint32 {
	i, ok := n.of[name]
	if !ok {
		i = uint32(len(n.names))
		n.of[name] = i
		n.names = append(n.names, name)
	}
	return i
}

// sumWriter buffers what is written, counts it and computes its SHA-256.
type sumWriter struct {
	w   *bufio.Writer
	sum hash.Hash
	n   uint64
}

func newSumWriter(w io.Writer) *sumWriter {
	sum := sha256.New()
	return &sumWriter{w: bufio.NewWriterSize(io.MultiWriter(w, sum), 1<<18), sum: sum}
}

func (w *sumWriter) write(p []byte) error {
	n, err := w.w.Write(p)
	w.n += uint64(n)
	if err != nil {
		return fmt.Errorf("corpus: %w", err)
	}
	return nil
}

func (w *sumWriter) finish() (sum [sha256.Size]byte, err error) {
	if err := w.w.Flush(); err != nil {
		return sum, fmt.Errorf("corpus: %w", err)
	}
	return [sha256.Size]byte(w.sum.Sum(nil)), nil
}
