package tokenizer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/marge-go/marge/internal/jsonx"
	"github.com/marge-go/marge/internal/osfile"
)

// What a tokenizer.json may have, so that a hostile one takes bounded memory.
// The largest vocabularies in use have a million tokens.
const (
	maxFileBytes = 512 << 20
	maxTokens    = 2 << 20
	maxMerges    = 4 << 20
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
	Vocab         vocabObject `json:"vocab"`
	Merges        mergeRules  `json:"merges"`
}

// mergeRule is a pair of tokens, written ["a", "b"], by older versions of
// `tokenizers` "a b".
type mergeRule [2]string

func (m *mergeRule) parse(data jsontext.Value) error {
	if data.Kind() == '"' {
		var s string
		if err := jsonx.Unmarshal(data, &s); err != nil {
			return err
		}
		left, right, ok := strings.Cut(s, " ")
		if !ok || strings.Contains(right, " ") {
			return fmt.Errorf("merge %.200q is not two tokens with a space between", s)
		}
		*m = mergeRule{left, right}
		return nil
	}
	var tokens []string
	if err := jsonx.Unmarshal(data, &tokens); err != nil {
		return err
	}
	if len(tokens) != 2 {
		return fmt.Errorf("a merge has %d tokens, want two tokens", len(tokens))
	}
	*m = mergeRule(tokens)
	return nil
}

// mergeRules are bounded while they are read.
type mergeRules []mergeRule

func (m *mergeRules) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	*m = nil
	return elements(d, '[', func() error {
		if len(*m) == maxMerges {
			return fmt.Errorf("has more than %d merges", maxMerges)
		}
		data, err := d.ReadValue()
		if err != nil {
			return err
		}
		var rule mergeRule
		if err := rule.parse(data); err != nil {
			return fmt.Errorf("merge %d: %w", len(*m), err)
		}
		*m = append(*m, rule)
		return nil
	})
}

// vocabObject is the JSON object from token to id, in the order of the file.
type vocabObject []vocabEntry

type vocabEntry struct {
	token string
	id    int64
}

func (v vocabObject) MarshalJSON() ([]byte, error) {
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

func (v *vocabObject) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	*v = nil
	return elements(d, '{', func() error {
		if len(*v) == maxTokens {
			return fmt.Errorf("has more than %d tokens", maxTokens)
		}
		token, err := d.ReadToken()
		if err != nil {
			return err
		}
		e := vocabEntry{token: token.String()}
		value, err := d.ReadValue()
		if err != nil {
			return err
		}
		if e.id, err = strconv.ParseInt(string(value), 10, 64); err != nil {
			return fmt.Errorf("id of %.200q is %.200s", e.token, value)
		}
		*v = append(*v, e)
		return nil
	})
}

// elements reads an array or object, as open tells, whose elements one reads.
func elements(d *jsontext.Decoder, open jsontext.Kind, one func() error) error {
	if kind := d.PeekKind(); kind > 0 && kind != open {
		return fmt.Errorf("is %v, want %v", kind, open)
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for d.PeekKind() != ']' && d.PeekKind() != '}' {
		if err := one(); err != nil {
			return err
		}
	}
	_, err := d.ReadToken()
	return err
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
		`"single":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}},` +
		`{"SpecialToken":{"id":"</s>","type_id":0}}],` +
		`"pair":[{"SpecialToken":{"id":"<s>","type_id":0}},{"Sequence":{"id":"A","type_id":0}},` +
		`{"SpecialToken":{"id":"</s>","type_id":0}},` +
		`{"Sequence":{"id":"B","type_id":0}},{"SpecialToken":{"id":"</s>","type_id":0}}],` +
		`"special_tokens":{"</s>":{"id":"</s>","ids":[2],"tokens":["</s>"]},"<s>":{"id":"<s>","ids":[0],"tokens":["<s>"]}}}`)
	decoder = json.RawMessage(`{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true}`)
	null    = json.RawMessage(`null`)
)

// WriteTo writes the tokenizer as a tokenizer.json that `tokenizers` loads,
// byte for byte as that package would write it. A document of an encoder is
// `<s> tokens </s>` there (post_processor).
func (t *BPE) WriteTo(w io.Writer) (int64, error) {
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
		Model:         model{Type: "BPE", UnkToken: &unk, Merges: mergeRules{}},
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

func (t *BPE) Save(path string) error { return save(t, path) }

// save writes the file of t to path.
func save(t Tokenizer, path string) error {
	err := osfile.Replace(path, func(f *os.File) error {
		_, err := t.WriteTo(f)
		return err
	})
	if err != nil {
		return fmt.Errorf("tokenizer: save %s: %w", path, err)
	}
	return nil
}

func (t *BPE) FileName() string { return jsonName }
