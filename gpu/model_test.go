//go:build cuda

package gpu

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/index"
	"github.com/marge-go/marge/marge/tokenizer"
	"github.com/marge-go/marge/tensor"
)

// Without these methods an update would work, too, one launch and one wait a parameter.
var _ interface {
	SumSquaresAll(x []*tensor.Tensor) []float64
	AdamWAll(calls []tensor.AdamWCall)
} = (*Backend)(nil)

// The models of these tests are as small as they can be: an emulated card computes
// a ten-thousandth of what a real one does.

// reports are accounts of events in two languages, of 3 to 70 tokens.
func reports() (docs []corpus.Document) {
	for event := range 6 {
		for _, lang := range []string{"de", "en"} {
			text := strings.Repeat(string(rune('a'+event)), 3)
			for i := range event * event {
				text += fmt.Sprintf(" %c%d", 'a'+event, i%4)
			}
			if lang == "de" {
				text = strings.ReplaceAll(text, "0", "null")
			}
			docs = append(docs, corpus.Document{
				ID: fmt.Sprintf("%d/%s", event, lang), Lang: lang, Text: text, Date: "2020-01-01", Group: fmt.Sprint(event),
			})
		}
	}
	return docs
}

func material(t *testing.T) (tokenizer.Tokenizer, *corpus.Store) {
	t.Helper()
	docs := reports()
	tok, err := tokenizer.Train(func(yield func(string) bool) {
		for _, d := range docs {
			if !yield(d.Text) {
				return
			}
		}
	}, tokenizer.TrainOptions{VocabSize: 270, Languages: []string{"de", "en"}})
	if err != nil {
		t.Fatal(err)
	}
	store, err := corpus.FromDocuments(docs, tok, corpus.BuildOptions{ChunkTokens: 70, MinTokens: 1})
	if err != nil {
		t.Fatal(err)
	}
	return tok, store
}

func config(tok tokenizer.Tokenizer, b tensor.Backend) marge.Config {
	return marge.Config{
		VocabSize: tok.VocabSize(), DModel: 32,
		EncoderLayers: 1, EncoderFFNDim: 32, EncoderAttentionHeads: 1, RetrievalLayers: 1,
		DecoderBaseLayers: 1, DecoderBaseFFNDim: 32,
		DecoderLayers: 1, DecoderFFNDim: 32, DecoderAttentionHeads: 2,
		MaxPositionEmbeddings: 80, Dropout: 0.1, AttentionDropout: 0.1, Seed: 7, Backend: b,
	}
}

func newModel(t *testing.T, tok tokenizer.Tokenizer, c marge.Config) *marge.Model {
	t.Helper()
	m, err := marge.New(c)
	if err != nil {
		t.Fatal(err)
	}
	m.Tokenizer = tok
	return m
}

func training(steps int, dir string) marge.PretrainOptions {
	return marge.PretrainOptions{
		Steps: steps, WarmupSteps: 2, LearningRate: 1e-3, BatchTokens: 150, Links: index.LinkOptions{Mono: 2, Cross: 2},
		TFIDFSteps: steps / 2, IndexEvery: steps, Seed: 3, Dir: dir, CheckpointEvery: 4, Resume: dir != "",
	}
}

// pretrain trains a new model, or goes on with one in the folder of the options, and
// returns the losses of the updates from first on. It stops after an update if that is not 0.
func pretrain(
	t *testing.T, b tensor.Backend, o marge.PretrainOptions, stop int, change func(*marge.Config),
) (m *marge.Model, first int, losses []float64, err error) {
	t.Helper()
	tok, store := material(t)
	c := config(tok, b)
	if change != nil {
		change(&c)
	}
	m = newModel(t, tok, c)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	o.OnStep = func(metrics marge.Metrics) error {
		if len(losses) == 0 {
			first = metrics.Step
		}
		losses = append(losses, metrics.Loss)
		if metrics.Step == stop {
			cancel()
		}
		return nil
	}
	_, err = marge.Pretrain(ctx, m, store, o)
	return m, first, losses, err
}

// near fails unless got are want but for a relative error.
func near[T float32 | float64](t *testing.T, what string, got, want []T, most float64) {
	t.Helper()
	diff, norm := 0.0, 0.0
	for i := range min(len(got), len(want)) {
		d := float64(got[i]) - float64(want[i])
		diff, norm = diff+d*d, norm+float64(want[i])*float64(want[i])
	}
	if e := math.Sqrt(diff / norm); len(got) != len(want) || !(e <= most) {
		t.Errorf("%s: error %.2g, want at most %g: %v, want %v", what, e, most, got, want)
	}
}

