package marge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/marge/checkpoint"
)

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

// A checkpoint of a fine-tuning that none has written is refused.
func TestHostileFineTuneState(t *testing.T) {
	o := resumable(t.TempDir())
	_, stats := mustFineTune(t, tasks()["span"], o)
	set := func(path string, value any) func(t *testing.T, files map[string][]byte) {
		return func(t *testing.T, files map[string][]byte) {
			var state map[string]any
			if err := json.Unmarshal(files[trainerName], &state); err != nil {
				t.Fatal(err)
			}
			at, name, _ := strings.Cut(path, "/")
			state[at].(map[string]any)[name] = value
			files[trainerName], _ = json.Marshal(state)
		}
	}
	setFloat := func(file, name string, value float64) func(t *testing.T, files map[string][]byte) {
		return func(t *testing.T, files map[string][]byte) {
			editTensor(t, files, file, name, math.Float32bits(float32(value)))
		}
	}
	renamed := func(t *testing.T, files map[string][]byte) {
		best, last := []byte(`"best.qa_outputs.bias"`), []byte(`"last.qa_outputs.bias"`)
		files[trainerState] = bytes.Replace(files[trainerState], best, last, 1)
	}
	for want, edit := range map[string]func(t *testing.T, files map[string][]byte){
		"":                                        func(*testing.T, map[string][]byte) {},
		"batch -1 of pass":                        set("source/next_batch", -1),
		"of pass -2":                              set("source/pass", -2),
		"batch 1000 of a pass of":                 set("source/next_batch", 1000),
		"measured at step 21 of 20":               set("development/measured", 21),
		"tensor best.qa_outputs.bias: element 0":  setFloat(trainerState, "best.qa_outputs.bias", math.NaN()),
		"tensor qa_outputs.bias: element 0":       setFloat(weightsName, "qa_outputs.bias", math.Inf(1)),
		"tensor best.qa_outputs.bias is missing":  renamed,
		`unknown object member name "more"`:       set("development/more", 1),
		"m.qa_outputs.weight: element 0 is NaN":   setFloat(trainerState, "m.qa_outputs.weight", math.NaN()),
		"v.qa_outputs.weight: a mean of squares ": setFloat(trainerState, "v.qa_outputs.weight", -1),
	} {
		o := o
		o.Dir = edited(t, stats.Checkpoint, 20, edit)
		m, _, err := fineTune(t, tasks()["span"], o)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("error %v, want one with %q", err, want)
		}
		if (m.heads.span == nil) != (want != "") {
			t.Errorf("%q: the head is %v", want, m.heads.span)
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

// A loss that is not finite names the records. If it is the first one, the model
// is as it was.
func TestFineTuneLossThatIsNotFinite(t *testing.T) {
	for at := range 2 {
		m := taskModel(t, nil)
		spoil := func() { m.decoder.norm.Bias.Float32s()[3] = float32(math.NaN()) }
		o := taskOptions(5)
		o.BatchRecords = 2
		o.OnStep = func(metrics Metrics) error {
			spoil()
			return nil
		}
		if at == 0 {
			spoil()
		}
		list := questions(1, 4, 3)
		for i := range list {
			list[i].Where = fmt.Sprint("q.json:", 10+i)
		}
		stats, err := FineTune(context.Background(), m, SpanExtraction{Train: list}, o)
		want := fmt.Sprintf("step %d: loss is NaN; target documents: [Train[", at+1)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Count(err.Error(), "q.json:1") != 2 ||
			stats.Steps != at {
			t.Errorf("%d steps, error %v", stats.Steps, err)
		}
		if (m.heads.span == nil) != (at == 0) {
			t.Errorf("after %d steps the head is %v", at, m.heads.span)
		}
	}
}

// The model ends with the parameters that were best, and the training when none
// has been better for long enough.
func TestBestAndPatience(t *testing.T) {
	for _, c := range []struct {
		scores        []float64
		patience      int
		updates, best int
	}{
		{scores: []float64{1, 3, 2, 2, 2}, updates: 10, best: 4},
		{scores: []float64{1, 3, 2, 2, 2}, patience: 2, updates: 8, best: 4},
		{scores: []float64{1, 2, 3, 4, 5}, patience: 1, updates: 10, best: 10},
		{scores: []float64{1, 1, 1, 1, 1}, patience: 3, updates: 8, best: 2},
		{scores: []float64{1, 0, 2, 1, 3}, patience: 2, updates: 10, best: 10},
	} {
		dir := t.TempDir()
		o := taskOptions(10)
		o.EvaluateEvery, o.Patience, o.Dir, o.Resume, o.CheckpointEvery = 2, c.patience, dir, true, 3
		asked := 0
		var kept [][]byte
		var revision uint64
		o.Score = func(_ context.Context, m *Model) (float64, error) {
			kept, revision = append(kept, weights(m)), m.revision.Load()
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
		if m.revision.Load() == revision {
			t.Errorf("%+v: an index would take the model for that of the last measurement", c)
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
