package marge

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/marge/tokenizer"
	"github.com/marge-go/marge/tensor"
	"github.com/marge-go/marge/tensor/backendtest"
)

var numberWords = map[string][]string{
	"en": strings.Fields("zero one two three four five six seven eight nine"),
	"de": strings.Fields("null eins zwei drei vier fünf sechs sieben acht neun"),
}

func inWords(lang string, digits ...int) string {
	var words []string
	for _, d := range digits {
		words = append(words, numberWords[lang][d])
	}
	return strings.Join(words, " ")
}

// pairs are numbers in English and in German.
func pairs(seed uint64, n int) (list []Pair) {
	rng := rand.New(rand.NewPCG(seed, 1))
	for range n {
		digits := rng.Perm(10)[:2]
		list = append(list, Pair{
			Source: inWords("en", digits...), Target: inWords("de", digits...), SourceLang: "en", TargetLang: "de",
		})
	}
	return list
}

// labeled are texts with a seven and without.
func labeled(seed uint64, n int) (list []Labeled) {
	rng := rand.New(rand.NewPCG(seed, 2))
	for range n {
		digits := rng.Perm(10)[:3]
		r := Labeled{Text: inWords("en", digits...), Lang: "en", Label: "without"}
		if slices.Contains(digits, 7) {
			r.Label = "with"
		}
		list = append(list, r)
	}
	return list
}

// compared are numbers in English and in German that are the same or not.
func compared(seed uint64, n int) (list []Labeled) {
	rng := rand.New(rand.NewPCG(seed, 4))
	for i := range n {
		a, b, label := rng.IntN(10), rng.IntN(10), "other"
		if i%2 == 0 {
			b = a
		}
		if a == b {
			label = "same"
		}
		list = append(list, Labeled{Text: inWords("en", a), Other: inWords("de", b), Lang: "en", Label: label})
	}
	return list
}

// questions ask for the German number in a context of English ones, of which there
// are at least words.
func questions(seed uint64, n, words int) (list []Question) {
	rng := rand.New(rand.NewPCG(seed, 3))
	for i := range n {
		context := ""
		at, answer := rng.IntN(words+1), ""
		start := 0
		for word := range words + 1 {
			text := numberWords["en"][rng.IntN(10)]
			if word == at {
				text = inWords("de", rng.IntN(10), rng.IntN(10))
				start, answer = len([]rune(context)), text
			}
			context += text + " "
		}
		list = append(list, Question{
			ID: fmt.Sprint(i), Lang: "en", Question: "zero", Context: context, Answers: []Answer{{answer, start}},
		})
	}
	return list
}

// taskModel returns a model without dropout whose tokenizer knows every number.
func taskModel(t testing.TB, change func(c *Config)) *Model {
	t.Helper()
	all := inWords("en", 0, 1, 2, 3, 4, 5, 6, 7, 8, 9) + " " + inWords("de", 0, 1, 2, 3, 4, 5, 6, 7, 8, 9)
	tok, err := tokenizer.Train(slices.Values([]string{all, all}),
		tokenizer.TrainOptions{VocabSize: 400, Languages: []string{"de", "en"}})
	if err != nil {
		t.Fatal(err)
	}
	c := testConfig(2)
	c.VocabSize, c.Dropout, c.AttentionDropout = tok.VocabSize(), 0, 0
	if change != nil {
		change(&c)
	}
	m := testModel(t, c)
	m.Tokenizer = tok
	return m
}

// fineTune fine-tunes a new model.
func fineTune(t testing.TB, task Task, o FineTuneOptions) (*Model, FineTuneStats, error) {
	t.Helper()
	m := taskModel(t, nil)
	stats, err := FineTune(context.Background(), m, task, o)
	return m, stats, err
}

func mustFineTune(t testing.TB, task Task, o FineTuneOptions) (*Model, FineTuneStats) {
	t.Helper()
	m, stats, err := fineTune(t, task, o)
	if err != nil {
		t.Fatal(err)
	}
	return m, stats
}

func taskOptions(steps int) FineTuneOptions {
	return FineTuneOptions{Steps: steps, LearningRate: 3e-3, BatchTokens: 400, Seed: 1}
}

// tasks are one of each kind.
func tasks() map[string]Task {
	return map[string]Task{
		"sequence":       SequenceToSequence{Train: pairs(1, 100), Dev: pairs(2, 10)},
		"classification": Classification{Train: labeled(1, 100), Dev: labeled(2, 10)},
		"span":           SpanExtraction{Train: questions(1, 60, 5), Dev: questions(2, 10, 5)},
	}
}

