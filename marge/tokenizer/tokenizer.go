// Package tokenizer turns text into token ids and back: a byte-level byte-pair
// encoding whose vocabulary is trained on a corpus and kept in the
// tokenizer.json of Hugging Face.
//
// Every one of the 256 bytes is a token, so that any text is encoded without
// loss and no token stands for unknown text. The ids are those that the Python
// package `tokenizers` gives for the same file, with one exception: there, the
// spelling of a special token inside a text ("</s>", "de_XX") becomes that
// special token unless encode_special_tokens is set (split_special_tokens in
// transformers); here, text is always text.
package tokenizer

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Ids of the special tokens <s>, <pad>, </s> and <unk>. <unk> is there because
// programs that read tokenizer.json expect it; no text is encoded as it.
const (
	BOS = 0
	Pad = 1
	EOS = 2
	Unk = 3
)

// Tokenizer encodes and decodes text. It is safe for concurrent use.
type Tokenizer struct {
	tokens    []string         // by id, as spelled in tokenizer.json
	ids       map[string]int32 // the inverse
	special   []bool           // by id
	text      [][]byte         // by id; nil for special tokens
	languages []language       // in order of ids
	bpe       *bpe

	// postProcessor is kept from a loaded file for Save. Encode adds no
	// special tokens, so it has no other use here.
	postProcessor []byte
}

type language struct {
	tag string
	id  int32
}

// byteAlphabet lists, in order, the characters that byte-level vocabularies
// spell the 256 bytes with (GPT-2's convention): printable bytes of Latin-1 as
// themselves, the others as the characters from U+0100 on. runeOfByte and
// byteOfRune translate.
var (
	byteAlphabet []rune
	runeOfByte   [256]rune
	byteOfRune   = map[rune]byte{}
)

func init() {
	shifted := rune(0x100)
	for b := range 256 {
		r := rune(b)
		if !(b >= '!' && b <= '~' || b >= 0xa1 && b <= 0xac || b >= 0xae) {
			r = shifted
			shifted++
		}
		byteAlphabet = append(byteAlphabet, r)
		runeOfByte[b] = r
		byteOfRune[r] = byte(b)
	}
	slices.Sort(byteAlphabet)
}

// newTokenizer checks and builds a tokenizer from its tokens by id, the
// spellings of the special ones among them, and the merges by rank.
func newTokenizer(tokens, special []string, merges []merge) (*Tokenizer, error) {
	t := &Tokenizer{
		tokens:  tokens,
		ids:     make(map[string]int32, len(tokens)),
		special: make([]bool, len(tokens)),
		text:    make([][]byte, len(tokens)),
	}
	for id, token := range tokens {
		if other, ok := t.ids[token]; ok {
			return nil, fmt.Errorf("token %.100q has two ids, %d and %d", token, other, id)
		}
		t.ids[token] = int32(id)
	}
	for _, token := range special {
		t.special[t.ids[token]] = true
	}
	for id, want := range []string{BOS: "<s>", Pad: "<pad>", EOS: "</s>", Unk: "<unk>"} {
		if id >= len(tokens) || tokens[id] != want || !t.special[id] {
			return nil, fmt.Errorf("id %d must be the special token %s", id, want)
		}
	}
	for id, token := range tokens {
		if t.special[id] {
			if tag, ok := languageOfToken(token); ok {
				t.languages = append(t.languages, language{tag, int32(id)})
			}
			continue
		}
		text := make([]byte, 0, len(token))
		for _, r := range token {
			b, ok := byteOfRune[r]
			if !ok {
				return nil, fmt.Errorf("token %.100q (id %d) has the character %q, which stands for no byte", token, id, r)
			}
			text = append(text, b)
		}
		if len(text) == 0 {
			return nil, fmt.Errorf("token with id %d is empty", id)
		}
		t.text[id] = text
	}
	var bytes [256]int32
	for b, r := range runeOfByte {
		id, ok := t.ids[string(r)]
		if !ok || t.special[id] {
			return nil, fmt.Errorf("byte %#02x (token %q) is not in the vocabulary", b, r)
		}
		bytes[b] = id
	}
	t.bpe = newBPE(bytes, merges)
	if len(t.bpe.ranks) != len(merges) {
		return nil, errors.New("a merge is listed twice")
	}
	return t, nil
}

