//go:build cuda

package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"
)

// A card trains and measures, in trainings of their own that name it. MARGE_LIBCUDA names the
// emulated driver where there is no card.
func TestCUDA(t *testing.T) {
	var docs []string
	for i := range 4 {
		for _, lang := range []string{"en", "de"} {
			text := strings.Repeat(fmt.Sprintf("%s%d ", lang, i), 6)
			docs = append(docs, fmt.Sprintf(`{"id":"%d%s","lang":%q,"group":"%d","text":%q}`, i, lang, lang, i, text))
		}
	}
	corpus, out := writeLines(t, "groups.jsonl", docs...), t.TempDir()
	args := []string{"objectives", "-seeds", "1", "-sizes", "micro", "-objectives", "marge", "-random=false",
		"-corpus", corpus, "-eval", corpus, "-sentences", corpus, "-mining", corpus, "-probes", "1",
		"-steps", "2", "-index-every", "2"}
	trained := func(args ...string) (training, measured) {
		t.Helper()
		testRun(t, out, args...)
		var r struct {
			Machine   machine    `json:"machine"`
			Trainings []training `json:"trainings"`
			Results   []measured `json:"results"`
		}
		if err := readJSON(filepath.Join(out, "objectives.json"), &r); err != nil {
			t.Fatal(err)
		}
		if len(r.Trainings) != 1 || len(r.Results) != 1 || r.Machine.Card != r.Trainings[0].Machine.Card {
			t.Fatalf("trainings %+v, results %+v, evaluated on %+v", r.Trainings, r.Results, r.Machine)
		}
		return r.Trainings[0], r.Results[0]
	}
	cpu, measuredOnCPU := trained(args...)
	card, measuredOnCard := trained(append(args, "-backend", "cuda")...)
	if cpu.Machine.Card != "" || card.Machine.Card == "" {
		t.Errorf("cards %q of the processor and %q", cpu.Machine.Card, card.Machine.Card)
	}
	runs, err := filepath.Glob(filepath.Join(out, "runs", "*", "result.json"))
	if err != nil || len(runs) != 2 {
		t.Fatalf("trainings %q (%v), want one of the processor and one of the card", runs, err)
	}
	if math.Abs(card.TrainLoss-cpu.TrainLoss) > 1e-3 || math.Abs(card.Final.Loss.All.None-cpu.Final.Loss.All.None) > 1e-3 {
		t.Errorf("losses %v, %+v of the card, %v, %+v of the processor", card.TrainLoss, card.Final.Loss.All, cpu.TrainLoss,
			cpu.Final.Loss.All)
	}
	for name := range measuredOnCPU.ByVectors {
		if _, ok := measuredOnCard.ByVectors[name]; !ok {
			t.Errorf("the card did not measure %s", name)
		}
	}
	// Weights of the processor can be where those of a card start.
	start := ""
	for _, path := range runs {
		var r training
		if err := readJSON(path, &r); err != nil {
			t.Fatal(err)
		}
		if r.Machine.Card == "" {
			start = filepath.Dir(path)
		}
	}
	if again, _ := trained(append(args, "-backend", "cuda", "-start", start, "-lr", "1e-30")...); math.Abs(
		again.Final.Loss.All.None-card.Final.Loss.All.None) > 1e-3 {
		t.Errorf("from weights with the losses %+v came %+v", card.Final.Loss.All, again.Final.Loss.All)
	}
	err = run(context.Background(), append(args, "-backend", "cuda", "-precision", "fp8", "-out", out), &bytes.Buffer{},
		&bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), "precision \"fp8\", want one of") {
		t.Errorf("-precision fp8: error %v", err)
	}
}
