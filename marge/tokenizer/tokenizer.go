// Package tokenizer turns text into token ids and back. It trains byte-level
// byte-pair encodings, and loads the vocabularies of models that exist: the
// tokenizer.json of Hugging Face (Unigram, and byte-level BPE as GPT-2 and
// RoBERTa have it), the vocab.json and merges.txt of the latter, and the models
// of SentencePiece.
//
// The ids are those that the Python packages `tokenizers` and `sentencepiece`
// give for the same file, with one exception: in `tokenizers`, the spelling of a
// special token inside a text ("</s>", "de_XX") becomes that special token; here,
// as in SentencePiece, text is always text. Added tokens that are not special,
// and the user-defined symbols of SentencePiece, are found in text.
package tokenizer

import (
	"fmt"
	"io"
)

// Tokenizer encodes and decodes text. It is safe for concurrent use.
type Tokenizer interface {
	// Encode returns the ids of text. It adds no special tokens, and never
	// gives the id of one, except <unk> for text that a vocabulary without
	// all bytes cannot spell.
	Encode(text string) []int32
	// AppendEncode appends the ids of text to dst, as Encode, and returns the
	// extended slice.
	AppendEncode(dst []int32, text string) []int32
	// EncodeOffsets is Encode with the place of each token: token i is made of
	// the bytes offsets[i] to offsets[i+1] of the text as it was given. What
	// normalisation drops belongs to the token before. There is one offset more
	// than there are tokens.
	EncodeOffsets(text string) (ids []int32, offsets []int)
	// Decode returns the text of ids, without special tokens and without ids
	// that are not in the vocabulary. What is not valid UTF-8 (ids may be cut
	// in the middle of a character) becomes U+FFFD.
	Decode(ids []int32) string
	// DecodeBytes is Decode that keeps bytes that are not valid UTF-8. What it
	// returns for the first of some ids is the beginning of what it returns
	// for all.
	DecodeBytes(ids []int32) []byte

	// VocabSize returns the number of tokens; ids are below it.
	VocabSize() int
	// Token returns the token of id as the file spells it, where "Ġthe" or
	// "▁the" may stand for " the". An id outside of the vocabulary gives "".
	Token(id int32) string
	// ID returns the id of a token spelled as in the file, special tokens
	// included.
	ID(token string) (id int32, ok bool)
	// IsSpecial reports whether id is a special token: one that stands for no
	// text, such as <s> or a language token.
	IsSpecial(id int32) bool

	// LanguageToken returns the id of the token of a language, given as a BCP
	// 47 tag in any spelling.
	LanguageToken(lang string) (int32, error)
	// CheckLanguages returns an error that names all of the languages that
	// have no LanguageToken, or nil.
	CheckLanguages(langs []string) error
	// Languages returns the canonical BCP 47 tags of the languages that have a
	// token, in the order of their ids.
	Languages() []string

	// Fingerprint returns a hash, in hexadecimal, of all that the ids of a
	// text depend on.
	Fingerprint() string
	// FileName is the name that programs expect the file of WriteTo to have.
	FileName() string
	// WriteTo writes a file that Load reads as the same tokenizer.
	WriteTo(w io.Writer) (int64, error)
	// Save writes the file of WriteTo to path, replacing what is there only
	// when the new file is complete.
	Save(path string) error
}

// Ids of the special tokens <s>, <pad>, </s> and <unk> in the vocabularies that
// Train makes, and in those of mBART, XLM-R and RoBERTa. CheckSpecial tells
// whether a tokenizer has them.
const (
	BOS = 0
	Pad = 1
	EOS = 2
	Unk = 3
)

// CheckSpecial returns an error unless the ids BOS, Pad, EOS and Unk are those
// of the special tokens <s>, <pad>, </s> and <unk>.
func CheckSpecial(t Tokenizer) error {
	for id, want := range []string{BOS: "<s>", Pad: "<pad>", EOS: "</s>", Unk: "<unk>"} {
		if t.Token(int32(id)) != want || !t.IsSpecial(int32(id)) {
			return fmt.Errorf("id %d must be the special token %s", id, want)
		}
	}
	return nil
}

// vocabulary has the tokens of a tokenizer.
type vocabulary struct {
	tokens    []string         // by id, as the file spells them
	ids       map[string]int32 // the inverse
	special   []bool           // by id
	languages []language       // in order of ids

	// anyRegion lets a language have the token of one of its regions.
	anyRegion bool
}

type language struct {
	tag string
	id  int32
}

// newVocabulary makes a vocabulary of tokens by id; special are the spellings of
// the special ones, which must be among the tokens.
func newVocabulary(tokens, special []string) (*vocabulary, error) {
	v := &vocabulary{tokens: tokens, ids: make(map[string]int32, len(tokens)), special: make([]bool, len(tokens))}
	for id, token := range tokens {
		if token == "" {
			return nil, fmt.Errorf("token with id %d is empty", id)
		}
		if other, ok := v.ids[token]; ok {
			return nil, fmt.Errorf("token %.100q has two ids, %d and %d", token, other, id)
		}
		v.ids[token] = int32(id)
	}
	for _, token := range special {
		v.special[v.ids[token]] = true
	}
	for id, token := range tokens {
		if tag, ok := languageOfToken(token); ok && v.special[id] {
			v.languages = append(v.languages, language{tag, int32(id)})
		}
	}
	return v, nil
}

func (v *vocabulary) VocabSize() int { return len(v.tokens) }

func (v *vocabulary) Token(id int32) string {
	if id < 0 || int(id) >= len(v.tokens) {
		return ""
	}
	return v.tokens[id]
}

func (v *vocabulary) ID(token string) (id int32, ok bool) {
	id, ok = v.ids[token]
	return id, ok
}

func (v *vocabulary) IsSpecial(id int32) bool {
	return id >= 0 && int(id) < len(v.special) && v.special[id]
}
