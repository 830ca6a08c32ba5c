// Package finetuningtest tests the programs of tasks.
package finetuningtest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/examples/internal/finetuning"
)

// A Program parses arguments. It returns the options and what runs the program
// with them.
type Program func(args ...string) (o *finetuning.Options, run func() error, err error)

// New returns the program of two functions, as finetuning.Main takes them.
func New[T interface{ Shared() *finetuning.Options }](
	t *testing.T, parse func(args []string, output io.Writer) (T, error), run func(context.Context, T) error,
) Program {
	return func(args ...string) (*finetuning.Options, func() error, error) {
		o, err := parse(args, io.Discard)
		if err != nil {
			return nil, nil, err
		}
		return o.Shared(), func() error { return run(t.Context(), o) }, nil
	}
}

// Run runs a program on little data and returns what it has measured and printed.
func Run(t *testing.T, p Program, args ...string) (finetuning.Result, string) {
	t.Helper()
	o, run, err := p(append(args, "-json")...)
	if err != nil {
		t.Fatal(err)
	}
	var printed bytes.Buffer
	o.Output, o.PretrainEvents, o.TrainEvents, o.TestEvents = &printed, 8, 12, 6
	if err := run(); err != nil {
		t.Fatal(err)
	}
	lines := strings.SplitAfter(printed.String(), "\n")
	data, err := os.ReadFile(filepath.Join(o.Out, "result.json"))
	if err != nil || len(lines) < 2 || string(data) != lines[len(lines)-2] {
		t.Errorf("result.json is %q (%v), the output ends in %q", data, err, lines[max(len(lines)-2, 0):])
	}
	var r finetuning.Result
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	return r, printed.String()
}

// Names returns the names of rows.
func Names(r finetuning.Result) (names []string) {
	for _, row := range r.Rows {
		names = append(names, row.Name)
	}
	return names
}

// Check runs a program on generated data, then once more with -resume, which must
// not change anything, then the model that it has made on files, if there are
// any: arguments for training and for evaluation. It checks rows and figures.
func Check(t *testing.T, p Program, rows, figures []string, train, test []string) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "run")
	first, printed := Run(t, p, "-steps", "2", "-out", out)
	if got := Names(first); !slices.Equal(got, rows) {
		t.Errorf("rows %q, want %q", got, rows)
	}
	for _, row := range first.Rows {
		for _, name := range figures {
			if f, ok := row.Figures[name]; !ok || f.Value < 0 || f.Value > 100 {
				t.Errorf("%s: %s is %+v", row.Name, name, f)
			}
		}
		if len(row.Figures) != len(figures) {
			t.Errorf("%s: figures %v", row.Name, row.Figures)
		}
	}
	if first.Train == 0 || first.Dev == 0 || first.Test < 6 ||
		first.Pretraining.Steps != 2 || first.FineTuning.Steps != 2 {
		t.Errorf("%+v", first)
	}
	if n := strings.Count(printed, "\nfine-tuned: "); n != 3 {
		t.Errorf("%d samples in\n%s", n, printed)
	}
	data, err := os.ReadFile(filepath.Join(out, "outputs.jsonl"))
	if n := strings.Count(string(data), `"fine-tuned":`); err != nil || n != first.Test {
		t.Errorf("%d outputs of %d records: %v", n, first.Test, err)
	}
	again, _ := Run(t, p, "-steps", "2", "-out", out, "-resume")
	if !reflect.DeepEqual(again.Rows, first.Rows) {
		t.Errorf("resumed: %+v\nwant %+v", again.Rows, first.Rows)
	}
	if _, run, err := p("-steps", "2", "-out", out); err != nil || run() == nil {
		t.Errorf("a run into the directory of another without -resume: %v", err)
	}

	model := filepath.Join(out, "finetune")
	tuned, _ := Run(t, p, slices.Concat([]string{"-checkpoint", model, "-steps", "1", "-freeze", "-scratch=false",
		"-out", filepath.Join(t.TempDir(), "run")}, train, test)...)
	if got := Names(tuned); got[len(got)-1] != "fine-tuned" || tuned.Pretraining != nil {
		t.Errorf("on files: rows %q", got)
	}
	only, _ := Run(t, p, slices.Concat([]string{"-checkpoint", model, "-out", filepath.Join(t.TempDir(), "run")}, test)...)
	if got := Names(only); got[len(got)-1] != "without fine-tuning" || only.FineTuning != nil {
		t.Errorf("evaluation only: rows %q", got)
	}
	args := []string{"-steps", "1", "-out", filepath.Join(t.TempDir(), "run")}
	random, _ := Run(t, p, slices.Concat(args, train, test)...)
	if got := Names(random); got[len(got)-1] != "fine-tuned" || random.Pretraining != nil {
		t.Errorf("from random weights: rows %q", got)
	}
}

// Fails checks that a program stops with an error before it makes anything.
func Fails(t *testing.T, p Program, want string, args ...string) {
	t.Helper()
	out := filepath.Join(t.TempDir(), "run")
	_, run, err := p(append(args, "-out", out)...)
	if err == nil {
		err = run()
	}
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%q: error %v, want %q", args, err, want)
	}
	if _, err := os.Stat(filepath.Join(out, "pretrain", "checkpoint-1")); err == nil {
		t.Errorf("%q: a model was trained before the error", args)
	}
}

// File writes a file into a new folder.
func File(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}
