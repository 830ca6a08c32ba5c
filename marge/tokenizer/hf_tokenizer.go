package tokenizer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/marge-go/marge/internal/jsonx"
)

// hfTokenizer is a tokenizer.json: added tokens that are not normalised are cut
// out of a text, the rest is normalised, other added tokens are cut out of it,
// and what is left is cut into words, which the model encodes one by one.
type hfTokenizer struct {
	vocabulary
	added, addedNormalized *addedTokens
	normalizers            []normalizer
	pre                    hfPreTokenizer
	unigram                *unigram[float64] // one of these two
	bpe                    *bpe
	words                  pieceCache // of unigram
	text                   [][]byte   // by id; what Decode makes of it
	trim                   bool       // Decode drops a space in front

	data        []byte // the file
	fingerprint string
	scratches   sync.Pool
}

type hfScratch struct {
	a, b, word mapped
	lattice    lattice[float64]
}

// parseHF reads a tokenizer.json.
func parseHF(data []byte) (*hfTokenizer, error) {
	var f hfFile
	if err := jsonx.UnmarshalStrict(data, &f); err != nil {
		return nil, err
	}
	t := &hfTokenizer{data: data}
	t.scratches.New = func() any { return new(hfScratch) }
	var err error
	if t.pre, err = parsePreTokenizer(f.PreTokenizer); err != nil {
		return nil, err
	}
	if t.normalizers, err = parseNormalizers(f.Normalizer); err != nil {
		return nil, err
	}
	kind, err := f.modelType()
	switch {
	case err != nil:
	case kind == "Unigram" && !t.pre.byteLevel:
		err = t.parseUnigram(&f)
	case kind == "BPE" && t.pre.byteLevel:
		err = t.parseByteLevel(&f)
	default:
		err = fmt.Errorf("model is of type %q; only Unigram without the pre-tokenizer ByteLevel, and BPE with it, "+
			"are supported", kind)
	}
	if err != nil {
		return nil, err
	}
	t.anyRegion = true
	if err := t.splitAdded(f.AddedTokens); err != nil {
		return nil, err
	}
	if err := t.decodeTokens(&f); err != nil {
		return nil, err
	}
	t.fingerprint, err = f.fingerprint()
	return t, err
}

// modelType returns the type of the model, which old files do not tell.
func (f *hfFile) modelType() (string, error) {
	var m struct {
		Type   *string         `json:"type"`
		Merges json.RawMessage `json:"merges"`
	}
	if err := jsonx.Unmarshal(f.Model, &m); err != nil {
		return "", fmt.Errorf("model: %w", err)
	}
	switch {
	case m.Type != nil:
		return *m.Type, nil
	case m.Merges != nil:
		return "BPE", nil
	}
	return "Unigram", nil
}

// parseUnigram reads a Unigram model. Special tokens are no pieces, so that
// their spelling in a text is text.
func (t *hfTokenizer) parseUnigram(f *hfFile) error {
	var m struct {
		Type         string      `json:"type"`
		UnkID        *int32      `json:"unk_id"`
		Vocab        scoredVocab `json:"vocab"`
		ByteFallback bool        `json:"byte_fallback"`
	}
	if err := jsonx.UnmarshalStrict(f.Model, &m); err != nil {
		return fmt.Errorf("model: %w", err)
	}
	if m.UnkID == nil || *m.UnkID < 0 || int(*m.UnkID) >= len(m.Vocab) {
		return errors.New("model.unk_id is not the number of a token")
	}
	entries := make([]vocabEntry, len(m.Vocab))
	for id, e := range m.Vocab {
		entries[id] = vocabEntry{e.token, int64(id)}
	}
	if err := t.addVocabulary(entries, f.AddedTokens); err != nil {
		return err
	}
	u := &unigram[float64]{unk: *m.UnkID, scores: make([]float64, len(m.Vocab))}
	least := m.Vocab[0].score
	var keys []trieKey
	for id, e := range m.Vocab {
		u.scores[id] = e.score
		least = min(least, e.score)
		if !t.special[id] {
			keys = append(keys, trieKey{e.token, int32(id)})
		}
	}
	u.unknown = least - unknownPenalty
	if m.ByteFallback {
		u.bytes = new([256]int32)
		for b := range u.bytes {
			token := fmt.Sprintf("<0x%02X>", b)
			id, ok := t.ids[token]
			if !ok {
				return fmt.Errorf("model.byte_fallback is true, but %s is not in the vocabulary", token)
			}
			u.bytes[b] = id
		}
	}
	var err error
	u.trie, err = newTrie(keys)
	t.unigram, t.words = u, newPieceCache()
	return err
}

