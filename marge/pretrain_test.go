package marge

import (
	"bytes"
	"context"
	"errors"
	"math"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/marge-go/marge/marge/checkpoint"
	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/index"
	"github.com/marge-go/marge/marge/tokenizer"
)

// testOptions make a training with several indexes, passes and batches of an
// update.
func testOptions(dir string) PretrainOptions {
	return PretrainOptions{
		Steps: 40, WarmupSteps: 5, LearningRate: 3e-3, BatchTokens: 120, Accumulate: 2,
		Links: index.LinkOptions{Mono: 4, Cross: 4}, IndexEvery: 13, IndexShards: 1, TFIDFSteps: 20, Seed: 3, Dir: dir,
		CheckpointEvery: 5, Resume: dir != "",
	}
}

// train trains a new model and returns its weights at the end.
func train(t testing.TB, threads int, o PretrainOptions) ([]byte, PretrainStats, error) {
	t.Helper()
	tok, store := testCorpus(t)
	m := testModel(t, testConfig(threads))
	m.Tokenizer = tok
	stats, err := Pretrain(context.Background(), m, store, o)
	return weights(m), stats, err
}

// Indexes come every IndexEvery updates, and where g takes over from TF-IDF.
func TestIndexSchedule(t *testing.T) {
	for _, c := range []struct {
		tfidf, every int
		want         []int
	}{
		{20, 13, []int{0, 13, 20, 33}},
		{-1, 13, []int{0, 13, 26, 39}},
		{0, 100, []int{0, 13}}, // a third of the updates
	} {
		o := testOptions("")
		o.TFIDFSteps, o.IndexEvery = c.tfidf, c.every
		var got []int
		o.OnIndex = func(s IndexStats) { got = append(got, s.Step) }
		if _, _, err := train(t, 2, o); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("TFIDFSteps %d, IndexEvery %d: indexes at %v, want %v", c.tfidf, c.every, got, c.want)
		}
	}
}

func TestPretrainLearns(t *testing.T) {
	var first, last float64
	o := testOptions("")
	o.Steps = 150
	o.OnStep = func(m Metrics) error {
		if m.Step == 1 {
			first = m.Loss
		}
		last = m.Loss
		if m.Targets == 0 || m.Evidence == 0 || m.TargetTokens == 0 || m.GradNorm <= 0 {
			t.Errorf("metrics %+v", m)
		}
		return nil
	}
	_, stats, err := train(t, 2, o)
	if err != nil {
		t.Fatal(err)
	}
	if stats.Steps != 150 || stats.Indexes != 12 {
		t.Errorf("%d steps and %d indexes, want 150 and 12", stats.Steps, stats.Indexes)
	}
	if last > first/2 {
		t.Errorf("loss fell from %v to %v only", first, last)
	}
}

func TestPretrainSameBitsForAnyNumberOfThreads(t *testing.T) {
	want, _, err := train(t, 1, testOptions(""))
	if err != nil {
		t.Fatal(err)
	}
	for _, threads := range []int{2, 5} {
		got, _, err := train(t, threads, testOptions(""))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%d threads end with other parameters than one", threads)
		}
	}
}

func TestResumeAfterStop(t *testing.T) {
	want, _, err := train(t, 2, testOptions(""))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	stop := errors.New("enough")
	for _, at := range []int{1, 17, 31} {
		o := testOptions(dir)
		o.OnStep = func(m Metrics) error {
			if m.Step == at {
				return stop
			}
			return nil
		}
		if _, stats, err := train(t, 2, o); !errors.Is(err, stop) || stats.Steps != at || stats.Checkpoint == "" {
			t.Fatalf("stopped at %d: %d steps, checkpoint %q, error %v", at, stats.Steps, stats.Checkpoint, err)
		}
	}
	got, stats, err := train(t, 2, testOptions(dir))
	if err != nil {
		t.Fatal(err)
	}
	if stats.Steps != 40 {
		t.Errorf("%d steps, want 40", stats.Steps)
	}
	if !bytes.Equal(got, want) {
		t.Error("a resumed training ends with other parameters")
	}
}

func TestCancelledPretrainLeavesACheckpoint(t *testing.T) {
	tok, store := testCorpus(t)
	m := testModel(t, testConfig(1))
	m.Tokenizer = tok
	ctx, cancel := context.WithCancel(context.Background())
	o := testOptions(t.TempDir())
	o.OnStep = func(m Metrics) error {
		if m.Step == 3 {
			cancel()
		}
		return nil
	}
	stats, err := Pretrain(ctx, m, store, o)
	if !errors.Is(err, context.Canceled) || stats.Steps != 3 {
		t.Fatalf("%d steps, error %v", stats.Steps, err)
	}
	if err := checkpoint.Verify(stats.Checkpoint); err != nil {
		t.Error(err)
	}
}

// childDir tells a process started by TestResumeAfterSignal where to train.
const childDir = "MARGE_TEST_TRAIN_IN"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		os.Exit(child(dir))
	}
	os.Exit(m.Run())
}

