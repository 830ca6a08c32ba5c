package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/marge-go/marge/examples/internal/pretrained"
	"github.com/marge-go/marge/examples/internal/retrieval"
)

// small returns the options of a run that takes seconds.
func small(t *testing.T, args ...string) (*options, error) {
	o := &options{events: 40, heldoutEvents: 16, config: pretrained.Tiny()}
	o.config.DModel, o.config.RetrievalDim, o.config.VocabSize = 32, 16, 500
	f := o.flags(os.Stderr)
	if err := f.Parse(append([]string{"-steps", "3", "-out", filepath.Join(t.TempDir(), "out")}, args...)); err != nil {
		return nil, err
	}
	return o, o.check(f)
}

func TestRun(t *testing.T) {
	o, err := small(t, "-json")
	if err != nil {
		t.Fatal(err)
	}
	var out, progress bytes.Buffer
	if err := o.run(t.Context(), &out, &progress); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var figures retrieval.Figures
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &figures); err != nil {
		t.Fatal(err)
	}
	if len(figures.Methods) != 24 {
		t.Errorf("%d methods, want g and 4 layers in 4 ways each, and 4 that learn nothing", len(figures.Methods))
	}
	for _, m := range figures.Methods {
		if m.P1 == nil || m.MRR == nil || m.F1 == nil || m.Queries != 30*16 || *m.P1 > *m.MRR {
			t.Errorf("%+v", m)
		}
	}
	for _, want := range []string{"layer 4, centred, margin  ", "TF-IDF, margin  ", "P@1 by language, chosen: " +
		figures.Chosen.String(), "samples of news by ", "\nel  "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output has no %q:\n%.3000s", want, out.String())
		}
	}
	if n := strings.Count(out.String(), ", right: ") + strings.Count(out.String(), ", wrong: "); n != 3 {
		t.Errorf("%d samples: %.3000s", n, out.String())
	}
	for file, want := range map[string]string{
		"languages.txt": "layer 2, centred, margin", "result.json": lines[len(lines)-1],
	} {
		data, err := os.ReadFile(filepath.Join(o.out, file))
		if err != nil || !strings.Contains(string(data), want) {
			t.Errorf("%s: %.200q, error %v", file, data, err)
		}
	}

	// The model that was trained serves for files.
	dir := t.TempDir()
	for name, text := range map[string]string{
		"t.de-en.de": "Der Preis betrug 17 Euro.\nNeun Boote.\n", "t.de-en.en": "The price was 17 euros.\nNine boats.\n",
		"de-en.dev.de": "1\tDer Preis betrug 17 Euro.\n2\tNeun Boote.\n", "de-en.dev.en": "1\tThe price was 17 euros.\n",
		"de-en.dev.gold": "1\t1\n",
		"v.jsonl": `{"id":"t.de-en.de:1","vector":[1,0]}` + "\n" + `{"id":"t.de-en.de:2","vector":[0,1]}` + "\n" +
			`{"id":"t.de-en.en:1","vector":[2,0]}` + "\n" + `{"id":"t.de-en.en:2","vector":[0,3]}` + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	checkpoint, gold := filepath.Join(o.out, "pretrained"), filepath.Join(dir, "de-en.dev.gold")
	pairs := filepath.Join(dir, "t.de-en.de")
	for name, args := range map[string][]string{
		"tatoeba": {"-checkpoint", checkpoint, "-test", pairs, "-vectors", filepath.Join(dir, "v.jsonl"), "-langs", "de,en",
			"-layers", "1"},
		"bucc": {"-checkpoint", checkpoint, "-dev", gold, "-test", gold},
	} {
		out.Reset()
		if o, err = small(t, args...); err != nil {
			t.Fatal(err)
		}
		if err := o.run(t.Context(), &out, &progress); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if layers := strings.Contains(out.String(), "layer 2"); layers != (name == "bucc") {
			t.Errorf("%s: layers: %s", name, out.String())
		}
		if _, err := os.Stat(o.pretraining()); err == nil {
			t.Errorf("%s: there is a directory for a training that is not made", name)
		}
		want := map[string]string{
			"tatoeba": "v                         1.000  1.000  1.000                 -\n",
			"bucc":    "TF-IDF                    -    -    -                     1.000\n",
		}
		if !strings.Contains(out.String(), want[name]) {
			t.Errorf("%s: %s", name, out.String())
		}
	}
	vectors := filepath.Join(dir, "v.jsonl")
	for want, args := range map[string][]string{
		"-test: corpus: stat none":         {"-test", "none"},
		"the threshold is chosen on other": {"-test", gold},
		"-dev: ":                           {"-test", pairs, "-dev", filepath.Join(dir, "de-en.dev.de")},
		"in two of -langs de":              {"-test", gold, "-test", pairs, "-dev", gold, "-langs", "de"},
		"has no vector":                    {"-checkpoint", checkpoint, "-test", gold, "-dev", gold, "-vectors", vectors},
		"has checkpoints":                  {"-out", filepath.Dir(checkpoint)},
	} {
		o, err := small(t, args...)
		if err != nil {
			t.Fatal(err)
		}
		if err := o.run(t.Context(), &out, &progress); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", args, err, want)
		}
	}
}

func TestFlags(t *testing.T) {
	for want, args := range map[string][]string{
		"unexpected argument":          {"docs.jsonl"},
		"leave out -train":             {"-checkpoint", "a", "-train", "b"},
		"-minutes 0":                   {"-minutes", "0"},
		"-minutes NaN":                 {"-minutes", "NaN"},
		"must not be negative":         {"-chars", "-1"},
		"-layers -2":                   {"-layers", "-2"},
		"-chunk, -max-chunks":          {"-chunk", "-1"},
		"-langs need -test":            {"-vectors", "v"},
		"need -test":                   {"-dev", "d"},
		"-resume needs -out":           {"-resume", "-out", ""},
		"leave out -train and -resume": {"-checkpoint", "a", "-resume"},
	} {
		if _, err := small(t, args...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", args, err, want)
		}
	}
}
