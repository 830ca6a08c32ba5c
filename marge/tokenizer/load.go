package tokenizer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/marge-go/marge/internal/jsonx"
)

// Names of the files of tokenizers, in the order in which Load looks for them.
const (
	jsonName   = "tokenizer.json"
	spmName    = "sentencepiece.bpe.model" // that of mBART and XLM-R
	vocabName  = "vocab.json"
	mergesName = "merges.txt"
)

var spmNames = []string{spmName, "spiece.model", "sentencepiece.model", "spm.model", "tokenizer.model"}

// Load reads a tokenizer from a file, or from the files of a model in a folder.
// What a file is follows from its content:
//
//   - A tokenizer.json of Hugging Face: one that Save has written, a Unigram
//     model (mBART, XLM-R, T5), or byte-level BPE as GPT-2 and RoBERTa have it.
//     What it asks to be done that this package does not do is an error, except
//     for the post-processor, truncation and padding, which no text needs.
//   - A model of SentencePiece, Unigram or BPE. Its ids are those of
//     SentencePiece, unless LoadLayout is called with another layout.
//
// In a folder Load takes tokenizer.json, else sentencepiece.bpe.model (or the
// same under another of its usual names), else vocab.json and merges.txt. There,
// the tokenizer_config.json and the config.json tell the Layout of a
// SentencePiece model, and the special tokens and add_prefix_space of a
// vocab.json.
//
// A file takes at most 512 MiB and two million tokens.
func Load(path string) (Tokenizer, error) { return LoadLayout(path, "") }

// LoadLayout is Load for a model of SentencePiece whose ids have the given
// layout, whatever other files say.
func LoadLayout(path string, layout Layout) (Tokenizer, error) {
	t, err := load(path, layout)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: load %s: %w", path, err)
	}
	return t, nil
}

// Read reads a file as Load does.
func Read(r io.Reader) (Tokenizer, error) {
	data, err := readAll(r, maxFileBytes)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: read: %w", err)
	}
	t, err := parse(data, "")
	if err != nil {
		return nil, fmt.Errorf("tokenizer: read: %w", err)
	}
	return t, nil
}

func load(path string, layout Layout) (Tokenizer, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return loadFolder(path, layout)
	}
	data, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return parse(data, layout)
}

func loadFolder(dir string, layout Layout) (Tokenizer, error) {
	for _, name := range append([]string{jsonName}, spmNames...) {
		data, err := readFile(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && layout == "" && name != jsonName {
			layout, err = layoutOfFolder(dir)
		}
		var t Tokenizer
		if err == nil {
			t, err = parse(data, layout)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		return t, nil
	}
	data, err := vocabFolder(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no %s, %v, or %s and %s: %w", jsonName, spmNames, vocabName, mergesName, err)
	}
	if err != nil {
		return nil, err
	}
	return parse(data, layout)
}

// parse reads the content of a file.
func parse(data []byte, layout Layout) (Tokenizer, error) {
	if !isJSON(data) {
		m, err := parseSPM(data)
		if err != nil {
			return nil, fmt.Errorf("is neither JSON nor a model of SentencePiece: %w", err)
		}
		return newSentencePiece(m, layout)
	}
	var head struct {
		PreTokenizer json.RawMessage `json:"pre_tokenizer"`
	}
	if err := jsonx.Unmarshal(data, &head); err != nil {
		return nil, err
	}
	if isOwn(head.PreTokenizer) {
		return parseBPE(data)
	}
	return parseHF(data)
}

// isJSON tells a JSON object from a message of Protocol Buffers. A model of
// SentencePiece begins with a line feed, which is white space in JSON.
func isJSON(data []byte) bool {
	text := bytes.TrimSpace(data)
	return len(text) > 0 && text[0] == '{' && (data[0] != '\n' || text[len(text)-1] == '}')
}

// isOwn reports whether a pre-tokenizer is that of the vocabularies of Train.
func isOwn(value json.RawMessage) bool {
	var sequence struct {
		Pretokenizers []struct {
			Pattern struct {
				Regex string
			} `json:"pattern"`
		} `json:"pretokenizers"`
	}
	return jsonx.Unmarshal(value, &sequence) == nil && len(sequence.Pretokenizers) > 0 &&
		sequence.Pretokenizers[0].Pattern.Regex == splitPattern
}

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return readAll(f, maxFileBytes)
}

func readAll(r io.Reader, maxBytes int64) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxBytes+1))
	if err == nil && int64(len(data)) > maxBytes {
		err = fmt.Errorf("has more than %d bytes", maxBytes)
	}
	return data, err
}
