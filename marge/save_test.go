package marge

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/marge/checkpoint"
	"github.com/marge-go/marge/marge/tokenizer"
	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/nn/safetensors"
)

// saved saves a model with a tokenizer in a new directory.
func saved(t *testing.T) (*Model, string) {
	t.Helper()
	tok, _ := testCorpus(t)
	m := testModel(t, testConfig(1))
	m.Tokenizer = tok
	dir := filepath.Join(t.TempDir(), "a", "model")
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
	return m, dir
}

func writeTest(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
}

func readTest(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// refused checks that a directory is not loaded, for a reason that holds all
// of want.
func refused(t *testing.T, what, dir string, want ...string) {
	t.Helper()
	_, err := Load(dir)
	if err == nil {
		t.Errorf("%s: loaded", what)
		return
	}
	for _, w := range want {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("%s: error %q does not hold %q", what, err, w)
		}
	}
}

func TestSaveAndLoad(t *testing.T) {
	m, dir := saved(t)
	loaded, err := LoadOn(dir, Config{Backend: m.Backend()})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(weights(m), weights(loaded)) {
		t.Error("the weights differ after a round trip")
	}
	if got, want := loaded.Tokenizer.Encode("drei zwei"), m.Tokenizer.Encode("drei zwei"); !slices.Equal(got, want) {
		t.Errorf("the tokenizer encodes %v after a round trip, %v before", got, want)
	}
	if err := checkpoint.Verify(dir); err != nil {
		t.Errorf("the files and their checksums: %v", err)
	}
	// Without checksums, as a model that was downloaded, truncation still shows.
	if err := os.Remove(filepath.Join(dir, "checksums.json")); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, weightsName)
	data := readTest(t, path)
	for _, n := range []int{0, 7, 100, len(data) - 1} {
		writeTest(t, path, data[:n])
		refused(t, "cut weights", dir, path)
	}
	writeTest(t, filepath.Join(dir, configName), []byte(`{"model_type":"marge","vocab_size":-4}`))
	refused(t, "negative vocabulary", dir, "vocab_size")
}

