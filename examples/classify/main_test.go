package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// accuracies runs the program and returns those of the linear model and the network.
func accuracies(t *testing.T, o options) (linear, network float64) {
	t.Helper()
	var out strings.Builder
	if err := run(&out, o); err != nil {
		t.Fatal(err)
	}
	m := regexp.MustCompile(`(?s)linear +([0-9.]+)% .*network +([0-9.]+)%`).FindStringSubmatch(out.String())
	if m == nil {
		t.Fatalf("no accuracies in %q", out.String())
	}
	linear, _ = strconv.ParseFloat(m[1], 64)
	network, _ = strconv.ParseFloat(m[2], 64)
	return linear, network
}

// The network learns what no linear model can.
func TestGenerated(t *testing.T) {
	linear, network := accuracies(t, options{epochs: 12, width: 16, seed: 1})
	if network < 95 || linear > 70 {
		t.Errorf("the linear model has %v%%, the network %v%%", linear, network)
	}
}

// A file of three classes, each with a word of its own.
func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data.jsonl")
	var lines strings.Builder
	rng := rand.New(rand.NewPCG(1, 0))
	for range 300 {
		class := rng.IntN(3)
		text := fmt.Sprintf("It is number %d, really: %s!", rng.IntN(100), []string{"Äpfel", "Birnen", "Kirschen"}[class])
		line, err := json.Marshal(example{text, strconv.Itoa(class)})
		if err != nil {
			t.Fatal(err)
		}
		lines.WriteString(string(line) + "\n\n")
	}
	if err := os.WriteFile(path, []byte(lines.String()), 0o666); err != nil {
		t.Fatal(err)
	}
	if linear, network := accuracies(t, options{data: path, epochs: 30, width: 16, seed: 1}); linear < 90 || network < 90 {
		t.Errorf("the linear model has %v%%, the network %v%%", linear, network)
	}
}

func TestErrors(t *testing.T) {
	for content, want := range map[string]string{
		"":                                      "two texts",
		"{\"text\": \"a\", \"label\": \"b\"}\n": "two texts",
		"\n{\"text\": \"a\"}\n":                 "line 2: want text and label",
		"{\n":                                   "line 1: ",
	} {
		path := filepath.Join(t.TempDir(), "data.jsonl")
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		if err := run(&strings.Builder{}, options{data: path, epochs: 1, width: 2}); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q in it", content, err, want)
		}
	}
	err := run(&strings.Builder{}, options{data: "none.jsonl"})
	if err == nil || !strings.Contains(err.Error(), "none.jsonl") {
		t.Errorf("error %v of a missing file", err)
	}
}

// Words are the runs of letters and digits; those that training had not are the empty one.
func TestEncode(t *testing.T) {
	d := encode([]example{{"A b, c1–A!", "y"}, {"", "x"}}, map[string]int32{"": 0, "a": 1, "c1": 2}, []string{"x", "y"})
	ids, offsets, labels := d.batch([]int{1, 0})
	if got := fmt.Sprint(ids, offsets, labels); got != "[1 0 2 1] [0 0 4] [0 1]" {
		t.Errorf("batch %s", got)
	}
}
