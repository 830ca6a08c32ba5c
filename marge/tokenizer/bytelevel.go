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

// BPE is the tokenizer that Train makes: a byte-level byte-pair encoding. Every
// one of the 256 bytes is a token, so that any text is encoded without loss and
// no token stands for unknown text.
type BPE struct {
	vocabulary
	text [][]byte // by id; nil for special tokens
	bpe  *bpe

	// postProcessor is kept from a loaded file for Save. Encode adds no
	// special tokens, so it has no other use here.
	postProcessor []byte
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

// newBPETokenizer checks and builds a tokenizer from its tokens by id, the
// spellings of the special ones among them, and the merges by rank.
func newBPETokenizer(tokens, special []string, merges []merge) (*BPE, error) {
	v, err := newVocabulary(tokens, special)
	if err != nil {
		return nil, err
	}
	t := &BPE{vocabulary: *v, text: make([][]byte, len(tokens))}
	if err := CheckSpecial(t); err != nil {
		return nil, err
	}
	for id, token := range tokens {
		if t.special[id] {
			continue
		}
		text, err := bytesOfToken(token)
		if err != nil {
			return nil, fmt.Errorf("token %.100q (id %d) has %w", token, id, err)
		}
		t.text[id] = text
	}
	bytes, err := v.byteTokens()
	if err != nil {
		return nil, err
	}
	t.bpe = newBPE(bytes, merges)
	if len(t.bpe.ranks) != len(merges) {
		return nil, errors.New("a merge is listed twice")
	}
	return t, nil
}

// bytesOfToken returns the bytes that a token of a byte-level vocabulary spells.
func bytesOfToken(token string) ([]byte, error) {
	text := make([]byte, 0, len(token))
	for _, r := range token {
		b, ok := byteOfRune[r]
		if !ok {
			return nil, fmt.Errorf("the character %q, which stands for no byte", r)
		}
		text = append(text, b)
	}
	return text, nil
}

// byteTokens returns the ids of the tokens of one byte in a byte-level
// vocabulary.
func (v *vocabulary) byteTokens() (bytes [256]int32, err error) {
	for b, r := range runeOfByte {
		id, ok := v.ids[string(r)]
		if !ok || v.special[id] {
			return bytes, fmt.Errorf("byte %#02x (token %q) is not in the vocabulary", b, r)
		}
		bytes[b] = id
	}
	return bytes, nil
}

// Encode returns the ids of text. It adds no special tokens, and never gives
// the id of one. Bytes that are not valid UTF-8 are encoded as they are.
func (t *BPE) Encode(text string) []int32 {
	return t.AppendEncode(make([]int32, 0, len(text)/4+4), text)
}

// AppendEncode appends the ids of text to dst, as Encode, and returns the
// extended slice.
func (t *BPE) AppendEncode(dst []int32, text string) []int32 {
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
func (t *BPE) Decode(ids []int32) string {
	return replaceInvalid(string(t.DecodeBytes(ids)))
}

// DecodeBytes returns the bytes of ids, without special tokens and without ids
// that are not in the vocabulary. It is the inverse of Encode on any string.
func (t *BPE) DecodeBytes(ids []int32) []byte {
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

// Fingerprint returns a hash, in hexadecimal, of all that the ids of a text
// depend on: the tokens, which of them are special, and the merges. It does
// not depend on how a file spells them.
func (t *BPE) Fingerprint() string {
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
