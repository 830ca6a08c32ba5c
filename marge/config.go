package marge

import (
	"encoding/json"
	"fmt"
	"math"

	"github.com/marge-go/marge/internal/jsonx"
	"github.com/marge-go/marge/internal/osfile"
	"github.com/marge-go/marge/tensor"
)

// Config is the size of a model. Its JSON form is the config.json of a
// checkpoint, with the keys of Hugging Face's BART where they mean the same.
type Config struct {
	VocabSize             int `json:"vocab_size"`
	DModel                int `json:"d_model"`
	EncoderLayers         int `json:"encoder_layers"`
	EncoderFFNDim         int `json:"encoder_ffn_dim"`
	EncoderAttentionHeads int `json:"encoder_attention_heads"`
	// RetrievalLayers is how many of the encoder's first layers form g.
	RetrievalLayers int `json:"retrieval_layers"`
	// RetrievalPooling is how g turns the output of those layers into a vector:
	// "first" takes the first token, as the paper does; "mean" averages the
	// tokens; "max" max-pools RetrievalDim learned linear features over the
	// tokens, which lets g be wide while the model is narrow. Empty stands for
	// "first".
	RetrievalPooling string `json:"retrieval_pooling,omitempty"`
	// RetrievalDim is the width of g if RetrievalPooling is "max". Otherwise it
	// must be 0: g is as wide as the model.
	RetrievalDim int `json:"retrieval_dim,omitempty"`
	// DecoderBaseLayers come first in the decoder and have no cross-attention.
	DecoderBaseLayers     int `json:"decoder_base_layers"`
	DecoderBaseFFNDim     int `json:"decoder_base_ffn_dim"`
	DecoderLayers         int `json:"decoder_layers"`
	DecoderFFNDim         int `json:"decoder_ffn_dim"`
	DecoderAttentionHeads int `json:"decoder_attention_heads"`
	// MaxPositionEmbeddings bounds the length of a document, with <s> and </s>.
	MaxPositionEmbeddings int     `json:"max_position_embeddings"`
	Dropout               float32 `json:"dropout"`
	AttentionDropout      float32 `json:"attention_dropout"`

	// UnscaledEmbeddings takes token embeddings as they are, not times
	// sqrt(d_model): mBART without scale_embedding.
	UnscaledEmbeddings bool `json:"unscaled_embeddings,omitempty"`
	// LogitsBias gives the model a parameter final_logits_bias [vocab_size] that is
	// added to the logits of the next token, as mBARTs may have it.
	LogitsBias bool `json:"final_logits_bias,omitempty"`

	// ChunkTokens is the length, in tokens, of the chunks into which the model's
	// corpus was cut. [Pretrain] sets it. Longer texts are cut into such chunks
	// wherever an option does not say otherwise, since g of longer ones is worse. 0:
	// as long as the positions allow.
	ChunkTokens int `json:"chunk_tokens,omitempty"`

	// Quantization is "int8" in a model that [Model.Quantize] made, which is for
	// inference only, and else empty.
	Quantization string `json:"quantization,omitempty"`

	// Labels are the classes that the head for classification tells apart; none:
	// the model has no such head. AnswerTokens is the length, in tokens, of the
	// longest answer that the head for span extraction marks; 0: there is none.
	// [FineTune] sets both, the length so that one training answer in a hundred may
	// be longer.
	Labels       Labels `json:"id2label,omitempty"`
	AnswerTokens int    `json:"max_answer_tokens,omitempty"`

	// Seed determines the random weights of New.
	Seed uint64 `json:"-"`
	// Backend is where the model computes; nil means the processor, with all
	// its threads.
	Backend tensor.Backend `json:"-"`
}

// The values of Config.RetrievalPooling.
const (
	PoolFirst = "first"
	PoolMean  = "mean"
	PoolMax   = "max"
)

// EmbeddingDim returns the width of g.
func (c *Config) EmbeddingDim() int {
	if c.RetrievalPooling == PoolMax {
		return c.RetrievalDim
	}
	return c.DModel
}