func TestFineTuneLearnsToTranslate(t *testing.T) {
	m, stats := mustFineTune(t, SequenceToSequence{Train: pairs(1, 300), Dev: pairs(3, 20)}, taskOptions(300))
	if stats.Steps != 300 || stats.TargetTokens < 10000 || stats.Best == nil || stats.Best.Scores["loss"] > 0.05 {
		t.Errorf("%+v, best %v", stats, stats.Best)
	}
	right := 0
	for _, p := range pairs(2, 30) {
		out, err := m.Generate(context.Background(), []string{p.Source}, GenerateOptions{Lang: "de"})
		if err != nil {
			t.Fatal(err)
		}
		if out == p.Target {
			right++
		}
	}
	if right < 29 {
		t.Errorf("%d of 30 translations are right", right)
	}
}

func TestFineTuneLearnsToClassify(t *testing.T) {
	for name, c := range map[string]struct {
		steps       int
		train, test []Labeled
	}{
		"one text": {100, labeled(1, 400), labeled(2, 100)}, "two texts": {300, compared(1, 400), compared(2, 100)},
	} {
		t.Run(name, func(t *testing.T) {
			if name == "two texts" && testing.Short() {
				t.Skip("a slow one")
			}
			m, _ := mustFineTune(t, Classification{Train: c.train}, taskOptions(c.steps))
			found, err := m.Classify(context.Background(), c.test...)
			if err != nil {
				t.Fatal(err)
			}
			right := 0
			for i, f := range found {
				if f.Label == c.test[i].Label {
					right++
				}
				if sum := f.Probabilities[0] + f.Probabilities[1]; len(f.Probabilities) != 2 || f.Probability < 0.5 ||
					sum < 1-1e-12 || sum > 1+1e-12 || f.Probability != slices.Max(f.Probabilities) {
					t.Errorf("probabilities %+v", f)
				}
			}
			if right < 98 {
				t.Errorf("%d of 100 are right", right)
			}
		})
	}
}

func TestFineTuneLearnsToAnswer(t *testing.T) {
	// 64 positions: contexts of 5 words are read at once, those of 80 in windows.
	for words, steps := range map[int]int{5: 250, 80: 400} {
		if words == 80 && testing.Short() {
			continue
		}
		o := taskOptions(steps)
		o.BatchTokens = 150 * max(2, words/10)
		m, stats := mustFineTune(t, SpanExtraction{Train: questions(1, 300, words)}, o)
		test := questions(2, 50, words)
		found, err := m.Answer(context.Background(), test...)
		if err != nil {
			t.Fatal(err)
		}
		right := 0
		for i, f := range found {
			if f.Answer == test[i].Answers[0] {
				right++
			}
			if !(f.Score > 0 && f.Score <= 1) {
				t.Errorf("score %v", f.Score)
			}
		}
		if right < 48 || stats.Dropped > 0 {
			t.Errorf("%d words: %d of 50 are right, %d dropped", words, right, stats.Dropped)
		}
	}
}

// With smoothing s the loss has the part s from the mean over all that could be
// predicted.
func TestLabelSmoothing(t *testing.T) {
	m := withHeads(t)
	input := []int32{10, 11, tokenizer.EOS, 12, 13, 14}
	b := newBatch([]example{
		{source: input, target: input, language: 5, context: 3, wanted: [2]int32{1, 2}},
		{source: input[:5], target: input[:5], language: 6, context: 3, wanted: [2]int32{2, 2}},
	})
	tp := m.tape()
	mean := func(scores headScores, columns int) (sum float64) { // of each softmax
		values := valuesOf(scores.Tensor)
		for i := range b.examples {
			rows := values[int(scores.offsets[i])*columns : int(scores.offsets[i+1])*columns]
			softmaxes := [][]float64{softmax(rows)}
			if columns == 2 {
				first, last := spanProbabilities(rows)
				softmaxes = [][]float64{first, last}
			}
			for _, p := range softmaxes {
				for _, x := range p {
					sum -= logOf(x) / float64(len(p))
				}
			}
		}
		return sum
	}
	const s = 0.25
	for name, c := range map[string]struct {
		task Task
		mean float64
	}{
		"sequence":       {SequenceToSequence{}, math.NaN()}, // see tensor's CrossEntropy
		"classification": {Classification{}, mean(m.classScores(tp, b), 3)},
		"span":           {SpanExtraction{}, mean(m.spanScores(tp, b), 2)},
	} {
		plain := float64(c.task.objective(m, 0).loss(tp, b).sum.Item())
		got := float64(c.task.objective(m, s).loss(tp, b).sum.Item())
		if want := (1-s)*plain + s*c.mean; math.Abs(got-want) > 1e-5*want || got == plain {
			t.Errorf("%s: loss %v, want %v; without smoothing %v", name, got, want, plain)
		}
		o := taskOptions(1)
		without, _ := mustFineTune(t, tasks()[name], o)
		o.LabelSmoothing = s
		if with, _ := mustFineTune(t, tasks()[name], o); bytes.Equal(weights(with), weights(without)) {
			t.Errorf("%s: the option changes nothing", name)
		}
	}
}