// parseByteLevel reads a BPE model on bytes.
func (t *hfTokenizer) parseByteLevel(f *hfFile) error {
	m := model{Type: "BPE"}
	if err := jsonx.UnmarshalStrict(f.Model, &m); err != nil {
		return fmt.Errorf("model: %w", err)
	}
	if err := m.check(); err != nil {
		return err
	}
	if err := t.addVocabulary(m.Vocab, f.AddedTokens); err != nil {
		return err
	}
	merges, err := m.Merges.lookUp(t.tokens)
	if err != nil {
		return err
	}
	single, err := t.byteTokens()
	if err != nil {
		return err
	}
	t.bpe = newBPE(single, merges)
	if len(t.bpe.ranks) != len(merges) {
		return errors.New("model.merges: a merge is listed twice")
	}
	return nil
}

func (t *hfTokenizer) addVocabulary(entries []vocabEntry, added []addedToken) error {
	tokens, special, err := tokensByID(entries, added)
	if err != nil {
		return err
	}
	v, err := newVocabulary(tokens, special)
	if err == nil {
		t.vocabulary = *v
	}
	return err
}

// splitAdded prepares the search for the added tokens.
func (t *hfTokenizer) splitAdded(tokens []addedToken) (err error) {
	var plain, normalized []addedToken
	for _, a := range tokens {
		if !a.Normalized {
			plain = append(plain, a)
			continue
		}
		s := new(hfScratch)
		a.Content = string(t.normalize(s, a.Content, 0, false).text)
		normalized = append(normalized, a)
	}
	if t.added, err = newAddedTokens(plain); err == nil {
		t.addedNormalized, err = newAddedTokens(normalized)
	}
	return err
}

// decodeTokens sets what each token stands for.
func (t *hfTokenizer) decodeTokens(f *hfFile) error {
	d, err := parseDecoder(f.Decoder)
	if err != nil {
		return err
	}
	if d.byteLevel != t.pre.byteLevel {
		return errors.New("of pre_tokenizer and decoder only one is ByteLevel")
	}
	added := map[int]string{} // as normalised
	s := new(hfScratch)
	for _, a := range f.AddedTokens {
		added[int(a.ID)] = a.Content
		if a.Normalized {
			added[int(a.ID)] = string(t.normalize(s, a.Content, 0, false).text)
		}
	}
	t.trim = d.trim
	t.text = make([][]byte, len(t.tokens))
	for id, token := range t.tokens {
		if t.special[id] {
			continue
		}
		content, isAdded := added[id]
		if isAdded {
			token = content
		}
		if t.text[id], err = d.text(token, isAdded); err != nil {
			return fmt.Errorf("token %.100q (id %d) has %w", token, id, err)
		}
	}
	return nil
}

