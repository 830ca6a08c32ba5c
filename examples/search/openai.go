package main

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/marge-go/marge/internal/jsonx"
	"github.com/marge-go/marge/marge"
)

// embeddingRequest is a request of OpenAI's API for embeddings. Input is a
// string or a list of strings; here, tokens are an error: clients do not have
// the model's tokenizer.
type embeddingRequest struct {
	Model          string         `json:"model"` // empty: that of the server
	Input          jsontext.Value `json:"input"`
	EncodingFormat string         `json:"encoding_format"` // float, if empty, or base64
	Dimensions     *int           `json:"dimensions"`      // those of the model
}

type embeddingList struct {
	Object string         `json:"object"` // list
	Data   []embedding    `json:"data"`
	Model  string         `json:"model"`
	Usage  embeddingUsage `json:"usage"`
}

type embedding struct {
	Object    string `json:"object"` // embedding
	Index     int    `json:"index"`
	Embedding any    `json:"embedding"` // numbers, or little-endian float32 in base64
}

type embeddingUsage struct {
	PromptTokens int `json:"prompt_tokens"`
	TotalTokens  int `json:"total_tokens"`
}

// maxInputs is how many texts a request may have, as at OpenAI.
const maxInputs = 2048

func (s *server) embeddings(ctx context.Context, r embeddingRequest) (*embeddingList, error) {
	dim := s.model.Config.EmbeddingDim()
	switch {
	case r.Model != "" && r.Model != s.name:
		e, code := invalid("model", "the model %q does not exist, this is %q", r.Model, s.name), "model_not_found"
		e.status, e.Code = http.StatusNotFound, &code
		return nil, e
	case r.EncodingFormat != "" && r.EncodingFormat != "float" && r.EncodingFormat != "base64":
		return nil, invalid("encoding_format", "encoding_format is %q, want float or base64", r.EncodingFormat)
	case r.Dimensions != nil && *r.Dimensions != dim:
		return nil, invalid("dimensions", "dimensions is %d: the vectors of this model have %d", *r.Dimensions, dim)
	}
	texts, err := inputTexts(r.Input)
	if err != nil {
		return nil, err
	}
	list := &embeddingList{Object: "list", Data: make([]embedding, len(texts)), Model: s.name}
	docs := make([][]int32, len(texts))
	for i, text := range texts {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		docs[i] = s.model.Tokenizer.Encode(text)
		list.Usage.PromptTokens += len(docs[i])
	}
	list.Usage.TotalTokens = list.Usage.PromptTokens
	rows, err := s.model.EmbedDocuments(ctx, docs, marge.DocumentOptions{})
	if err != nil {
		return nil, err
	}
	for i := range list.Data {
		e := embedding{Object: "embedding", Index: i, Embedding: rows[i*dim : (i+1)*dim]}
		if r.EncodingFormat == "base64" {
			data, _ := binary.Append(nil, binary.LittleEndian, rows[i*dim:(i+1)*dim]) // numbers have a fixed size: no error
			e.Embedding = base64.StdEncoding.EncodeToString(data)
		}
		list.Data[i] = e
	}
	return list, nil
}

// inputTexts returns the texts of an input.
func inputTexts(input jsontext.Value) (texts []string, err error) {
	var text string
	var numbers []float64
	var lists [][]float64
	switch {
	case len(input) == 0:
		return nil, invalid("input", "input is missing: a string or a list of strings")
	case jsonx.Unmarshal(input, &text) == nil && input.Kind() == '"':
		texts = []string{text}
	case jsonx.Unmarshal(input, &texts) == nil:
	case jsonx.Unmarshal(input, &numbers) == nil, jsonx.Unmarshal(input, &lists) == nil:
		return nil, invalid("input", "input is a list of tokens, which this server does not take: give the text")
	default:
		return nil, invalid("input", "input is neither a string nor a list of strings")
	}
	if len(texts) == 0 || len(texts) > maxInputs {
		return nil, invalid("input", "input has %d texts, want 1 to %d", len(texts), maxInputs)
	}
	for i, text := range texts {
		if text == "" {
			return nil, invalid("input", "input: text %d is empty", i)
		}
	}
	return texts, nil
}
