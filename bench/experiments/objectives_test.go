package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
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
	table := testRun(t, out, "objectives", "-seeds", "1,2", "-sizes", "micro", "-objectives", "mlm,translate",
		"-corpus", corpus, "-eval", corpus, "-sentences", corpus, "-mining", corpus, "-mining-pairs", "en-de",
		"-paraphrase-train", "en="+pairs, "-paraphrase-test", "de="+pairs, "-paraphrase-test", "en="+pairs,
		"-answer-train", "en="+questions, "-answer-test", "de="+questions,
		"-translate", "en-de", "-translate-train", translations, "-translate-test", translations,
		"-task-steps", "2", "-translate-steps", "2", "-translate-records", "3")
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
