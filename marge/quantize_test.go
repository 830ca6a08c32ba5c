package marge

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/index"
	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/nn/safetensors"
	"github.com/marge-go/marge/tensor"
)

// quantizedConfig has all kinds of parameters.
func quantizedConfig() Config {
	c := testConfig(2)
	c.RetrievalPooling, c.RetrievalDim, c.LogitsBias = PoolMax, 48, true
	c.Labels, c.AnswerTokens = Labels{"a", "b", "c"}, 5
	return c
}

// quantized returns a quantised model, and the one it was made of.
func quantized(t *testing.T, c Config) (m, before *Model) {
	t.Helper()
	m, before = searchModel(t, c), searchModel(t, c)
	if err := m.Quantize(); err != nil {
		t.Fatal(err)
	}
	return m, before
}

// outputs returns what a model makes of a batch and of requests.
func outputs(t *testing.T, m *Model) (vectors []float32, losses []float64, generated [][]Output) {
	t.Helper()
	b := testBatch()
	vectors, err := m.Embed(context.Background(), append(b.Evidence, b.Targets...))
	if err != nil {
		t.Fatal(err)
	}
	if losses, err = m.Loss(b); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	var requests []TokenRequest
	for range 3 {
		requests = append(requests, randomRequest(rng, &m.Config))
	}
	generated, err = m.GenerateAllTokens(context.Background(), requests, GenerateOptions{Beams: 3, MaxTokens: 9})
	if err != nil {
		t.Fatal(err)
	}
	return vectors, losses, generated
}

// The quantised model is near to the one that it was made of, and not the same.
func TestQuantizeIsNear(t *testing.T) {
	for _, pooling := range []string{PoolFirst, PoolMean, PoolMax} {
		c := quantizedConfig()
		if c.RetrievalPooling = pooling; pooling != PoolMax {
			c.RetrievalDim = 0
		}
		m, before := quantized(t, c)
		vectors, losses, generated := outputs(t, m)
		wantVectors, wantLosses, _ := outputs(t, before)
		dim := c.EmbeddingDim()
		for i := 0; i < len(vectors); i += dim {
			cos := 0.0
			for j := range dim {
				cos += float64(vectors[i+j]) * float64(wantVectors[i+j])
			}
			if !(cos > 0.99 && cos < 1-1e-9) {
				t.Errorf("%s: vector %d has a cosine of %v with that before", pooling, i/dim, cos)
			}
		}
		for i, loss := range losses {
			if diff := math.Abs(loss - wantLosses[i]); !(diff < 0.02*wantLosses[i] && diff > 0) {
				t.Errorf("%s: target %d has the loss %v, before %v", pooling, i, loss, wantLosses[i])
			}
		}
		if len(generated) < 3 {
			t.Errorf("%d outputs", len(generated))
		}
	}
}

// A model that was saved and loaded has the same outputs to the last bit.
func TestQuantizeSaveAndLoad(t *testing.T) {
	m, _ := quantized(t, quantizedConfig())
	vectors, losses, generated := outputs(t, m)
	dir := t.TempDir()
	for _, o := range []SaveOptions{{}, {Precision: tensor.BFloat16}} {
		if err := m.SaveWith(dir, o); err != nil {
			t.Fatal(err)
		}
		loaded, err := Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		if loaded.Config.Quantization != "int8" {
			t.Errorf("quantization %q", loaded.Config.Quantization)
		}
		v, l, g := outputs(t, loaded)
		same := slices.Equal(v, vectors) && slices.Equal(l, losses) && reflect.DeepEqual(g, generated)
		if o.Precision == tensor.Float32 && (!same || loaded.retrievalFingerprint() != m.retrievalFingerprint()) {
			t.Errorf("loaded: %v, %v, %v; want %v, %v, %v", v, l, g, vectors, losses, generated)
		}
		if o.Precision == tensor.BFloat16 && slices.Equal(v, vectors) {
			t.Error("positions in bfloat16 change nothing")
		}
	}
	one := quantizedConfig()
	one.Backend = tensor.NewCPU(1)
	single, _ := quantized(t, one)
	if v, l, _ := outputs(t, single); !slices.Equal(v, vectors) || !slices.Equal(l, losses) {
		t.Error("results depend on the number of threads")
	}
}

// The fingerprint is that of the values, so that an index of another model is refused.
func TestQuantizeIndex(t *testing.T) {
	m, before := quantized(t, quantizedConfig())
	ctx, docs := context.Background(), [][]int32{{10, 11}, {20, 21, 22}, {30}}
	for _, made := range []*Model{m, before} {
		x, err := made.NewIndex(ctx, docs, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, used := range []*Model{m, before} {
			hits, err := used.Retrieve(ctx, docs[1], x, 1)
			if made == used && (err != nil || hits[0].Document != 1) {
				t.Errorf("found %v, error %v", hits, err)
			}
			if made != used && (err == nil || !strings.Contains(err.Error(), "vectors cannot be compared")) {
				t.Errorf("error %v", err)
			}
		}
	}
}

// heap returns the bytes in use.
func heap() float64 {
	var s runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&s)
	return float64(s.HeapAlloc)
}

