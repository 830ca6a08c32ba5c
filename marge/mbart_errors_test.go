package marge

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/nn/safetensors"
)

// copyMBART copies a checkpoint to a new directory.
func copyMBART(t testing.TB, name string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	if err := os.CopyFS(dir, os.DirFS(mbartDir(name))); err != nil {
		t.Fatal(err)
	}
	return dir
}

// editConfig changes members of a config.json; nil removes one.
func editConfig(t testing.TB, dir string, members map[string]any) {
	t.Helper()
	path := filepath.Join(dir, configName)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	config := map[string]any{}
	if err := json.Unmarshal(data, &config); err != nil {
		t.Fatal(err)
	}
	maps.Copy(config, members)
	maps.DeleteFunc(config, func(_ string, v any) bool { return v == nil })
	if data, err = json.Marshal(config); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
}

// editWeights changes the tensors of a file, given by name.
func editWeights(t testing.TB, path string, edit func(tensors map[string]safetensors.Tensor)) {
	t.Helper()
	f, err := safetensors.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	tensors := map[string]safetensors.Tensor{}
	for _, name := range f.Names() {
		tensor, _ := f.Tensor(name)
		tensor.Data = bytes.Clone(tensor.Data)
		tensors[name] = tensor
	}
	edit(tensors)
	for name, tensor := range tensors {
		tensor.Name = name
		tensors[name] = tensor
	}
	var b bytes.Buffer
	if err := safetensors.Write(&b, slices.Collect(maps.Values(tensors)), nil); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
}

// refusedMBART checks that a directory is not loaded, for a reason that holds all of
// want.
func refusedMBART(t *testing.T, what, dir string, o MBARTOptions, want ...string) {
	t.Helper()
	_, err := FromMBARTOn(dir, o)
	for _, w := range append(want, "load mBART: ") {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("%s: error %v, want one with %q", what, err, w)
		}
	}
}

func TestMBARTConfigErrors(t *testing.T) {
	for _, c := range []struct {
		members map[string]any
		want    string
	}{
		{map[string]any{"model_type": "bart"}, "BART normalises after each block"},
		{map[string]any{"model_type": "marge"}, `model_type is "marge", want "mbart"`},
		{map[string]any{"model_type": nil}, `model_type is "", want "mbart"`},
		{map[string]any{"activation_function": "relu"}, `activation_function is "relu"`},
		{map[string]any{"normalize_before": false}, "normalize_before is false"},
		{map[string]any{"normalize_embedding": false}, "normalize_embedding is false"},
		{map[string]any{"add_final_layer_norm": false}, "add_final_layer_norm is false"},
		{map[string]any{"static_position_embeddings": true}, "static_position_embeddings is true"},
		{map[string]any{"is_encoder_decoder": false}, "is_encoder_decoder is false"},
		{map[string]any{"tie_word_embeddings": false}, "tie_word_embeddings is false"},
		{map[string]any{"bos_token_id": 5}, "bos_token_id is 5, want 0"},
		{map[string]any{"pad_token_id": 0}, "pad_token_id is 0, want 1"},
		{map[string]any{"eos_token_id": []int{2, 3}}, "eos_token_id is [2 3], want 2"},
		{map[string]any{"vocab_size": 1 << 40}, "vocab_size"},
		{map[string]any{"vocab_size": 1 << 24}, "model.shared.weight has shape"},
		{map[string]any{"vocab_size": "64"}, "/vocab_size"},
		{map[string]any{"d_model": 0}, "d_model is 0"},
		{map[string]any{"d_model": 1 << 20}, "parameters, more than"},
		{map[string]any{"d_model": 32}, "model.shared.weight has shape [64 16], want [64 32]"},
		{map[string]any{"encoder_layers": 1 << 24}, "encoder.layers.2.self_attn.q_proj.weight is missing"},
		{map[string]any{"decoder_layers": 1}, "model.decoder.layers.1."},
		{map[string]any{"encoder_ffn_dim": 1 << 24}, "model.encoder.layers.0.fc1.weight has shape"},
		{map[string]any{"decoder_ffn_dim": 33}, "model.decoder.layers.0.fc1.weight has shape [32 16], want [33 16]"},
		{map[string]any{"decoder_attention_heads": 3}, "decoder_attention_heads"},
		{map[string]any{"max_position_embeddings": 1 << 24},
			"model.encoder.embed_positions.weight has shape [26 16], want [16777218 16]"},
		{map[string]any{"max_position_embeddings": 26}, "has shape [26 16], want [28 16]"},
		{map[string]any{"dropout": 1.5}, "dropout"},
	} {
		dir := copyMBART(t, "scaled")
		editConfig(t, dir, c.members)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		refusedMBART(t, "a config.json", dir, MBARTOptions{}, c.want)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > 4<<20 {
			t.Errorf("%v: %d bytes are allocated", c.members, n)
		}
	}
	dir := copyMBART(t, "scaled")
	path := filepath.Join(dir, configName)
	data := readTest(t, path)
	writeTest(t, path, data[:len(data)/2])
	refusedMBART(t, "half a file", dir, MBARTOptions{}, path, "EOF")
	writeTest(t, path, append(data, bytes.Repeat([]byte(" "), maxConfig)...))
	refusedMBART(t, "a long file", dir, MBARTOptions{}, path, "bytes are more than")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	refusedMBART(t, "no config.json", dir, MBARTOptions{}, path)
	refusedMBART(t, "no directory", filepath.Join(dir, "none"), MBARTOptions{}, "none")
}

