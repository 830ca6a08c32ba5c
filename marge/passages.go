package marge

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"

	"github.com/marge-go/marge/internal/ceil"
	"github.com/marge-go/marge/internal/langtag"
	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/tensor"
)

// Passage is a text in an [Index]: a document, or a piece of a long one.
type Passage struct {
	ID    string // of the document
	Lang  string // BCP 47, in canonical form; "" if it is not known
	Start int    // where the text begins in the document, in characters
	Text  string
}

// AddOptions say how [Index.Add] adds documents.
type AddOptions struct {
	// ChunkTokens is how many tokens a passage has at the most (0:
	// Config.ChunkTokens).
	ChunkTokens int
	// Reuse are indexes of the same model. A vector that one of them has is copied
	// from there.
	Reuse []*Index
}

// AddStats are what [Index.Add] has added.
type AddStats struct {
	Passages int
	Encoded  int // of the passages: those whose vectors no index had
}

// leastChunk is the least number of tokens of a passage: any character has as
// many.
const leastChunk = utf8.UTFMax

// Add adds the texts of documents, cut into passages, to an index that the model
// has made. Passages do not overlap, have about the same length, and end with a
// sentence where there is one, or else with a word. Documents that are added in
// several calls give the same index as those that are added at once. Of a
// document, ID, Lang, which may be empty, and Text count.
//
// Nothing is added if there is an error: one that [Model.Encode] has, or a
// document that has no text, is not UTF-8 or has a Lang that is no language tag.
func (x *Index) Add(
	ctx context.Context, m *Model, docs []corpus.Document, o AddOptions,
) (stats AddStats, err error) {
	defer func() {
		if err != nil {
			stats, err = AddStats{}, fmt.Errorf("index: add: %w", err)
		}
	}()
	defer tensor.Recover(&err)
	passages, tokens, err := m.cutDocuments(ctx, docs, o.ChunkTokens)
	if err != nil {
		return stats, err
	}
	for _, other := range append([]*Index{x}, o.Reuse...) {
		if err := other.CheckModel(m); err != nil {
			return stats, err
		}
	}
	rows, encoded, err := m.vectorsOf(ctx, tokens, o.Reuse)
	if err != nil {
		return stats, err
	}
	return AddStats{len(passages), encoded}, x.addPassages(rows, passages, tokens)
}

// AddPassages is [Index.Add] for passages that the caller has cut, such as the chunks of
// a corpus, and their tokens, without <s> and </s>. Lang is in canonical form. It panics
// unless there are tokens for each passage.
func (x *Index) AddPassages(ctx context.Context, m *Model, passages []Passage, tokens [][]int32) (err error) {
	if len(passages) != len(tokens) {
		panic(fmt.Sprintf("marge: index: add: %d passages, tokens of %d", len(passages), len(tokens)))
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("index: add: %w", err)
		}
	}()
	defer tensor.Recover(&err)
	if err := x.CheckModel(m); err != nil {
		return err
	}
	rows, err := m.Embed(ctx, tokens)
	if err != nil {
		return err
	}
	return x.addPassages(rows, passages, tokens)
}

// addPassages adds passages with their vectors.
func (x *Index) addPassages(rows []float32, passages []Passage, tokens [][]int32) error {
	records := make([][]byte, len(passages))
	for i, p := range passages {
		records[i] = appendTokens(appendPassage(nil, p), tokens[i])
	}
	x.lock.Lock()
	defer x.lock.Unlock()
	return x.flat.AddRecords(rows, records)
}

// vectorsOf returns g of each text, [texts, width of g], from the first index
// that has it or else computed, and how many were.
func (m *Model) vectorsOf(
	ctx context.Context, texts [][]int32, known []*Index,
) (rows []float32, encoded int, err error) {
	dim := m.Config.EmbeddingDim()
	rows = make([]float32, len(texts)*dim)
	var unknown [][]int32
	var at []int
	for i, text := range texts {
		key, found := tokensKey(appendTokens(nil, text)), false
		for _, x := range known {
			if found = x.copyVector(key, rows[i*dim:(i+1)*dim]); found {
				break
			}
		}
		if !found {
			unknown, at = append(unknown, text), append(at, i)
		}
	}
	computed, err := m.Embed(ctx, unknown)
	for i, row := range at[:len(computed)/dim] {
		copy(rows[row*dim:(row+1)*dim], computed[i*dim:])
	}
	return rows, len(unknown), err
}

// tokensKey is what the vector of a document depends on.
func tokensKey(tokens []byte) [sha256.Size]byte { return sha256.Sum256(tokens) }

