package marge

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/marge-go/marge/internal/osfile"
	"github.com/marge-go/marge/nn/safetensors"
	"github.com/marge-go/marge/tensor"
)

// encoderModule computes g up to the pooling in PyTorch. The package's own modules
// do the rest.
//
//go:embed sentence_transformers/marge_encoder.py
var encoderModule []byte

// SaveSentenceTransformers writes g as a model of the Python package
// sentence-transformers, version 5 or later, to a new directory, or an empty one:
//
//	SentenceTransformer(dir, trust_remote_code=True).encode(texts)
//
// gives the vectors of [Model.Encode] with MaxChunks 1, up to rounding: of a text that is
// longer than a chunk it reads the beginning, as these models do. The encoder is none
// that the package knows; its code is a file in the directory, marge_encoder.py, for which
// trust_remote_code is needed.
//
// It is an error if the model has no tokenizer or is quantised, and if the directory
// holds anything.
func (m *Model) SaveSentenceTransformers(dir string) (err error) {
	defer tensor.Recover(&err)
	if m.Tokenizer == nil {
		return fmt.Errorf("save sentence-transformers: %w", errNoTokenizer)
	}
	if name := m.Tokenizer.FileName(); name != tokenizerName {
		return fmt.Errorf("save sentence-transformers: the tokenizer is a %s; the package reads %s alone", name,
			tokenizerName)
	}
	if m.Config.Quantization != "" {
		return fmt.Errorf("save sentence-transformers: the model is quantised to %s: export the one that it was made of",
			m.Config.Quantization)
	}
	if err := osfile.CreateDir(dir, m.writeSentenceTransformers); err != nil {
		return fmt.Errorf("save sentence-transformers: %w", err)
	}
	return nil
}

// stModule is a module in modules.json.
type stModule struct {
	Index int    `json:"idx"`
	Name  string `json:"name"`
	Path  string `json:"path"` // folder
	Type  string `json:"type"`
}

// stEncoder is the configuration of marge_encoder.py.
type stEncoder struct {
	VocabSize             int     `json:"vocab_size"`
	DModel                int     `json:"d_model"`
	EncoderFFNDim         int     `json:"encoder_ffn_dim"`
	EncoderAttentionHeads int     `json:"encoder_attention_heads"`
	RetrievalLayers       int     `json:"retrieval_layers"`
	RetrievalDim          int     `json:"retrieval_dim"`
	MaxPositionEmbeddings int     `json:"max_position_embeddings"`
	EmbeddingScale        float64 `json:"embedding_scale"`
	MaxSeqLength          int     `json:"max_seq_length"`
}

// stPooling is the configuration of a module Pooling, in the form that all versions read.
type stPooling struct {
	Dim   int  `json:"word_embedding_dimension"`
	First bool `json:"pooling_mode_cls_token"`
	Mean  bool `json:"pooling_mode_mean_tokens"`
	Max   bool `json:"pooling_mode_max_tokens"`
}

func (m *Model) writeSentenceTransformers(dir string) error {
	c, dim := &m.Config, m.Config.EmbeddingDim()
	const pooling, norm, unit = "1_Pooling", "2_LayerNorm", "3_Normalize"
	for _, folder := range []string{pooling, norm, unit} {
		if err := os.Mkdir(filepath.Join(dir, folder), 0o777); err != nil {
			return err
		}
	}
	for name, value := range map[string]any{
		"modules.json": []stModule{
			{0, "0", "", "marge_encoder.MargeEncoder"},
			{1, "1", pooling, "sentence_transformers.models.Pooling"},
			{2, "2", norm, "sentence_transformers.models.LayerNorm"},
			{3, "3", unit, "sentence_transformers.models.Normalize"},
		},
		"config_sentence_transformers.json": map[string]any{
			"model_type": "SentenceTransformer", "similarity_fn_name": "cosine",
			"prompts": map[string]string{}, "default_prompt_name": nil,
		},
		configName: stEncoder{
			c.VocabSize, c.DModel, c.EncoderFFNDim, c.EncoderAttentionHeads, c.RetrievalLayers, c.RetrievalDim,
			c.MaxPositionEmbeddings, float64(m.embeddingScale()), c.chunk() + 2,
		},
		pooling + "/" + configName: stPooling{
			dim, c.RetrievalPooling != PoolMean && c.RetrievalPooling != PoolMax,
			c.RetrievalPooling == PoolMean, c.RetrievalPooling == PoolMax,
		},
		norm + "/" + configName: map[string]int{"dimension": dim},
		unit + "/" + configName: map[string]string{},
	} {
		data, err := json.MarshalIndent(value, "", "  ")
		if err != nil {
			return err
		}
		if err := osfile.WriteFile(filepath.Join(dir, name), append(data, '\n')); err != nil {
			return err
		}
	}
	if err := osfile.WriteFile(filepath.Join(dir, "marge_encoder.py"), encoderModule); err != nil {
		return err
	}
	err := osfile.Replace(filepath.Join(dir, tokenizerName), func(f *os.File) error {
		_, err := m.Tokenizer.WriteTo(f)
		return err
	})
	if err != nil {
		return err
	}
	// The norm is of a module of its own.
	var encoder, after []safetensors.Tensor
	for _, p := range m.shared.Parameters(m.retrievalParameters(), "shared.") {
		if name, ok := strings.CutPrefix(p.Name, "encoder.retrieval_layer_norm."); ok {
			after = append(after, safetensors.Float32("norm."+name, p.Shape(), p.Values()))
		} else {
			encoder = append(encoder, safetensors.Float32(p.Name, p.Shape(), p.Values()))
		}
	}
	if err := writeWeights(dir, encoder); err != nil {
		return err
	}
	return writeWeights(filepath.Join(dir, norm), after)
}

func writeWeights(dir string, tensors []safetensors.Tensor) error {
	return osfile.Replace(filepath.Join(dir, weightsName), func(f *os.File) error {
		return safetensors.Write(f, tensors, map[string]string{"format": "pt"})
	})
}
