package marge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/marge/checkpoint"
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

// resumable is a training with measurements, of which the best is not the last,
// and with several batches of an update.
func resumable(dir string) FineTuneOptions {
	o := taskOptions(20)
	o.Accumulate, o.Replicas, o.EvaluateEvery, o.LearningRate = 2, 2, 3, 1e-2
	o.Frozen, o.Dropout = []string{"decoder.base_layers.*"}, 0.1
	o.Dir, o.CheckpointEvery, o.Resume = dir, 4, dir != ""
	o.BatchTokens = 100
	return o
}

func TestFineTuneResume(t *testing.T) {
	for name, task := range tasks() {
		want, stats := mustFineTune(t, task, resumable(""))
		dir := t.TempDir()
		stop := errors.New("enough")
		for _, at := range []int{1, 9, 14} {
			o := resumable(dir)
			o.OnStep = func(m Metrics) error {
				if m.Step == at {
					return stop
				}
				return nil
			}
			if _, s, err := fineTune(t, task, o); !errors.Is(err, stop) || s.Steps != at {
				t.Fatalf("%s: stopped at %d: %d steps, error %v", name, at, s.Steps, err)
			}
		}
		got, again := mustFineTune(t, task, resumable(dir))
		if !bytes.Equal(weights(got), weights(want)) {
			t.Errorf("%s: a resumed training ends with other parameters", name)
		}
		if again.Best.Step != stats.Best.Step || again.Best.String() != stats.Best.String() || again.Loss != stats.Loss {
			t.Errorf("%s: resumed: best %+v, loss %v, want %+v, %v", name, again.Best, again.Loss, stats.Best, stats.Loss)
		}
		// The directory holds what was chosen.
		loaded, err := Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(weights(loaded), weights(want)) {
			t.Errorf("%s: the directory has another model", name)
		}
		// Once more, nothing is left to do, also for a model that has the head.
		if s, err := FineTune(context.Background(), loaded, task, resumable(dir)); err != nil || s.Steps != 20 ||
			!bytes.Equal(weights(loaded), weights(want)) {
			t.Errorf("%s: finished: %+v, error %v", name, s, err)
		}
	}
}

// A training that is stopped during a measurement makes it when it is resumed.
func TestResumeDuringMeasurement(t *testing.T) {
	score := func(ctx context.Context, m *Model) (float64, error) {
		return -float64(m.shared.Weight.Float32s()[7]), nil
	}
	o := resumable("")
	o.Score = score
	task := SequenceToSequence{Train: pairs(1, 100)}
	want, stats := mustFineTune(t, task, o)
	o = resumable(t.TempDir())
	stop := errors.New("enough")
	o.Score = func(ctx context.Context, m *Model) (float64, error) { return 0, stop }
	if _, s, err := fineTune(t, task, o); !errors.Is(err, stop) || s.Steps != 3 {
		t.Fatalf("%d steps, error %v", s.Steps, err)
	}
	o.Score = score
	var told []int
	o.OnStep = func(m Metrics) error {
		if m.Development != nil {
			told = append(told, m.Development.Step)
		}
		return nil
	}
	got, again := mustFineTune(t, task, o)
	if !bytes.Equal(weights(got), weights(want)) || again.Best.Step != stats.Best.Step {
		t.Errorf("another result: best %+v, want %+v", again.Best, stats.Best)
	}
	if !slices.Equal(told, []int{3, 6, 9, 12, 15, 18, 20}) {
		t.Errorf("measurements of steps %v are told", told)
	}
}

func noScore(context.Context, *Model) (float64, error) { return 0, nil }

func TestFineTuneRefusesAnotherRun(t *testing.T) {
	dir := t.TempDir()
	task := Classification{Train: labeled(1, 50), Dev: labeled(2, 5)}
	mustFineTune(t, task, resumable(dir))
	for want, change := range map[string]func(o *FineTuneOptions, task *Classification){
		"data was ":                  func(_ *FineTuneOptions, task *Classification) { task.Train[3].Label = "with" },
		"Frozen was ":                func(o *FineTuneOptions, _ *Classification) { o.Frozen = nil },
		"LabelSmoothing was 0 and":   func(o *FineTuneOptions, _ *Classification) { o.LabelSmoothing = 0.1 },
		"chosen by was accuracy and": func(o *FineTuneOptions, _ *Classification) { o.Score = noScore },
		"config was ":                func(o *FineTuneOptions, _ *Classification) { o.Dropout = 0.5 },
		"set Resume to go on":        func(o *FineTuneOptions, _ *Classification) { o.Resume = false },
	} {
		o, changed := resumable(dir), Classification{Train: labeled(1, 50), Dev: labeled(2, 5)}
		change(&o, &changed)
		m, _, err := fineTune(t, changed, o)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v", want, err)
		}
		if m.heads.class != nil || m.Config.Labels != nil || m.Config.Dropout != 0 {
			t.Errorf("%q: the model has changed", want)
		}
	}
}