// copyVector copies the vector of a document with the given tokens, if the index
// has one.
func (x *Index) copyVector(key [sha256.Size]byte, vector []float32) bool {
	x.lock.RLock()
	defer x.lock.RUnlock()
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.rows == nil {
		x.rows = map[[sha256.Size]byte]int32{}
	}
	for ; x.mapped < x.flat.Len(); x.mapped++ {
		x.rows[tokensKey(x.recordLocked(x.mapped).tokens)] = int32(x.mapped)
	}
	row, ok := x.rows[key]
	if ok {
		copy(vector, x.flat.Vector(int(row)))
	}
	return ok
}

// Part returns a copy of documents from to to-1 as an index of its own.
func (x *Index) Part(from, to int) *Index {
	x.lock.RLock()
	defer x.lock.RUnlock()
	return &Index{flat: x.flat.Part(from, to)}
}

// cutDocuments returns the passages of documents and their tokens.
func (m *Model) cutDocuments(
	ctx context.Context, docs []corpus.Document, chunk int,
) (passages []Passage, tokens [][]int32, err error) {
	if m.Tokenizer == nil {
		return nil, nil, errNoTokenizer
	}
	longest := m.Config.longest()
	setDefault(&chunk, max(m.Config.chunk(), leastChunk))
	if chunk < leastChunk || chunk > longest {
		return nil, nil, fmt.Errorf("ChunkTokens is %d, want %d to %d", chunk, leastChunk, longest)
	}
	for i, doc := range docs {
		err := ctx.Err()
		switch {
		case err != nil:
			return nil, nil, err
		case !utf8.ValidString(doc.ID), !utf8.ValidString(doc.Text):
			err = errors.New("it is not UTF-8")
		case strings.TrimSpace(doc.Text) == "":
			err = errors.New("it has no text")
		case doc.Lang != "":
			doc.Lang, err = langtag.Canonical(doc.Lang)
		}
		if err != nil {
			return nil, nil, fmt.Errorf("document %d (%q): %w", i, doc.ID, err)
		}
		for _, p := range m.cut(doc.Text, chunk) {
			passages = append(passages, Passage{doc.ID, doc.Lang, p.start, p.text})
			tokens = append(tokens, p.tokens)
		}
	}
	return passages, tokens, nil
}

// piece is a part of a text.
type piece struct {
	start  int // in characters
	text   string
	tokens []int32
}

// cut cuts a text into pieces of at most limit tokens, without white space
// around them: as few as that takes, of about the same length, if they can end
// where splitAt says.
func (m *Model) cut(text string, limit int) (pieces []piece) {
	start, size, all := 0, max(len(text), 1), len(m.Tokenizer.Encode(text))
	for {
		trimmed := strings.TrimLeftFunc(text, unicode.IsSpace)
		start += utf8.RuneCountInString(text[:len(text)-len(trimmed)])
		if text = trimmed; text == "" {
			return pieces
		}
		n := ceil.Div(len(text)*all, size*limit) // as if tokens were of one length
		end := splitAt(text, ceil.Div(len(text), n))
		p := m.piece(text[:end], start)
		for len(p.tokens) > limit {
			n++
			end = splitAt(text, min(end-1, ceil.Div(len(text), n)))
			p = m.piece(text[:end], start)
		}
		pieces = append(pieces, p)
		start += utf8.RuneCountInString(text[:end])
		text = text[end:]
	}
}

func (m *Model) piece(text string, start int) piece {
	text = strings.TrimRightFunc(text, unicode.IsSpace)
	return piece{start, text, m.Tokenizer.Encode(text)}
}

// splitAt returns where to split a text so that the first part has at most n
// bytes, but a character at least: after the last sentence that ends in the
// second half of these bytes, else after the last white space there, else after
// the last character.
func splitAt(text string, n int) int {
	_, first := utf8.DecodeRuneInString(text)
	if n = max(n, first); n >= len(text) {
		return len(text)
	}
	for !utf8.RuneStart(text[n]) {
		n--
	}
	// Where a sentence ends depends on what follows; more than this seldom counts.
	seen := text[:min(len(text), 2*n)]
	sentence, state := 0, -1
	for rest := seen; rest != "" && sentence < n; {
		var s string
		s, rest, state = uniseg.FirstSentenceInString(rest, state)
		if sentence+len(s) > n {
			break
		}
		sentence += len(s)
	}
	if sentence > n/2 {
		return sentence
	}
	if space := strings.LastIndexFunc(text[:n], unicode.IsSpace); space > n/2 {
		_, size := utf8.DecodeRuneInString(text[space:])
		return space + size
	}
	return n
}