// child trains until it is stopped, slowly enough to be stopped between
// checkpoints.
func child(dir string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	t := &testing.T{}
	tok, store := testCorpus(t)
	model := testModel(t, testConfig(2))
	model.Tokenizer = tok
	o := testOptions(dir)
	o.OnStep = func(m Metrics) error {
		time.Sleep(20 * time.Millisecond)
		return os.WriteFile(filepath.Join(dir, "step"), []byte(strings.Repeat(".", m.Step)), 0o666)
	}
	if _, err := Pretrain(ctx, model, store, o); err != nil {
		return 1
	}
	return 0
}

func TestResumeAfterSignal(t *testing.T) {
	want, _, err := train(t, 2, testOptions(""))
	if err != nil {
		t.Fatal(err)
	}
	for _, sig := range []os.Signal{syscall.SIGINT, syscall.SIGKILL} {
		t.Run(sig.String(), func(t *testing.T) {
			dir := t.TempDir()
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), childDir+"="+dir)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			stopped := 0
			for deadline := time.Now().Add(time.Minute); stopped < 17; time.Sleep(5 * time.Millisecond) {
				if time.Now().After(deadline) {
					cmd.Process.Kill()
					t.Fatal("the training does not get on")
				}
				marks, _ := os.ReadFile(filepath.Join(dir, "step"))
				stopped = len(marks)
			}
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err == nil {
				t.Fatal("the training was not stopped")
			}
			_, step, err := checkpoint.Latest(dir, nil)
			if err != nil {
				t.Fatal(err)
			}
			if sig == syscall.SIGKILL && step%5 != 0 || step < 15 || step >= 40 {
				t.Errorf("the newest checkpoint is of step %d, stopped after %d", step, stopped)
			}
			got, stats, err := train(t, 2, testOptions(dir))
			if err != nil {
				t.Fatal(err)
			}
			if stats.Steps != 40 || !bytes.Equal(got, want) {
				t.Errorf("resumed at step %d: other parameters after step %d", step, stats.Steps)
			}
		})
	}
}

func TestResumeFromTheCheckpointBefore(t *testing.T) {
	want, _, err := train(t, 2, testOptions(""))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	o := testOptions(dir)
	_, stats, err := train(t, 2, o)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(stats.Checkpoint, weightsName)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	var warnings []string
	o.OnWarning = func(err error) { warnings = append(warnings, err.Error()) }
	got, stats, err := train(t, 2, o)
	if err != nil {
		t.Fatal(err)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "resuming from step 35") ||
		!strings.Contains(warnings[0], "checkpoint-40") {
		t.Errorf("warnings %q, want one that names both checkpoints", warnings)
	}
	if stats.Steps != 40 || !bytes.Equal(got, want) {
		t.Error("resuming past a corrupt checkpoint ends with other parameters")
	}
}

func TestResumeRefusesAnotherRun(t *testing.T) {
	dir := t.TempDir()
	o := testOptions(dir)
	o.Steps = 2
	if _, _, err := train(t, 1, o); err != nil {
		t.Fatal(err)
	}
	o.Steps, o.Seed = 4, 99
	if _, _, err := train(t, 1, o); err == nil || !strings.Contains(err.Error(), "Seed was 3 and is 99") {
		t.Errorf("another seed: error %v", err)
	}
	o.Seed = 3
	tok, store := testCorpus(t)
	other, err := corpus.FromDocuments(testDocuments(5), tok, corpus.BuildOptions{ChunkTokens: 60, MinTokens: 1})
	if err != nil {
		t.Fatal(err)
	}
	m := testModel(t, testConfig(1))
	m.Tokenizer = tok
	if _, err := Pretrain(context.Background(), m, other, o); err == nil ||
		!strings.Contains(err.Error(), "corpus was "+store.Fingerprint()+" and is "+other.Fingerprint()) {
		t.Errorf("another corpus: error %v", err)
	}
}

func TestLossThatIsNotFinite(t *testing.T) {
	tok, store := testCorpus(t)
	m := testModel(t, testConfig(1))
	m.Tokenizer = tok
	dir := t.TempDir()
	o := testOptions(dir)
	o.OnStep = func(metrics Metrics) error {
		if metrics.Step == 7 {
			for _, p := range m.Parameters() {
				if p.Name == "decoder.layers.0.fc1.weight" {
					p.Float32s()[3] = float32(math.NaN())
				}
			}
		}
		return nil
	}
	stats, err := Pretrain(context.Background(), m, store, o)
	if err == nil || !strings.Contains(err.Error(), "step 8: loss is NaN") || !strings.Contains(err.Error(), "/de") &&
		!strings.Contains(err.Error(), "/en") {
		t.Errorf("error %v", err)
	}
	if stats.Steps != 7 {
		t.Errorf("%d steps counted", stats.Steps)
	}
	if _, step, err := checkpoint.Latest(dir, nil); err != nil || step != 5 {
		t.Errorf("the newest checkpoint is of step %d (%v), want 5", step, err)
	}
}

