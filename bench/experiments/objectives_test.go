package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/marge-go/marge/asm"
)

func writeLines(t *testing.T, name string, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

// Models are compared on files of one's own, each of which adds a column.
func TestObjectivesOnFiles(t *testing.T) {
	var groups, paws, tsv []string
	for i := range 12 {
		for _, lang := range []string{"en", "de"} {
			text := strings.Repeat(fmt.Sprintf("%s%d ", lang, i), 10)
			groups = append(groups, fmt.Sprintf(`{"id":"%d%s","lang":%q,"group":"%d","text":%q}`, i, lang, lang, i, text))
		}
		paws = append(paws, fmt.Sprintf("%d\tone %d\ttwo %d\t%d", i, i, i, i%2))
		tsv = append(tsv, fmt.Sprintf("en%d\tde%d", i, i))
	}
	corpus := writeLines(t, "groups.jsonl", groups...)
	pawsHeader := append([]string{"id\tsentence1\tsentence2\tlabel"}, paws...)
	pairs := writeLines(t, "paws.tsv", pawsHeader...)
	questions := writeLines(t, "squad.json", `{"version":"1","data":[{"title":"t","paragraphs":[
		{"context":"It rained in Rome.",
		"qas":[{"id":"1","question":"Where did it rain?","answers":[{"text":"Rome","answer_start":13}]}]}]}]}`)
	translations := writeLines(t, "pairs.tsv", tsv...)
	out := t.TempDir()
	args := []string{"objectives", "-seeds", "1,2", "-sizes", "micro", "-objectives", "mlm,translate",
		"-corpus", corpus, "-eval", corpus, "-sentences", corpus, "-mining", corpus, "-mining-pairs", "en-de",
		"-paraphrase-train", "en=" + pairs, "-paraphrase-test", "de=" + pairs, "-paraphrase-test", "en=" + pairs,
		"-answer-train", "en=" + questions, "-answer-test", "de=" + questions,
		"-translate", "en-de", "-translate-train", translations, "-translate-test", translations,
		"-task-steps", "2", "-translate-steps", "2", "-translate-records", "3"}
	table := testRun(t, out, args...)
	r := output(t, out, "objectives")
	if len(r.Rows) != 3 || len(r.Columns) != 8+5 {
		t.Fatalf("%d rows of %d columns:\n%s", len(r.Rows), len(r.Columns), table)
	}
	for i, want := range [][]string{
		{"micro", "mlm", "mBERT, XLM-R", ""}, {"micro", "translate", "MMTE", "yes"}, {"micro", untrainedName, "", ""},
	} {
		for j, cell := range want {
			if r.Rows[i][j] != cell {
				t.Errorf("row %d: %q, want %q", i, r.Rows[i], want)
			}
		}
	}
	if len(r.Findings) != 6 || !strings.Contains(r.Findings[0], "micro: ") {
		t.Errorf("findings %q", r.Findings)
	}
	data, err := json.Marshal(r.Results)
	if err != nil {
		t.Fatal(err)
	}
	var models []measured
	if err := json.Unmarshal(data, &models); err != nil {
		t.Fatal(err)
	}
	if len(models) != 6 {
		t.Fatalf("%d models, want 3 of 2 seeds", len(models))
	}
	for _, m := range models {
		vectors := 2 // layers
		if m.Objective == untrainedName {
			vectors++
		} else if m.Tokens == 0 {
			t.Errorf("%s: no tokens", m.Objective)
		}
		if len(m.ByVectors) != vectors || len(m.Scores) != 5 {
			t.Errorf("%s: %d kinds of vectors, %d scores", m.Objective, len(m.ByVectors), len(m.Scores))
		}
		best := m.ByVectors[m.Vectors].Value
		for name, f := range m.ByVectors {
			if f.Value > best {
				t.Errorf("%s: %s is above %s", m.Objective, name, m.Vectors)
			}
		}
		for name, score := range m.Scores {
			most := 100.0
			if strings.HasPrefix(name, "sentences") || strings.HasPrefix(name, "mining") {
				most = 1
			}
			if *score < 0 || *score > most {
				t.Errorf("%s: %s is %v", m.Objective, name, *score)
			}
		}
	}
}

// What was measured is not measured again, unless it depends on something else.
func TestObjectivesScoresAreKept(t *testing.T) {
	questions := writeLines(t, "squad.json", `{"version":"1","data":[{"title":"t","paragraphs":[
		{"context":"It rained in Rome.",
		"qas":[{"id":"1","question":"Where did it rain?","answers":[{"text":"Rome","answer_start":13}]}]}]}]}`)
	var groups []string
	for i := range 4 {
		for _, lang := range []string{"en", "de"} {
			groups = append(groups, fmt.Sprintf(`{"id":"%d%s","lang":%q,"group":"%d","text":"%s%d"}`, i, lang, lang, i, lang, i))
		}
	}
	corpus := writeLines(t, "groups.jsonl", groups...)
	out := t.TempDir()
	scores := func(more ...string) (list []float64) {
		t.Helper()
		args := []string{"objectives", "-seeds", "1", "-sizes", "micro", "-objectives", "mlm", "-corpus", corpus,
			"-eval", corpus, "-mining", corpus, "-answer-train", "en=" + questions, "-answer-test", "de=" + questions}
		testRun(t, out, append(args, more...)...)
		r := output(t, out, "objectives")
		for _, row := range r.Rows {
			score, err := strconv.ParseFloat(strings.Fields(row[9])[0], 64)
			if err != nil {
				t.Fatal(err)
			}
			list = append(list, score)
		}
		return list
	}
	scores("-task-steps", "2")
	files, err := filepath.Glob(filepath.Join(out, "r*", "*", "scores.json")) // runs and random
	if err != nil || len(files) != 2 {
		t.Fatalf("scores in %q (%v), want those of a training and of random weights", files, err)
	}
	for i, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var known map[string]float64
		if err := json.Unmarshal(data, &known); err != nil || len(known) != 2 {
			t.Fatalf("%s: %s (%v)", file, data, err)
		}
		for name := range known {
			if strings.HasPrefix(name, "answers") {
				known[name] = 1000 + float64(i) // no measurement gives that
			}
		}
		if err := writeJSON(file, known); err != nil {
			t.Fatal(err)
		}
	}
	for i, score := range scores("-task-steps", "2") {
		if score < 1000 {
			t.Errorf("row %d: %v was measured again", i, score)
		}
	}
	for i, score := range scores("-task-steps", "3") {
		if score > 100 {
			t.Errorf("row %d: %v was not measured anew after another fine-tuning", i, score)
		}
	}
}