// A model is replaced as a whole, and what else lies there stays.
func TestSaveOver(t *testing.T) {
	_, dir := saved(t)
	writeTest(t, filepath.Join(dir, "README.md"), []byte("mine"))
	c := testConfig(1)
	c.DModel, c.Seed = 64, 9
	m := testModel(t, c) // without a tokenizer
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
	loaded, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if loaded.Tokenizer != nil || loaded.Config.DModel != 64 || !bytes.Equal(weights(m), weights(loaded)) {
		t.Error("something of the model before is left")
	}
	if got := string(readTest(t, filepath.Join(dir, "README.md"))); got != "mine" {
		t.Errorf("README.md holds %q", got)
	}
	// What cannot be written over leaves the model as it is.
	obstacle := filepath.Join(dir, tokenizerName)
	if err := os.Mkdir(obstacle, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := testModel(t, testConfig(1)).Save(dir); err == nil || !strings.Contains(err.Error(), obstacle) {
		t.Errorf("saved over a directory: %v", err)
	}
	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	if loaded, err := Load(dir); err != nil || !bytes.Equal(weights(m), weights(loaded)) {
		t.Errorf("a failed Save leaves another model, %v", err)
	}
}

func TestLoadVerifies(t *testing.T) {
	_, dir := saved(t)
	for _, name := range []string{configName, weightsName, tokenizerName} {
		path := filepath.Join(dir, name)
		data := readTest(t, path)
		for i := range 20 { // bits all over the file
			bit := (len(data)*8 - 1) * i / 19
			flipped := slices.Clone(data)
			flipped[bit/8] ^= 1 << (bit % 8)
			writeTest(t, path, flipped)
			refused(t, "flipped bit", dir, path, "SHA-256")
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		refused(t, "missing file", dir, path, "checksums.json lists it")
		writeTest(t, path, data)
	}
	// An edit that is sensible by itself.
	path := filepath.Join(dir, configName)
	data := readTest(t, path)
	writeTest(t, path, bytes.Replace(data, []byte(`"encoder_attention_heads": 2`),
		[]byte(`"encoder_attention_heads": 4`), 1))
	refused(t, "edited configuration", dir, path, "SHA-256")
	writeTest(t, path, data)
	writeTest(t, filepath.Join(dir, "checksums.json"), []byte("{}"))
	refused(t, "empty checksums", dir, "checksums.json")
}

// A tokenizer that is there but cannot be read is not a model without one.
func TestLoadTokenizerErrors(t *testing.T) {
	_, dir := saved(t)
	if err := os.Remove(filepath.Join(dir, "checksums.json")); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, tokenizerName)
	for _, target := range []string{tokenizerName /* a loop */, "../blobs/gone"} {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, path); err != nil {
			t.Skipf("no symbolic links: %v", err)
		}
		refused(t, "link to "+target, dir, path)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if m, err := Load(dir); err != nil || m.Tokenizer != nil {
		t.Errorf("without a tokenizer: %v", err)
	}
	tok, _ := testCorpus(t)
	c := testConfig(1)
	c.VocabSize = tok.VocabSize() - 1
	small := testModel(t, c)
	small.Tokenizer = tok
	if err := small.Save(dir); err != nil {
		t.Fatal(err)
	}
	refused(t, "more tokens than the model has", dir, path, "more than the")
}

func TestParamShapes(t *testing.T) {
	configs := poolings(1)
	noBase := testConfig(1)
	noBase.DecoderBaseLayers, noBase.DecoderBaseFFNDim = 0, 0
	bias := noBase
	bias.LogitsBias = true
	configs["no base layers"], configs["a bias"], configs["tiny"] = noBase, bias, Tiny()
	for name, c := range configs {
		m := testModel(t, c)
		want := map[string][]int{}
		for _, p := range m.Parameters() {
			want[p.Name] = p.Shape()
		}
		got := map[string][]int{}
		for p := range c.paramShapes() {
			if _, ok := got[p.name]; ok {
				t.Errorf("%s: %s occurs twice", name, p.name)
			}
			got[p.name] = p.shape
		}
		if !maps.EqualFunc(got, want, slices.Equal) {
			t.Errorf("%s: the shapes are %v, of the model %v", name, got, want)
		}
		if n := c.paramCount(); n != float64(nn.Count(m.Parameters())) {
			t.Errorf("%s: %v parameters, want %d", name, n, nn.Count(m.Parameters()))
		}
	}
}

// TestHostileConfig loads weights with a config.json of other sizes, and
// bounds the memory that this takes.
func TestHostileConfig(t *testing.T) {
	m, dir := saved(t)
	if err := os.Remove(filepath.Join(dir, "checksums.json")); err != nil {
		t.Fatal(err)
	}
	weightsPath := filepath.Join(dir, weightsName)
	size := len(readTest(t, weightsPath))
	for name, c := range map[string]struct {
		edit func(c *Config)
		want []string
	}{
		"everything": {func(c *Config) { c.VocabSize, c.DModel, c.EncoderFFNDim = 1<<24, 1<<24, 1<<24 },
			[]string{configName, "parameters, more than"}},
		"layers": {func(c *Config) { c.EncoderLayers = 1000 }, []string{weightsPath,
			"encoder.layers.2.self_attn.q_proj.weight is missing"}},
		"base layers": {func(c *Config) { c.DecoderBaseLayers = 1000 }, []string{weightsPath,
			"decoder.base_layers.1.self_attn.q_proj.weight is missing"}},
		"fewer layers": {func(c *Config) { c.DecoderBaseLayers-- },
			[]string{weightsPath, "tensor decoder.base_layers.0.", "is unknown"}},
		"chunks": {func(c *Config) { c.ChunkTokens = c.MaxPositionEmbeddings - 1 },
			[]string{configName, "chunk_tokens is 63, want 0 to 62"}},
		"vocabulary": {func(c *Config) { c.VocabSize = 1 << 20 }, []string{weightsPath,
			"shared.weight has shape", configName}},
		"width": {func(c *Config) { c.DModel *= 2 }, []string{weightsPath, "shared.weight has shape"}},
		"positions": {func(c *Config) { c.MaxPositionEmbeddings = 1 << 20 },
			[]string{"encoder.embed_positions.weight has shape"}},
		"ffn": {func(c *Config) { c.DecoderFFNDim = 1 << 20 }, []string{"decoder.layers.0.fc1.weight has shape"}},
		"pooling": {func(c *Config) { c.RetrievalPooling, c.RetrievalDim = PoolMax, 1<<20 },
			[]string{"encoder.retrieval_proj.weight is missing"}},
	} {
		config := m.Config
		c.edit(&config)
		data, err := MarshalConfig(config)
		if err != nil {
			t.Fatal(err)
		}
		writeTest(t, filepath.Join(dir, configName), data)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		refused(t, name, dir, c.want...)
		runtime.ReadMemStats(&after)
		if n := after.TotalAlloc - before.TotalAlloc; n > uint64(32*size) {
			t.Errorf("%s: %d bytes are allocated for weights of %d", name, n, size)
		}
	}
	data, err := MarshalConfig(m.Config)
	if err != nil {
		t.Fatal(err)
	}
	writeTest(t, filepath.Join(dir, configName), bytes.ToUpper(data))
	refused(t, "members in other case", dir, "model_type")
	writeTest(t, filepath.Join(dir, configName), append(data, bytes.Repeat([]byte(" "), maxConfig)...))
	refused(t, "a long file", dir, configName, "bytes are more than")
}

func TestLoadNotFinite(t *testing.T) {
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		m, dir := saved(t)
		i := slices.IndexFunc(m.params, func(p nn.Parameter) bool { return p.Name == "decoder.layers.0.fc2.bias" })
		m.params[i].Float32s()[3] = float32(v)
		if err := m.Save(dir); err != nil {
			t.Fatal(err)
		}
		refused(t, "not finite", dir, filepath.Join(dir, weightsName), "tensor decoder.layers.0.fc2.bias: element 3 is")
	}
}

