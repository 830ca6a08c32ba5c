package corpus

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// runes encodes a text to its code points.
type runes struct{}

func (runes) AppendEncode(dst []int32, text string) []int32 { return append(dst, []rune(text)...) }

func testDocuments() []Document {
	return []Document{
		{ID: "a", Lang: "en", Text: "abcdefghijklmnopqrstuvwxyz", Date: "2020-01-01", Group: "g"},
		{ID: "b", Lang: "de", Text: "äöü", Date: "2020-01-01", Group: "g"},
		{ID: "c", Lang: "en", Text: "0123456789AB", Date: "2020-01-01", Shard: "manual", Source: "a"},
		{ID: "d", Lang: "el", Text: "αβγδεζηθικλμ"},
		{ID: "e", Lang: "de", Text: "more of the first date", Shard: "2020-01-01"},
	}
}

func sequence(docs []Document, err error) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		for _, doc := range docs {
			if !yield(doc, nil) {
				return
			}
		}
		if err != nil {
			yield(Document{}, err)
		}
	}
}

func mustBuild(t testing.TB, dir string, docs []Document, opts BuildOptions) *Store {
	t.Helper()
	s, err := Build(dir, sequence(docs, nil), runes{}, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "runs", "store") // whose parent does not exist
	opts := BuildOptions{ChunkTokens: 10, MinTokens: 3}
	built := mustBuild(t, dir, testDocuments(), opts)
	opened, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	inMemory, err := FromDocuments(testDocuments(), runes{}, opts)
	if err != nil {
		t.Fatal(err)
	}
	defer inMemory.Close()

	type row struct {
		Chunk
		text string
	}
	want := []row{
		{Chunk{0, 0, 0, 0, 0, true, 10}, "abcdefghij"},
		{Chunk{0, 1, 0, 0, 0, true, 10}, "klmnopqrst"},
		{Chunk{0, 2, 0, 0, 0, true, 6}, "uvwxyz"},
		{Chunk{1, 0, 1, 0, 1, true, 3}, "äöü"},
		{Chunk{2, 0, 0, 1, 0, true, 10}, "0123456789"}, // AB is too short
		{Chunk{3, 0, 2, 2, 2, true, 10}, "αβγδεζηθικ"},
		{Chunk{4, 0, 1, 0, 3, true, 10}, "more of th"},
		{Chunk{4, 1, 1, 0, 3, true, 10}, "e first da"},
	}
	for name, s := range map[string]*Store{"built": built, "opened": opened, "in memory": inMemory} {
		t.Run(name, func(t *testing.T) {
			var got []row
			tokens := 0
			for i := range s.Len() {
				got = append(got, row{s.Chunk(i), string(s.Tokens(i))})
				tokens += len(s.Tokens(i))
			}
			if !slices.Equal(got, want) {
				t.Errorf("chunks\n%v, want\n%v", got, want)
			}
			if s.TotalTokens() != tokens {
				t.Errorf("%d tokens in total, want %d", s.TotalTokens(), tokens)
			}
			if want := []string{"en", "de", "el"}; !slices.Equal(s.Langs(), want) {
				t.Errorf("languages %q, want %q", s.Langs(), want)
			}
			if want := []string{"2020-01-01", "manual", ""}; !slices.Equal(s.Shards(), want) {
				t.Errorf("shards %q, want %q", s.Shards(), want)
			}
			for k, want := range [][]int{{0, 1, 2, 3, 6, 7}, {4}, {5}} {
				if got := s.Shard(k); !slices.Equal(got, want) {
					t.Errorf("shard %d: chunks %v, want %v", k, got, want)
				}
				if got := s.ShardLen(k); got != len(want) {
					t.Errorf("shard %d has %d chunks, want %d", k, got, len(want))
				}
			}
			if s.Documents() != 5 || s.DocumentID(0) != "a" || s.DocumentID(4) != "e" || s.Group(1) != "g" || s.Group(4) != "" {
				t.Errorf("%d documents, %q with group %q to %q with group %q", s.Documents(), s.DocumentID(0), s.Group(0),
					s.DocumentID(4), s.Group(4))
			}
			if err := s.Verify(); err != nil {
				t.Error(err)
			}
			if s.Fingerprint() != built.Fingerprint() {
				t.Errorf("fingerprint %s, want %s", s.Fingerprint(), built.Fingerprint())
			}
			if n := cap(s.Tokens(0)); n != 10 {
				t.Errorf("a view of 10 tokens has capacity %d: appending would write into the next chunk", n)
			}
		})
	}
}

