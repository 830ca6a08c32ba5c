package corpus

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	"github.com/marge-go/marge/internal/jsonx"
	"github.com/marge-go/marge/internal/langtag"
	"github.com/marge-go/marge/internal/osfile"
)

// A Store holds the chunks of a corpus: their tokens, and what a training
// needs to know of each. Build and Open keep it in files that are mapped into
// memory, of which the system loads what is used and may drop it again;
// FromDocuments keeps it in memory.
//
// Documents are numbered from 0 in the order they were given in. Chunks are
// numbered from 0 in the order of the documents and, in one document, of the
// text. The methods panic if a number is out of range.
//
// A Store may be used from several goroutines, except for Close.
type Store struct {
	header      header
	columns     columns
	strings     []byte
	tokens      []int32
	tokenBytes  []byte // as on disk
	langs       []string
	langOf      []int // index in langs of a language of the columns
	shards      []string
	fingerprint string
	provenance  Provenance
	path        string   // of the tokens file, empty in memory
	mappings    [][]byte // to unmap
}

// A Chunk describes a piece of a document.
type Chunk struct {
	Doc    int  // number of the document
	Index  int  // number of the chunk in the document, from 0
	Lang   int  // index in Langs
	Shard  int  // index in Shards
	Source int  // equal in chunks that are never evidence for each other
	Target bool // may be a target; every chunk may be evidence
	Tokens int  // number of tokens
}

// Len returns the number of chunks.
func (s *Store) Len() int { return len(s.columns.chunkDoc) }

// Tokens returns the tokens of chunk i, which the caller must not change and
// not use after Close.
func (s *Store) Tokens(i int) []int32 {
	from, to := s.columns.tokenStart[i], s.columns.tokenStart[i+1]
	return s.tokens[from:to:to]
}

// Chunk describes chunk i.
func (s *Store) Chunk(i int) Chunk {
	c := &s.columns
	doc := c.chunkDoc[i]
	index := i - int(c.docFirst[doc])
	return Chunk{
		Doc:    int(doc),
		Index:  index,
		Lang:   s.langOf[c.docLang[doc]],
		Shard:  int(c.docShard[doc]),
		Source: int(c.docSource[doc]),
		Target: index == 0 || s.header.flags&firstChunkTargets == 0,
		Tokens: int(c.tokenStart[i+1] - c.tokenStart[i]),
	}
}

// Langs returns the canonical tags of the languages of the documents, in the
// order in which they first occur.
func (s *Store) Langs() []string { return slices.Clone(s.langs) }

// Shards returns the names of the shards, in the order in which they first
// occur. The shard of the documents that have neither a Shard nor a Date is
// named by the empty string.
func (s *Store) Shards() []string { return slices.Clone(s.shards) }

// Shard returns the numbers of the chunks of shard k, ascending.
func (s *Store) Shard(k int) []int {
	c := &s.columns
	chunks := c.shardChunks[c.shardStart[k]:c.shardStart[k+1]]
	out := make([]int, len(chunks))
	for i, chunk := range chunks {
		out[i] = int(chunk)
	}
	return out
}

// ShardLen returns the number of chunks of shard k. Training compares all
// chunks of a shard with each other, so that time and memory grow with its
// square: above some 20,000 chunks, give the documents smaller shards.
func (s *Store) ShardLen(k int) int {
	return int(s.columns.shardStart[k+1] - s.columns.shardStart[k])
}

// Documents returns the number of documents, including those that the encoder
// made no token of, which have no chunk.
func (s *Store) Documents() int { return len(s.columns.docLang) }

// DocumentID returns the ID of a document.
func (s *Store) DocumentID(doc int) string { return s.string(2 * s.checkedDoc(doc)) }

// Group returns the Group of a document, for evaluation.
func (s *Store) Group(doc int) string { return s.string(2*s.checkedDoc(doc) + 1) }

// KnownPairs returns the first chunks of any two documents of one Group in different
// languages: translations of each other, for objectives that
// learn from known ones. Later chunks are left out, since those of two documents
// part at different places. The order is that of the documents.
func (s *Store) KnownPairs() (pairs [][2]int) {
	groups := map[string][]int{}
	for i := range s.Len() {
		c := s.Chunk(i)
		group := s.Group(c.Doc)
		if c.Index > 0 || group == "" {
			continue
		}
		for _, other := range groups[group] {
			if s.Chunk(other).Lang != c.Lang {
				pairs = append(pairs, [2]int{other, i})
			}
		}
		groups[group] = append(groups[group], i)
	}
	return pairs
}