// fingerprint depends on what ids depend on, but not on white space in the file.
func (f *hfFile) fingerprint() (string, error) {
	added, err := json.Marshal(f.AddedTokens)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, part := range [][]byte{added, f.Normalizer, f.PreTokenizer, f.Model} {
		value := jsontext.Value(bytes.Clone(part))
		if len(value) == 0 {
			value = jsontext.Value("null")
		}
		if err := value.Compact(); err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%d ", len(value))
		h.Write(value)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func (t *hfTokenizer) Encode(text string) []int32 {
	return t.AppendEncode(make([]int32, 0, len(text)/4+4), text)
}

func (t *hfTokenizer) AppendEncode(dst []int32, text string) []int32 {
	out := output{ids: dst}
	t.encode(&out, text)
	return out.ids
}

func (t *hfTokenizer) EncodeOffsets(text string) (ids []int32, offsets []int) {
	out := output{track: true}
	t.encode(&out, text)
	return out.offsets(len(text))
}

func (t *hfTokenizer) encode(out *output, text string) {
	s := t.scratches.Get().(*hfScratch)
	var places []int32
	if t.unigram != nil && !utf8.ValidString(text) {
		text, places = validText(text)
	}
	first := len(out.places)
	t.added.split(text, func(lo, hi int) {
		m := t.normalize(s, text[lo:hi], int32(lo), out.track || t.pre.scheme == "first" && lo == 0)
		t.addedNormalized.split(view(m.text), func(lo, hi int) { t.cutSpace(out, s, m, lo, hi) },
			func(id int64, at int) { out.add(int32(id), m.place(at)) })
	}, func(id int64, at int) { out.add(int32(id), int32(at)) })
	if places != nil {
		for i, place := range out.places[first:] {
			out.places[first+i] = places[place]
		}
	}
	if cap(s.a.text) <= maxScratch {
		t.scratches.Put(s)
	}
}

// validText replaces every byte that is not valid UTF-8 by U+FFFD, and returns
// the places in text of the bytes of the result.
func validText(text string) (string, []int32) {
	m := mapped{track: true}
	for at := 0; at < len(text); {
		r, size := decodeRune(text[at:])
		if r < 0 {
			m.add("\ufffd", int32(at))
		} else {
			m.copy(text[at:at+size], int32(at))
		}
		at += size
	}
	return string(m.text), m.from
}

// normalize returns the normalised form of a text that begins at a place.
func (t *hfTokenizer) normalize(s *hfScratch, text string, at int32, track bool) *mapped {
	in, out := &s.a, &s.b
	in.reset(track)
	in.copy(text, at)
	for _, n := range t.normalizers {
		out.reset(track)
		n.normalize(out, in)
		in, out = out, in
	}
	return in
}

// cutSpace encodes the bytes lo to hi of m.
func (t *hfTokenizer) cutSpace(out *output, s *hfScratch, m *mapped, lo, hi int) {
	if !t.pre.cutSpace {
		t.cutWords(out, s, m, lo, hi)
		return
	}
	text := view(m.text[:hi])
	for lo < hi {
		n := strings.IndexFunc(text[lo:], unicode.IsSpace)
		if n < 0 {
			n = hi - lo
		}
		if n > 0 {
			t.cutWords(out, s, m, lo, lo+n)
		}
		lo += n
		lo = hi - len(strings.TrimLeftFunc(text[lo:], unicode.IsSpace))
	}
}

func (t *hfTokenizer) cutWords(out *output, s *hfScratch, m *mapped, lo, hi int) {
	if lo == hi {
		return
	}
	if t.pre.byteLevel {
		t.byteLevel(out, s, m, lo, hi)
		return
	}
	space := t.pre.space
	if space == "" {
		t.word(out, s, m, lo, hi)
		return
	}
	w := &s.word
	w.reset(m.track)
	text := view(m.text[lo:hi])
	if t.pre.scheme == "always" || t.pre.scheme == "first" && m.track && m.from[lo] == 0 {
		if text[0] != ' ' && !strings.HasPrefix(text, space) {
			w.add(space, m.place(lo))
		}
	}
	for {
		n := strings.IndexByte(text, ' ')
		if n < 0 {
			break
		}
		w.slice(m, lo, lo+n)
		w.add(space, m.place(lo+n))
		text, lo = text[n+1:], lo+n+1
	}
	w.slice(m, lo, hi)
	whole := view(w.text)
	for lo := 0; lo < len(whole); {
		hi := len(whole)
		if t.pre.cutWords {
			_, size := utf8.DecodeRuneInString(whole[lo:])
			if n := strings.Index(whole[lo+size:], space); n >= 0 {
				hi = lo + size + n
			}
		}
		t.word(out, s, w, lo, hi)
		lo = hi
	}
}

// word encodes one word by the Unigram model.
func (t *hfTokenizer) word(out *output, s *hfScratch, m *mapped, lo, hi int) {
	if out.track || hi-lo > maxCached {
		t.unigram.encode(out, &s.lattice, m, lo, hi)
		return
	}
	word := view(m.text[lo:hi])
	slot := t.words.slot(word)
	if c := slot.Load(); c != nil && c.piece == word {
		out.ids = append(out.ids, c.ids...)
		return
	}
	first := len(out.ids)
	t.unigram.encode(out, &s.lattice, m, lo, hi)
	slot.Store(&cached{strings.Clone(word), append([]int32(nil), out.ids[first:]...)})
}

// byteLevel encodes a text by the BPE model.
func (t *hfTokenizer) byteLevel(out *output, s *hfScratch, m *mapped, lo, hi int) {
	if t.pre.prefixSpace && m.text[lo] != ' ' {
		s.word.reset(m.track)
		s.word.add(" ", m.place(lo))
		s.word.slice(m, lo, hi)
		m, lo, hi = &s.word, 0, hi-lo+1
	}
	first := len(out.ids)
	for text := view(m.text[lo:hi]); text != ""; {
		n := gpt2PieceLen(text)
		out.ids = t.bpe.appendPiece(out.ids, text[:n])
		text = text[n:]
	}
	if !out.track {
		return
	}
	for _, id := range out.ids[first:] {
		out.places = append(out.places, m.from[lo])
		lo += len(t.text[id])
	}
}

func (t *hfTokenizer) Decode(ids []int32) string {
	return replaceInvalid(string(t.DecodeBytes(ids)))
}

func (t *hfTokenizer) DecodeBytes(ids []int32) []byte {
	out := []byte{}
	first := t.trim
	for _, id := range ids {
		if id < 0 || int(id) >= len(t.text) || t.special[id] {
			continue
		}
		text := t.text[id]
		if first {
			text = bytes.TrimPrefix(text, []byte(" "))
			first = false
		}
		out = append(out, text...)
	}
	return out
}

func (t *hfTokenizer) Fingerprint() string { return t.fingerprint }

func (t *hfTokenizer) FileName() string { return jsonName }

// WriteTo writes the file as it was read.
func (t *hfTokenizer) WriteTo(w io.Writer) (int64, error) {
	n, err := w.Write(t.data)
	if err != nil {
		err = fmt.Errorf("tokenizer: write: %w", err)
	}
	return int64(n), err
}

func (t *hfTokenizer) Save(path string) error { return save(t, path) }
