package marge

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/marge-go/marge/internal/jsonx"
	"github.com/marge-go/marge/internal/osfile"
	"github.com/marge-go/marge/marge/checkpoint"
	"github.com/marge-go/marge/marge/tokenizer"
	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/nn/safetensors"
	"github.com/marge-go/marge/tensor"
)

// MBARTOptions say what [FromMBARTOn] adds to an mBART (Liu et al. 2020,
// arXiv:2001.08210). MARGE without base layers is mBART, but for the relevance of
// evidence in cross-attention and for g. The zero value adds as little as there
// can be.
type MBARTOptions struct {
	// RetrievalLayers is how many of the encoder's first layers form g. 0 stands
	// for 4, as in the paper, or for all if there are fewer.
	RetrievalLayers int
	// RetrievalPooling and RetrievalDim are those of [Config]; empty stands for the
	// first token. The features of "max" are random, the norm that ends g scales by 1.
	RetrievalPooling string
	RetrievalDim     int
	// BaseLayers of the encoder's feed-forward width come before the decoder's
	// layers. They begin as identities: what attention and feed-forward add is zero,
	// their other matrices are random as those of [New].
	BaseLayers int
	// Beta is the factor of the relevance. At 0 all evidence counts alike, as the
	// tokens of one long document do in mBART. Its gradient is not 0 then, so
	// training changes it, and from the second update on g has a gradient, too.
	Beta float32
	// Seed determines what is random.
	Seed uint64
	// Backend is where the model computes; nil means the processor.
	Backend tensor.Backend
}

// FromMBART is [FromMBARTOn] with the zero MBARTOptions.
func FromMBART(dir string) (*Model, error) { return FromMBARTOn(dir, MBARTOptions{}) }

// FromMBARTOn reads a checkpoint of mBART or mBART-50 as Hugging Face's transformers
// writes it: config.json, the weights in model.safetensors or in the files that
// model.safetensors.index.json lists, and tokenizer.json or, without one,
// sentencepiece.bpe.model if there is any. Weights of
// all types that [safetensors.Tensor.Float32s] converts are taken, under names with and
// without "model.".
//
// For the same ids, one evidence document and whatever beta, the logits are those
// of MBartForConditionalGeneration; for several documents and beta 0, too, if its
// decoder is given what the encoder makes of each, one after the other. [Batch] and
// [Model.Generate] lay a document out as <s> tokens </s>, not as mBART's tokenizers do.
// The bias final_logits_bias, which transformers keeps as it is, is trained here.
// Rates of dropout are those of config.json; activation_dropout and layerdrop,
// which play a part in training alone, are not supported, and ignored.
//
// It is an error if the model is another, such as BART, which normalises after each
// block; if its activation is not gelu, as of mBART-50's translation models; if tied
// embeddings are not equal; if a tensor is missing, unknown, not finite or of another
// shape than config.json says. Errors name the file and the key or the tensor.
func FromMBARTOn(dir string, o MBARTOptions) (m *Model, err error) {
	defer tensor.Recover(&err)
	if m, err = fromMBART(dir, &o); err != nil {
		return nil, fmt.Errorf("load mBART: %w", err)
	}
	return m, nil
}