func TestQuantizeMemory(t *testing.T) {
	c := Tiny()
	c.Backend = tensor.NewCPU(1)
	start := heap()
	m := testModel(t, c)
	floats := heap() - start
	if err := m.Quantize(); err != nil {
		t.Fatal(err)
	}
	int8s := heap() - start
	if want := 4 * float64(nn.Count(m.Parameters())); floats < want || int8s > 0.35*floats {
		t.Errorf("%.0f bytes, %.0f before, %.0f of values", int8s, floats, want)
	}
	dir := t.TempDir()
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
	m, start = nil, heap()
	loaded, err := LoadOn(dir, c)
	if err != nil {
		t.Fatal(err)
	}
	if grown := heap() - start; grown > 0.35*floats {
		t.Errorf("%.0f bytes of the loaded model, %.0f as float32", grown, floats)
	}
	runtime.KeepAlive(loaded)
	if info, err := os.Stat(filepath.Join(dir, weightsName)); err != nil || float64(info.Size()) > 0.35*floats {
		t.Errorf("the file has %v bytes, error %v", info.Size(), err)
	}
}

// noInt8 is a backend without int8 matrices.
type noInt8 struct{ tensor.Backend }

func TestQuantizeErrors(t *testing.T) {
	m, before := quantized(t, quantizedConfig())
	tok, store := testCorpus(t)
	m.Tokenizer = tok
	fails := func(err error, want string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	fails(m.Quantize(), "quantised already")
	_, err := Pretrain(context.Background(), m, store, PretrainOptions{Steps: 1})
	fails(err, "pretrain: the model is quantised to int8, which is for inference")
	_, err = FineTune(context.Background(), m, SequenceToSequence{}, FineTuneOptions{Steps: 1})
	fails(err, "fine-tune: the model is quantised to int8, which is for inference")
	fails(m.SaveSentenceTransformers(filepath.Join(t.TempDir(), "st")), "the model is quantised to int8")
	_, err = New(m.Config)
	fails(err, "New makes float32 models")
	c := m.Config
	c.Quantization = "int3"
	fails(c.Validate(), `quantization is "int3", want "int8" or none`)
	fails(m.SaveWith(t.TempDir(), SaveOptions{Precision: tensor.Int8}), "not int8")

	c = quantizedConfig()
	c.Backend = noInt8{c.Backend}
	other := testModel(t, c)
	fails(other.Quantize(), "shared.weight: int8: the backend cpu has no products of int8 matrices")
	values := before.decoder.layers[0].ffn.FC2.Weight.Float32s()
	kept := values[3]
	values[3] = float32(math.NaN())
	fails(before.Quantize(), "decoder.layers.0.fc2.weight: element 3 is NaN")
	values[3] = kept
	for _, m := range []*Model{other, before} {
		if m.Config.Quantization != "" || m.shared.Weight.DType() != tensor.Float32 {
			t.Error("an error left a model that is quantised in part")
		}
	}
	dir := t.TempDir()
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
	_, err = LoadOn(dir, Config{Backend: noInt8{c.Backend}})
	fails(err, "the backend cpu has no products of int8 matrices")
}

// Files whose tensors are not those that config.json says are refused.
func TestQuantizeHostileFiles(t *testing.T) {
	m, before := quantized(t, quantizedConfig())
	config, err := MarshalConfig(m.Config)
	if err != nil {
		t.Fatal(err)
	}
	var tensors []safetensors.Tensor
	var same []nn.Parameter
	for _, p := range m.params {
		if p.DType() == tensor.Int8 {
			tensors = append(tensors, int8Tensors(p)...)
		} else {
			same = append(same, p)
		}
	}
	const name = "decoder.layers.0.fc1.weight"
	edited := func(edit func(list []safetensors.Tensor) []safetensors.Tensor) string {
		var b bytes.Buffer
		if err := writeTensors(&b, same, edit(slices.Clone(tensors))...); err != nil {
			t.Fatal(err)
		}
		dir := t.TempDir()
		writeTest(t, filepath.Join(dir, configName), config)
		writeTest(t, filepath.Join(dir, weightsName), b.Bytes())
		return dir
	}
	at := slices.IndexFunc(tensors, func(t safetensors.Tensor) bool { return t.Name == name })
	if _, err := Load(edited(func(l []safetensors.Tensor) []safetensors.Tensor { return l })); err != nil {
		t.Fatalf("unchanged: %v", err)
	}
	refused(t, "no scales", edited(func(l []safetensors.Tensor) []safetensors.Tensor {
		return slices.Delete(l, at+1, at+2)
	}), name+"_scale is missing")
	refused(t, "scales of another shape", edited(func(l []safetensors.Tensor) []safetensors.Tensor {
		l[at+1] = safetensors.Float32(name+"_scale", []int{3}, make([]float32, 3))
		return l
	}), name+"_scale has shape [3], want [64]")
	refused(t, "float32", edited(func(l []safetensors.Tensor) []safetensors.Tensor {
		l[at] = safetensors.Float32(name, l[at].Shape, make([]float32, 64*32))
		return l
	}), name+" is F32, want I8")
	refused(t, "a scale that is not finite", edited(func(l []safetensors.Tensor) []safetensors.Tensor {
		scales := make([]float32, 64)
		scales[5] = float32(math.Inf(1))
		l[at+1] = safetensors.Float32(name+"_scale", []int{64}, scales)
		return l
	}), name, "the scale of row 5 is +Inf")

	dir := t.TempDir()
	if config, err = MarshalConfig(before.Config); err != nil {
		t.Fatal(err)
	}
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "checksums.json")); err != nil {
		t.Fatal(err)
	}
	writeTest(t, filepath.Join(dir, configName), config)
	refused(t, "int8 without a word in config.json", dir, "_scale is unknown")
}