// An error of readTensors leaves the parameters as they were.
func TestReadTensorsKeeps(t *testing.T) {
	m, dir := saved(t)
	last := m.params[len(m.params)-1]
	last.Float32s()[0] = float32(math.NaN())
	path := filepath.Join(dir, "x.safetensors")
	var b bytes.Buffer
	if err := writeTensors(&b, m.params); err != nil {
		t.Fatal(err)
	}
	writeTest(t, path, b.Bytes())
	other := testModel(t, testConfig(1))
	other.params[0].Float32s()[0] = 77
	before := weights(other)
	if err := readTensors(path, storedAs(other.params), nil); err == nil || !strings.Contains(err.Error(), last.Name) {
		t.Errorf("error %v", err)
	}
	last.Float32s()[0] = 1
	b.Reset()
	if err := writeTensors(&b, m.params, safetensors.Uint8("more", []int{1}, []uint8{1})); err != nil {
		t.Fatal(err)
	}
	writeTest(t, path, b.Bytes())
	err := readTensors(path, storedAs(other.params), nil)
	if err == nil || !strings.Contains(err.Error(), "tensor more is unknown") {
		t.Errorf("error %v", err)
	}
	if !bytes.Equal(before, weights(other)) {
		t.Error("a part of the parameters has changed")
	}
}

