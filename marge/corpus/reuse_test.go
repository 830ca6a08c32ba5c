package corpus

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestLanguagesAndTexts(t *testing.T) {
	docs := []Document{
		{ID: "1", Lang: "en", Text: "one"}, {ID: "2", Lang: "de", Text: "zwei"}, {ID: "3", Lang: "en", Text: "three"},
	}
	broken := errors.New("broken")
	for _, failure := range []error{nil, broken} {
		languages, err := Languages(sequence(docs, failure))
		if err != failure || failure == nil && !slices.Equal(languages, []string{"de", "en"}) {
			t.Errorf("languages %v, error %v", languages, err)
		}
		err = errors.New("of an earlier loop")
		texts := slices.Collect(Texts(sequence(docs, failure), &err))
		if !slices.Equal(texts, []string{"one", "zwei", "three"}) || err != failure {
			t.Errorf("texts %v, error %v", texts, err)
		}
	}
	var err error
	for range Texts(sequence(docs, broken), &err) {
		break
	}
	if err != nil {
		t.Errorf("a loop that ends early: %v", err)
	}
}

// named is an encoder with a fingerprint.
type named struct {
	runes
	name string
}

func (n named) Fingerprint() string { return n.name }

func TestOpenOrBuild(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	doc := Document{ID: "1", Lang: "en", Text: "one"}
	read := 0
	docs := func(yield func(Document, error) bool) {
		read++
		yield(doc, nil)
	}
	build := func(enc Encoder, opts BuildOptions) error {
		s, err := OpenOrBuild(dir, docs, enc, opts)
		if err != nil {
			return err
		}
		if s.TotalTokens() != 3 {
			t.Errorf("%d tokens", s.TotalTokens())
		}
		return s.Close()
	}
	opts := BuildOptions{Sources: []Source{{Name: "a"}}}
	for range 2 {
		if err := build(named{name: "x"}, opts); err != nil {
			t.Fatal(err)
		}
	}
	if read != 1 {
		t.Errorf("the documents were read %d times, want once", read)
	}
	for want, err := range map[string]error{
		"Sources":            build(named{name: "x"}, BuildOptions{}),
		"source 1 is a":      build(named{name: "x"}, BuildOptions{Sources: []Source{{Name: "b"}}}),
		"the tokenizer is x": build(named{name: "y"}, opts),
		"remove " + dir:      build(named{name: "x"}, BuildOptions{Sources: opts.Sources, ChunkTokens: 2}),
		"MinTokens 9 is":     build(named{name: "x"}, BuildOptions{Sources: opts.Sources, ChunkTokens: 2, MinTokens: 9}),
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	if read != 1 {
		t.Errorf("the documents were read %d times, want once", read)
	}
}