func fromMBART(dir string, o *MBARTOptions) (*Model, error) {
	if !finite(float64(o.Beta)) {
		return nil, fmt.Errorf("beta is %v", o.Beta)
	}
	files, err := checkpoint.Open(dir)
	if err != nil {
		return nil, err
	}
	defer files.Close()
	path, err := files.Path(configName)
	if err != nil {
		return nil, err
	}
	config, err := readMBARTConfig(path, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	t, err := loadTokenizer(files, &config)
	if err != nil {
		return nil, err
	}
	w, err := openMBARTWeights(files)
	if err != nil {
		return nil, err
	}
	defer w.close()
	if err := w.check(&config); err != nil {
		return nil, err
	}
	config.Backend = o.Backend
	m, err := build(config)
	if err != nil {
		return nil, err
	}
	m.Tokenizer = t
	m.addToMBART(o)
	return m, w.fill(m)
}

// addToMBART sets the parameters that mBART does not have. The norms of a built
// model do nothing but normalise, all else is zero.
func (m *Model) addToMBART(o *MBARTOptions) {
	rng := rand.New(rand.NewPCG(o.Seed, 0))
	if w := m.encoder.retrievalWeight; w != nil {
		nn.Normal(w, rng, math.Pow(float64(m.Config.DModel), -0.5))
	}
	for _, l := range m.decoder.base {
		for _, w := range []*nn.Linear{l.attn.Q, l.attn.K, l.attn.V, l.ffn.FC1} {
			nn.Normal(w.Weight, rng, initStd)
		}
	}
	nn.Constant(m.beta, o.Beta)
}

// mbartConfig is the config.json of an mBART, as far as it matters here.
type mbartConfig struct {
	ModelType             string   `json:"model_type"`
	Architectures         []string `json:"architectures"`
	VocabSize             int      `json:"vocab_size"`
	DModel                int      `json:"d_model"`
	EncoderLayers         int      `json:"encoder_layers"`
	EncoderFFNDim         int      `json:"encoder_ffn_dim"`
	EncoderAttentionHeads int      `json:"encoder_attention_heads"`
	DecoderLayers         int      `json:"decoder_layers"`
	DecoderFFNDim         int      `json:"decoder_ffn_dim"`
	DecoderAttentionHeads int      `json:"decoder_attention_heads"`
	MaxPositionEmbeddings int      `json:"max_position_embeddings"`
	Dropout               float32  `json:"dropout"`
	AttentionDropout      float32  `json:"attention_dropout"`
	ActivationFunction    string   `json:"activation_function"`
	ScaleEmbedding        bool     `json:"scale_embedding"`
	TieWordEmbeddings     bool     `json:"tie_word_embeddings"`
	IsEncoderDecoder      bool     `json:"is_encoder_decoder"`
	// Numbers, lists of one number, or nil for those of mBART, which are ours.
	BOS       any `json:"bos_token_id"`
	PAD       any `json:"pad_token_id"`
	EOS       any `json:"eos_token_id"`
	ForcedEOS any `json:"forced_eos_token_id"`
	// What transformers does whatever these say; fairseq's BART knew other models.
	NormalizeBefore    bool `json:"normalize_before"`
	NormalizeEmbedding bool `json:"normalize_embedding"`
	AddFinalLayerNorm  bool `json:"add_final_layer_norm"`
	StaticPositions    bool `json:"static_position_embeddings"`
}

// newMBARTConfig returns what transformers takes for members that are not there.
func newMBARTConfig() mbartConfig {
	return mbartConfig{
		VocabSize: 50265, DModel: 1024, EncoderLayers: 12, EncoderFFNDim: 4096, EncoderAttentionHeads: 16,
		DecoderLayers: 12, DecoderFFNDim: 4096, DecoderAttentionHeads: 16, MaxPositionEmbeddings: 1024,
		Dropout: 0.1, ActivationFunction: "gelu", TieWordEmbeddings: true, IsEncoderDecoder: true,
		NormalizeBefore: true, NormalizeEmbedding: true, AddFinalLayerNorm: true,
	}
}

// readMBARTConfig reads the configuration of a model from that of an mBART.
func readMBARTConfig(path string, o *MBARTOptions) (c Config, err error) {
	data, err := osfile.ReadFile(path, maxConfig)
	if err != nil {
		return c, err
	}
	f := newMBARTConfig()
	if err := jsonx.Unmarshal(data, &f); err != nil {
		return c, err
	}
	if err := f.check(); err != nil {
		return c, err
	}
	c = Config{
		VocabSize: f.VocabSize, DModel: f.DModel, EncoderLayers: f.EncoderLayers, EncoderFFNDim: f.EncoderFFNDim,
		EncoderAttentionHeads: f.EncoderAttentionHeads, RetrievalLayers: o.RetrievalLayers,
		RetrievalPooling: o.RetrievalPooling, RetrievalDim: o.RetrievalDim, DecoderBaseLayers: o.BaseLayers,
		DecoderLayers: f.DecoderLayers, DecoderFFNDim: f.DecoderFFNDim, DecoderAttentionHeads: f.DecoderAttentionHeads,
		MaxPositionEmbeddings: f.MaxPositionEmbeddings, Dropout: f.Dropout, AttentionDropout: f.AttentionDropout,
		UnscaledEmbeddings: !f.ScaleEmbedding, Seed: o.Seed,
	}
	setDefault(&c.RetrievalLayers, min(Paper().RetrievalLayers, c.EncoderLayers))
	if o.BaseLayers > 0 {
		c.DecoderBaseFFNDim = c.EncoderFFNDim
	}
	return c, c.Validate()
}

// check tells what makes the model another than MARGE without base layers.
func (f *mbartConfig) check() error {
	switch f.ModelType {
	case "mbart":
	case "bart":
		return errors.New(`model_type is "bart": BART normalises after each block, mBART and MARGE before it`)
	default:
		return fmt.Errorf(`model_type is %q, want "mbart"`, f.ModelType)
	}
	if f.ActivationFunction != "gelu" {
		return fmt.Errorf(`activation_function is %q, the model has "gelu" alone`, f.ActivationFunction)
	}
	for _, key := range []struct {
		name        string
		value, want bool
	}{
		{"is_encoder_decoder", f.IsEncoderDecoder, true},
		{"tie_word_embeddings", f.TieWordEmbeddings, true},
		{"normalize_before", f.NormalizeBefore, true},
		{"normalize_embedding", f.NormalizeEmbedding, true},
		{"add_final_layer_norm", f.AddFinalLayerNorm, true},
		{"static_position_embeddings", f.StaticPositions, false},
	} {
		if key.value != key.want {
			return fmt.Errorf("%s is %v, of mBART and MARGE it is %v", key.name, key.value, key.want)
		}
	}
	for _, token := range []struct {
		name  string
		value any
		want  int
	}{
		{"bos_token_id", f.BOS, tokenizer.BOS}, {"pad_token_id", f.PAD, tokenizer.Pad},
		{"eos_token_id", f.EOS, tokenizer.EOS},
	} {
		if list, ok := token.value.([]any); ok && len(list) == 1 {
			token.value = list[0]
		}
		if token.value != nil && token.value != float64(token.want) {
			return fmt.Errorf("%s is %v, want %d", token.name, token.value, token.want)
		}
	}
	return nil
}

// SaveMBART writes the model as a checkpoint of mBART, which [FromMBART] and
// MBartForConditionalGeneration of transformers load, to a directory that it creates
// if need be: config.json, model.safetensors, with a tokenizer tokenizer.json and
// tokenizer_config.json, and their checksums. As [Model.Save] it replaces a model that was
// saved there before as a whole.
//
// Left out is what mBART does not have: beta, the norm and the features that end
// g, heads of [FineTune], the length of chunks. A model with base layers is no mBART:
// that is an error. The two rows of transformers' positions that it never reads
// are zero.
func (m *Model) SaveMBART(dir string) (err error) {
	defer tensor.Recover(&err)
	if n := m.Config.DecoderBaseLayers; n > 0 {
		return fmt.Errorf("save mBART: the decoder has %d base layers, which mBART does not have", n)
	}
	names := append(slices.Clone(modelNames), tokenizerConfigName, weightsIndexName)
	if err := checkpoint.Save(dir, names, func(d *checkpoint.Dir) error { return m.saveMBART(d) }); err != nil {
		return fmt.Errorf("save mBART: %w", err)
	}
	return nil
}

const (
	tokenizerConfigName = "tokenizer_config.json"
	weightsIndexName    = "model.safetensors.index.json"
)

func (m *Model) saveMBART(dir *checkpoint.Dir) error {
	c, f := &m.Config, newMBARTConfig()
	f.ModelType, f.Architectures = "mbart", []string{"MBartForConditionalGeneration"}
	f.BOS, f.PAD, f.EOS, f.ForcedEOS = tokenizer.BOS, tokenizer.Pad, tokenizer.EOS, tokenizer.EOS
	f.VocabSize, f.DModel, f.MaxPositionEmbeddings = c.VocabSize, c.DModel, c.MaxPositionEmbeddings
	f.EncoderLayers, f.EncoderFFNDim, f.EncoderAttentionHeads = c.EncoderLayers, c.EncoderFFNDim, c.EncoderAttentionHeads
	f.DecoderLayers, f.DecoderFFNDim, f.DecoderAttentionHeads = c.DecoderLayers, c.DecoderFFNDim, c.DecoderAttentionHeads
	f.Dropout, f.AttentionDropout, f.ScaleEmbedding = c.Dropout, c.AttentionDropout, !c.UnscaledEmbeddings
	if err := writeJSON(dir, configName, f); err != nil {
		return err
	}
	tensors := m.mbartTensors()
	err := writeFile(dir, weightsName, func(w io.Writer) error {
		return safetensors.Write(w, tensors, map[string]string{"format": "pt"})
	})
	if err != nil || m.Tokenizer == nil {
		return err
	}
	if err := m.saveTokenizer(dir); err != nil {
		return err
	}
	class := "PreTrainedTokenizerFast"
	if m.Tokenizer.FileName() != tokenizerName { // a model of SentencePiece, with the ids of mBART
		class = "MBartTokenizer"
	}
	return writeJSON(dir, tokenizerConfigName, map[string]any{
		"tokenizer_class": class, "model_max_length": c.MaxPositionEmbeddings,
		"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>",
	})
}

// writeJSON writes a value to a file of a checkpoint.
func writeJSON(dir *checkpoint.Dir, name string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return writeFile(dir, name, func(w io.Writer) error {
		_, err := w.Write(append(data, '\n'))
		return err
	})
}