func TestLoadRun(t *testing.T) {
	root := t.TempDir()
	refused(t, "an empty directory", root, root, configName, "neither a model nor a directory with checkpoints")
	if _, err := Load(root); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an empty directory: %v", err)
	}
	refused(t, "no directory", filepath.Join(root, "none"), filepath.Join(root, "none"))
	write := func(step int) *Model {
		c := testConfig(1)
		c.Seed = uint64(step)
		m := testModel(t, c)
		_, _, err := checkpoint.Write(root, step, 0, func(d *checkpoint.Dir) error {
			if err := m.save(d, SaveOptions{}); err != nil {
				return err
			}
			return writeFile(d, trainerName, func(w io.Writer) error { return json.NewEncoder(w).Encode(step) })
		})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	write(9)
	want := write(10)
	loaded, err := Load(root)
	if err != nil || !bytes.Equal(weights(want), weights(loaded)) {
		t.Errorf("not the newest checkpoint is loaded: %v", err)
	}
	// What a model does not consist of is not read.
	newest := filepath.Join(root, "checkpoint-10")
	writeTest(t, filepath.Join(newest, trainerName), nil)
	if _, err := Load(root); err != nil {
		t.Error(err)
	}
	writeTest(t, filepath.Join(newest, weightsName), nil)
	refused(t, "damaged", root, root, filepath.Join(newest, weightsName), filepath.Join(root,
		"checkpoint-9")+" is whole")
	if _, err := Load(filepath.Join(root, "checkpoint-9")); err != nil {
		t.Error(err)
	}
	// A model of the directory's own comes first.
	own := testModel(t, testConfig(1))
	if err := own.Save(root); err != nil {
		t.Fatal(err)
	}
	if loaded, err := Load(root); err != nil || !bytes.Equal(weights(own), weights(loaded)) {
		t.Errorf("not the model of the directory is loaded: %v", err)
	}
}

// A tokenizer that was loaded comes back with a checkpoint, and leaves nothing
// behind when another takes its place.
func TestSaveForeignTokenizer(t *testing.T) {
	m, dir := saved(t)
	z, err := gzip.NewReader(bytes.NewReader(readTest(t, "tokenizer/testdata/models/rules.model.gz")))
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	own := m.Tokenizer
	path := filepath.Join(t.TempDir(), "spiece.model")
	writeTest(t, path, data)
	foreign, err := tokenizer.LoadLayout(path, tokenizer.LayoutMBART)
	if err != nil {
		t.Fatal(err)
	}
	c := testConfig(1)
	c.VocabSize = foreign.VocabSize()
	m = testModel(t, c)
	for _, tok := range []tokenizer.Tokenizer{foreign, own, foreign} {
		m.Tokenizer = tok
		if err := m.Save(dir); err != nil {
			t.Fatal(err)
		}
		loaded, err := Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		if got := loaded.Tokenizer.Fingerprint(); got != tok.Fingerprint() {
			t.Errorf("fingerprint %s, want %s", got, tok.Fingerprint())
		}
		if got, want := loaded.Tokenizer.Encode("the theme"), tok.Encode("the theme"); !slices.Equal(got, want) {
			t.Errorf("ids %v, want %v", got, want)
		}
		for _, name := range tokenizerNames {
			_, err := os.Stat(filepath.Join(dir, name))
			if there := err == nil; there != (name == tok.FileName()) {
				t.Errorf("%s of a tokenizer in %s is there: %t", name, tok.FileName(), there)
			}
		}
	}
	// One with other ids for the special tokens is of no use to a model.
	if m.Tokenizer, err = tokenizer.Load(path); err != nil {
		t.Fatal(err)
	}
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
	refused(t, "special tokens elsewhere", dir, "id 0 must be the special token <s>")
	_, store := testCorpus(t)
	if _, _, err := checkCorpus(m, store); err == nil || !strings.Contains(err.Error(), "special token <s>") {
		t.Errorf("corpus: error %v", err)
	}
	if _, err := newReader(m); err == nil || !strings.Contains(err.Error(), "special token <s>") {
		t.Errorf("task: error %v", err)
	}
}