// What transformers takes for granted need not be there, and what does not matter may be.
func TestMBARTConfigAccepted(t *testing.T) {
	want := loadMBART(t, mbartDir("scaled"), MBARTOptions{})
	dir := copyMBART(t, "scaled")
	editConfig(t, dir, map[string]any{
		"bos_token_id": nil, "pad_token_id": nil, "eos_token_id": []int{2}, "activation_function": nil, "dropout": nil,
		"attention_dropout": nil, "tie_word_embeddings": nil, "is_encoder_decoder": nil, "normalize_before": true,
		"extra_pos_embeddings": 2, "num_beams": 5, "task_specific_params": map[string]any{"translation": []int{1}},
	})
	editWeights(t, filepath.Join(dir, weightsName), func(tensors map[string]safetensors.Tensor) {
		tensors["model.encoder.version"] = safetensors.Float32("", []int{1}, []float32{3})
		delete(tensors, mbartBias)
	})
	got := loadMBART(t, dir, MBARTOptions{})
	if !bytes.Equal(weights(got), weights(want)) || got.Config.Dropout != want.Config.Dropout {
		t.Errorf("another model, of configuration %+v, want %+v", got.Config, want.Config)
	}
	if got.Config.UnscaledEmbeddings {
		t.Error("scale_embedding is not taken")
	}
	editConfig(t, dir, map[string]any{"scale_embedding": nil})
	if got := loadMBART(t, dir, MBARTOptions{}); !got.Config.UnscaledEmbeddings {
		t.Error("without scale_embedding, embeddings are scaled")
	}
}

