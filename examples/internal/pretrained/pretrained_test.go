package pretrained

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/examples/internal/program"
	"github.com/marge-go/marge/marge/corpus/news"
)

func TestTrainAndLoad(t *testing.T) {
	docs := slices.Collect(news.Documents(news.Options{Seed: 1, Events: 16}))
	var out bytes.Buffer
	o := Options{
		Config: Tiny(), Steps: 2, Seed: 1, Dir: filepath.Join(t.TempDir(), "run"), Show: program.NewDisplay(&out),
	}
	o.Config.DModel, o.Config.RetrievalDim, o.Config.VocabSize = 32, 16, 400
	m, err := Train(t.Context(), docs, o)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(out.String(), "pre-training ") || !strings.Contains(out.String(), "pre-trained: 2 updates") {
		t.Errorf("output %q", out.String())
	}
	checkpoints := program.Checkpoints(o.Dir)
	if len(checkpoints) != 1 {
		t.Fatalf("checkpoints %v", checkpoints)
	}
	for _, dir := range []string{o.Dir, checkpoints[0]} {
		loaded, err := Load(dir, nil)
		if err != nil {
			t.Fatal(err)
		}
		if loaded.Tokenizer.Fingerprint() != m.Tokenizer.Fingerprint() ||
			!slices.Equal(loaded.Parameters()[0].Float32s(), m.Parameters()[0].Float32s()) {
			t.Errorf("%s is another model", dir)
		}
	}
	// A training that goes on has the tokenizer of the first, whatever the documents.
	o.Steps, o.Resume = 4, true
	o.Show = program.NewDisplay(&out)
	again, err := Train(t.Context(), docs, o)
	if err != nil {
		t.Fatal(err)
	}
	if again.Tokenizer.Fingerprint() != m.Tokenizer.Fingerprint() ||
		!strings.Contains(out.String(), "pre-trained: 4 updates") {
		t.Errorf("another tokenizer, or output %q", out.String())
	}
	if _, err := Train(t.Context(), docs[:60], o); err == nil {
		t.Error("goes on with other documents")
	}
	if _, err := Load(filepath.Join(o.Dir, "none"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory that is not there: error %v", err)
	}
	dir := program.Checkpoints(o.Dir)[0]
	if err := os.Remove(filepath.Join(dir, "tokenizer.json")); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir, nil); err == nil {
		t.Error("a checkpoint without its tokenizer is no error")
	}
}