func TestFrozen(t *testing.T) {
	for name, task := range tasks() {
		before := taskModel(t, nil)
		o := taskOptions(5)
		o.Frozen = FrozenForTransfer
		m, _ := mustFineTune(t, task, o)
		for i, p := range before.Parameters() {
			now := m.Parameters()[i]
			frozen := strings.HasPrefix(p.Name, "shared.") || strings.Contains(p.Name, "embed") ||
				strings.HasPrefix(p.Name, "decoder.base_layers.")
			unused := p.Name == "beta" || strings.Contains(p.Name, "retrieval")
			if same := slices.Equal(p.Float32s(), now.Float32s()); same != (frozen || unused) {
				t.Errorf("%s: %s is the same after training: %t", name, p.Name, same)
			}
			if frozen && now.HasGrad() {
				t.Errorf("%s: a gradient of %s has been computed", name, p.Name)
			}
			if !now.RequiresGrad() {
				t.Errorf("%s: %s has no gradient any more", name, p.Name)
			}
		}
	}
	for want, frozen := range map[string][]string{
		`no parameter with a name like "encoder.layer"`: {"*.bias", "encoder.layer"},
		"no parameter is left":                          {"*"}, "syntax error": {"[a"},
	} {
		o := taskOptions(1)
		o.Frozen = frozen
		if _, _, err := fineTune(t, tasks()["span"], o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v", frozen, err)
		}
	}
}

// Nothing is lost by fine-tuning: the model still retrieves and generates, and
// can be trained on.
func TestFineTunedModelServes(t *testing.T) {
	ctx := context.Background()
	m, _ := mustFineTune(t, tasks()["classification"], taskOptions(3))
	first := slices.Clone(m.heads.class.dense.Weight.Float32s())
	if _, err := FineTune(ctx, m, tasks()["span"], taskOptions(3)); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(first, m.heads.class.dense.Weight.Float32s()) {
		t.Error("the head of another task has changed")
	}
	dir := filepath.Join(t.TempDir(), "model")
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
	m, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Classify(ctx, labeled(1, 1)...); err != nil {
		t.Error(err)
	}
	if _, err := m.Answer(ctx, questions(1, 1, 3)...); err != nil {
		t.Error(err)
	}
	if _, err := m.Generate(ctx, []string{"one"}, GenerateOptions{Lang: "de", MaxTokens: 3}); err != nil {
		t.Error(err)
	}
	if _, err := m.Embed(ctx, [][]int32{{9}}); err != nil {
		t.Error(err)
	}
	// The same labels keep their head, others get a new one.
	o := taskOptions(1)
	span := slices.Clone(m.heads.span.Weight.Float32s())
	o.Frozen = []string{"qa_outputs.*"}
	if _, err := FineTune(ctx, m, tasks()["span"], o); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(span, m.heads.span.Weight.Float32s()) {
		t.Error("a second fine-tuning for questions made a new head")
	}
	o.Frozen = []string{"classification_head.*"}
	for _, c := range []struct {
		labels []string
		kept   bool
	}{{[]string{"with", "without"}, true}, {[]string{"with", "without", "more"}, false}} {
		if _, err := FineTune(ctx, m, Classification{Train: labeled(1, 9), Labels: c.labels}, o); err != nil {
			t.Fatal(err)
		}
		if kept := slices.Equal(first, m.heads.class.dense.Weight.Float32s()); kept != c.kept {
			t.Errorf("labels %q: the head is kept: %t", c.labels, kept)
		}
		if _, err := m.Classify(ctx, labeled(1, 1)...); err != nil {
			t.Error(err)
		}
	}
}

func TestFineTuneSameBits(t *testing.T) {
	for name, task := range tasks() {
		type result struct {
			weights []byte
			said    string
		}
		run := func(b tensor.Backend) (r result) {
			m := taskModel(t, func(c *Config) { c.Backend = b })
			o := resumable(t.TempDir())
			o.Steps = 7
			stats, err := FineTune(context.Background(), m, task, o)
			if err != nil {
				t.Fatal(err)
			}
			if m, err = LoadOn(o.Dir, Config{Backend: b}); err != nil {
				t.Fatal(err)
			}
			r.weights = weights(m)
			r.said = fmt.Sprint(stats.Loss, stats.Best)
			if m.heads.class != nil {
				found, err := m.Classify(context.Background(), labeled(5, 3)...)
				r.said += fmt.Sprint(found, err)
			}
			if m.heads.span != nil {
				found, err := m.Answer(context.Background(), questions(5, 3, 40)...)
				r.said += fmt.Sprint(found, err)
			}
			return r
		}
		want := run(tensor.NewCPU(1))
		for other, b := range map[string]tensor.Backend{
			"3 threads": tensor.NewCPU(3), "a device": backendtest.Opaque(tensor.NewCPU(2)),
		} {
			got := run(b)
			if !bytes.Equal(got.weights, want.weights) || got.said != want.said {
				t.Errorf("%s: on %s: %s, want %s; the same weights: %t", name, other, got.said, want.said,
					bytes.Equal(got.weights, want.weights))
			}
		}
	}
}