func TestMBARTWeightErrors(t *testing.T) {
	const query = "model.decoder.layers.1.encoder_attn.q_proj.weight"
	for name, c := range map[string]struct {
		edit func(tensors map[string]safetensors.Tensor)
		want string
	}{
		"missing": {func(w map[string]safetensors.Tensor) { delete(w, query) },
			"decoder.layers.1.encoder_attn.q_proj.weight is missing"},
		"no embeddings": {func(w map[string]safetensors.Tensor) { delete(w, "model.shared.weight") },
			"tensor shared.weight is missing"},
		"unknown": {func(w map[string]safetensors.Tensor) { w["model.more"] = w[query] }, "tensor model.more is unknown"},
		"a head": {func(w map[string]safetensors.Tensor) { w["qa_outputs.weight"] = w[query] },
			"tensor qa_outputs.weight is unknown"},
		"MARGE's": {func(w map[string]safetensors.Tensor) { w["beta"] = safetensors.Float32("", []int{1}, []float32{1}) },
			"tensor beta is unknown"},
		"shape": {func(w map[string]safetensors.Tensor) {
			w[query] = safetensors.Float32("", []int{8, 32}, make([]float32, 256))
		}, query + " has shape [8 32], want [16 16]"},
		"type": {func(w map[string]safetensors.Tensor) {
			w[query] = safetensors.Int32("", []int{16, 16}, make([]int32, 256))
		}, `"` + query + `" has type I32`},
		"not finite": {func(w map[string]safetensors.Tensor) {
			values := make([]float32, 256)
			values[7] = float32(math.NaN())
			w[query] = safetensors.Float32("", []int{16, 16}, values)
		}, "tensor " + query + ": element 7 is NaN"},
		"infinite embeddings": {func(w map[string]safetensors.Tensor) {
			values := make([]float32, 64*16)
			values[9] = float32(math.Inf(1))
			w["model.shared.weight"] = safetensors.Float32("", []int{64, 16}, values)
		}, "tensor model.shared.weight: element 9 is +Inf"},
		"both names": {func(w map[string]safetensors.Tensor) { w[strings.TrimPrefix(query, mbartPrefix)] = w[query] },
			"tensor decoder.layers.1.encoder_attn.q_proj.weight"},
		"tied, not equal": {func(w map[string]safetensors.Tensor) {
			other := w["model.shared.weight"]
			other.Data = bytes.Clone(other.Data)
			other.Data[len(other.Data)-2]++
			w["lm_head.weight"] = other
		}, "tensor lm_head.weight differs from model.shared.weight"},
		"tied, of another shape": {func(w map[string]safetensors.Tensor) { w["lm_head.weight"] = w[query] },
			"tensor lm_head.weight has shape [16 16], want [64 16]"},
		"bias": {func(w map[string]safetensors.Tensor) {
			w[mbartBias] = safetensors.Float32("", []int{64}, make([]float32, 64))
		}, "tensor final_logits_bias has shape [64], want [1 64]"},
	} {
		dir := copyMBART(t, "scaled")
		path := filepath.Join(dir, weightsName)
		editWeights(t, path, c.edit)
		refusedMBART(t, name, dir, MBARTOptions{}, c.want)
		if !strings.Contains(c.want, "missing") {
			refusedMBART(t, name, dir, MBARTOptions{}, path)
		}
	}

	dir := copyMBART(t, "scaled")
	path := filepath.Join(dir, weightsName)
	data := readTest(t, path)
	for _, n := range []int{0, 7, 100, len(data) / 2, len(data) - 1} {
		writeTest(t, path, data[:n])
		refusedMBART(t, "truncated", dir, MBARTOptions{}, path)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	refusedMBART(t, "no weights", dir, MBARTOptions{}, path)
	if _, err := FromMBART(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no weights: %v", err)
	}
	writeTest(t, filepath.Join(dir, "pytorch_model.bin"), nil)
	refusedMBART(t, "weights of torch.save", dir, MBARTOptions{}, "only pytorch_model.bin")
}

func TestMBARTShardErrors(t *testing.T) {
	index := func(dir string) string { return filepath.Join(dir, weightsIndexName) }
	edit := func(dir string, edit func(files map[string]string)) {
		t.Helper()
		files, err := safetensors.ReadIndex(index(dir))
		if err != nil {
			t.Fatal(err)
		}
		edit(files)
		data, err := json.Marshal(map[string]any{"weight_map": files})
		if err != nil {
			t.Fatal(err)
		}
		writeTest(t, index(dir), data)
	}
	dir := copyMBART(t, "sharded")
	edit(dir, func(files map[string]string) { files["model.shared.weight"] = "model-00009-of-00003.safetensors" })
	refusedMBART(t, "a shard that is missing", dir, MBARTOptions{}, index(dir), "model-00009-of-00003.safetensors")
	edit(dir, func(files map[string]string) {
		files["model.shared.weight"] = files["model.decoder.layer_norm.bias"]
	})
	loadMBART(t, dir, MBARTOptions{}) // another of the files has it
	edit(dir, func(files map[string]string) { files["model.more"] = files["model.shared.weight"] })
	refusedMBART(t, "a tensor in no shard", dir, MBARTOptions{}, index(dir), "tensor model.more")
	edit(dir, func(files map[string]string) {
		delete(files, "model.more")
		files["shared.weight"] = files["model.shared.weight"]
	})
	refusedMBART(t, "a tensor of another name", dir, MBARTOptions{}, index(dir), "tensor shared.weight")
	writeTest(t, index(dir), []byte("{"))
	refusedMBART(t, "damaged", dir, MBARTOptions{}, index(dir))

	dir = copyMBART(t, "sharded")
	editWeights(t, filepath.Join(dir, "model-00003-of-00003.safetensors"), func(w map[string]safetensors.Tensor) {
		w[mbartBias] = safetensors.Float32("", []int{1, 1}, []float32{1})
	})
	refusedMBART(t, "a tensor in two shards", dir, MBARTOptions{},
		"tensor final_logits_bias is tensor final_logits_bias of")
	if err := os.Remove(filepath.Join(dir, "model-00002-of-00003.safetensors")); err != nil {
		t.Fatal(err)
	}
	refusedMBART(t, "two shards of three", dir, MBARTOptions{}, "model-00002-of-00003.safetensors")
}

func TestMBARTOptionErrors(t *testing.T) {
	for want, o := range map[string]MBARTOptions{
		"retrieval_layers is 3":      {RetrievalLayers: 3},
		"retrieval_layers is -1":     {RetrievalLayers: -1},
		`retrieval_pooling is "sum"`: {RetrievalPooling: "sum"},
		"retrieval_dim is 5":         {RetrievalDim: 5},
		"retrieval_dim is 0":         {RetrievalPooling: PoolMax},
		"decoder_base_layers is -1":  {BaseLayers: -1},
		"beta is NaN":                {Beta: float32(math.NaN())},
	} {
		refusedMBART(t, "an option", mbartDir("scaled"), o, want)
	}
}

// Whatever is in the files of a checkpoint, there is a model or an error.
func FuzzFromMBART(f *testing.F) {
	dir := mbartDir("scaled")
	var seeds [2][]byte
	for i, name := range []string{configName, weightsName} {
		var err error
		if seeds[i], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(seeds[0], seeds[1])
	f.Add([]byte(`{"model_type": "mbart", "encoder_layers": 1, "eos_token_id": [2]}`), seeds[1][:3000])
	to := f.TempDir()
	f.Fuzz(func(t *testing.T, config, weights []byte) {
		writeTest(t, filepath.Join(to, configName), config)
		writeTest(t, filepath.Join(to, weightsName), weights)
		m, err := FromMBART(to)
		if (m == nil) == (err == nil) {
			t.Errorf("model %v, error %v", m, err)
		}
	})
}