// checkedDoc panics for a number that is out of range; others than those of
// documents would name strings of another kind.
func (s *Store) checkedDoc(doc int) int {
	if doc < 0 || doc >= s.Documents() {
		panic(fmt.Sprintf("corpus: document %d of %d", doc, s.Documents()))
	}
	return doc
}

// string returns string i of the strings file; see header.
func (s *Store) string(i int) string {
	return string(s.strings[s.columns.stringStart[i]:s.columns.stringStart[i+1]])
}

// TotalTokens returns the number of tokens in all chunks.
func (s *Store) TotalTokens() int { return len(s.tokens) }

// VocabSize returns the vocabulary size that the encoder stated when the store
// was built, or 0 if it stated none.
func (s *Store) VocabSize() int { return int(s.header.vocab) }

// Fingerprint returns a hash of all that the store holds, in hexadecimal. It
// is the same for the same documents, encoder and options, whether the store
// was built, opened or made in memory.
func (s *Store) Fingerprint() string { return s.fingerprint }

// Provenance returns what the store was made from. It is not part of what
// Fingerprint identifies. That of a store of an earlier format is empty.
func (s *Store) Provenance() Provenance { return s.provenance }

// TokenizerFingerprint returns the fingerprint of the encoder that made the
// tokens, or "" if that is not known.
func (s *Store) TokenizerFingerprint() string { return s.provenance.Tokenizer }

// Verify reads all tokens and returns an error if they are not those that were
// built. Open verifies everything else: checking the tokens means reading the
// whole corpus.
func (s *Store) Verify() error {
	if sha256.Sum256(s.tokenBytes) != s.header.tokensSum {
		return &damage{s.path, errors.New("the tokens do not match their checksum")}
	}
	for i, token := range s.tokens {
		if token < 0 {
			return &damage{s.path, fmt.Errorf("token %d is %d", i, token)}
		}
		if s.header.vocab > 0 && uint64(token) >= s.header.vocab {
			err := fmt.Errorf("token %d is %d, in a vocabulary of %d", i, token, s.header.vocab)
			return &damage{s.path, err}
		}
	}
	return nil
}

// Close frees the store, which must not be used any more.
func (s *Store) Close() error {
	var errs []error
	for _, m := range s.mappings {
		errs = append(errs, osfile.Unmap(m))
	}
	*s = Store{}
	return errors.Join(errs...)
}

// newStore makes a store from the contents of its files, after checking all of
// them but the tokens themselves. The errors are of type *damage, with the
// file's name.
func newStore(metadata, stringBytes, tokenBytes []byte) (*Store, error) {
	s := &Store{strings: stringBytes, tokenBytes: tokenBytes}
	var err error
	if s.header, s.columns, err = decodeMetadata(metadata); err != nil {
		return nil, &damage{metadataFile, err}
	}
	h := &s.header
	sum := sha256.Sum256(metadata[:h.size()])
	s.fingerprint = hex.EncodeToString(sum[:])
	if h.version >= 3 {
		if err := jsonx.Unmarshal(h.provenance, &s.provenance); err != nil {
			return nil, &damage{metadataFile, fmt.Errorf("provenance: %w", err)}
		}
	}
	if uint64(len(stringBytes)) != h.stringBytes {
		return nil, &damage{stringsFile, fmt.Errorf("has %d bytes, want %d", len(stringBytes), h.stringBytes)}
	}
	if sha256.Sum256(stringBytes) != h.stringsSum {
		return nil, &damage{stringsFile, errors.New("does not match its checksum")}
	}
	if uint64(len(tokenBytes)) != 4*h.tokens {
		return nil, &damage{tokensFile, fmt.Errorf("has %d bytes, want %d", len(tokenBytes), 4*h.tokens)}
	}
	s.tokens = view(tokenBytes, decodeInt32)
	numbers := map[string]int{}
	for i := range int(h.langs) {
		lang := s.string(2*int(h.docs) + i)
		// Earlier versions kept the spelling of the documents.
		if canonical, err := langtag.Canonical(lang); err == nil {
			lang = canonical
		}
		number, ok := numbers[lang]
		if !ok {
			number = len(s.langs)
			numbers[lang] = number
			s.langs = append(s.langs, lang)
		}
		s.langOf = append(s.langOf, number)
	}
	for i := range int(h.shards) {
		s.shards = append(s.shards, s.string(2*int(h.docs)+int(h.langs)+i))
	}
	return s, nil
}

// damage is the error of a file of a store that is not as it was written.
type damage struct {
	file string
	err  error
}

func (e *damage) Error() string {
	if e.file == "" {
		return "corpus: " + e.err.Error()
	}
	return fmt.Sprintf("corpus: %s is damaged: %v", e.file, e.err)
}

func (e *damage) Unwrap() error { return e.err }
