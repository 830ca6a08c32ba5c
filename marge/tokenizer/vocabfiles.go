package tokenizer

import (
	"cmp"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/marge-go/marge/internal/jsonx"
)

// vocabFolder makes a tokenizer.json of the vocab.json and merges.txt of a
// byte-level BPE, as GPT-2 and RoBERTa have them. What these do not say is in
// tokenizer_config.json: add_prefix_space, false by default, and the added
// tokens. Without it the special tokens are those of these two models that are
// in the vocabulary.
func vocabFolder(dir string) ([]byte, error) {
	data, err := readFile(filepath.Join(dir, vocabName))
	if err != nil {
		return nil, err
	}
	m := model{Type: "BPE"}
	if err := jsonx.Unmarshal(data, &m.Vocab); err != nil {
		return nil, fmt.Errorf("%s: %w", vocabName, err)
	}
	if data, err = readFile(filepath.Join(dir, mergesName)); err != nil {
		return nil, err
	}
	if m.Merges, err = parseMerges(string(data)); err != nil {
		return nil, fmt.Errorf("%s: %w", mergesName, err)
	}
	config, err := readConfig(dir, "tokenizer_config.json")
	if err != nil {
		return nil, err
	}
	if config == nil {
		config = new(tokenizerConfig)
	}
	added, err := config.added(m.Vocab)
	if err != nil {
		return nil, err
	}
	prefix := config.AddPrefixSpace != nil && *config.AddPrefixSpace
	byteLevel := json.RawMessage(`{"type":"ByteLevel","add_prefix_space":` + strconv.FormatBool(prefix) +
		`,"trim_offsets":true,"use_regex":true}`)
	return marshal(file{
		Version: "1.0", Truncation: null, Padding: null, AddedTokens: added, Normalizer: null, PreTokenizer: byteLevel,
		PostProcessor: null, Decoder: byteLevel, Model: m,
	})
}

// parseMerges reads a line "a b" for each merge, after a line #version.
func parseMerges(text string) (rules mergeRules, err error) {
	for i, line := range strings.Split(strings.TrimRight(text, "\r\n"), "\n") {
		line = strings.TrimSuffix(line, "\r")
		if i == 0 && strings.HasPrefix(line, "#version") || line == "" {
			continue
		}
		if len(rules) == maxMerges {
			return nil, fmt.Errorf("has more than %d merges", maxMerges)
		}
		left, right, ok := strings.Cut(line, " ")
		if !ok || left == "" || right == "" || strings.Contains(right, " ") {
			return nil, fmt.Errorf("line %d: %.200q is not two tokens with a space between", i+1, line)
		}
		rules = append(rules, mergeRule{left, right})
	}
	return rules, nil
}

// added returns the added tokens of a vocabulary, in the order of the ids.
func (c *tokenizerConfig) added(vocab vocabObject) (added []addedToken, err error) {
	tokens := c.Added
	if len(tokens) == 0 {
		tokens = map[string]addedToken{}
		for _, e := range vocab {
			switch e.token {
			case "<s>", "<pad>", "</s>", "<unk>", "<mask>", "<|endoftext|>":
				tokens[strconv.FormatInt(e.id, 10)] = addedToken{
					Content: e.token, LStrip: e.token == "<mask>", Special: true,
				}
			}
		}
	}
	for id, t := range tokens {
		if t.ID, err = strconv.ParseInt(id, 10, 32); err != nil {
			return nil, fmt.Errorf("tokenizer_config.json: added_tokens_decoder: id %.100q of %.100q", id, t.Content)
		}
		added = append(added, t)
	}
	slices.SortFunc(added, func(a, b addedToken) int { return cmp.Compare(a.ID, b.ID) })
	return added, nil
}
