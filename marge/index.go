package marge

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/marge-go/marge/marge/index"
	"github.com/marge-go/marge/tensor"
)

// Index is a set of documents to retrieve from: their vectors, tokens and names
// and, of those that [Index.Add] has added, their texts. Any number of
// goroutines may use it at the same time.
type Index struct {
	// lock is held for reading by what looks at flat, whose records are those of
	// appendRecord and whose origin is the model's fingerprint.
	lock sync.RWMutex
	flat *index.Flat

	mu      sync.Mutex
	checked checkedModel                // the last model that was found to have made the index
	rows    map[[sha256.Size]byte]int32 // see row
	mapped  int                         // documents that are in rows
}

// String describes the index on one line.
func (x *Index) String() string {
	x.lock.RLock()
	defer x.lock.RUnlock()
	made := "a model that is not known"
	if x.flat.Origin != [sha256.Size]byte{} {
		made = "model " + short(x.flat.Origin)
	}
	kept := ""
	if p := x.flat.Precision(); p != index.Float32 {
		kept = fmt.Sprintf(" of %v", p)
	}
	return fmt.Sprintf("index of %d documents, dimension %d%s, made by %s", x.flat.Len(), x.flat.Dim(), kept, made)
}

// Len returns the number of documents.
func (x *Index) Len() int {
	x.lock.RLock()
	defer x.lock.RUnlock()
	return x.flat.Len()
}

// Document returns the tokens of document i, in the order of NewIndex and Add.
func (x *Index) Document(i int) []int32 {
	tokens := x.record(i).tokens
	doc := make([]int32, 0, len(tokens)/2)
	for len(tokens) > 0 {
		token, n := binary.Uvarint(tokens)
		doc, tokens = append(doc, int32(token)), tokens[n:]
	}
	return doc
}

// ID returns the name of document i, empty if it has none.
func (x *Index) ID(i int) string { return string(x.record(i).id) }

// Passage returns what the index knows of document i. Documents of NewIndex
// have no text and no language.
func (x *Index) Passage(i int) Passage { return x.record(i).passage() }

// Vector returns the vector of document i, as the index keeps it, which the caller must
// not change.
func (x *Index) Vector(i int) []float32 {
	x.lock.RLock()
	defer x.lock.RUnlock()
	return x.flat.Vector(i)
}

// record returns the record of document i, which must not be changed.
func (x *Index) record(i int) record {
	x.lock.RLock()
	defer x.lock.RUnlock()
	return x.recordLocked(i)
}

// recordLocked is record where lock is held.
func (x *Index) recordLocked(i int) record {
	r, err := cutRecord(x.flat.Record(i))
	if err != nil {
		panic(fmt.Sprintf("marge: index: document %d: %v", i, err)) // OpenIndex has checked it
	}
	return r
}

// NewIndex encodes documents, given as token ids without <s> and </s>, with g.
// ids names them; nil leaves them without names. An index without documents
// takes them later, see [Index.Add].
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
		records[i] = appendTokens(appendBytes(nil, id), doc)
	}
	x = &Index{flat: index.NewFlat(m.Config.EmbeddingDim())}
	x.flat.Origin = m.retrievalFingerprint()
	if err := x.flat.AddRecords(rows, records); err != nil {
		return nil, err
	}
	return x, nil
}

// As returns a copy of the index, with all documents, that keeps vectors in a precision,
// also those that are added later: as bfloat16 they take half the memory of float32, as
// int8 a quarter. Queries stay float32. Of the ten nearest of a hundred vectors in each of
// forty clusters, 99 and 97 of 100 stay the same. It is an error if a value exceeds
// 3.38e38.
func (x *Index) As(p index.Precision) (*Index, error) {
	x.lock.RLock()
	defer x.lock.RUnlock()
	flat, err := x.flat.As(p)
	if err != nil {
		return nil, err
	}
	return &Index{flat: flat}, nil
}

// Precision returns how the index keeps vectors.
func (x *Index) Precision() index.Precision {
	x.lock.RLock()
	defer x.lock.RUnlock()
	return x.flat.Precision()
}

// Save writes the index to a file, whole or not at all; see [OpenIndex].
func (x *Index) Save(path string) error {
	x.lock.RLock()
	defer x.lock.RUnlock()
	return x.flat.Save(path)
}

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
func (x *Index) Verify() error {
	x.lock.RLock()
	defer x.lock.RUnlock()
	return x.flat.Verify()
}

// Close frees the index, which has no documents then, and its file.
func (x *Index) Close() error {
	x.lock.Lock()
	defer x.lock.Unlock()
	x.rows, x.mapped = nil, 0
	return x.flat.Close()
}

// A record of the index is, of a document of NewIndex, its name and its tokens.
// That of a document of Add begins with textRecord and has language, start and
// text between the two. Numbers are unsigned varints, of tokens as well, and
// the length of a string comes before it.
//
// No name is as long as textRecord, so that programs from before this was so
// refuse to read such records.
const textRecord = 1 << 40

type record struct {
	id, lang, text []byte
	start          int
	tokens         []byte
}

func (r record) passage() Passage {
	return Passage{ID: string(r.id), Lang: string(r.lang), Start: r.start, Text: string(r.text)}
}

func appendBytes(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func appendTokens(b []byte, doc []int32) []byte {
	for _, token := range doc {
		b = binary.AppendUvarint(b, uint64(token))
	}
	return b
}

func appendPassage(b []byte, p Passage) []byte {
	b = appendBytes(appendBytes(binary.AppendUvarint(b, textRecord), p.ID), p.Lang)
	return appendBytes(binary.AppendUvarint(b, uint64(p.Start)), p.Text)
}

// cutRecord returns the parts of a record, of which checkRecord checks the
// tokens.
func cutRecord(b []byte) (r record, err error) {
	size := len(b)
	number := func(what string) (value uint64) {
		value, n := binary.Uvarint(b)
		if n <= 0 {
			n, err = len(b), errors.Join(err, fmt.Errorf("the record of %d bytes holds no %s", size, what))
		}
		b = b[n:]
		return value
	}
	part := func(what string, length uint64) []byte {
		if length > uint64(len(b)) {
			length, err = 0, errors.Join(err, fmt.Errorf("the record of %d bytes holds no %s", size, what))
		}
		value := b[:length:length]
		b = b[length:]
		return value
	}
	length := number("name")
	text := length == textRecord
	if text {
		length = number("name")
	}
	r.id = part("name", length)
	if text {
		r.lang = part("language", number("language"))
		start := number("start")
		if r.start = int(start); start > math.MaxInt32 {
			err = errors.Join(err, fmt.Errorf("the text begins at character %d", start))
		}
		r.text = part("text", number("text"))
	}
	r.tokens = b
	return r, err
}

// checkRecord tells whether a record is one of those that the index writes.
func checkRecord(b []byte) error {
	r, err := cutRecord(b)
	for n := 0; err == nil && len(r.tokens) > 0; r.tokens = r.tokens[n:] {
		var token uint64
		if token, n = binary.Uvarint(r.tokens); n <= 0 || token > math.MaxInt32 {
			return errors.New("its tokens are damaged")
		}
	}
	return err
}
