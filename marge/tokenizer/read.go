package tokenizer

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/marge-go/marge/internal/jsonx"
)

// parseBPE reads a tokenizer.json as Save writes it, or as `tokenizers` writes
// one of the same kind: byte-level BPE on the pieces of this package, <s>,
// <pad>, </s> and <unk> at ids 0 to 3, every byte in the vocabulary and no id
// left out. A file that asks for anything else is an error.
func parseBPE(data []byte) (*BPE, error) {
	var f file
	if err := jsonx.UnmarshalStrict(data, &f); err != nil {
		return nil, err
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	tokens, special, err := tokensByID(f.Model.Vocab, f.AddedTokens)
	if err != nil {
		return nil, err
	}
	merges, err := f.Model.Merges.lookUp(tokens)
	if err != nil {
		return nil, err
	}
	t, err := newBPETokenizer(tokens, special, merges)
	if err != nil {
		return nil, err
	}
	t.postProcessor = f.PostProcessor
	return t, nil
}

// check reports whether the components of the file are the ones that this
// package implements.
func (f *file) check() error {
	for _, part := range []struct {
		name  string
		value json.RawMessage
	}{
		{"truncation", f.Truncation},
		{"padding", f.Padding},
		{"normalizer", f.Normalizer},
	} {
		if !isNull(part.value) {
			return fmt.Errorf("%s is %.200s; only null is supported", part.name, part.value)
		}
	}
	if err := checkPreTokenizer(f.PreTokenizer); err != nil {
		return err
	}
	if kind, err := componentType("decoder", f.Decoder); err != nil {
		return err
	} else if kind != "ByteLevel" {
		return fmt.Errorf("decoder is of type %q; only ByteLevel is supported", kind)
	}
	if !isNull(f.PostProcessor) {
		if _, err := componentType("post_processor", f.PostProcessor); err != nil {
			return err
		}
	}
	for _, a := range f.AddedTokens {
		if !a.Special {
			return fmt.Errorf("added_tokens: token %.100q is not special; only special ones are supported", a.Content)
		}
		if a.SingleWord || a.LStrip || a.RStrip {
			return fmt.Errorf("added_tokens: token %.100q has single_word, lstrip or rstrip, which is not supported", a.Content)
		}
	}
	return f.Model.check()
}

// check reports whether a byte-level BPE model asks for what is implemented.
func (m *model) check() error {
	set := func(s *string) bool { return s != nil && *s != "" }
	switch {
	case m.Type != "BPE":
		return fmt.Errorf("model is of type %q; only BPE is supported", m.Type)
	case m.Dropout != nil && *m.Dropout != 0:
		return fmt.Errorf("model.dropout is %v; only null is supported", *m.Dropout)
	case set(m.SubwordPrefix):
		return fmt.Errorf("model.continuing_subword_prefix is %q; only null is supported", *m.SubwordPrefix)
	case set(m.WordSuffix):
		return fmt.Errorf("model.end_of_word_suffix is %q; only null is supported", *m.WordSuffix)
	case m.ByteFallback:
		return errors.New("model.byte_fallback is true; only false is supported (every byte is in a byte-level vocabulary)")
	case m.IgnoreMerges:
		return errors.New("model.ignore_merges is true; only false is supported")
	}
	return nil
}

func isNull(value json.RawMessage) bool { return value == nil || string(value) == "null" }

func componentType(name string, value json.RawMessage) (string, error) {
	var component struct {
		Type string `json:"type"`
	}
	if err := jsonx.Unmarshal(value, &component); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	return component.Type, nil
}

// checkPreTokenizer accepts a Sequence of Split by splitPattern and of
// ByteLevel without a pattern of its own.
func checkPreTokenizer(value json.RawMessage) error {
	var sequence struct {
		Type          string            `json:"type"`
		Pretokenizers []json.RawMessage `json:"pretokenizers"`
	}
	if isNull(value) {
		return errors.New("pre_tokenizer is null; only a Sequence of Split and ByteLevel is supported")
	}
	if err := jsonx.Unmarshal(value, &sequence); err != nil {
		return fmt.Errorf("pre_tokenizer: %w", err)
	}
	var kinds []string
	for _, part := range sequence.Pretokenizers {
		kind, err := componentType("pre_tokenizer", part)
		if err != nil {
			return err
		}
		kinds = append(kinds, kind)
	}
	if sequence.Type != "Sequence" || len(kinds) != 2 || kinds[0] != "Split" || kinds[1] != "ByteLevel" {
		return fmt.Errorf("pre_tokenizer is of type %s %q; only a Sequence of Split and ByteLevel is supported",
			sequence.Type, kinds)
	}
	var split struct {
		Pattern struct {
			Regex string
		} `json:"pattern"`
		Behavior string `json:"behavior"`
		Invert   bool   `json:"invert"`
	}
	if err := jsonx.Unmarshal(sequence.Pretokenizers[0], &split); err != nil {
		return fmt.Errorf("pre_tokenizer: Split: %w", err)
	}
	if split.Pattern.Regex != splitPattern {
		return fmt.Errorf("pre_tokenizer: Split pattern is %q; only Regex %q is supported", split.Pattern.Regex,
			splitPattern)
	}
	if split.Behavior != "Isolated" || split.Invert {
		return fmt.Errorf("pre_tokenizer: Split has behavior %q and invert %t; only Isolated and false are supported",
			split.Behavior, split.Invert)
	}
	// Both default to true.
	var byteLevel struct {
		AddPrefixSpace *bool `json:"add_prefix_space"`
		UseRegex       *bool `json:"use_regex"`
	}
	if err := jsonx.Unmarshal(sequence.Pretokenizers[1], &byteLevel); err != nil {
		return fmt.Errorf("pre_tokenizer: ByteLevel: %w", err)
	}
	if b := byteLevel.AddPrefixSpace; b == nil || *b {
		return errors.New("pre_tokenizer: ByteLevel: add_prefix_space must be false")
	}
	if b := byteLevel.UseRegex; b == nil || *b {
		return errors.New("pre_tokenizer: ByteLevel: use_regex must be false")
	}
	return nil
}

// tokensByID returns the tokens by id, and the special ones among them. Added
// tokens may be in the vocabulary of the model or only among the added ones.
func tokensByID(entries []vocabEntry, added []addedToken) (tokens, special []string, err error) {
	ids := make(map[string]int64, len(entries))
	for _, e := range entries {
		ids[e.token] = e.id
	}
	for _, a := range added {
		id, ok := ids[a.Content]
		if !ok {
			ids[a.Content] = a.ID
			entries = append(entries, vocabEntry{a.Content, a.ID})
		} else if id != a.ID {
			return nil, nil, fmt.Errorf("added_tokens: token %.100q has id %d, in model.vocab %d", a.Content, a.ID, id)
		}
		if a.Special {
			special = append(special, a.Content)
		}
	}
	tokens = make([]string, len(entries))
	taken := make([]bool, len(entries))
	for _, e := range entries {
		if e.id < 0 || e.id >= int64(len(entries)) {
			return nil, nil, fmt.Errorf("token %.100q has id %d, but %d tokens must have the ids 0 to %d", e.token, e.id,
				len(entries), len(entries)-1)
		}
		if taken[e.id] {
			return nil, nil, fmt.Errorf("tokens %.100q and %.100q have the same id %d", tokens[e.id], e.token, e.id)
		}
		tokens[e.id], taken[e.id] = e.token, true
	}
	return tokens, special, nil
}

// lookUp returns the merges by the ids of their tokens.
func (m mergeRules) lookUp(tokens []string) ([]merge, error) {
	ids := make(map[string]int32, len(tokens))
	for id, token := range tokens {
		ids[token] = int32(id)
	}
	merges := make([]merge, 0, len(m))
	for rank, rule := range m {
		left, okLeft := ids[rule[0]]
		right, okRight := ids[rule[1]]
		id, ok := ids[rule[0]+rule[1]]
		if !okLeft || !okRight || !ok {
			return nil, fmt.Errorf("model.merges: merge %d, %.100q and %.100q: they or what they make is not in the vocabulary",
				rank, rule[0], rule[1])
		}
		merges = append(merges, merge{pairOf(left, right), id})
	}
	return merges, nil
}
