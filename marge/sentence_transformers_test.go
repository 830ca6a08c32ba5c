package marge

import (
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/marge/tokenizer"
	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/nn/safetensors"
)

// stTexts have different lengths, one more than a chunk, and what looks like special
// tokens.
var stTexts = []string{
	"null eins zwei", "one", "", strings.Repeat("drei two four ", 30), "<s> sieben </s> de_XX", "  fünf\n\nneun 12 ",
	"eight seven six five four three two one zero",
}

// For every pooling there is a directory with the parts of g, each in its place.
// bench/peers/sentence_transformers_parity.py loads them, and compares vectors with those
// that this leaves beside them.
func TestSaveSentenceTransformers(t *testing.T) {
	root := peers(t, "sentence_transformers")
	configs := poolings(1)
	plain := configs[PoolMax]
	plain.UnscaledEmbeddings, plain.ChunkTokens, plain.RetrievalLayers, plain.EncoderFFNDim = true, 20, 2, 40
	plain.MaxPositionEmbeddings = 48
	configs["unscaled"] = plain
	for name, c := range configs {
		m := testModel(t, c)
		m.Tokenizer, _ = testCorpus(t)
		for _, p := range m.Parameters() { // else a norm could be left out unnoticed
			for i := range p.Float32s() {
				p.Float32s()[i] += 0.05 * float32(i%7-3)
			}
		}
		dir := filepath.Join(root, name)
		if err := m.SaveSentenceTransformers(dir); err != nil {
			t.Fatal(err)
		}
		vectors, err := m.Encode(t.Context(), stTexts, EncodeOptions{DocumentOptions: DocumentOptions{MaxChunks: 1}})
		if err != nil {
			t.Fatal(err)
		}
		data, err := json.Marshal(map[string]any{"texts": stTexts, "vectors": vectors})
		if err != nil {
			t.Fatal(err)
		}
		writeTest(t, dir+".json", data)
		checkSentenceTransformers(t, m, dir)

		err = m.SaveSentenceTransformers(dir)
		if !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), dir) {
			t.Errorf("saved again: %v", err)
		}
		m.Tokenizer = nil
		if err := m.SaveSentenceTransformers(filepath.Join(t.TempDir(), "x")); !errors.Is(err, errNoTokenizer) {
			t.Errorf("without a tokenizer: %v", err)
		}
	}
}

// checkSentenceTransformers checks the files of a directory.
func checkSentenceTransformers(t *testing.T, m *Model, dir string) {
	t.Helper()
	var modules []struct{ Path, Type string }
	if err := json.Unmarshal(readTest(t, filepath.Join(dir, "modules.json")), &modules); err != nil {
		t.Fatal(err)
	}
	var types []string
	for _, module := range modules {
		types = append(types, module.Type[strings.LastIndex(module.Type, ".")+1:])
		var config map[string]any
		if err := json.Unmarshal(readTest(t, filepath.Join(dir, module.Path, configName)), &config); err != nil {
			t.Errorf("module %s: %v", module.Type, err)
		}
	}
	if !slices.Equal(types, []string{"MargeEncoder", "Pooling", "LayerNorm", "Normalize"}) {
		t.Errorf("modules %v", types)
	}
	if !slices.Equal(readTest(t, filepath.Join(dir, "marge_encoder.py")), encoderModule) {
		t.Error("the code differs")
	}
	tok, err := tokenizer.Load(filepath.Join(dir, tokenizerName))
	if err != nil || tok.Fingerprint() != m.Tokenizer.Fingerprint() {
		t.Errorf("the tokenizer differs: %v", err)
	}
	names := map[string]bool{}
	for _, path := range []string{weightsName, filepath.Join("2_LayerNorm", weightsName)} {
		f, err := safetensors.Open(filepath.Join(dir, path))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range f.Names() {
			values, err := f.Float32s(name)
			if err != nil {
				t.Fatal(err)
			}
			name = strings.Replace(name, "norm.", "encoder.retrieval_layer_norm.", strings.Count(path, "LayerNorm"))
			names[name] = true
			i := slices.IndexFunc(m.params, func(p nn.Parameter) bool { return p.Name == name })
			if i < 0 || !slices.Equal(values, m.params[i].Float32s()) {
				t.Errorf("%s: tensor %s is not that of the model", path, name)
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if want := len(m.retrievalParameters()) + 1; len(names) != want {
		t.Errorf("%d tensors, want %d", len(names), want)
	}
	if _, err := os.Stat(filepath.Join(dir, "config_sentence_transformers.json")); err != nil {
		t.Error(err)
	}
	config := map[string]any{}
	for _, folder := range []string{"", "1_Pooling", "2_LayerNorm"} {
		if err := json.Unmarshal(readTest(t, filepath.Join(dir, folder, configName)), &config); err != nil {
			t.Fatal(err)
		}
	}
	c := &m.Config
	scale := math.Sqrt(float64(c.DModel))
	if c.UnscaledEmbeddings {
		scale = 1
	}
	want := map[string]any{
		"vocab_size": float64(c.VocabSize), "d_model": float64(c.DModel), "encoder_ffn_dim": float64(c.EncoderFFNDim),
		"encoder_attention_heads": float64(c.EncoderAttentionHeads), "retrieval_layers": float64(c.RetrievalLayers),
		"retrieval_dim": float64(c.RetrievalDim), "max_position_embeddings": float64(c.MaxPositionEmbeddings),
		"embedding_scale": float64(float32(scale)), "max_seq_length": float64(c.chunk() + 2),
		"word_embedding_dimension": float64(c.EmbeddingDim()), "dimension": float64(c.EmbeddingDim()),
		"pooling_mode_cls_token":   c.RetrievalPooling == PoolFirst,
		"pooling_mode_mean_tokens": c.RetrievalPooling == PoolMean, "pooling_mode_max_tokens": c.RetrievalPooling == PoolMax,
	}
	if !maps.Equal(config, want) {
		t.Errorf("the configurations are %v, want %v", config, want)
	}
}
