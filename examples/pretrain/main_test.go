package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/checkpoint"
	"github.com/marge-go/marge/marge/probe"
)

// testOptions returns the flags of a small run in a new directory, and more.
func testOptions(t *testing.T, more ...string) *options {
	t.Helper()
	args := strings.Fields(`-steps 8 -chunk 62 -probes 2 -events 20 -lr 1e-3 -index-every 3 -tfidf-steps 3
		-batch-tokens 300 -pooling mean -cross 4 -json`)
	for _, name := range more {
		switch name {
		case "-corpus":
			args = slices.DeleteFunc(args, func(arg string) bool { return arg == "-events" || arg == "20" })
		case "-tokens":
			args = args[2:] // without -steps
		}
	}
	args = append(args, "-out", filepath.Join(t.TempDir(), "run"))
	o, err := parse(append(args, more...), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	o.heldoutEvents = 2
	return o
}

func readResult(t *testing.T, o *options) map[string]any {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(o.out, "result.json"))
	if err != nil {
		t.Fatal(err)
	}
	var r map[string]any
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// probes returns the steps at which the model was measured.
func probes(t *testing.T, o *options) []int {
	t.Helper()
	records, err := probe.ReadRecords(filepath.Join(o.out, probe.LogName))
	if err != nil {
		t.Fatal(err)
	}
	var steps []int
	for _, r := range records {
		if r.Heldout != nil {
			steps = append(steps, r.Step)
		}
	}
	return steps
}

// output returns what f writes to standard output.
func output(t *testing.T, f func()) string {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "output"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	defer func(stdout *os.File) { os.Stdout = stdout }(os.Stdout)
	os.Stdout = file
	f()
	data, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestRun(t *testing.T) {
	o := testOptions(t)
	lines := strings.Split(output(t, func() {
		if err := run(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}), "\n")
	if len(lines) < 2 || lines[len(lines)-1] != "" {
		t.Fatalf("output %q does not end in a whole line", lines)
	}
	var r map[string]any
	if err := json.Unmarshal([]byte(lines[len(lines)-2]), &r); err != nil {
		t.Fatalf("the last line of the output is %q: %v", lines[len(lines)-2], err)
	}
	if !reflect.DeepEqual(r, readResult(t, o)) {
		t.Error("result.json differs from the last line of the output")
	}
	for _, key := range strings.Fields(`steps target_tokens tokens_per_s train_loss heldout_loss_retrieved
		heldout_loss_random heldout_loss_none beta p_at_1 mrr p_at_1_random_init p_at_1_tfidf peak_rss_mb params`) {
		if v, ok := r[key].(float64); !ok || v <= 0 || math.IsInf(v, 0) {
			t.Errorf("%s is %v", key, r[key])
		}
	}
	if r["steps"] != 8.0 {
		t.Errorf("%v steps, want 8", r["steps"])
	}
	m, err := marge.Load(o.out)
	if err != nil {
		t.Fatal(err)
	}
	if c := m.Config; c.VocabSize != m.Tokenizer.VocabSize() || c.RetrievalPooling != marge.PoolMean || c.Dropout != 0 {
		t.Errorf("the checkpoint's configuration is %+v, its tokenizer has %d tokens", c, m.Tokenizer.VocabSize())
	}
	png, err := os.ReadFile(filepath.Join(o.out, "curves.png"))
	if err != nil || !strings.HasPrefix(string(png), "\x89PNG") {
		t.Errorf("the plot is no PNG file (%v)", err)
	}
	if got := probes(t, o); !slices.Equal(got, []int{1, 4, 8}) {
		t.Errorf("probes at steps %v, want 1, 4, 8", got)
	}
}

// The objectives of other systems are measured by the layers of the encoder.
func TestRunOfOtherObjectives(t *testing.T) {
	for _, objective := range marge.Objectives()[1:] {
		o, err := parse([]string{
			"-objective", string(objective), "-steps", "8", "-events", "20", "-batch-tokens", "300",
			"-out", filepath.Join(t.TempDir(), "run"),
		}, io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		o.heldoutEvents = 2
		printed := output(t, func() {
			if err := run(t.Context(), o); err != nil {
				t.Fatal(err)
			}
		})
		r := readResult(t, o)
		if r["objective"] != string(objective) || r["steps"] != 8.0 || r["p_at_1"] != nil {
			t.Errorf("%s: result %v", objective, r)
		}
		for _, key := range []string{"p_at_1_layers", "p_at_1_layers_centered"} {
			values, _ := r[key].([]any)
			if len(values) != marge.Tiny().EncoderLayers {
				t.Errorf("%s: %s is %v", objective, key, r[key])
			}
			for _, v := range values {
				if p1 := v.(float64); p1 < 0 || p1 > 1 {
					t.Errorf("%s: %s is %v", objective, key, values)
				}
			}
		}
		for _, want := range []string{"mean of layer 4", "TF-IDF of characters"} {
			if !strings.Contains(printed, want) {
				t.Errorf("%s: no %q in\n%s", objective, want, printed)
			}
		}
		if _, err := marge.Load(o.out); err != nil {
			t.Error(err)
		}
	}
}

// writeEvents writes accounts of events in two languages to a JSON Lines file.
func writeEvents(t *testing.T, path string, events ...int) string {
	t.Helper()
	var b strings.Builder
	for _, e := range events {
		for _, lang := range []string{"en", "de"} {
			fmt.Fprintf(&b, `{"id":"%d/%s","lang":"%s","text":"%s","shard":"s","group":"%d"}`+"\n", e, lang, lang,
				strings.Repeat(fmt.Sprintf("%s%d ", lang, e*e%97), 12), e)
		}
	}
	if err := os.WriteFile(path, []byte(b.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func weights(t *testing.T, o *options) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(o.out, "checkpoint-8", "model.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// A run on files, stopped and resumed, ends with the weights of a run that was
// not. What does not fit the training that is in the directory is refused.
func TestRunOnFilesResumed(t *testing.T) {
	dir := t.TempDir()
	train := writeEvents(t, filepath.Join(dir, "train.jsonl"), 1, 2, 3, 4, 5, 6, 7, 8, 9)
	heldout := writeEvents(t, filepath.Join(dir, "heldout.jsonl"), 11, 12, 13, 14)
	data := []string{"-corpus", train, "-eval", heldout}
	whole := testOptions(t, data...)
	if err := run(t.Context(), whole); err != nil {
		t.Fatal(err)
	}
	parts := testOptions(t, data...)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	parts.onStep = func(m marge.Metrics) {
		if m.Step != 4 {
			return
		}
		if err := run(ctx, parts); err == nil || !strings.Contains(err.Error(), parts.out+" is used by another run") {
			t.Errorf("a second run in the same directory: %v", err)
		}
		cancel()
	}
	if err := run(ctx, parts); !errors.Is(err, context.Canceled) {
		t.Fatalf("stopped with %v", err)
	}

	again := func(more ...string) error {
		o := testOptions(t, more...)
		o.out = parts.out
		return run(t.Context(), o)
	}
	other := writeEvents(t, filepath.Join(dir, "other.jsonl"), 21, 22, 23, 24, 25, 26, 27, 28, 29)
	before := listing(t, parts.out)
	for _, test := range []struct {
		args []string
		want []string
	}{
		{data, []string{"checkpoints of an earlier run", "-resume"}},
		{[]string{"-resume", "-corpus", other, "-eval", heldout},
			[]string{"tokenizer.json", "train.jsonl (", "other.jsonl ("}},
		{[]string{"-resume"}, []string{"tokenizer.json", "train.jsonl (", "generated news, seed 1, events 0 to 19"}},
		{append(data, "-resume", "-skip-bad"), []string{"-skip-bad was false and is true"}},
		{append(data, "-resume", "-config", "small"), []string{"made for 8000 tokens, wanted are 16000"}},
		{append(data, "-resume", "-chunk", "30"), []string{"corpus: ", "ChunkTokens is 62, wanted 30"}},
		{append(data, "-resume", "-lr", "2e-3"), []string{"LearningRate was 0.001 and is 0.002"}},
	} {
		err := again(test.args...)
		for _, want := range test.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v: error %v, want one with %q", test.args, err, want)
			}
		}
	}
	if after := listing(t, parts.out); after != before {
		t.Errorf("runs that were refused changed the directory:\n%s\nbefore:\n%s", after, before)
	}

	// The name of a file does not matter, nor what is evaluated on.
	moved := filepath.Join(dir, "moved.jsonl")
	if err := os.Rename(train, moved); err != nil {
		t.Fatal(err)
	}
	if err := again("-resume", "-corpus", moved, "-eval", other); err != nil {
		t.Fatal(err)
	}
	if weights(t, parts) != weights(t, whole) {
		t.Error("the resumed run ends with other weights")
	}
	if got := probes(t, parts); !slices.Equal(got, []int{1, 5, 8}) { // that of step 4 was stopped
		t.Errorf("probes at steps %v, want 1, 5, 8", got)
	}
}

// listing returns the names and contents of the files that are data or
// checkpoints.
func listing(t *testing.T, dir string) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(entry.Name(), ".") {
			return err
		}
		data, err := os.ReadFile(path)
		fmt.Fprintf(&b, "%s %x\n", path, sha256.Sum256(data))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Documents may come from standard input, which is read more than once.
func TestRunByTokensFromStandardInput(t *testing.T) {
	file := writeEvents(t, filepath.Join(t.TempDir(), "train.jsonl"), 1, 2, 3, 4, 5, 6, 7, 8, 9)
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func(stdin *os.File) { os.Stdin = stdin }(os.Stdin)
	os.Stdin = r
	go func() {
		w.Write(data)
		w.Close()
	}()
	o := testOptions(t, "-corpus", "-", "-tokens", "700", "-probes", "0")
	printed := output(t, func() {
		if err := run(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	})
	if !strings.Contains(printed, "corpus: 18 documents") {
		t.Errorf("printed %q", printed)
	}
	result := readResult(t, o)
	if n := result["target_tokens"].(float64); n < 700 || n > 700+300 {
		t.Errorf("trained for %v target tokens, want 700 and up to a batch", n)
	}
	// Without held-out documents there are no figures of them.
	if !strings.Contains(printed, "not evaluated: there is no -eval") || strings.Contains(printed, "P@1") {
		t.Errorf("printed %q", printed)
	}
	if why, _ := result["not_evaluated"].(string); !strings.Contains(why, "no -eval") {
		t.Errorf("not_evaluated is %v", result["not_evaluated"])
	}
	for _, key := range strings.Fields(`heldout_loss_retrieved heldout_loss_random heldout_loss_none
		heldout_loss_oracle p_at_1 mrr p_at_1_centered p_at_1_random_init p_at_1_tfidf relevance_auc
		attention_entropy p_at_1_by_pair retrieval_queries`) {
		if v, ok := result[key]; !ok || v != nil {
			t.Errorf("%s is %v, want null", key, v)
		}
	}
}

// An evaluation that is interrupted leaves what the training was like.
func TestEvaluationInterrupted(t *testing.T) {
	o := testOptions(t, "-probes", "0")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o.onStep = func(m marge.Metrics) {
		if m.Step == 8 {
			cancel()
		}
	}
	if err := run(ctx, o); !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "evaluation") {
		t.Fatalf("error %v", err)
	}
	result := readResult(t, o)
	if result["steps"] != 8.0 || result["p_at_1"] != nil || result["not_evaluated"] != "the evaluation was interrupted" {
		t.Errorf("result %v", result)
	}
	if _, err := os.Stat(filepath.Join(o.out, "curves.png")); err != nil {
		t.Error(err)
	}
}

func TestRunErrors(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.jsonl")
	lines := `{"id":"a","lang":"en","text":"x"}` + "\n" + `{"id":"b"` + "\n"
	if err := os.WriteFile(bad, []byte(lines), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		want string
		args []string
	}{
		{"bad.jsonl:2", []string{"-corpus", bad}},
		{"no such file", []string{"-corpus", bad + ".gz"}},
		{"no file matches", []string{"-corpus", filepath.Join(dir, "*.json")}},
		// Before the corpus is looked at.
		{"-out: ", []string{"-corpus", bad + ".gz", "-out", filepath.Join(bad, "run")}},
	} {
		if err := run(t.Context(), testOptions(t, test.args...)); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%v: error %v, want one with %q", test.args, err, test.want)
		}
	}
	// Known translations that the corpus does not have.
	alone := filepath.Join(dir, "alone.jsonl")
	text := strings.Repeat("some words ", 50)
	lines = fmt.Sprintf(`{"id":"a","lang":"en","text":%q}`+"\n"+`{"id":"b","lang":"de","text":%q}`+"\n", text, text)
	if err := os.WriteFile(alone, []byte(lines), 0o666); err != nil {
		t.Fatal(err)
	}
	args := []string{"-objective", "tlm", "-corpus", alone, "-steps", "1", "-out", filepath.Join(dir, "run")}
	tlm, err := parse(args, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), tlm); err == nil || !strings.Contains(err.Error(), "the corpus has none") {
		t.Errorf("-objective tlm: error %v", err)
	}
	// A directory that a training of another program uses.
	o := testOptions(t)
	release, err := checkpoint.Hold(o.out)
	if err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "is used by another run") {
		t.Errorf("a directory that is in use: %v", err)
	}
	release()
	for _, err := range []error{errors.New("stopped"), errors.New("pretrain: stopped")} {
		if got := message(err); got != "pretrain: stopped" {
			t.Errorf("message %q", got)
		}
	}
}
