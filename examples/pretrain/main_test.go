package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"flag"
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
	"unicode/utf8"

	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/checkpoint"
	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/probe"
	"github.com/marge-go/marge/marge/tokenizer"
)

// testOptions returns the flags of a small run in a new directory, and more.
func testOptions(t *testing.T, more ...string) *options {
	t.Helper()
	args := strings.Fields(`-steps 8 -chunk 62 -probes 2 -events 20 -lr 1e-3 -index-every 3 -tfidf-steps 3 -batch-tokens 300
		-pooling mean -cross 4 -json`)
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
		{[]string{"-resume", "-corpus", other, "-eval", heldout}, []string{"tokenizer.json", "train.jsonl (", "other.jsonl ("}},
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

// What an earlier run prepared is used if it is what this one would make. If
// not, it is made anew as long as there is no checkpoint.
func TestPrepared(t *testing.T) {
	dir := t.TempDir()
	train := writeEvents(t, filepath.Join(dir, "train.jsonl"), 1, 2, 3, 4, 5, 6, 7, 8, 9)
	other := writeEvents(t, filepath.Join(dir, "other.jsonl"), 21, 22, 23, 24)
	out := filepath.Join(dir, "run")
	if err := os.Mkdir(out, 0o777); err != nil {
		t.Fatal(err)
	}
	documents := func(args ...string) (n int, tokenizer string, printed string) {
		o := testOptions(t, append(args, "-corpus", train)...)
		if len(args) > 0 && args[0] == "-corpus" {
			o = testOptions(t, args...)
		}
		o.out = out
		printed = output(t, func() {
			d, err := prepare(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			n, tokenizer = d.store.Documents(), d.tokenizer.Fingerprint()
			for i := range d.store.Len() {
				if tokens := len(d.store.Tokens(i)); tokens > o.chunk {
					t.Errorf("%v: a chunk of %d tokens", args, tokens)
				}
			}
			if err := d.store.Close(); err != nil {
				t.Fatal(err)
			}
		})
		return n, tokenizer, printed
	}
	made := func(what string, printed string, tokenizer, corpus bool) {
		t.Helper()
		if strings.Contains(printed, "training the tokenizer") != tokenizer || strings.Contains(printed, "tokenising") != corpus {
			t.Errorf("%s: printed %q, want tokenizer made: %v, corpus made: %v", what, printed, tokenizer, corpus)
		}
	}
	n, first, printed := documents()
	made("first", printed, true, true)
	_, same, printed := documents()
	made("again", printed, false, false)
	if n != 18 || same != first {
		t.Errorf("%d documents, tokenizers %.12s and %.12s", n, first, same)
	}
	_, _, printed = documents("-chunk", "8")
	made("-chunk 8", printed, false, true)
	n, second, printed := documents("-corpus", other)
	made("another corpus", printed, true, true)
	if n != 8 || second == first {
		t.Errorf("%d documents, tokenizers %.12s and %.12s", n, first, second)
	}

	// A tokenizer that this program did not make is not replaced.
	path := filepath.Join(out, "tokenizer.json")
	if err := os.Remove(path + madeFromSuffix); err != nil {
		t.Fatal(err)
	}
	o := testOptions(t, "-corpus", train)
	o.out = out
	if _, err := prepare(t.Context(), o); err == nil || !strings.Contains(err.Error(), "tokenizer.json.made-from") {
		t.Errorf("a tokenizer of another's: %v", err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
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
	for _, key := range strings.Fields(`heldout_loss_retrieved heldout_loss_random heldout_loss_none heldout_loss_oracle p_at_1 mrr
		p_at_1_centered p_at_1_random_init p_at_1_tfidf relevance_auc attention_entropy p_at_1_by_pair retrieval_queries`) {
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

// Flags that cannot be meant are errors that name them, before anything is
// done.
func TestFlags(t *testing.T) {
	for args, want := range map[string]string{
		"-config huge":                     "-config huge: no such size",
		"-steps 0":                         "-steps 0: want at least 1",
		"-steps -3":                        "-steps -3",
		"-tokens 0":                        "-tokens 0",
		"-minutes 0":                       "-minutes 0",
		"-minutes NaN":                     "-minutes NaN",
		"-minutes 1e300":                   "-minutes 1e+300",
		"-minutes 2e8":                     "-minutes 2e+08",
		"-lr 0":                            "-lr 0: want a number greater than 0",
		"-lr -1e-3":                        "-lr -0.001",
		"-lr NaN":                          "-lr NaN",
		"-lr Inf":                          "-lr +Inf",
		"-chunk 0":                         "-chunk 0: want 1 to 254",
		"-chunk 255":                       "-chunk 255: want 1 to 254",
		"-config small -chunk 511":         "-chunk 511: want 1 to 510",
		"-max-chunks 0":                    "-max-chunks 0",
		"-max-chunks -1":                   "-max-chunks -1",
		"-probes -1":                       "-probes -1",
		"-events 0":                        "-events 0",
		"-batch-tokens -5":                 "-batch-tokens -5",
		"-accumulate 0":                    "-accumulate 0",
		"-index-every 0":                   "-index-every 0",
		"-tfidf-steps -1":                  "-tfidf-steps -1",
		"-pooling sum":                     "-pooling sum: want first, mean or max",
		"-retrieval-dim 0":                 "-retrieval-dim 0",
		"-retrieval-dim 1000000000":        "-retrieval-dim 1000000000",
		"-dropout 1":                       "-dropout 1",
		"-dropout NaN":                     "-dropout NaN",
		"-mono -1":                         "-mono -1",
		"-mono NaN":                        "-mono NaN",
		"-cross 1e300":                     "-cross 1e+300",
		"-cross 0":                         "-mono and -cross are both 0",
		"-cross 0.4":                       "-cross 0.4 round to no link",
		"-steps 5 -minutes 1":              "-steps and -minutes: give one",
		"-steps 5 -tokens 1M":              "-steps and -tokens: give one",
		"-tokens 1M -minutes 1":            "-tokens and -minutes: give one",
		"-pooling mean -retrieval-dim 64":  "-retrieval-dim is for -pooling max",
		"-corpus a -events 5":              "leave out one of -events and -corpus",
		"-corpus - -eval -":                "standard input",
		"-resume":                          "-resume needs -out",
		"-steps 5 more":                    `unexpected argument "more"`,
		"-steps x":                         "-steps",
		"-seed -1":                         "-seed",
		"-corpus a -lr 0 -index-every 0":   "-lr 0",
		"-index-every 0 -lr 0 -dropout -1": "-lr 0", // always the same one first
	} {
		if o, err := parse(strings.Fields(args), io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, error %v, want one with %q", args, o, err, want)
		}
	}
	var help strings.Builder
	if _, err := parse([]string{"-h"}, &help); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h: %v", err)
	}
	if !strings.Contains(help.String(), "-eval") || !strings.Contains(help.String(), "but none with -corpus") {
		t.Errorf("-h prints %q", help.String())
	}
	for args, want := range map[string]float64{
		"": 2e-3, "-config small": 5e-4, "-config base": 2.5e-4, "-config paper": 1.25e-4, "-config small -lr 1e-3": 1e-3,
	} {
		o, err := parse(strings.Fields(args), io.Discard)
		if err != nil || o.lr != want {
			t.Errorf("%s: learning rate %v (%v), want %v", args, o.lr, err, want)
			continue
		}
		sure := o.config == "tiny" || o.config == "small"
		if warning := o.untrained(); (warning == "") != sure {
			t.Errorf("%s: warning %q", args, warning)
		}
	}
}

func TestRunErrors(t *testing.T) {
	dir := t.TempDir()
	bad := filepath.Join(dir, "bad.jsonl")
	if err := os.WriteFile(bad, []byte("{\"id\":\"a\",\"lang\":\"en\",\"text\":\"x\"}\n{\"id\":\"b\"\n"), 0o666); err != nil {
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

// Of a long document the model sees the first chunk, and so does who reads the
// samples.
func TestSeen(t *testing.T) {
	o := testOptions(t)
	tok, err := tokenizer.Train(slices.Values([]string{"größer und größer und größer"}), tokenizer.TrainOptions{
		VocabSize: 270, Languages: []string{"de", "en"},
	})
	if err != nil {
		t.Fatal(err)
	}
	doc := func(lang, text string) corpus.Document {
		return corpus.Document{ID: lang, Lang: lang, Text: text, Group: "1"}
	}
	docs := []corpus.Document{doc("de", strings.Repeat("größer und ", 1000)), doc("en", "short"), {ID: "x", Lang: "en", Text: "other"}}
	e, err := o.evaluation(docs, tok)
	if err != nil || e.missing != "" {
		t.Fatal(err, e.missing)
	}
	if text := e.seen[0]; len(text) > 62*4 || !strings.HasSuffix(text, " [...]") || !utf8.ValidString(text) ||
		!strings.HasPrefix(docs[0].Text, strings.TrimSuffix(text, " [...]")) {
		t.Errorf("of a long document %q is shown", text)
	}
	if e.seen[1] != "short" || len(e.docs[0].Tokens) != 62 {
		t.Errorf("of a short document %q is shown, a long one has %d tokens", e.seen[1], len(e.docs[0].Tokens))
	}
	docs[1].Lang = "fr"
	if _, err := o.evaluation(docs, tok); err == nil || !strings.Contains(err.Error(), "-eval: en") {
		t.Errorf("an unknown language: %v", err)
	}
	docs[1].Lang = "de"
	if e, err := o.evaluation(docs, tok); err != nil || !strings.Contains(e.missing, "no two of the 3 held-out documents are translations") {
		t.Errorf("without translations: %q, %v", e.missing, err)
	}
}
