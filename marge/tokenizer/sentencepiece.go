package tokenizer

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"google.golang.org/protobuf/encoding/protowire"
)

// sentencePiece is a model of SentencePiece. It normalises a text as a whole,
// and segments the result as a whole.
type sentencePiece struct {
	vocabulary
	normalizer spmNormalizer
	unigram    *unigram[float32] // of a Unigram model
	pairs      *spmPairs         // of a BPE model
	text       []string          // by id; what Decode makes of it
	layout     Layout
	data       []byte // the file, without the layout

	scratches sync.Pool
}

type spmScratch struct {
	text    mapped
	lattice lattice[float32]
	pairs   spmMerging
}

func newSentencePiece(m *spmModel, layout Layout) (*sentencePiece, error) {
	if layout == "" {
		layout = m.layout
	}
	ids, tokens, special, err := layout.apply(m)
	if err != nil {
		return nil, err
	}
	v, err := newVocabulary(tokens, special)
	if err != nil {
		return nil, err
	}
	v.anyRegion = true
	t := &sentencePiece{vocabulary: *v, layout: layout, data: m.data, text: make([]string, len(tokens))}
	t.scratches.New = func() any { return new(spmScratch) }
	var keys, symbols []trieKey
	var bytes [256]int32
	unk := int32(0)
	for i, p := range m.pieces {
		id := ids[i]
		switch p.kind {
		case spmUnknown:
			unk = id
		case spmByte:
			b, _ := byteOfToken(p.text)
			bytes[b] = id
			t.text[id] = string([]byte{b})
		case spmUserDefined:
			symbols = append(symbols, trieKey{p.text, id})
			fallthrough
		case spmNormal, spmUnused:
			keys = append(keys, trieKey{p.text, id})
			t.text[id] = strings.ReplaceAll(p.text, spaceSymbol, " ")
		}
	}
	if t.normalizer, err = newSPMNormalizer(m, symbols); err != nil {
		return nil, err
	}
	fallback := &bytes
	if !m.byteFallback {
		fallback = nil
	}
	if m.modelType == spmBPE {
		t.pairs = newSPMPairs(m, ids, &t.normalizer, unk, fallback)
		return t, nil
	}
	t.unigram, err = newSPMUnigram(m, ids, keys, unk, fallback)
	return t, err
}

// newSPMUnigram gives the pieces their scores.
func newSPMUnigram(m *spmModel, ids []int32, keys []trieKey, unk int32, bytes *[256]int32) (*unigram[float32], error) {
	u := &unigram[float32]{unk: unk, bytes: bytes, limit: rebaseLimit}
	u.scores = make([]float32, slices.Max(ids)+1)
	unused := map[int32]bool{}
	least, normal := float32(0), false
	for i, p := range m.pieces {
		switch p.kind {
		case spmNormal:
			if !normal || p.score < least {
				least, normal = p.score, true
			}
			u.scores[ids[i]] = p.score
		case spmUserDefined: // more than any other way to write it
			u.scores[ids[i]] = float32(0.1 * float64(len(p.text)-1))
		case spmUnused:
			unused[ids[i]] = true
		}
	}
	if !normal {
		return nil, fmt.Errorf("there is no normal piece among %d", len(m.pieces))
	}
	u.unknown = least - unknownPenalty
	var err error
	u.trie, err = newTrie(slices.DeleteFunc(keys, func(k trieKey) bool { return unused[k.id] }))
	return u, err
}

func (t *sentencePiece) Encode(text string) []int32 {
	return t.AppendEncode(make([]int32, 0, len(text)/4+4), text)
}

func (t *sentencePiece) AppendEncode(dst []int32, text string) []int32 {
	out := output{ids: dst}
	t.encode(&out, text)
	return out.ids
}

func (t *sentencePiece) EncodeOffsets(text string) (ids []int32, offsets []int) {
	out := output{track: true}
	t.encode(&out, text)
	return out.offsets(len(text))
}

func (t *sentencePiece) encode(out *output, text string) {
	s := t.scratches.Get().(*spmScratch)
	s.text.reset(out.track)
	t.normalizer.normalize(&s.text, text)
	if t.pairs != nil {
		t.pairs.encode(out, &s.pairs, &s.text)
	} else {
		t.unigram.encode(out, &s.lattice, &s.text, 0, len(s.text.text))
	}
	if cap(s.text.text) <= maxScratch {
		t.scratches.Put(s)
	}
}

func (t *sentencePiece) Decode(ids []int32) string {
	return replaceInvalid(string(t.DecodeBytes(ids)))
}

func (t *sentencePiece) DecodeBytes(ids []int32) []byte {
	out := []byte{}
	n := &t.normalizer
	trim := n.addPrefix || n.removeSpaces
	for _, id := range ids {
		if id < 0 || int(id) >= len(t.text) {
			continue
		}
		text, space := t.text[id], false
		if trim {
			text, space = strings.CutPrefix(text, " ")
		}
		out = append(out, text...)
		trim = trim && len(out) == 0 && (n.removeSpaces || !space)
	}
	return out
}

func (t *sentencePiece) Fingerprint() string {
	h := sha256.New()
	fmt.Fprintf(h, "sentencepiece %q %d ", t.layout, len(t.data))
	h.Write(t.data)
	return hex.EncodeToString(h.Sum(nil))
}

func (t *sentencePiece) FileName() string { return spmName }

// WriteTo writes the file as it was read. Where its ids are not those of
// SentencePiece, it has one more field, which SentencePiece passes over.
func (t *sentencePiece) WriteTo(w io.Writer) (int64, error) {
	data := slices.Clip(t.data)
	if t.layout != "" {
		data = protowire.AppendTag(data, fieldLayout, protowire.BytesType)
		data = protowire.AppendString(data, string(t.layout))
	}
	n, err := w.Write(data)
	if err != nil {
		err = fmt.Errorf("tokenizer: write: %w", err)
	}
	return int64(n), err
}

func (t *sentencePiece) Save(path string) error { return save(t, path) }

// offsets returns the ids and where each begins, and last where the text ends.
func (o *output) offsets(end int) (ids []int32, offsets []int) {
	offsets = make([]int, 0, len(o.places)+1)
	for _, place := range o.places {
		offsets = append(offsets, int(place))
	}
	return o.ids, append(offsets, end)
}