// Documents in random lengths are all kept, in order.
func TestChunksConcatenate(t *testing.T) {
	var docs []Document
	for i := range 500 {
		docs = append(docs, Document{ID: fmt.Sprint(i), Lang: "en",
			Text: strings.Repeat(fmt.Sprintf("%03d.", i), 1+i*7919%61)})
	}
	for _, size := range []int{1, 7, 64, 1000} {
		s, err := FromDocuments(docs, runes{}, BuildOptions{ChunkTokens: size, MinTokens: 1})
		if err != nil {
			t.Fatal(err)
		}
		texts := make([]string, len(docs))
		for i := range s.Len() {
			c := s.Chunk(i)
			if whole := (len(docs[c.Doc].Text)) / size; c.Index < whole && c.Tokens != size || c.Tokens != len(s.Tokens(i)) {
				t.Fatalf("chunks of %d: chunk %d of document %d has %d tokens", size, c.Index, c.Doc, c.Tokens)
			}
			texts[c.Doc] += string(s.Tokens(i))
		}
		for i, doc := range docs {
			if texts[i] != doc.Text {
				t.Fatalf("chunks of %d: document %d is %q, want %q", size, i, texts[i], doc.Text)
			}
		}
	}
}

func TestBuildOptions(t *testing.T) {
	long := strings.Repeat("x", 1030)
	for _, test := range []struct {
		name    string
		text    string
		opts    BuildOptions
		want    []int // tokens of the chunks
		targets int
	}{
		{"defaults", long, BuildOptions{}, []int{512, 512}, 2}, // 6 tokens are under 8
		{"short last chunk", long + "xx", BuildOptions{}, []int{512, 512, 8}, 3},
		{"only chunk", "x", BuildOptions{}, []int{1}, 1},
		{"chunks shorter than 8", "xxxxxxx", BuildOptions{ChunkTokens: 3}, []int{3, 3}, 2},
		{"MinTokens", long, BuildOptions{MinTokens: 6}, []int{512, 512, 6}, 3},
		{"MaxChunks", long, BuildOptions{ChunkTokens: 100, MaxChunks: 3}, []int{100, 100, 100}, 3},
		{"MaxChunks of the default", "x", BuildOptions{MaxChunks: 3}, []int{1}, 1},
		{"FirstChunkTargets", long, BuildOptions{FirstChunkTargets: true}, []int{512, 512}, 1},
	} {
		s, err := FromDocuments([]Document{{ID: "1", Lang: "en", Text: test.text}}, runes{}, test.opts)
		if err != nil {
			t.Fatal(err)
		}
		var got []int
		targets := 0
		for i := range s.Len() {
			c := s.Chunk(i)
			got = append(got, c.Tokens)
			if c.Target {
				targets++
			}
		}
		if !slices.Equal(got, test.want) || targets != test.targets {
			t.Errorf("%s: chunks of %v tokens, %d of them targets, want %v and %d", test.name, got, targets, test.want,
				test.targets)
		}
	}
	for _, opts := range []BuildOptions{{ChunkTokens: -1}, {MinTokens: -1}, {MaxChunks: -1},
		{ChunkTokens: 5, MinTokens: 6}} {
		if _, err := FromDocuments(nil, runes{}, opts); err == nil {
			t.Errorf("%+v: no error", opts)
		}
	}
}

type encoderFunc func(text string) []int32

func (f encoderFunc) AppendEncode(dst []int32, text string) []int32 { return append(dst, f(text)...) }