// A file of bfloat16 is half as large, and has the values rounded to nearest.
func TestSaveBFloat16(t *testing.T) {
	m := searchModel(t, quantizedConfig())
	dir, whole := t.TempDir(), t.TempDir()
	if err := m.Save(whole); err != nil {
		t.Fatal(err)
	}
	if err := m.SaveWith(dir, SaveOptions{Precision: tensor.BFloat16}); err != nil {
		t.Fatal(err)
	}
	loaded, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	changed := 0
	for i, p := range loaded.params {
		want := m.params[i].Float32s()
		for j, v := range p.Float32s() {
			bound := math.Abs(float64(want[j])) / 256
			if len(p.Shape()) == 1 {
				bound = 0
			}
			if !(math.Abs(float64(v-want[j])) <= bound) {
				t.Fatalf("%s: element %d is %v, was %v", p.Name, j, v, want[j])
			}
			if v != want[j] {
				changed++
			}
		}
	}
	if changed == 0 {
		t.Error("no value was rounded")
	}
	size := func(dir string) float64 {
		info, err := os.Stat(filepath.Join(dir, weightsName))
		if err != nil {
			t.Fatal(err)
		}
		return float64(info.Size())
	}
	if ratio := size(dir) / size(whole); ratio > 0.6 {
		t.Errorf("the file is %.2f times as large", ratio)
	}
	m.shared.Weight.Float32s()[7] = math.MaxFloat32
	err = m.SaveWith(dir, SaveOptions{Precision: tensor.BFloat16})
	want := fmt.Sprintf("tensor shared.weight: bfloat16 does not hold element 7, %v", float32(math.MaxFloat32))
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
	if _, err := Load(dir); err != nil {
		t.Errorf("the model before is gone: %v", err)
	}
}

// An index with vectors of another precision finds the same, in files too, and grows.
func TestIndexAs(t *testing.T) {
	m := searchModel(t, quantizedConfig())
	ctx, docs := context.Background(), [][]int32{{10, 11}, {20, 21, 22}, {30}, {40, 41}}
	whole, err := m.NewIndex(ctx, docs, []string{"a", "b", "c", "d"})
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []index.Precision{index.Float32, index.BFloat16, index.Int8} {
		x, err := whole.As(p)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "index")
		if err := x.Save(path); err != nil {
			t.Fatal(err)
		}
		opened, err := OpenIndex(path)
		if err != nil {
			t.Fatal(err)
		}
		defer opened.Close()
		if opened.Precision() != p || strings.Contains(opened.String(), "of "+p.String()) != (p != index.Float32) {
			t.Errorf("%v: %v", p, opened)
		}
		for i, doc := range docs {
			hits, err := m.Retrieve(ctx, doc, opened, 1)
			if err != nil || hits[0].Document != i || hits[0].ID != whole.ID(i) ||
				math.Abs(float64(hits[0].Relevance)-1) > 1e-2 {
				t.Errorf("%v: found %+v, error %v", p, hits, err)
			}
		}
		m.Tokenizer, _ = testCorpus(t)
		if _, err := opened.Add(ctx, m, []corpus.Document{{ID: "new", Text: "eins zwei drei"}}, AddOptions{}); err != nil {
			t.Fatal(err)
		}
		if hits, err := m.Search(ctx, "eins zwei drei", opened, SearchOptions{K: 1}); err != nil || hits[0].ID != "new" {
			t.Errorf("%v: found %+v, error %v", p, hits, err)
		}
	}
}