// longest returns how many tokens of a text the model takes, beside <s> and </s>.
func (c *Config) longest() int { return c.MaxPositionEmbeddings - 2 }

// chunk returns how long the chunks of a text are by default.
func (c *Config) chunk() int {
	if c.ChunkTokens > 0 {
		return c.ChunkTokens
	}
	return c.longest()
}

// Tiny is a model of 2.9 million parameters for tests and demonstrations.
func Tiny() Config {
	return Config{
		VocabSize: 8000, DModel: 128,
		EncoderLayers: 4, EncoderFFNDim: 512, EncoderAttentionHeads: 4, RetrievalLayers: 2,
		DecoderBaseLayers: 1, DecoderBaseFFNDim: 512,
		DecoderLayers: 2, DecoderFFNDim: 1024, DecoderAttentionHeads: 4,
		MaxPositionEmbeddings: 256, Dropout: 0.1,
	}
}

// Small is a model for experiments on one machine.
func Small() Config {
	return Config{
		VocabSize: 16000, DModel: 256,
		EncoderLayers: 6, EncoderFFNDim: 1024, EncoderAttentionHeads: 4, RetrievalLayers: 4,
		DecoderBaseLayers: 2, DecoderBaseFFNDim: 1024,
		DecoderLayers: 4, DecoderFFNDim: 2048, DecoderAttentionHeads: 4,
		MaxPositionEmbeddings: 512, Dropout: 0.1,
	}
}

// Base is a model of the width of the original Transformer.
func Base() Config {
	return Config{
		VocabSize: 32000, DModel: 512,
		EncoderLayers: 6, EncoderFFNDim: 2048, EncoderAttentionHeads: 8, RetrievalLayers: 4,
		DecoderBaseLayers: 2, DecoderBaseFFNDim: 2048,
		DecoderLayers: 6, DecoderFFNDim: 4096, DecoderAttentionHeads: 8,
		MaxPositionEmbeddings: 512, Dropout: 0.1,
	}
}

// Paper is the published model (arXiv:2006.15020, section 3), 963.3 million
// parameters. The paper prints 16,536 for the decoder's feed-forward width;
// with it the model would have 967.1 million parameters, with 16,384 = 2^14 it
// has the 963 million that the paper states, so 16,384 it is. The vocabulary,
// the number of heads and of positions are those of mBART and XLM-R, the paper
// being silent.
func Paper() Config {
	return Config{
		VocabSize: 250000, DModel: 1024,
		EncoderLayers: 12, EncoderFFNDim: 4096, EncoderAttentionHeads: 16, RetrievalLayers: 4,
		DecoderBaseLayers: 4, DecoderBaseFFNDim: 4096,
		DecoderLayers: 12, DecoderFFNDim: 16384, DecoderAttentionHeads: 16,
		MaxPositionEmbeddings: 1024, Dropout: 0.1,
	}
}

// Presets returns the named sizes: tiny, small, base, paper.
func Presets() map[string]Config {
	return map[string]Config{"tiny": Tiny(), "small": Small(), "base": Base(), "paper": Paper()}
}

// Bounds on a config.json, whoever wrote it: of every size, of the values of
// all parameters (4 TiB of float32, if a machine can address them), and of the
// file in bytes.
const (
	maxDimension  = 1 << 24
	maxParameters = min(1<<40, math.MaxInt/4)
	maxConfig     = 1 << 20
)