// The data of a training are all that its result depends on.
func TestFingerprint(t *testing.T) {
	m := taskModel(t, nil)
	print := func(task Task) string {
		data, err := task.read(context.Background(), m)
		if err != nil {
			t.Fatal(err)
		}
		return data.fingerprint()
	}
	seen := map[string]bool{}
	for _, task := range []Task{
		SequenceToSequence{Train: pairs(1, 3)}, SequenceToSequence{Train: pairs(2, 3)},
		SequenceToSequence{Train: pairs(1, 2), Dev: pairs(1, 3)[2:]},
		Classification{Train: labeled(1, 20)}, Classification{Train: labeled(1, 20), Labels: []string{"without", "with"}},
		SpanExtraction{Train: questions(1, 2, 3)}, SpanExtraction{Train: questions(1, 2, 3), Dev: questions(1, 2, 3)},
	} {
		if f := print(task); seen[f] || f != print(task) {
			t.Errorf("%+v has the fingerprint of other data", task)
		} else {
			seen[f] = true
		}
	}
	dev := questions(1, 2, 3)
	dev[1].Answers = append(dev[1].Answers, Answer{dev[1].Context[:3], 0})
	if seen[print(SpanExtraction{Train: questions(1, 2, 3), Dev: dev})] {
		t.Error("one more answer that counts as right leaves the fingerprint")
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

func TestCancelledFineTuneLeavesACheckpoint(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	o := resumable(t.TempDir())
	o.OnStep = func(m Metrics) error {
		if m.Step == 5 {
			cancel()
		}
		return nil
	}
	m := taskModel(t, nil)
	stats, err := FineTune(ctx, m, tasks()["span"], o)
	if !errors.Is(err, context.Canceled) || stats.Steps != 5 {
		t.Fatalf("%d steps, error %v", stats.Steps, err)
	}
	if err := checkpoint.Verify(stats.Checkpoint); err != nil {
		t.Error(err)
	}
	if loaded, err := Load(o.Dir); err != nil || !bytes.Equal(weights(loaded), weights(m)) {
		t.Errorf("the directory has another model, error %v", err)
	}
	// Before the first update there is nothing to keep.
	m = taskModel(t, nil)
	if _, err := FineTune(ctx, m, tasks()["span"], o); !errors.Is(err, context.Canceled) || m.heads.span != nil {
		t.Errorf("error %v, head %v", err, m.heads.span)
	}
}

// The model ends with the parameters that were best, and the training when none
// has been better for long enough.
func TestBestAndPatience(t *testing.T) {
	for _, c := range []struct {
		scores         []float64
		patience       int
		updates, best  int
		tasksDev, loss bool
	}{
		{scores: []float64{1, 3, 2, 2, 2}, updates: 10, best: 4},
		{scores: []float64{1, 3, 2, 2, 2}, patience: 2, updates: 8, best: 4},
		{scores: []float64{1, 2, 3, 4, 5}, patience: 1, updates: 10, best: 10},
		{scores: []float64{1, 1, 1, 1, 1}, patience: 3, updates: 8, best: 2},
	} {
		dir := t.TempDir()
		o := taskOptions(10)
		o.EvaluateEvery, o.Patience, o.Dir, o.Resume, o.CheckpointEvery = 2, c.patience, dir, true, 3
		asked := 0
		var kept [][]byte
		o.Score = func(_ context.Context, m *Model) (float64, error) {
			kept = append(kept, weights(m))
			asked++
			return c.scores[asked-1], nil
		}
		var last Metrics
		o.OnStep = func(m Metrics) error {
			last = m
			if (m.Step%2 == 0) != (m.Development != nil) ||
				m.Development != nil && m.Development.Scores["score"] != c.scores[asked-1] {
				t.Errorf("step %d: %v", m.Step, m.Development)
			}
			return nil
		}
		m, stats := mustFineTune(t, SequenceToSequence{Train: pairs(1, 50)}, o)
		if stats.Steps != c.updates || stats.Best.Step != c.best || last.Progress != 1 {
			t.Errorf("%+v: %d updates, best %+v, progress %v", c, stats.Steps, stats.Best, last.Progress)
		}
		if !bytes.Equal(weights(m), kept[c.best/2-1]) {
			t.Errorf("%+v: the model is not the one that was best", c)
		}
		if loaded, err := Load(dir); err != nil || !bytes.Equal(weights(loaded), weights(m)) {
			t.Errorf("%+v: the directory has another model, error %v", c, err)
		}
	}
	d := &development{chosenBy: "accuracy"}
	if d.better(map[string]float64{"accuracy": 1, "loss": 2}, map[string]float64{"accuracy": 1, "loss": 2}) ||
		!d.better(map[string]float64{"accuracy": 1, "loss": 1}, map[string]float64{"accuracy": 1, "loss": 2}) {
		t.Error("of equal scores the lower loss is better")
	}
}

// What a checkpoint says of development data is checked.
func TestHostileDevelopment(t *testing.T) {
	for want, change := range map[string]func(s *developmentState){
		"no training was ever there":          func(s *developmentState) { s.Measured = 30 },
		"0 times since the best: no training": func(s *developmentState) { s.Best = nil },
		"-1 times since":                      func(s *developmentState) { s.Waited = -1 },
		"has accuracy 0":                      func(s *developmentState) { s.Best.Scores = nil },
		"the best measurement, of step 40":    func(s *developmentState) { s.Best.Step = 40 },
	} {
		s := &developmentState{Measured: 20, Best: &Evaluation{6, map[string]float64{"accuracy": 1}}}
		change(s)
		d := &development{chosenBy: "accuracy"}
		if _, err := d.restore(s, 20, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v", want, err)
		}
	}
	var none *development
	if _, err := none.restore(&developmentState{}, 20, nil); err == nil {
		t.Error("measurements of a training without")
	}
}

func TestFineTuneErrors(t *testing.T) {
	long := strings.Repeat("one ", 100)
	pair := func(change func(p *Pair)) SequenceToSequence {
		list := pairs(1, 3)
		list[1].Where = "a.tsv:7"
		change(&list[1])
		return SequenceToSequence{Train: list}
	}
	label := func(change func(l *Labeled)) Classification {
		list := labeled(1, 20)
		change(&list[4])
		return Classification{Train: labeled(2, 20), Dev: list}
	}
	elsewhere := func(q *Question) { q.Answers[0].Text = "zwölf" }
	question := func(change func(q *Question)) SpanExtraction {
		list := questions(1, 3, 3)
		change(&list[2])
		return SpanExtraction{Train: list}
	}
	two := func(list []Labeled) Classification { return Classification{Train: list, Labels: []string{"a", "b"}} }
	for want, task := range map[string]Task{
		"there are no training records":                            SequenceToSequence{Dev: pairs(1, 1)},
		"Train[1] (a.tsv:7): the source is empty":                  pair(func(p *Pair) { p.Source = " \n" }),
		"Train[1] (a.tsv:7): the target is empty":                  pair(func(p *Pair) { p.Target = "" }),
		`Train[1] (a.tsv:7): tokenizer: no token for language`:     pair(func(p *Pair) { p.TargetLang = "fr" }),
		`Dev[4]: label "neither" is none of ["with" "without"]`:    label(func(l *Labeled) { l.Label = "neither" }),
		"Dev[4]: the text is empty":                                label(func(l *Labeled) { l.Text = "" }),
		"Dev[4]: the other text is empty":                          label(func(l *Labeled) { l.Other = " " }),
		`Dev[4]: tokenizer: no token for language "xx"`:            label(func(l *Labeled) { l.Lang = "xx" }),
		`Train[0]: label "" is none of`:                            two([]Labeled{{Text: "one", Lang: "en"}}),
		`there is one label, "x"`:                                  Classification{Train: []Labeled{{Label: "x"}}},
		`label "a" occurs twice`:                                   Classification{Labels: []string{"a", "a"}},
		"label 0 is empty":                                         Classification{Labels: []string{"", "a"}},
		"Train[2]: there is no answer":                             question(func(q *Question) { q.Answers = nil }),
		"Train[2]: the question is empty":                          question(func(q *Question) { q.Question = "" }),
		"Train[2]: the context is empty":                           question(func(q *Question) { q.Context = "\t" }),
		"Train[2]: answer 0 is empty":                              question(func(q *Question) { q.Answers[0].Text = " " }),
		`Train[2]: answer 0, "zwölf", is not in the context`:       question(elsewhere),
		"is not in the context at character -1":                    question(func(q *Question) { q.Answers[0].Start = -1 }),
		"is not in the context at character 1000":                  question(func(q *Question) { q.Answers[0].Start = 1000 }),
		`no token for language "fr"`:                               question(func(q *Question) { q.Lang = "fr" }),
		"no answer of the training records fits in what the model": question(func(q *Question) {}).longest(long),
	} {
		m := taskModel(t, nil)
		_, err := FineTune(context.Background(), m, task, taskOptions(5))
		if err == nil || !strings.HasPrefix(err.Error(), "fine-tune: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v", want, err)
		}
		if m.heads.class != nil || m.heads.span != nil {
			t.Errorf("%q: the model has a head", want)
		}
	}
	for want, change := range map[string]func(o *FineTuneOptions){
		"set one of Epochs, Steps":                func(o *FineTuneOptions) { o.Steps = 0 },
		"one of Epochs, Steps":                    func(o *FineTuneOptions) { o.Epochs = 1 },
		"one of Steps, TargetTokens and Duration": func(o *FineTuneOptions) { o.TargetTokens = 1 },
		"Epochs is -1":                            func(o *FineTuneOptions) { o.Epochs, o.Steps = -1, 0 },
		"BatchTokens is -1":                       func(o *FineTuneOptions) { o.BatchTokens = -1 },
		"BatchRecords is -1":                      func(o *FineTuneOptions) { o.BatchRecords = -1 },
		"Accumulate is -1":                        func(o *FineTuneOptions) { o.Accumulate = -1 },
		"EvaluateEvery is -1":                     func(o *FineTuneOptions) { o.EvaluateEvery = -1 },
		"without development data":                func(o *FineTuneOptions) { o.Patience = 2 },
		"LabelSmoothing is 1":                     func(o *FineTuneOptions) { o.LabelSmoothing = 1 },
		"dropout 1.5":                             func(o *FineTuneOptions) { o.Dropout = 1.5 },
		"LearningRate is -1":                      func(o *FineTuneOptions) { o.LearningRate = -1 },
		"Resume needs Dir":                        func(o *FineTuneOptions) { o.Resume = true },
	} {
		o := taskOptions(5)
		change(&o)
		m, _, err := fineTune(t, Classification{Train: labeled(1, 5)}, o)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v", want, err)
		}
		if m.heads.class != nil {
			t.Errorf("%q: the model has a head", want)
		}
	}
	m := taskModel(t, nil)
	m.Tokenizer = nil
	for name, task := range tasks() {
		if _, err := FineTune(context.Background(), m, task, taskOptions(1)); err == nil ||
			!strings.Contains(err.Error(), "no tokenizer") {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// longest returns the task with one question whose answer is its whole context.
func (s SpanExtraction) longest(context string) SpanExtraction {
	q := s.Train[0]
	q.Context, q.Answers = context, []Answer{{strings.TrimSpace(context), 0}}
	return SpanExtraction{Train: []Question{q}}
}

// Records that are too long are cut, and counted.
func TestCut(t *testing.T) {
	long := strings.Repeat("one ", 100)
	list := pairs(1, 10)
	list[2].Source, list[3].Target = long, long
	_, stats := mustFineTune(t, SequenceToSequence{Train: list}, taskOptions(2))
	if stats.Cut != 2 || stats.Dropped != 0 || !strings.Contains(stats.String(), "2 records cut, 0 dropped") {
		t.Errorf("sequences: %+v", stats)
	}
	texts := compared(1, 10)
	texts[1].Text, texts[2].Other, texts[3].Text, texts[3].Other = long, long, long, long
	if _, stats := mustFineTune(t, Classification{Train: texts}, taskOptions(2)); stats.Cut != 3 {
		t.Errorf("classification: %+v", stats)
	}
	asked := questions(1, 10, 3)
	asked[0].Question = long
	asked = append(asked, SpanExtraction{Train: asked}.longest(long).Train[0])
	if _, stats := mustFineTune(t, SpanExtraction{Train: asked}, taskOptions(2)); stats.Cut != 1 || stats.Dropped != 1 {
		t.Errorf("questions: %+v", stats)
	}
	// The shorter of two texts is kept.
	r, err := newReader(taskModel(t, nil))
	if err != nil {
		t.Fatal(err)
	}
	ids := r.m.Tokenizer.Encode("one two")
	for _, l := range []Labeled{{Text: "one two", Other: long, Lang: "en"}, {Text: long, Other: "one two", Lang: "en"}} {
		e, cut, err := r.labeled(&l)
		at := slices.Index(e.source, tokenizer.EOS)
		kept := e.source[at+1:]
		if l.Text == "one two" {
			kept = e.source[:at]
		}
		if err != nil || !cut || len(e.source) != r.room() || !slices.Equal(kept, ids) {
			t.Errorf("%q, %q: %d tokens, error %v", l.Text, l.Other, len(e.source), err)
		}
	}
}

func TestEpochs(t *testing.T) {
	all := make([]example, 1000)
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range all {
		all[i] = example{source: make([]int32, 1+rng.IntN(60)), target: make([]int32, 1+rng.IntN(60)), record: i}
	}
	name := func(record int) string { return fmt.Sprint("record ", record) }
	o := FineTuneOptions{BatchTokens: 500, BatchRecords: 20, Seed: 5}
	e := newEpochs(all, &o, name)
	passes := [][]int{}
	for pass := range 2 {
		seen, spread, n := []int{}, 0, 0
		for range len(e.batches) {
			batches, err := e.take(context.Background(), 0, 1)
			if err != nil || len(batches) != 1 {
				t.Fatal(len(batches), err)
			}
			b, tokens, shortest, longest := batches[0], 0, 1000, 0
			for i, x := range b.examples {
				seen = append(seen, x.record)
				tokens += x.tokens()
				shortest, longest = min(shortest, x.tokens()), max(longest, x.tokens())
				if len(b.Evidence[i]) != len(x.source) || len(b.Targets[i]) != len(x.target) {
					t.Fatal("documents of a batch are not those of its examples")
				}
			}
			if tokens > 500 && len(b.examples) > 1 || len(b.examples) > 20 {
				t.Errorf("a batch of %d tokens and %d records", tokens, len(b.examples))
			}
			if got := e.documents(b); got[0] != name(b.examples[0].record) || len(got) != len(b.examples) {
				t.Errorf("documents %v", got)
			}
			spread, n = spread+longest-shortest, n+1
		}
		if mean := spread / n; mean > 3 {
			t.Errorf("pass %d: lengths of a batch differ by %d tokens on average", pass, mean)
		}
		sorted := slices.Sorted(slices.Values(seen))
		for i, record := range sorted {
			if record != i {
				t.Fatalf("pass %d: not every record comes once", pass)
			}
		}
		if pass == 0 {
			if got := e.updates(1, 3); got != (n+2)/3 {
				t.Errorf("%d updates of 3 batches, %d batches", got, n)
			}
			if p := e.packing(); p < 0.8 || p > 1 {
				t.Errorf("packing %v", p)
			}
		}
		passes = append(passes, seen)
	}
	if slices.Equal(passes[0], passes[1]) {
		t.Error("two passes have one order")
	}
	if first := newEpochs(all, &o, name); first.batches[0].examples[0].record != passes[0][0] {
		t.Error("the order does not depend on the seed alone")
	}
	o.Seed = 6
	if other := newEpochs(all, &o, name); other.batches[0].examples[0].record == passes[0][0] {
		t.Error("another seed has the same order")
	}
}

// Epochs are as many passes over the data.
func TestEpochsOption(t *testing.T) {
	o := taskOptions(0)
	o.Epochs, o.BatchTokens = 3, 100
	records := 0
	o.OnStep = func(m Metrics) error {
		records += m.Targets
		return nil
	}
	_, stats := mustFineTune(t, SequenceToSequence{Train: pairs(1, 70)}, o)
	if records != 3*70 || stats.Packing < 0.7 || stats.Packing > 1 || stats.Best != nil {
		t.Errorf("%d records in %d updates, %+v", records, stats.Steps, stats)
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