// Encode returns the ids of text. It adds no special tokens, and never gives
// the id of one. Bytes that are not valid UTF-8 are encoded as they are.
func (t *Tokenizer) Encode(text string) []int32 {
	return t.AppendEncode(make([]int32, 0, len(text)/4+4), text)
}

// AppendEncode appends the ids of text to dst, as Encode, and returns the
// extended slice.
func (t *Tokenizer) AppendEncode(dst []int32, text string) []int32 {
	for len(text) > 0 {
		n := pieceLen(text)
		dst = t.bpe.appendPiece(dst, text[:n])
		text = text[n:]
	}
	return dst
}

// Decode returns the text of ids, without special tokens and without ids that
// are not in the vocabulary. The inverse of Encode on valid UTF-8. Bytes that
// are not (ids may be cut in the middle of a character) become U+FFFD, one for
// each longest beginning of a character, as in the Unicode standard, section
// 3.9, and in `tokenizers`; DecodeBytes keeps them.
func (t *Tokenizer) Decode(ids []int32) string {
	return replaceInvalid(string(t.DecodeBytes(ids)))
}

// DecodeBytes returns the bytes of ids, without special tokens and without ids
// that are not in the vocabulary. It is the inverse of Encode on any string.
func (t *Tokenizer) DecodeBytes(ids []int32) []byte {
	out := []byte{}
	for _, id := range ids {
		if id >= 0 && int(id) < len(t.text) {
			out = append(out, t.text[id]...)
		}
	}
	return out
}

// replaceInvalid replaces every maximal subpart of an ill-formed sequence by
// U+FFFD. (strings.ToValidUTF8 makes one of a whole run.)
func replaceInvalid(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var out strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 {
			for n < len(s) && !utf8.FullRuneInString(s[:n+1]) {
				n++
			}
		}
		out.WriteRune(r)
		s = s[n:]
	}
	return out.String()
}

// VocabSize returns the number of tokens; ids are below it.
func (t *Tokenizer) VocabSize() int { return len(t.tokens) }

// Token returns the token of id as it is spelled in tokenizer.json, where
// "Ġthe" stands for " the". An id outside of the vocabulary gives "".
func (t *Tokenizer) Token(id int32) string {
	if id < 0 || int(id) >= len(t.tokens) {
		return ""
	}
	return t.tokens[id]
}

// ID returns the id of a token spelled as in tokenizer.json, special tokens
// included.
func (t *Tokenizer) ID(token string) (id int32, ok bool) {
	id, ok = t.ids[token]
	return id, ok
}

// IsSpecial reports whether id is a special token: one of <s>, <pad>, </s> and
// <unk>, a language token, or another that the loaded file declares.
func (t *Tokenizer) IsSpecial(id int32) bool {
	return id >= 0 && int(id) < len(t.special) && t.special[id]
}

// Fingerprint returns a hash, in hexadecimal, of all that the ids of a text
// depend on: the tokens, which of them are special, and the merges. It does
// not depend on how a file spells them.
func (t *Tokenizer) Fingerprint() string {
	h := sha256.New()
	var b []byte
	flush := func() {
		h.Write(b)
		b = b[:0]
	}
	b = binary.AppendUvarint(append(b, splitPattern...), uint64(len(t.tokens)))
	for id, token := range t.tokens {
		b = binary.AppendUvarint(b, uint64(len(token)))
		b = append(b, token...)
		b = strconv.AppendBool(b, t.special[id])
		flush()
	}
	for _, m := range t.bpe.merges {
		b = binary.LittleEndian.AppendUint64(b, uint64(m.pair))
		b = binary.LittleEndian.AppendUint32(b, uint32(m.id))
		flush()
	}
	flush()
	return hex.EncodeToString(h.Sum(nil))
}