// A document that the encoder makes nothing of is counted and has no chunk.
func TestNoTokens(t *testing.T) {
	s, err := FromDocuments(testDocuments(), encoderFunc(func(text string) []int32 {
		if text == "äöü" {
			return nil
		}
		return []int32{1}
	}), BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if s.Documents() != 5 || s.Len() != 4 || s.Chunk(1).Doc != 2 {
		t.Errorf("%d documents, %d chunks, the second of document %d; want 5, 4, 2", s.Documents(), s.Len(), s.Chunk(1).Doc)
	}
}

func TestEmptyStore(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s := mustBuild(t, dir, nil, BuildOptions{})
	if s.Len() != 0 || s.Documents() != 0 || len(s.Shards()) != 0 || s.Verify() != nil {
		t.Errorf("%d chunks, %d documents, %d shards, %v", s.Len(), s.Documents(), len(s.Shards()), s.Verify())
	}
}

// The fingerprint tells corpora apart by anything that a training could notice.
func TestFingerprint(t *testing.T) {
	fingerprint := func(docs []Document, opts BuildOptions) string {
		s, err := FromDocuments(docs, runes{}, opts)
		if err != nil {
			t.Fatal(err)
		}
		return s.Fingerprint()
	}
	seen := map[string]string{fingerprint(testDocuments(), BuildOptions{}): "the original"}
	add := func(name, f string) {
		if other, ok := seen[f]; ok {
			t.Errorf("%s and %s have the same fingerprint", name, other)
		}
		seen[f] = name
	}
	for name, change := range map[string]func(d *Document){
		"id": func(d *Document) { d.ID = "z" }, "lang": func(d *Document) { d.Lang = "fr" },
		"text": func(d *Document) { d.Text += "!" }, "date": func(d *Document) { d.Date = "2021-01-01" },
		"group": func(d *Document) { d.Group = "h" }, "source": func(d *Document) { d.Source = "d" },
	} {
		docs := testDocuments()
		change(&docs[1])
		add(name, fingerprint(docs, BuildOptions{}))
	}
	add("chunk length", fingerprint(testDocuments(), BuildOptions{ChunkTokens: 9}))
	add("targets", fingerprint(testDocuments(), BuildOptions{FirstChunkTargets: true}))
	docs := testDocuments()
	slices.Reverse(docs)
	add("order", fingerprint(docs, BuildOptions{}))
}

func TestBuildErrors(t *testing.T) {
	good := testDocuments()
	failure := errors.New("the network is down")
	for _, test := range []struct {
		name string
		docs iter.Seq2[Document, error]
		enc  Encoder
		want string
	}{
		{"no id", sequence(append(good, Document{Lang: "en", Text: "x"}), nil), runes{}, `document 5 (""): id is empty`},
		{"no lang", sequence(append(good, Document{ID: "x", Text: "x"}), nil), runes{}, `document 5 ("x"): lang is empty`},
		{"language", sequence(append(good, Document{ID: "x", Lang: "german", Text: "x"}), nil), runes{},
			`("x"): lang: "german" is not`},
		{"no text", sequence(append(good, Document{ID: "x", Lang: "en", Text: " \n"}), nil), runes{}, "text is empty"},
		{"UTF-8", sequence(append(good, Document{ID: "x", Lang: "en", Text: "x", Group: "\xff"}), nil), runes{},
			"group is not valid UTF-8"},
		{"documents", sequence(good, failure), runes{}, failure.Error()},
		{"encoder", sequence(good, nil), encoderFunc(func(string) []int32 { return []int32{4, -1} }),
			"the encoder returned token -1"},
	} {
		dir := filepath.Join(t.TempDir(), "store")
		_, err := Build(dir, test.docs, test.enc, BuildOptions{})
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want one with %q", test.name, err, test.want)
		}
		if left, _ := filepath.Glob(dir + "*"); left != nil {
			t.Errorf("%s: left %v", test.name, left)
		}
	}
	if _, err := Build(filepath.Join(t.TempDir(), "store"), sequence(good, failure), runes{},
		BuildOptions{}); err != failure {
		t.Errorf("error %v, want that of the documents as it is", err)
	}
}

// speaker encodes texts of some languages.
type speaker struct {
	runes
	languages []string
}

func (s speaker) LanguageToken(lang string) (int32, error) {
	if i := slices.Index(s.languages, lang); i >= 0 {
		return int32(i), nil
	}
	return 0, fmt.Errorf("no token for %s", lang)
}

