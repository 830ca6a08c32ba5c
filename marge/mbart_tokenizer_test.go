package marge

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/marge/tokenizer"
)

// unpacked returns the path of a file of package tokenizer's test data, of another name.
func unpacked(t *testing.T, name, as string) string {
	t.Helper()
	f, err := os.Open(filepath.Join("tokenizer", "testdata", "models", name+".gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), as)
	writeTest(t, path, data)
	return path
}

// An mBART comes with its tokenizer, a Unigram one, which goes wherever the model does.
func TestMBARTTokenizer(t *testing.T) {
	tok, err := tokenizer.Load(unpacked(t, "added.json", "tokenizer.json"))
	if err != nil {
		t.Fatal(err)
	}
	c := testConfig(1)
	c.DecoderBaseLayers, c.DecoderBaseFFNDim, c.VocabSize = 0, 0, tok.VocabSize()
	m := testModel(t, c)
	m.Tokenizer = tok
	const text = "The bridge opened today, \u00fcber den Flu\u00df."
	want := tok.Encode(text)
	langs := tok.Languages()
	if len(want) < 5 || len(langs) == 0 {
		t.Fatalf("%d tokens, languages %v", len(want), langs)
	}
	hf, ours := t.TempDir(), t.TempDir()
	if err := m.SaveMBART(hf); err != nil {
		t.Fatal(err)
	}
	again := loadMBART(t, hf, MBARTOptions{})
	if err := again.Save(ours); err != nil {
		t.Fatal(err)
	}
	last, err := Load(ours)
	if err != nil {
		t.Fatal(err)
	}
	for where, m := range map[string]*Model{"mBART": again, "MARGE": last} {
		if got := m.Tokenizer; got.Fingerprint() != tok.Fingerprint() || !slices.Equal(got.Encode(text), want) ||
			!slices.Equal(got.Languages(), langs) {
			t.Errorf("%s: ids %v and languages %v, want %v and %v", where, got.Encode(text), got.Languages(), want, langs)
		}
		if _, err := m.Generate(t.Context(), []string{text}, GenerateOptions{Lang: langs[0], MaxTokens: 3}); err != nil {
			t.Errorf("%s: %v", where, err)
		}
	}
	// A model of SentencePiece is another file, which sentence-transformers does not read.
	pieces, err := tokenizer.Load(unpacked(t, "nmt.model", "sentencepiece.bpe.model"))
	if err != nil {
		t.Fatal(err)
	}
	m.Tokenizer = pieces
	err = m.SaveSentenceTransformers(filepath.Join(t.TempDir(), "st"))
	if err == nil || !strings.Contains(err.Error(), "sentencepiece.bpe.model; the package reads tokenizer.json alone") {
		t.Errorf("error %v", err)
	}
	small := c
	small.VocabSize = tok.VocabSize() - 1
	m = testModel(t, small)
	m.Tokenizer = tok
	if err := m.SaveMBART(hf); err != nil {
		t.Fatal(err)
	}
	if _, err := FromMBART(hf); err == nil || !strings.Contains(err.Error(), "more than the") {
		t.Errorf("a tokenizer with more tokens than the model: error %v", err)
	}
}
