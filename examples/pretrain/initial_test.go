package main

import (
	"context"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/tokenizer"
)

// mbart saves an mBART with random weights.
func mbart(t *testing.T) (dir string) {
	t.Helper()
	tok, err := tokenizer.Train(slices.Values([]string{"en0 en1 en4 en9 de0 de1 de4 de9"}),
		tokenizer.TrainOptions{VocabSize: 280, Languages: []string{"de", "en"}})
	if err != nil {
		t.Fatal(err)
	}
	c := marge.Tiny()
	c.VocabSize, c.DModel, c.EncoderFFNDim, c.DecoderFFNDim = 280, 16, 24, 32
	c.DecoderBaseLayers, c.MaxPositionEmbeddings, c.Seed, c.Dropout = 0, 66, 5, 0.25
	m, err := marge.New(c)
	if err != nil {
		t.Fatal(err)
	}
	m.Tokenizer = tok
	dir = filepath.Join(t.TempDir(), "mbart")
	if err := m.SaveMBART(dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// A run goes on from an mBART, with its tokenizer and its sizes, and can be resumed.
func TestInitFrom(t *testing.T) {
	dir, from := t.TempDir(), mbart(t)
	data := []string{
		"-corpus", writeEvents(t, filepath.Join(dir, "train.jsonl"), 1, 2, 3, 4, 5, 6, 7, 8, 9),
		"-eval", writeEvents(t, filepath.Join(dir, "heldout.jsonl"), 11, 12, 13, 14), "-init-from", from,
	}
	whole := testOptions(t, data...)
	printed := output(t, func() {
		if err := run(t.Context(), whole); err != nil {
			t.Fatal(err)
		}
	})
	if !strings.Contains(printed, "model mbart: ") || strings.Contains(printed, "tokenizer") {
		t.Errorf("it prints %s", printed)
	}
	m, err := marge.Load(whole.out)
	if err != nil {
		t.Fatal(err)
	}
	initial, err := marge.FromMBART(from)
	if err != nil {
		t.Fatal(err)
	}
	if c := m.Config; c.DModel != 16 || c.MaxPositionEmbeddings != 66 || c.DecoderBaseLayers != 0 || c.Dropout != 0.25 ||
		c.RetrievalPooling != marge.PoolMean || m.Tokenizer.Fingerprint() != initial.Tokenizer.Fingerprint() {
		t.Errorf("trained is %+v, with another tokenizer or not that of the mBART", c)
	}
	if m.Beta() == 0 {
		t.Error("beta has not been trained")
	}

	parts := testOptions(t, data...)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	parts.onStep = func(m marge.Metrics) {
		if m.Step == 4 {
			cancel()
		}
	}
	if err := run(ctx, parts); !errors.Is(err, context.Canceled) {
		t.Fatalf("stopped with %v", err)
	}
	again := func(args ...string) error {
		o := testOptions(t, append(slices.Clip(args), "-resume")...)
		o.out = parts.out
		return run(t.Context(), o)
	}
	before := listing(t, parts.out)
	if err := again(data[:4]...); err == nil || !strings.Contains(err.Error(), "began with -init-from") {
		t.Errorf("resumed without -init-from: %v", err)
	}
	if listing(t, parts.out) != before {
		t.Error("a run that was refused changed the directory")
	}
	if err := again(data...); err != nil {
		t.Fatal(err)
	}
	if weights(t, parts) != weights(t, whole) {
		t.Error("the resumed run ends with other weights")
	}

	// With next to no learning rate, the weights are next to those of the mBART.
	slow := testOptions(t, append(data, "-lr", "1e-9")...)
	if err := run(t.Context(), slow); err != nil {
		t.Fatal(err)
	}
	if m, err = marge.Load(slow.out); err != nil {
		t.Fatal(err)
	}
	for i, p := range initial.Parameters() {
		for j, want := range p.Float32s() {
			if got := m.Parameters()[i].Float32s()[j]; math.Abs(float64(got-want)) > 1e-6 {
				t.Fatalf("%s begins with %v, that of the mBART with %v", p.Name, got, want)
			}
		}
	}
}

func TestInitFromErrors(t *testing.T) {
	from := mbart(t)
	for args, want := range map[string]string{
		"-init-from x -config tiny": "-config is for random weights",
		"-init-from x -dropout 0.1": "-dropout is for random weights",
		"-init-from= -steps 5":      "-init-from : want a directory",
		"-init-from x -chunk 0":     "-chunk 0: want 1 to",
	} {
		if _, err := parse(strings.Fields(args), io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", args, err, want)
		}
	}
	o, err := parse([]string{"-init-from", from, "-chunk", "5000"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if err := o.loadInitial(nil); err == nil || !strings.Contains(err.Error(), "-chunk 5000: want 1 to 64") {
		t.Errorf("long chunks: %v", err)
	}
	if o, err = parse([]string{"-init-from", from, "-pooling", "first"}, io.Discard); err != nil {
		t.Fatal(err)
	}
	if err := o.loadInitial(nil); err != nil || o.chunk != 64 || o.lr != 1e-3 || o.untrained() != "" ||
		!strings.HasPrefix(o.out, filepath.Join("runs", "mbart-")) {
		t.Errorf("chunks of %d, learning rate %v, %s, error %v", o.chunk, o.lr, o.out, err)
	}
	for _, name := range []string{"tokenizer.json", "checksums.json"} {
		if err := os.Remove(filepath.Join(from, name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := o.loadInitial(nil); err == nil || !strings.Contains(err.Error(), from+": there is no tokenizer.json") {
		t.Errorf("without a tokenizer: %v", err)
	}
	if err := os.Remove(filepath.Join(from, "config.json")); err != nil {
		t.Fatal(err)
	}
	if err := o.loadInitial(nil); err == nil || !strings.Contains(err.Error(), "-init-from: load mBART: "+from) {
		t.Errorf("without a config.json: %v", err)
	}
}