// Validate tells what is wrong with the configuration, naming the key.
func (c *Config) Validate() error {
	for _, f := range []struct {
		key        string
		value, min int
	}{
		{"vocab_size", c.VocabSize, 5},
		{"d_model", c.DModel, 1},
		{"encoder_layers", c.EncoderLayers, 1},
		{"encoder_ffn_dim", c.EncoderFFNDim, 1},
		{"encoder_attention_heads", c.EncoderAttentionHeads, 1},
		{"retrieval_layers", c.RetrievalLayers, 1},
		{"decoder_base_layers", c.DecoderBaseLayers, 0},
		{"decoder_layers", c.DecoderLayers, 1},
		{"decoder_ffn_dim", c.DecoderFFNDim, 1},
		{"decoder_attention_heads", c.DecoderAttentionHeads, 1},
		{"max_position_embeddings", c.MaxPositionEmbeddings, 3},
		{"retrieval_dim", c.RetrievalDim, 0},
		{"max_answer_tokens", c.AnswerTokens, 0},
	} {
		if f.value < f.min || f.value > maxDimension {
			return fmt.Errorf("config: %s is %d, want %d to %d", f.key, f.value, f.min, maxDimension)
		}
	}
	if c.DecoderBaseLayers > 0 && (c.DecoderBaseFFNDim < 1 || c.DecoderBaseFFNDim > maxDimension) {
		return fmt.Errorf("config: decoder_base_ffn_dim is %d, want 1 to %d", c.DecoderBaseFFNDim, maxDimension)
	}
	if c.ChunkTokens < 0 || c.ChunkTokens > c.longest() {
		return fmt.Errorf("config: chunk_tokens is %d, want 0 to %d, 2 less than max_position_embeddings",
			c.ChunkTokens, c.longest())
	}
	if c.RetrievalLayers > c.EncoderLayers {
		return fmt.Errorf("config: retrieval_layers is %d, more than encoder_layers, %d",
			c.RetrievalLayers, c.EncoderLayers)
	}
	if p := c.RetrievalPooling; p != "" && p != PoolFirst && p != PoolMean && p != PoolMax {
		return fmt.Errorf("config: retrieval_pooling is %q, want %q, %q or %q", p, PoolFirst, PoolMean, PoolMax)
	}
	if q := c.Quantization; q != "" && q != quantizedInt8 {
		return fmt.Errorf("config: quantization is %q, want %q or none", q, quantizedInt8)
	}
	if max := c.RetrievalPooling == PoolMax; max != (c.RetrievalDim > 0) {
		return fmt.Errorf("config: retrieval_dim is %d with retrieval_pooling %q: give it with %q, and only then",
			c.RetrievalDim, c.RetrievalPooling, PoolMax)
	}
	if c.DModel%c.EncoderAttentionHeads != 0 || c.DModel%c.DecoderAttentionHeads != 0 {
		return fmt.Errorf("config: d_model %d is not divisible by %d encoder_attention_heads and %d decoder_attention_heads",
			c.DModel, c.EncoderAttentionHeads, c.DecoderAttentionHeads)
	}
	if !(c.Dropout >= 0 && c.Dropout < 1) || !(c.AttentionDropout >= 0 && c.AttentionDropout < 1) {
		return fmt.Errorf("config: dropout %v and attention_dropout %v, want [0, 1)", c.Dropout, c.AttentionDropout)
	}
	if err := c.Labels.validate(); err != nil {
		return fmt.Errorf("config: id2label: %w", err)
	}
	if n := c.paramCount(); n > maxParameters {
		return fmt.Errorf("config: the sizes make %.0f parameters, more than %d", n, maxParameters)
	}
	return nil
}

// configFile is Config as config.json holds it.
type configFile struct {
	ModelType     string   `json:"model_type"`
	Architectures []string `json:"architectures"`
	Config
}

// MarshalConfig returns the content of config.json.
func MarshalConfig(c Config) ([]byte, error) {
	data, err := json.MarshalIndent(configFile{"marge", []string{"Marge"}, c}, "", "  ")
	return append(data, '\n'), err
}

// ReadConfig reads and checks a config.json.
func ReadConfig(path string) (Config, error) {
	data, err := osfile.ReadFile(path, maxConfig)
	if err != nil {
		return Config{}, fmt.Errorf("config: %w", err)
	}
	var f configFile
	if err := jsonx.Unmarshal(data, &f); err != nil {
		return Config{}, fmt.Errorf("config: %s: %w", path, err)
	}
	if f.ModelType != "marge" {
		return Config{}, fmt.Errorf("config: %s: model_type is %q, want \"marge\"", path, f.ModelType)
	}
	if err := f.Config.Validate(); err != nil {
		return Config{}, fmt.Errorf("%s: %w", path, err)
	}
	return f.Config, nil
}
