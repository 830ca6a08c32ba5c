package main

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/tokenizer"
)

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
	docs := []corpus.Document{
		{ID: "de", Lang: "de", Text: strings.Repeat("größer und ", 1000), Group: "1"},
		{ID: "en", Lang: "en", Text: "short", Group: "1"},
		{ID: "x", Lang: "en", Text: "other"},
	}
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
	e, err = o.evaluation(docs, tok)
	if err != nil || !strings.Contains(e.missing, "no two of the 3 are translations") {
		t.Errorf("without translations: %q, %v", e.missing, err)
	}
}