// Models can be measured one by one, in processes of their own.
func TestObjectivesApart(t *testing.T) {
	var docs []string
	for i := range 8 {
		lang := []string{"en", "de"}[i%2]
		docs = append(docs, fmt.Sprintf(`{"id":"%d","lang":%q,"group":"%d","text":"text %d"}`, i, lang, i/2, i))
	}
	corpus := writeLines(t, "groups.jsonl", docs...)
	for want, args := range map[string][]string{
		untrainedName: {"-objectives", ""}, "mlm": {"-objectives", "mlm", "-random=false"},
	} {
		out := t.TempDir()
		testRun(t, out, append([]string{"objectives", "-seeds", "1", "-sizes", "micro", "-corpus", corpus, "-eval", corpus},
			args...)...)
		if r := output(t, out, "objectives"); len(r.Rows) != 1 || r.Rows[0][1] != want {
			t.Errorf("%q: rows %q, want that of %s alone", args, r.Rows, want)
		}
	}
}

// Products in bfloat16 make another training, where the processor has them.
func TestPrecision(t *testing.T) {
	out := t.TempDir()
	args := []string{"objectives", "-seeds", "1", "-sizes", "micro", "-objectives", "mlm", "-precision"}
	if !asm.BF16() {
		var stdout, stderr bytes.Buffer
		err := run(context.Background(), append(args, "bf16", "-out", out), &stdout, &stderr)
		if err == nil || !strings.Contains(err.Error(), "-precision bf16: ") {
			t.Errorf("error %v", err)
		}
		return
	}
	losses := map[string]float64{}
	for _, precision := range []string{"fp32", "bf16"} {
		testRun(t, out, append(args, precision, "-task-steps", "1", "-translate-steps", "1", "-translate-records", "1")...)
		r := output(t, out, "objectives")
		losses[r.Settings.Precision] = r.Trainings[0].TrainLoss
	}
	if len(losses) != 2 || losses[""] == losses["bf16"] {
		t.Errorf("losses by precision %v", losses)
	}
}

func TestObjectivesErrors(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	for want, args := range map[string][]string{
		"-paraphrase-train and -paraphrase-test: give both": {"-paraphrase-train", "en=x"},
		"-answer-train and -answer-test: give both":         {"-answer-test", "en=x"},
		"-translate-train and -translate-test: give both":   {"-translate-test", "x"},
		"x: want LANG=FILE":             {"-answer-train", "x", "-answer-test", "x"},
		"-translate de: want FROM-TO":   {"-translate", "de"},
		"must be positive":              {"-task-steps", "0"},
		"missing":                       {"-sentences", missing},
		"-sizes: learning rate of tiny": {"-sizes", "tiny:fast"},
		"-precision fp8: backend cpu":   {"-precision", "fp8"},
		"-precision tf32: backend cpu":  {"-precision", "tf32"},
		`unknown backend "tpu"`:         {"-backend", "tpu"},
		"nothing to measure":            {"-objectives", "", "-random=false"},
		`option Objective is "bert"`:    {"-objectives", "bert", "-steps", "1", "-size", "micro", "-sizes", "micro"},
	} {
		var stdout, stderr bytes.Buffer
		args = append([]string{"objectives", "-events", "12", "-heldout-events", "6", "-vocabulary", "400",
			"-out", t.TempDir()}, args...)
		if err := run(context.Background(), args, &stdout, &stderr); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", args, err, want)
		}
	}
}