// A corpus in a language that the tokenizer lacks is refused at the first
// document in it.
func TestMissingLanguage(t *testing.T) {
	read := 0
	docs := func(yield func(Document, error) bool) {
		for _, doc := range testDocuments() {
			read++
			if !yield(doc, nil) {
				return
			}
		}
	}
	dir := filepath.Join(t.TempDir(), "store")
	_, err := Build(dir, docs, speaker{languages: []string{"en", "el"}}, BuildOptions{})
	if err == nil || !strings.Contains(err.Error(), `document 1 ("b"): no token for de`) || read != 2 {
		t.Errorf("error %v after %d documents, want one that names b and de after 2", err, read)
	}
	if left, _ := filepath.Glob(dir + "*"); left != nil {
		t.Errorf("left %v", left)
	}
	s, err := Build(dir, docs, speaker{languages: []string{"en", "el", "de"}}, BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}

// Spellings of one language are one language.
func TestCanonicalLanguages(t *testing.T) {
	var docs []Document
	for i, lang := range []string{"de_DE", "EN", "deu-de", "de", "en"} {
		docs = append(docs, Document{ID: fmt.Sprint(i), Lang: lang, Text: "x"})
	}
	s := mustBuild(t, filepath.Join(t.TempDir(), "store"), docs, BuildOptions{})
	if want := []string{"de-DE", "en", "de"}; !slices.Equal(s.Langs(), want) {
		t.Errorf("languages %q, want %q", s.Langs(), want)
	}
	for i, want := range []int{0, 1, 0, 2, 1} {
		if got := s.Chunk(i).Lang; got != want {
			t.Errorf("document %d has language %d, want %d", i, got, want)
		}
	}
	if docs[0].Lang != "de_DE" {
		t.Error("the caller's document was changed")
	}
}

func TestBuildPanic(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	func() {
		defer func() {
			if recover() != "no more" {
				t.Error("the panic of the documents was lost")
			}
		}()
		Build(dir, func(yield func(Document, error) bool) {
			yield(testDocuments()[0], nil)
			panic("no more")
		}, runes{}, BuildOptions{})
	}()
	if left, err := os.ReadDir(filepath.Dir(dir)); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
	mustBuild(t, dir, testDocuments(), BuildOptions{})
}

// Build removes what a killed one left, and does not touch a directory that
// holds something.
func TestBuildLeftovers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	temp := filepath.Join(filepath.Dir(dir), ".store.tmp")
	if err := os.MkdirAll(filepath.Join(temp, "sub"), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{tokensFile, "other"} {
		if err := os.WriteFile(filepath.Join(temp, name), make([]byte, 1<<20), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(dir, 0o777); err != nil { // empty
		t.Fatal(err)
	}
	if _, err := Open(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("opening an empty directory: %v", err)
	}
	s := mustBuild(t, dir, testDocuments(), BuildOptions{})
	if _, err := os.Stat(temp); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the temporary directory is there still: %v", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 3 {
		t.Errorf("the store has %d files, %v; want 3", len(entries), err)
	}
	_, err = Build(dir, sequence(testDocuments()[:1], nil), runes{}, BuildOptions{})
	if !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), dir) {
		t.Errorf("building where a store is: %v", err)
	}
	again, err := Open(dir)
	if err != nil || again.Fingerprint() != s.Fingerprint() {
		t.Fatalf("the first store has changed: %v", err)
	}
	again.Close()
}

func TestOutOfRange(t *testing.T) {
	s, err := FromDocuments(testDocuments(), runes{}, BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func(){
		"Tokens": func() { s.Tokens(s.Len()) }, "Chunk": func() { s.Chunk(-1) }, "Shard": func() { s.Shard(3) },
		"ShardLen":   func() { s.ShardLen(3) },
		"DocumentID": func() { s.DocumentID(5) }, "Group": func() { s.Group(-1) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s does not panic", name)
				}
			}()
			f()
		}()
	}
}

func TestClose(t *testing.T) {
	s := mustBuild(t, filepath.Join(t.TempDir(), "store"), testDocuments(), BuildOptions{})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	defer func() {
		if recover() == nil {
			t.Error("Tokens after Close does not panic")
		}
	}()
	s.Tokens(0)
}

// Known translations are the first chunks of documents of one group in different
// languages.
func TestKnownPairs(t *testing.T) {
	docs := []Document{
		{ID: "a", Lang: "en", Group: "1", Text: "aaaaaaaaaaaaaaaaaaaa"}, // two chunks
		{ID: "b", Lang: "de", Text: "bbbb"},
		{ID: "c", Lang: "de", Group: "1", Text: "cccc"},
		{ID: "d", Lang: "de", Text: "dddd"},
		{ID: "e", Lang: "en", Group: "1", Text: "eeee"},
		{ID: "f", Lang: "fr", Group: "2", Text: "ffff"},
	}
	store, err := FromDocuments(docs, runes{}, BuildOptions{ChunkTokens: 10, MinTokens: 1})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range store.KnownPairs() {
		first, second := store.Chunk(p[0]), store.Chunk(p[1])
		if first.Index != 0 || second.Index != 0 {
			t.Errorf("chunks %d and %d of their documents", first.Index, second.Index)
		}
		got = append(got, store.DocumentID(first.Doc)+store.DocumentID(second.Doc))
	}
	if want := []string{"ac", "ce"}; !slices.Equal(got, want) {
		t.Errorf("pairs %v, want %v", got, want)
	}
}