func TestPretrainErrors(t *testing.T) {
	tok, store := testCorpus(t)
	other, err := tokenizer.Train(func(yield func(string) bool) {
		for _, d := range testDocuments(24) {
			if !yield(d.Text) {
				return
			}
		}
	}, tokenizer.TrainOptions{VocabSize: 301, Languages: []string{"de", "en"}})
	if err != nil {
		t.Fatal(err)
	}
	var upper []string
	for _, d := range testDocuments(24) {
		upper = append(upper, strings.ToUpper(d.Text))
	}
	sameSize, err := tokenizer.Train(slices.Values(upper),
		tokenizer.TrainOptions{VocabSize: 300, Languages: []string{"de", "en"}})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	for want, change := range map[string]func(m *Model, o *PretrainOptions){
		"by another tokenizer, with fingerprint " + tok.Fingerprint(): func(m *Model,
			o *PretrainOptions) {
			m.Tokenizer = sameSize
		},
		"one of Steps, TargetTokens and Duration": func(m *Model,
			o *PretrainOptions) {
			o.Duration = time.Second
		},
		"set one of Steps, TargetTokens": func(m *Model,
			o *PretrainOptions) {
			o.TargetTokens = 1000
		},
		"TargetTokens is -1": func(m *Model, o *PretrainOptions) {
			o.Steps, o.TargetTokens = 0, -1
		},
		"CrossWeight is -5": func(m *Model,
			o *PretrainOptions) {
			o.CrossWeight = -5
		},
		"MonoWeight is NaN": func(m *Model,
			o *PretrainOptions) {
			o.MonoWeight = float32(math.NaN())
		},
		"LearningRate is NaN": func(m *Model,
			o *PretrainOptions) {
			o.LearningRate = math.NaN()
		},
		"ClipNorm is +Inf": func(m *Model,
			o *PretrainOptions) {
			o.ClipNorm = math.Inf(1)
		},
		"Replicas is -2": func(m *Model, o *PretrainOptions) { o.Replicas = -2 },
		"KeepCheckpoints is -1": func(m *Model,
			o *PretrainOptions) {
			o.KeepCheckpoints = -1
		},
		"IndexShards is -1, want at least 0": func(m *Model,
			o *PretrainOptions) {
			o.IndexShards = -1
		},
		"DistillWeight is -1": func(m *Model,
			o *PretrainOptions) {
			o.DistillWeight = -1
		},
		"LanguageTemperature is -2": func(m *Model,
			o *PretrainOptions) {
			o.LanguageTemperature = -2
		},
		"Links: Mono 0 and Cross 0.4 round to no link": func(m *Model, o *PretrainOptions) {
			o.Links = index.LinkOptions{Cross: 0.4, PerTarget: true}
		},
		"Links: Mono is -1":       func(m *Model, o *PretrainOptions) { o.Links.Mono = -1 },
		`Links: no margin "wide"`: func(m *Model, o *PretrainOptions) { o.Links.Margin = "wide" },
		"no tokenizer":            func(m *Model, o *PretrainOptions) { m.Tokenizer = nil },
		"BatchTokens":             func(m *Model, o *PretrainOptions) { o.BatchTokens = -1 },
		"no directory":            func(m *Model, o *PretrainOptions) { o.Resume = true },
		"with a vocabulary of 300, the model's tokenizer has 301": func(m *Model, o *PretrainOptions) { m.Tokenizer = other },
		"outside the vocabulary": func(m *Model,
			o *PretrainOptions) {
			m.Config.VocabSize = 20
		},
	} {
		m := testModel(t, testConfig(1))
		m.Tokenizer = tok
		o := testOptions("")
		change(m, &o)
		if _, err := Pretrain(ctx, m, store, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	alone, err := corpus.FromDocuments(testDocuments(1)[:1], tok, corpus.BuildOptions{ChunkTokens: 60, MinTokens: 1})
	if err != nil {
		t.Fatal(err)
	}
	m := testModel(t, testConfig(1))
	m.Tokenizer = tok
	if _, err := Pretrain(ctx, m, alone, testOptions("")); err == nil ||
		!strings.Contains(err.Error(), "could be linked") {
		t.Errorf("a corpus of one document: error %v", err)
	}
}

// The links that OnIndex is given are those that its figures count.
func TestOnIndexLinks(t *testing.T) {
	_, store := testCorpus(t)
	o := testOptions("")
	o.Steps, o.IndexEvery = 2, 1
	indexes := 0
	o.OnIndex = func(s IndexStats) {
		indexes++
		links, cross := 0, 0
		for l := range s.Each {
			links++
			target, evidence := store.Chunk(l.Target), store.Chunk(l.Evidence)
			if target.Lang != evidence.Lang {
				cross++
			}
			if target.Shard != evidence.Shard || target.Source == evidence.Source {
				t.Errorf("link %+v", l)
			}
		}
		if links != s.Links || cross != s.Cross || links == 0 {
			t.Errorf("%d links, %d of them cross-lingual; want %d and %d", links, cross, s.Links, s.Cross)
		}
		for range s.Each {
			break
		}
	}
	if _, _, err := train(t, 1, o); err != nil || indexes != 2 {
		t.Errorf("%d indexes, error %v", indexes, err)
	}
}