// lossError bounds the relative error of the loss of a step, and that of results of equal weights.
const lossError = 1e-5

// A training gives on the card what it gives on the processor, also if it began on
// the other one, and so does the trained model.
func TestModelTraining(t *testing.T) {
	const steps, stop = 20, 14
	cpu, b := tensor.NewCPU(1), open(t)
	defer cpu.Close()
	backends := map[string]tensor.Backend{"cpu": cpu, "cuda": b}
	_, _, want, err := pretrain(t, cpu, training(steps, ""), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	var model *marge.Model
	for begin, dir := range map[string]string{"cpu": t.TempDir(), "cuda": t.TempDir()} {
		_, _, losses, err := pretrain(t, backends[begin], training(steps, dir), stop, nil)
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("%s: error %v", begin, err)
		}
		near(t, begin, losses, want[:stop], lossError)
		other := t.TempDir()
		if err := os.CopyFS(other, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		for end, dir := range map[string]string{"cpu": dir, "cuda": other} {
			m, first, losses, err := pretrain(t, backends[end], training(steps, dir), 0, nil)
			if err != nil || first != stop+1 {
				t.Fatalf("from %s to %s: goes on with update %d, error %v", begin, end, first, err)
			}
			near(t, "from "+begin+" to "+end, losses, want[stop:], lossError)
			if end == "cuda" {
				model = m
			}
		}
	}
	dir := t.TempDir()
	if err := model.Save(dir); err != nil {
		t.Fatal(err)
	}
	onCPU, err := marge.LoadOn(dir, marge.Config{Backend: cpu})
	if err != nil {
		t.Fatal(err)
	}
	sameUse(t, model, onCPU)
}

// sameUse uses two models of equal weights in every way.
func sameUse(t *testing.T, m, want *marge.Model) {
	t.Helper()
	ctx := context.Background()
	var texts []string
	for _, d := range reports()[4:] {
		texts = append(texts, d.Text)
	}
	batch := &marge.Batch{
		Evidence: [][]int32{{10, 11, 12}, {20}, {30, 31, 32, 33, 34, 35, 36}}, Targets: [][]int32{{10, 11, 12}, {40, 41}},
		Languages: []int32{4, 5}, Own: [][2]int{{0, 0}, {0, 1}},
	}
	type results struct {
		losses, mass []float64
		vectors      []float32
		scores       []float32
		tokens       [][]int32
		found        []string
	}
	use := func(m *marge.Model) (r results) {
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		var err error
		r.losses, err = m.Loss(batch)
		must(err)
		attention, err := m.EvidenceAttention(batch)
		must(err)
		r.mass = slices.Concat(attention.Mass...)
		vectors, err := m.Embed(ctx, batch.Evidence)
		must(err)
		r.vectors = vectors
		for layer := range 2 {
			encoded, err := m.Encode(ctx, texts, marge.EncodeOptions{Layer: layer})
			must(err)
			r.vectors = append(r.vectors, slices.Concat(encoded...)...)
		}
		x, err := m.NewIndex(ctx, batch.Evidence, []string{"a", "b", "c"})
		must(err)
		hits, err := m.Retrieve(ctx, []int32{30, 31, 32}, x, 3)
		must(err)
		for _, h := range hits {
			r.found = append(r.found, h.ID)
		}
		for _, beams := range []int{1, 3} {
			outputs, err := m.GenerateAll(ctx, []marge.Request{
				{Evidence: texts[:2]}, {Evidence: texts[3:4], Lang: "de", Prefix: []int32{100, 101}},
			}, marge.GenerateOptions{Lang: "en", Beams: beams, Return: beams, MaxTokens: 6, Attention: true})
			must(err)
			for _, output := range slices.Concat(outputs...) {
				r.tokens = append(r.tokens, output.Tokens)
				r.scores = append(r.scores, output.LogProbs...)
				r.mass = append(r.mass, output.Evidence...)
			}
		}
		text, err := m.Generate(ctx, texts[:1], marge.GenerateOptions{Lang: "de", MaxTokens: 4})
		must(err)
		r.found = append(r.found, text)
		return r
	}
	got, wanted := use(m), use(want)
	near(t, "losses", got.losses, wanted.losses, lossError)
	near(t, "attention to the evidence", got.mass, wanted.mass, lossError)
	near(t, "vectors", got.vectors, wanted.vectors, lossError)
	near(t, "probabilities", got.scores, wanted.scores, lossError)
	if !slices.EqualFunc(got.tokens, wanted.tokens, slices.Equal) {
		t.Errorf("generated %v, want %v", got.tokens, wanted.tokens)
	}
	if !slices.Equal(got.found, wanted.found) {
		t.Errorf("found and generated %q, want %q", got.found, wanted.found)
	}
}

// The loss of a batch, and the gradient of every parameter, in each precision.
func TestModelGradients(t *testing.T) {
	cpu := tensor.NewCPU(1)
	defer cpu.Close()
	tok, _ := material(t)
	batch := &marge.Batch{
		Evidence: [][]int32{tok.Encode(reports()[8].Text), {20}, {30, 31, 32, 33}}, Targets: [][]int32{{20}, {40, 41, 42}},
		Languages: []int32{4, 5}, Own: [][2]int{{0, 1}, {1, 0}},
	}
	run := func(b tensor.Backend) (loss []float32, gradients map[string][]float32) {
		m := newModel(t, tok, config(tok, b))
		tape := tensor.NewTape(b)
		tape.Reset(tensor.Training, 5)
		out := m.Forward(tape, batch, 0)
		tape.Backward(out.Loss)
		gradients = map[string][]float32{}
		for _, p := range m.Parameters() {
			gradients[p.Name] = values(p.Grad())
		}
		return values(out.Loss), gradients
	}
	norm := func(x []float32) float64 {
		sum := 0.0
		for _, v := range x {
			sum += float64(v) * float64(v)
		}
		return math.Sqrt(sum)
	}
	wantLoss, want := run(cpu)
	for precision, most := range map[Precision]struct{ loss, gradient float64 }{
		FP32: {1e-5, 1e-4}, TF32: {1e-3, 2e-2}, BF16: {5e-3, 5e-2},
	} {
		b, err := New(Options{Precision: precision})
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		loss, gradients := run(b)
		near(t, precision.String(), loss, wantLoss, most.loss)
		for name, g := range want {
			scale := norm(g)
			switch {
			case strings.HasSuffix(name, "k_proj.bias"): // zero but for rounding, a softmax does not see it
				scale = norm(want[strings.Replace(name, "k_proj", "q_proj", 1)])
			case name == "beta": // a sum of scores' gradients that nearly cancel; g gets the same ones
				scale = max(scale, norm(want["encoder.retrieval_layer_norm.weight"]))
			}
			diff := slices.Clone(gradients[name])
			for i, v := range g {
				diff[i] -= v
			}
			if e := norm(diff) / scale; len(diff) != len(g) || !(e <= most.gradient) {
				t.Errorf("%v: gradient of %s: error %.2g, want at most %g", precision, name, e, most.gradient)
			}
		}
	}
}

// Options of a training that compute something of their own.
func TestModelVariants(t *testing.T) {
	cpu, b := tensor.NewCPU(1), open(t)
	defer cpu.Close()
	for name, variant := range map[string]struct {
		config   func(c *marge.Config)
		training func(o *marge.PretrainOptions)
	}{
		"greatest": {
			func(c *marge.Config) { c.RetrievalPooling, c.RetrievalDim = marge.PoolMax, 48 },
			func(o *marge.PretrainOptions) { o.Replicas = 2 },
		},
		"mean": {
			func(c *marge.Config) { c.RetrievalPooling = marge.PoolMean },
			func(o *marge.PretrainOptions) { o.DistillWeight, o.NullDocument, o.ContrastiveSteps = 1, true, 1 },
		},
	} {
		o := training(3, "")
		variant.training(&o)
		var losses [2][]float64
		for i, on := range []tensor.Backend{cpu, b} {
			var err error
			if _, _, losses[i], err = pretrain(t, on, o, 0, variant.config); err != nil {
				t.Fatal(err)
			}
		}
		near(t, name, losses[1], losses[0], lossError)
	}
}

// A model that was fine-tuned on the card does its task on the processor as there.
func TestModelFineTuning(t *testing.T) {
	cpu, b := tensor.NewCPU(1), open(t)
	defer cpu.Close()
	tok, _ := material(t)
	ctx := context.Background()
	pairs := []marge.Pair{
		{Source: "abc", Target: "cba", SourceLang: "en", TargetLang: "de"},
		{Source: "a0 b1 c2", Target: "c2", SourceLang: "en", TargetLang: "en"},
	}
	texts := []marge.Labeled{
		{Text: "aaa", Lang: "en", Label: "short"}, {Text: "bbb b0 b1", Other: "c3", Lang: "en", Label: "long"},
	}
	questions := []marge.Question{{
		ID: "1", Lang: "en", Question: "b?", Context: "aaa b12 ccc d0 d1 d2",
		Answers: []marge.Answer{{Text: "b12", Start: 4}},
	}}
	type result struct {
		words   []string
		numbers []float64
	}
	for name, c := range map[string]struct {
		task marge.Task
		use  func(m *marge.Model) (result, error)
	}{
		"sequences": {marge.SequenceToSequence{Train: pairs, Dev: pairs}, func(m *marge.Model) (result, error) {
			text, err := m.Generate(ctx, []string{"abc"}, marge.GenerateOptions{Lang: "de", Beams: 2, MaxTokens: 5})
			return result{[]string{text}, []float64{1}}, err
		}},
		"classes": {marge.Classification{Train: texts, Dev: texts}, func(m *marge.Model) (r result, err error) {
			found, err := m.Classify(ctx, texts...)
			for _, f := range found {
				r.words, r.numbers = append(r.words, f.Label), append(r.numbers, f.Probabilities...)
			}
			return r, err
		}},
		"spans": {marge.SpanExtraction{Train: questions, Dev: questions}, func(m *marge.Model) (r result, err error) {
			found, err := m.Answer(ctx, questions...)
			for _, f := range found {
				r.words, r.numbers = append(r.words, fmt.Sprint(f.Answer)), append(r.numbers, f.Score)
			}
			return r, err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var losses [2][]float64
			var best [2]float64
			for i, on := range []tensor.Backend{cpu, b} {
				m := newModel(t, tok, config(tok, on))
				o := marge.FineTuneOptions{
					Steps: 4, WarmupSteps: 1, LearningRate: 1e-3, LabelSmoothing: 0.1, Seed: 1, EvaluateEvery: 2,
					OnStep: func(m marge.Metrics) error { losses[i] = append(losses[i], m.Loss); return nil },
				}
				if on == tensor.Backend(b) {
					o.Dir = dir
				}
				stats, err := marge.FineTune(ctx, m, c.task, o)
				if err != nil {
					t.Fatal(err)
				}
				best[i] = stats.Best.Scores["loss"]
			}
			near(t, "losses", losses[1], losses[0], lossError)
			near(t, "loss of the development data", best[1:], best[:1], lossError)
			var results [2]result
			for i, on := range []tensor.Backend{cpu, b} {
				m, err := marge.LoadOn(dir, marge.Config{Backend: on})
				if err != nil {
					t.Fatal(err)
				}
				if results[i], err = c.use(m); err != nil {
					t.Fatal(err)
				}
			}
			near(t, "probabilities", results[1].numbers, results[0].numbers, lossError)
			if !slices.Equal(results[1].words, results[0].words) {
				t.Errorf("%q, want %q", results[1].words, results[0].words)
			}
		})
	}
}

// needsEmulator skips a test on hardware, which does not fail when it is asked to.
func needsEmulator(t *testing.T, b *Backend) {
	t.Helper()
	if b.Card() != "marge emulator" {
		t.Skip("for an emulated card alone")
	}
}

// A training that loses its card goes on from the last checkpoint.
func TestModelLosesItsCard(t *testing.T) {
	if !alone(t, "EMU_LOSE=2000") {
		return
	}
	b := open(t)
	needsEmulator(t, b)
	resumes(t, b, training(20, t.TempDir()), 999, "start the program again")
}

// A training that has too little memory goes on where there is more.
func TestModelOutOfMemory(t *testing.T) {
	if !alone(t, "EMU_MEMORY=4000000") {
		return
	}
	b, cpu := open(t), tensor.NewCPU(1)
	defer cpu.Close()
	needsEmulator(t, b)
	o := training(20, t.TempDir())
	if _, _, _, err := pretrain(t, cpu, o, 5, nil); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	resumes(t, b, o, OutOfMemory, "smaller batches or documents need less")
}

// resumes makes a training that fails, and goes on with it on the processor.
func resumes(t *testing.T, b *Backend, o marge.PretrainOptions, code int, text string) {
	t.Helper()
	cpu := tensor.NewCPU(1)
	defer cpu.Close()
	_, _, want, err := pretrain(t, cpu, training(o.Steps, ""), 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, first, before, err := pretrain(t, b, o, 0, nil)
	var failure *Error
	if !errors.As(err, &failure) || failure.Code != code || !strings.Contains(err.Error(), text) {
		t.Fatalf("error %v", err)
	}
	t.Logf("after updates %d to %d: %v", first, first+len(before)-1, err)
	saved, err := filepath.Glob(filepath.Join(o.Dir, "*"))
	if err != nil || len(saved) == 0 {
		t.Fatalf("checkpoints %v, error %v", saved, err)
	}
	_, first, after, err := pretrain(t, cpu, o, 0, nil)
	if err != nil || first < 2 || first+len(after)-1 != o.Steps {
		t.Fatalf("goes on with update %d and makes %d, error %v", first, len(after), err)
	}
	near(t, "losses afterwards", after, want[first-1:], lossError)
}
