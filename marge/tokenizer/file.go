package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// file is the structure of tokenizer.json.
type file struct {
	Version       string          `json:"version"`
	Truncation    json.RawMessage `json:"truncation"`
	Padding       json.RawMessage `json:"padding"`
	AddedTokens   []addedToken    `json:"added_tokens"`
	Normalizer    json.RawMessage `json:"normalizer"`
	PreTokenizer  json.RawMessage `json:"pre_tokenizer"`
	PostProcessor json.RawMessage `json:"post_processor"`
	Decoder       json.RawMessage `json:"decoder"`
	Model         model           `json:"model"`
}

type addedToken struct {
	ID         int64  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

type model struct {
	Type          string      `json:"type"`
	Dropout       *float64    `json:"dropout"`
	UnkToken      *string     `json:"unk_token"`
	SubwordPrefix *string     `json:"continuing_subword_prefix"`
	WordSuffix    *string     `json:"end_of_word_suffix"`
	FuseUnk       bool        `json:"fuse_unk"`
	ByteFallback  bool        `json:"byte_fallback"`
	IgnoreMerges  bool        `json:"ignore_merges"`
	Vocab         vocabulary  `json:"vocab"`
	Merges        []mergeRule `json:"merges"`
}

// mergeRule is a pair of tokens, written ["a", "b"], by older versions of
// `tokenizers` "a b".
type mergeRule [2]string

func (m *mergeRule) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '"' {
		var s string
		if err := json.Unmarshal(data, &s); err != nil {
			return err
		}
		left, right, ok := strings.Cut(s, " ")
		if !ok || strings.Contains(right, " ") {
			return fmt.Errorf("merge %q is not two tokens with a space between", s)
		}
		*m = mergeRule{left, right}
		return nil
	}
	var tokens []string
	if err := json.Unmarshal(data, &tokens); err != nil {
		return err
	}
	if len(tokens) != 2 {
		return fmt.Errorf("merge %q is not two tokens", tokens)
	}
	*m = mergeRule(tokens)
	return nil
}

// vocabulary is the JSON object from token to id, in the order of the file. A
// Go map would hide a token that is there twice.
type vocabulary []vocabEntry

type vocabEntry struct {
	token string
	id    int64
}

func (v vocabulary) MarshalJSON() ([]byte, error) {
	out := []byte{'{'}
	for i, e := range v {
		if i > 0 {
			out = append(out, ',')
		}
		key, err := marshal(e.token)
		if err != nil {
			return nil, err
		}
		out = append(append(out, key...), ':')
		out = strconv.AppendInt(out, e.id, 10)
	}
	return append(out, '}'), nil
}

func (v *vocabulary) UnmarshalJSON(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	open, err := d.Token()
	if err != nil {
		return err
	}
	if open != json.Delim('{') {
		return errors.New("model.vocab is not an object")
	}
	*v = nil
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		token := key.(string)
		var id *int64
		if err := d.Decode(&id); err != nil {
			return fmt.Errorf("model.vocab: id of %q: %w", token, err)
		}
		if id == nil {
			return fmt.Errorf("model.vocab: id of %q is null", token)
		}
		*v = append(*v, vocabEntry{token, *id})
	}
	return nil
}

// marshal is json.Marshal without the escapes that are meant for HTML.
func marshal(v any) ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), nil
}

// The components of the one kind of tokenizer that this package implements, as
// `tokenizers` writes them.
var (
	preTokenizer = json.RawMessage(`{"type":"Sequence","pretokenizers":[` +
		`{"type":"Split","pattern":{"Regex":` + strconv.Quote(splitPattern) + `},"behavior":"Isolated","invert":false},` +
		`{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false}]}`)
	postProcessor = json.RawMessage(`{"type":"TemplateProcessing",` +
		`"single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"</s>","type_id":0}}],` +
		`"pair":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}},{"SpecialToken":{"id":"</s>","type_id":0}},` +
		`{"Sequence":{"id":"B","type_id":0}},{"SpecialToken":{"id":"</s>","type_id":0}}],` +
		`"special_tokens":{"</s>":{"id":"</s>","ids":[2],"tokens":["</s>"]},"<s>":{"id":"<s>","ids":[0],"tokens":["<s>"]}}}`)
	decoder = json.RawMessage(`{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true}`)
	null    = json.RawMessage(`null`)
)

// WriteTo writes the tokenizer as a tokenizer.json that `tokenizers` loads,
// byte for byte as that package would write it. A document of an encoder is
// `<s> tokens </s>` there (post_processor).
func (t *Tokenizer) WriteTo(w io.Writer) (int64, error) {
	unk := t.tokens[Unk]
	f := file{
		Version:       "1.0",
		Truncation:    null,
		Padding:       null,
		AddedTokens:   []addedToken{},
		Normalizer:    null,
		PreTokenizer:  preTokenizer,
		PostProcessor: postProcessor,
		Decoder:       decoder,
		Model:         model{Type: "BPE", UnkToken: &unk, Merges: []mergeRule{}},
	}
	if t.postProcessor != nil {
		f.PostProcessor = t.postProcessor
	}
	for id, token := range t.tokens {
		f.Model.Vocab = append(f.Model.Vocab, vocabEntry{token, int64(id)})
		if t.special[id] {
			f.AddedTokens = append(f.AddedTokens, addedToken{ID: int64(id), Content: token, Special: true})
		}
	}
	for _, m := range t.bpe.merges {
		f.Model.Merges = append(f.Model.Merges, mergeRule{t.tokens[m.pair.left()], t.tokens[m.pair.right()]})
	}
	compact, err := marshal(f)
	if err != nil {
		return 0, fmt.Errorf("tokenizer: write: %w", err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, compact, "", "  "); err != nil {
		return 0, fmt.Errorf("tokenizer: write: %w", err)
	}
	n, err := out.WriteTo(w)
	if err != nil {
		return n, fmt.Errorf("tokenizer: write: %w", err)
	}
	return n, nil
}

// Save writes the file of WriteTo to path, replacing what is there only when
// the new file is complete.
func (t *Tokenizer) Save(path string) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("tokenizer: save: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
			err = fmt.Errorf("tokenizer: save %s: %w", path, err)
		}
	}()
	if _, err := t.WriteTo(f); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
