package marge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/internal/isatest"
	"github.com/marge-go/marge/nn/safetensors"
	"github.com/marge-go/marge/tensor"
	"github.com/marge-go/marge/tensor/backendtest"
)

// mbartNames are the checkpoints of bench/peers/mbart_golden.py.
var mbartNames = []string{"scaled", "sharded", "bfloat16", "float16"}

func mbartDir(name string) string { return filepath.Join("testdata", "mbart", name) }

// mbartReference is what transformers computes with one of them.
type mbartReference struct {
	// Ids as encoder and decoder read them. Document i of the decoder sees document
	// i of the encoder.
	Encoder, Decoder [][]int32
	Batch            Batch
	Loss             float64 // of the batch
	LossOfFirst      float64 `json:"loss_of_first"` // of the batch with its first evidence document alone
	logits           []float32
}

func readMBARTReference(t *testing.T, name string) *mbartReference {
	t.Helper()
	r := new(mbartReference)
	if err := json.Unmarshal(readTest(t, filepath.Join(mbartDir(name), "reference.json")), r); err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Open(filepath.Join(mbartDir(name), "reference.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	values, err := f.Float32s("logits")
	if err != nil {
		t.Fatal(err)
	}
	r.logits = slices.Clone(values)
	return r
}

// packIDs lays documents out as they are.
func packIDs(tp *tensor.Tape, docs [][]int32) packed {
	var rest [][]int32
	for _, d := range docs {
		rest = append(rest, d[1:])
	}
	return pack(tp, rest, func(i int) int32 { return docs[i][0] }, -1)
}

// rawLogits returns the logits of all tokens of the decoder's documents, each of which
// sees the encoder's document of the same number.
func rawLogits(m *Model, encoder, decoder [][]int32) []float32 {
	tp := m.tape()
	defer m.tapes.Put(tp)
	return download(m.logits(tp, m.decodeEach(tp, packIDs(tp, encoder), packIDs(tp, decoder))))
}

func farthest(a, b []float32) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	worst := 0.0
	for i := range a {
		worst = max(worst, math.Abs(float64(a[i])-float64(b[i])))
	}
	return worst
}

// mbartBound bounds the differences of logits, which are up to 10 here: float32 rounds
// such numbers by 5e-7, the sums of each layer some times as much.
const mbartBound = 1e-4

func loadMBART(t testing.TB, dir string, o MBARTOptions) *Model {
	t.Helper()
	m, err := FromMBARTOn(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Logits and losses are those of transformers, from the same ids.
func TestFromMBART(t *testing.T) {
	isatest.Each(t, func(t *testing.T) {
		for _, name := range mbartNames {
			m, r := loadMBART(t, mbartDir(name), MBARTOptions{}), readMBARTReference(t, name)
			worst := farthest(rawLogits(m, r.Encoder, r.Decoder), r.logits)
			t.Logf("%s: logits differ by %.2g", name, worst)
			if !(worst <= mbartBound) {
				t.Errorf("%s: logits differ by %v", name, worst)
			}
			checkMBARTLosses(t, name, m, r)
		}
	})
}

// checkMBARTLosses compares the mean loss of a batch, as training computes it.
func checkMBARTLosses(t *testing.T, name string, m *Model, r *mbartReference) {
	t.Helper()
	first := r.Batch
	first.Evidence = first.Evidence[:1]
	for b, want := range map[*Batch]float64{&r.Batch: r.Loss, &first: r.LossOfFirst} {
		if err := b.Validate(&m.Config); err != nil {
			t.Fatal(err)
		}
		tp := tensor.NewTape(m.Backend())
		tp.Reset(tensor.Gradient, 0)
		out := m.Forward(tp, b, 0)
		if got := float64(out.Loss.Item()); !(math.Abs(got-want) <= 1e-5) {
			t.Errorf("%s: the loss with %d evidence documents is %v, want %v", name, len(b.Evidence), got, want)
		}
	}
}

// What MARGE has beyond mBART does not change what the model computes, but for
// beta, which does with several documents.
func TestMBARTAdditions(t *testing.T) {
	for _, name := range mbartNames[:2] {
		plain, r := loadMBART(t, mbartDir(name), MBARTOptions{}), readMBARTReference(t, name)
		if c := plain.Config; c.RetrievalLayers != c.EncoderLayers || c.DecoderBaseLayers != 0 || plain.Beta() != 0 {
			t.Errorf("%s: without options the configuration is %+v, beta %v", name, c, plain.Beta())
		}
		o := MBARTOptions{RetrievalLayers: 1, RetrievalPooling: PoolMax, RetrievalDim: 9, BaseLayers: 2, Seed: 3}
		more := loadMBART(t, mbartDir(name), o)
		c := more.Config
		if c.RetrievalLayers != 1 || c.EmbeddingDim() != 9 || c.DecoderBaseLayers != 2 ||
			c.DecoderBaseFFNDim != c.EncoderFFNDim {
			t.Errorf("%s: the configuration is %+v", name, c)
		}
		if !slices.Equal(rawLogits(plain, r.Encoder, r.Decoder), rawLogits(more, r.Encoder, r.Decoder)) {
			t.Errorf("%s: base layers and another g change the logits", name)
		}
		checkMBARTLosses(t, name, more, r)
		if _, err := more.Embed(t.Context(), r.Batch.Targets); err != nil {
			t.Error(err)
		}
		if bytes.Equal(weights(more), weights(loadMBART(t, mbartDir(name), func() MBARTOptions { o.Seed++; return o }()))) {
			t.Errorf("%s: another seed gives the same weights", name)
		}

		o = MBARTOptions{Beta: 5}
		biased := loadMBART(t, mbartDir(name), o)
		one := r.Batch
		one.Evidence = one.Evidence[:1]
		losses := func(m *Model, b *Batch) []float64 {
			t.Helper()
			got, err := m.Loss(b)
			if err != nil {
				t.Fatal(err)
			}
			return got
		}
		for i, want := range losses(plain, &one) {
			if got := losses(biased, &one)[i]; math.Abs(got-want) > 1e-5 {
				t.Errorf("%s: with beta and one document the loss of target %d is %v, without %v", name, i, got, want)
			}
		}
		if a, b := losses(plain, &r.Batch)[0], losses(biased, &r.Batch)[0]; math.Abs(a-b) < 1e-4 {
			t.Errorf("%s: beta does nothing: losses %v and %v", name, a, b)
		}
	}
}

// At beta 0 beta and all parts that MARGE adds can be learnt: those that do not have a
// gradient at once have one after an update.
func TestMBARTLearnsAdditions(t *testing.T) {
	r := readMBARTReference(t, "scaled")
	m := loadMBART(t, mbartDir("scaled"), MBARTOptions{BaseLayers: 1})
	gradients := func() map[string]bool {
		tp := tensor.NewTape(m.Backend())
		tp.Reset(tensor.Gradient, 0)
		tp.Backward(m.Forward(tp, &r.Batch, 0).Loss)
		found := map[string]bool{}
		for _, p := range m.Parameters() {
			found[p.Name] = slices.ContainsFunc(hostGradient(p.Tensor), func(v float32) bool { return v != 0 })
			for i, g := range hostGradient(p.Tensor) {
				p.Float32s()[i] -= 0.1 * g
			}
			p.ZeroGrad()
		}
		return found
	}
	first, second := gradients(), gradients()
	if first["encoder.retrieval_layer_norm.weight"] || !first["beta"] ||
		!first["decoder.base_layers.0.self_attn.out_proj.weight"] {
		t.Errorf("gradients of the first update: %v", first)
	}
	for name, found := range second {
		if !found {
			t.Errorf("%s has no gradient after an update", name)
		}
	}
}

func hostGradient(x *tensor.Tensor) []float32 { return download(x.Grad()) }

// Generation computes the same logits, token by token with caches, whatever the
// layout of the document.
func TestMBARTCachedLogits(t *testing.T) {
	for _, name := range mbartNames {
		m, r := loadMBART(t, mbartDir(name), MBARTOptions{BaseLayers: 1}), readMBARTReference(t, name)
		v := m.Config.VocabSize
		var o GenerateOptions
		if err := o.complete(&m.Config); err != nil {
			t.Fatal(err)
		}
		o.MaxTokens = m.Config.MaxPositionEmbeddings
		worst, compared := 0.0, 0
		var batch []*search
		var numbers, offsets []int
		at := 0
		for i, read := range r.Decoder {
			if len(r.Encoder[i]) > 1 { // what stands for <s> and </s> is two tokens
				inner := r.Encoder[i][1 : len(r.Encoder[i])-1]
				request := TokenRequest{Evidence: [][]int32{inner}, Language: read[0]}
				batch = append(batch, newSearch(m, i, request, &o))
				numbers, offsets = append(numbers, i), append(offsets, at)
			}
			at += len(read)
		}
		d := newDecoding(m, len(batch), nil, &o)
		if err := d.encode(context.Background(), batch); err != nil {
			t.Fatal(err)
		}
		for k, s := range batch {
			tp := m.tape()
			docs := packIDs(tp, r.Encoder[numbers[k]:numbers[k]+1])
			x, _ := m.retrieval(tp, docs)
			for layer, z := range m.project(tp, m.encode(tp, x, docs.offsets), docs.offsets) {
				from := int(d.documents.Offsets[s.segment])
				d.copyRows(d.z[layer].K, from, z.K)
				d.copyRows(d.z[layer].V, from, z.V)
			}
			m.tapes.Put(tp)
		}
		d.gather(batch)
		d.caches[0].Reset(len(d.rows))
		for len(d.rows) > 0 {
			logits, _ := d.forward()
			got := download(logits)
			for i, row := range d.rows {
				k := slices.Index(batch, row.s)
				read, n := r.Decoder[numbers[k]], len(row.h.tokens)
				from := (offsets[k] + n) * v
				worst = max(worst, farthest(got[i*v:(i+1)*v], r.logits[from:from+v]))
				compared++
				if n+1 == len(read) {
					row.s.live = nil
				} else {
					row.s.live = []*hypothesis{{tokens: read[1 : n+2]}}
				}
			}
			d.reorder(batch)
		}
		d.close()
		t.Logf("%s: %d steps, logits differ by %.2g", name, compared, worst)
		if !(worst <= mbartBound) || compared < 20 {
			t.Errorf("%s: logits of %d steps differ by %v", name, compared, worst)
		}
	}
}

// peers returns a folder for what programs in bench/peers look at, below the one
// that MARGE_PEERS names, or for the test alone.
func peers(t *testing.T, name string) string {
	t.Helper()
	root := os.Getenv("MARGE_PEERS")
	if root == "" {
		return filepath.Join(t.TempDir(), name)
	}
	dir := filepath.Join(root, name)
	if err := os.MkdirAll(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A model that SaveMBART writes is read back bit for bit. bench/peers/mbart_golden.py
// has transformers load the same folders, and compares its logits with those that this
// leaves there.
func TestSaveMBART(t *testing.T) {
	root := peers(t, "mbart")
	models := map[string]*Model{}
	for _, name := range mbartNames {
		models[name] = loadMBART(t, mbartDir(name), MBARTOptions{})
	}
	c := testConfig(1)
	c.DecoderBaseLayers, c.DecoderBaseFFNDim, c.EncoderFFNDim, c.DecoderLayers = 0, 0, 48, 3
	models["new"] = testModel(t, c)
	models["new"].Tokenizer, _ = testCorpus(t)
	models["new"].SetBeta(0)
	for name, m := range models {
		dir := filepath.Join(root, name)
		if err := m.SaveMBART(dir); err != nil {
			t.Fatal(err)
		}
		again := loadMBART(t, dir, MBARTOptions{RetrievalLayers: m.Config.RetrievalLayers, Seed: m.Config.Seed})
		if !bytes.Equal(weights(m), weights(again)) {
			t.Errorf("%s: the weights differ after a round trip", name)
		}
		want := m.Config
		want.Backend = again.Config.Backend
		if fmt.Sprint(again.Config) != fmt.Sprint(want) {
			t.Errorf("%s: the configuration is %+v after a round trip, %+v before", name, again.Config, want)
		}
		if (m.Tokenizer == nil) != (again.Tokenizer == nil) {
			t.Errorf("%s: the tokenizer is %v after a round trip, %v before", name, again.Tokenizer, m.Tokenizer)
		}
		encoder, decoder := [][]int32{{0, 9, 30, 8, 2}, {17, 2, 4}, {3}}, [][]int32{{4, 12, 9}, {5}, {4, 20, 21, 22, 2}}
		inputs := map[string]any{"encoder": encoder, "decoder": decoder}
		if m.Tokenizer != nil {
			text := "drei zwei, ünd <s> one"
			inputs["text"], inputs["ids"] = text, m.Tokenizer.Encode(text)
		}
		data, err := json.Marshal(inputs)
		if err != nil {
			t.Fatal(err)
		}
		writeTest(t, filepath.Join(dir, "inputs.json"), data)
		logits := rawLogits(m, encoder, decoder)
		var b bytes.Buffer
		shape := []int{len(logits) / m.Config.VocabSize, m.Config.VocabSize}
		if err := safetensors.Write(&b, []safetensors.Tensor{safetensors.Float32("logits", shape, logits)}, nil); err != nil {
			t.Fatal(err)
		}
		writeTest(t, filepath.Join(dir, "logits.safetensors"), b.Bytes())
	}
}

// What mBART does not have is left out or, where it matters, an error; what was saved
// in the directory before is replaced.
func TestSaveMBARTLeavesOut(t *testing.T) {
	c := testConfig(1)
	dir := t.TempDir()
	if err := testModel(t, c).SaveMBART(dir); err == nil || !strings.Contains(err.Error(), "1 base layers") {
		t.Errorf("with a base layer: %v", err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("what is no mBART left %v, %v", entries, err)
	}
	c.DecoderBaseLayers, c.DecoderBaseFFNDim, c.Labels, c.AnswerTokens = 0, 0, Labels{"a", "b"}, 3
	c.RetrievalPooling, c.RetrievalDim = PoolMax, 8
	m := testModel(t, c)
	m.Tokenizer, _ = testCorpus(t)
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
	m.Tokenizer = nil
	writeTest(t, filepath.Join(dir, weightsIndexName), []byte("{}"))
	if err := m.SaveMBART(dir); err != nil {
		t.Fatal(err)
	}
	again := loadMBART(t, dir, MBARTOptions{})
	if again.Tokenizer != nil {
		t.Error("a tokenizer of before is still there")
	}
	if _, err := os.Stat(filepath.Join(dir, weightsIndexName)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an index of before is still there: %v", err)
	}
	docs := [][]int32{{4, 9, 8, 7}}
	if !slices.Equal(rawLogits(m, docs, docs), rawLogits(again, docs, docs)) {
		t.Error("the logits are others")
	}
	if again.Beta() != 0 || len(again.Config.Labels) > 0 || again.Config.AnswerTokens > 0 {
		t.Errorf("read back with beta %v and %+v", again.Beta(), again.Config)
	}
}

// Embeddings as they are and a bias of the logits are kept by Save, and g of a model
// with embeddings of another scale is another.
func TestSavePlainEmbeddings(t *testing.T) {
	m, r := loadMBART(t, mbartDir("sharded"), MBARTOptions{}), readMBARTReference(t, "sharded")
	dir := t.TempDir()
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
	again, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(rawLogits(m, r.Encoder, r.Decoder), rawLogits(again, r.Encoder, r.Decoder)) {
		t.Error("the logits differ after a round trip")
	}
	before := m.retrievalFingerprint()
	if before != again.retrievalFingerprint() {
		t.Error("the fingerprint of g differs after a round trip")
	}
	m.Config.UnscaledEmbeddings = false
	if before == m.retrievalFingerprint() {
		t.Error("the fingerprint of g does not depend on the scale of embeddings")
	}
}

// The loss with a bias, and its gradients, are those of a softmax of all logits.
func TestLogitsBias(t *testing.T) {
	m, r := loadMBART(t, mbartDir("sharded"), MBARTOptions{}), readMBARTReference(t, "sharded")
	if m.logitsBias == nil {
		t.Fatal("the model has no bias")
	}
	wanted := wantedTokens(&r.Batch)
	gradients := func(loss func(tp *tensor.Tape, hidden *tensor.Tensor) *tensor.Tensor) (values []float32) {
		tp := tensor.NewTape(m.Backend())
		tp.Reset(tensor.Gradient, 0)
		_, bias, z := m.evidence(tp, &r.Batch, false)
		out := loss(tp, m.decode(tp, packDecoder(tp, &r.Batch), z, bias, nil))
		tp.Backward(out)
		values = append(values, out.Item())
		for _, p := range m.Parameters() {
			values = append(values, download(p.Grad())...)
			p.ZeroGrad()
		}
		return values
	}
	for _, smoothing := range []float32{0, 0.1} {
		got := gradients(func(tp *tensor.Tape, hidden *tensor.Tensor) *tensor.Tensor {
			loss, _ := m.crossEntropy(tp, hidden, wanted, smoothing, 1/float32(len(wanted)))
			return loss
		})
		want := gradients(func(tp *tensor.Tape, hidden *tensor.Tensor) *tensor.Tensor {
			o := tensor.CrossEntropyOptions{Smoothing: smoothing, Reduction: tensor.ReductionMean}
			return tp.CrossEntropyLoss(m.logits(tp, hidden), tp.Ints(wanted), o)
		})
		if worst := farthest(got, want); !(worst <= 1e-5) {
			t.Errorf("smoothing %v: loss and gradients differ by %v", smoothing, worst)
		}
	}
}

// On a device that keeps tensors to itself the same is read and written.
func TestMBARTOnOpaqueBackend(t *testing.T) {
	b := backendtest.Opaque(tensor.NewCPU(1))
	defer b.Close()
	for _, name := range []string{"sharded", "bfloat16"} {
		want := loadMBART(t, mbartDir(name), MBARTOptions{BaseLayers: 1, RetrievalPooling: PoolMax, RetrievalDim: 5})
		got := loadMBART(t, mbartDir(name), MBARTOptions{
			BaseLayers: 1, RetrievalPooling: PoolMax, RetrievalDim: 5, Backend: b,
		})
		if !bytes.Equal(weights(got), weights(want)) {
			t.Errorf("%s: the weights differ", name)
		}
		got = loadMBART(t, mbartDir(name), MBARTOptions{Backend: b})
		dirs := [2]string{t.TempDir(), t.TempDir()}
		for i, m := range []*Model{got, loadMBART(t, mbartDir(name), MBARTOptions{})} {
			if err := m.SaveMBART(dirs[i]); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(readTest(t, filepath.Join(dirs[0], weightsName)), readTest(t, filepath.Join(dirs[1], weightsName))) {
			t.Errorf("%s: the weights are written differently", name)
		}
	}
}
