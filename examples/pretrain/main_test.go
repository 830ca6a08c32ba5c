package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/probe"
)

func testOptions(t *testing.T) *options {
	return &options{
		config: "tiny", steps: 8, seed: 1, out: filepath.Join(t.TempDir(), "run"), json: true,
		chunk: 62, probes: 2, events: 20, lr: 1e-3, indexEvery: 3, tfidf: 3, batchTokens: 300, pooling: marge.PoolMean, cross: 4, perTarget: true,
		heldoutEvents: 2,
	}
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
		if err := run(context.Background(), o); err != nil {
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
	for _, key := range strings.Fields(`steps target_tokens tokens_per_s train_loss heldout_loss_retrieved heldout_loss_random
		heldout_loss_none beta p_at_1 mrr p_at_1_random_init p_at_1_tfidf peak_rss_mb params`) {
		if v, ok := r[key].(float64); !ok || v <= 0 || math.IsInf(v, 0) {
			t.Errorf("%s is %v", key, r[key])
		}
	}
	if r["steps"] != 8.0 {
		t.Errorf("%v steps, want 8", r["steps"])
	}
	png, err := os.ReadFile(filepath.Join(o.out, "curves.png"))
	if err != nil || !strings.HasPrefix(string(png), "\x89PNG") {
		t.Errorf("the plot is no PNG file (%v)", err)
	}
	if got := probes(t, o); !slices.Equal(got, []int{1, 4, 8}) {
		t.Errorf("probes at steps %v, want 1, 4, 8", got)
	}
}

// A run on files, stopped and resumed, ends with the weights of a run that was
// not.
func TestRunOnFilesResumed(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, events ...int) string {
		var b strings.Builder
		for _, e := range events {
			for _, lang := range []string{"en", "de"} {
				fmt.Fprintf(&b, `{"id":"%d/%s","lang":"%s","text":"%s","shard":"s","group":"%d"}`+"\n", e, lang, lang,
					strings.Repeat(fmt.Sprintf("%s%d ", lang, e*e%97), 12), e)
			}
		}
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(b.String()), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	corpus, heldout := file("train.jsonl", 1, 2, 3, 4, 5, 6, 7, 8, 9), file("heldout.jsonl", 11, 12, 13, 14)
	weights := func(o *options) string {
		data, err := os.ReadFile(filepath.Join(o.out, "checkpoint-8", "model.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	whole := testOptions(t)
	whole.corpora, whole.evals = files{corpus}, files{heldout}
	if err := run(context.Background(), whole); err != nil {
		t.Fatal(err)
	}
	parts := testOptions(t)
	parts.corpora, parts.evals = whole.corpora, whole.evals
	ctx, cancel := context.WithCancel(context.Background())
	parts.onStep = func(m marge.Metrics) {
		if m.Step == 5 {
			cancel()
		}
	}
	if err := run(ctx, parts); !errors.Is(err, context.Canceled) {
		t.Fatalf("stopped with %v", err)
	}
	parts.resume = true
	if err := run(context.Background(), parts); err != nil {
		t.Fatal(err)
	}
	if weights(parts) != weights(whole) {
		t.Error("the resumed run ends with other weights")
	}
	if got := probes(t, parts); !slices.Equal(got, []int{1, 4, 8}) {
		t.Errorf("probes at steps %v, want 1, 4, 8", got)
	}
}

func TestRunByTokens(t *testing.T) {
	o := testOptions(t)
	o.steps, o.tokens, o.probes = 0, 700, 0
	if err := run(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	if n := readResult(t, o)["target_tokens"].(float64); n < 700 || n > 700+300 {
		t.Errorf("trained for %v target tokens, want 700 and up to a batch", n)
	}
}

func TestRunErrors(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.jsonl")
	if err := os.WriteFile(bad, []byte("{\"id\":\"a\",\"lang\":\"en\",\"text\":\"x\"}\n{\"id\":\"b\"\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(o *options){
		"-config huge":       func(o *options) { o.config = "huge" },
		"-resume needs":      func(o *options) { o.resume, o.out = true, "" },
		"-steps, -tokens or": func(o *options) { o.steps = 0 },
		"-steps and -tokens": func(o *options) { o.tokens = 1e6 },
		"bad.jsonl:2":        func(o *options) { o.corpora = files{bad} },
		"no such file":       func(o *options) { o.corpora = files{bad + ".gz"} },
	} {
		o := testOptions(t)
		change(o)
		if err := run(context.Background(), o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
