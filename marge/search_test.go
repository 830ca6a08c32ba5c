package marge

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/tensor"
	"github.com/marge-go/marge/tensor/backendtest"
)

// textModel has a tokenizer for testDocuments.
func textModel(t testing.TB) *Model {
	t.Helper()
	m := testModel(t, testConfig(1))
	m.Tokenizer, _ = testCorpus(t)
	return m
}

func emptyIndex(t testing.TB, m *Model) *Index {
	t.Helper()
	x, err := m.NewIndex(t.Context(), nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func mustAddTexts(t testing.TB, x *Index, m *Model, docs []corpus.Document, o AddOptions) AddStats {
	t.Helper()
	stats, err := x.Add(t.Context(), m, docs, o)
	if err != nil {
		t.Fatal(err)
	}
	return stats
}

// savedIndex returns the bytes of the file that an index is saved in.
func savedIndex(t testing.TB, x *Index) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "saved.index")
	if err := x.Save(path); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestCut checks what passages promise, on texts with sentences, without, and
// without spaces.
func TestPassages(t *testing.T) {
	m := textModel(t)
	sentences := strings.Repeat("One two three. Vier fünf sechs!  Seven eight nine zero?\n\n", 40)
	for name, text := range map[string]string{
		"sentences": sentences, "words": "seventeen " + strings.Repeat("one zwei three vier ", 90),
		"one word": strings.Repeat("ab", 300),
		"Chinese":  strings.Repeat("語言模型。檢索文件", 30), "short": " \n one\u00a0two ", "space": " \n\t ",
		"emoji": strings.Repeat("👩‍👩‍👧‍👦", 40), "long space": "one." + strings.Repeat(" ", 500) + "two.",
	} {
		for _, limit := range []int{leastChunk, 7, 30, 62} {
			runes := []rune(text)
			end, joined := 0, ""
			pieces := m.cut(text, limit)
			for i, p := range pieces {
				got := []rune(p.text)
				if strings.TrimSpace(p.text) != p.text || p.text == "" || len(p.tokens) > limit || len(p.tokens) == 0 ||
					p.start < end || string(runes[p.start:p.start+len(got)]) != p.text {
					t.Fatalf("%s, limit %d: piece %d is %+v", name, limit, i, p)
				}
				if between := string(runes[end:p.start]); strings.TrimSpace(between) != "" {
					t.Fatalf("%s, limit %d: %q is left out before piece %d", name, limit, between, i)
				}
				if !slices.Equal(p.tokens, m.Tokenizer.Encode(p.text)) {
					t.Fatalf("%s, limit %d: piece %d has the tokens of another text", name, limit, i)
				}
				end, joined = p.start+len(got), joined+p.text
				if name == "sentences" && limit == 62 && !strings.ContainsAny(p.text[len(p.text)-1:], ".!?") {
					t.Errorf("piece %d ends in %q, not with a sentence", i, p.text)
				}
				if name == "words" && limit >= 30 && end < len(runes) && !unicode.IsSpace(runes[end]) {
					t.Errorf("piece %d ends in %q, not with a word", i, p.text)
				}
			}
			if strings.TrimSpace(string(runes[end:])) != "" {
				t.Fatalf("%s, limit %d: %q is left out", name, limit, string(runes[end:]))
			}
			if shortest := slices.MinFunc(append(pieces, piece{tokens: make([]int32, limit)}), func(a, b piece) int {
				return len(a.tokens) - len(b.tokens)
			}); name == "sentences" && limit == 62 && len(shortest.tokens) < limit/4 {
				t.Errorf("%s, limit %d: a piece has only %d tokens: %q", name, limit, len(shortest.tokens), shortest.text)
			}
			if least := (len(m.Tokenizer.Encode(text)) + limit - 1) / limit; name == "words" && limit == 62 &&
				len(pieces) > least+least/4 {
				t.Errorf("%s, limit %d: %d pieces, %d would do", name, limit, len(pieces), least)
			}
		}
	}
	if pieces := m.cut("One two three. Four.", 62); len(pieces) != 1 || pieces[0].text != "One two three. Four." {
		t.Errorf("a short text is cut: %+v", pieces)
	}
}

// TestAdd: however texts are added, the file is the same.
func TestAdd(t *testing.T) {
	m := textModel(t)
	docs := testDocuments(20)
	docs = append(docs, corpus.Document{ID: "long", Lang: "de_at", Text: strings.Repeat("eins zwei drei. ", 40)},
		corpus.Document{ID: "no language", Text: "seven"}, docs[0])
	o := AddOptions{ChunkTokens: 20}
	whole := emptyIndex(t, m)
	stats := mustAddTexts(t, whole, m, docs, o)
	if stats.Passages != whole.Len() || stats.Encoded != stats.Passages || stats.Passages < len(docs)+5 {
		t.Errorf("added %+v of %d documents to an index of %d", stats, len(docs), whole.Len())
	}
	want := savedIndex(t, whole)

	single := emptyIndex(t, m)
	for _, doc := range docs {
		mustAddTexts(t, single, m, []corpus.Document{doc}, o)
	}
	if !bytes.Equal(savedIndex(t, single), want) {
		t.Error("documents added one by one give another file")
	}

	cut := emptyIndex(t, m)
	var passages []Passage
	var tokens [][]int32
	for i := range whole.Len() {
		passages, tokens = append(passages, whole.Passage(i)), append(tokens, whole.Document(i))
	}
	for _, part := range [][2]int{{0, 7}, {7, 7}, {7, whole.Len()}} {
		from, to := part[0], part[1]
		if err := cut.AddPassages(t.Context(), m, passages[from:to], tokens[from:to]); err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(savedIndex(t, cut), want) {
		t.Error("passages that were cut before give another file")
	}

	// To a file, with vectors from two others.
	path := filepath.Join(t.TempDir(), "documents.index")
	if err := whole.Part(0, 10).Save(path); err != nil {
		t.Fatal(err)
	}
	opened, err := OpenIndex(path)
	if err != nil {
		t.Fatal(err)
	}
	rest := whole.Part(5, 30)
	stats = mustAddTexts(t, opened, m, docs[10:], AddOptions{ChunkTokens: 20, Reuse: []*Index{whole.Part(0, 0), rest}})
	again := 1 // docs[0]
	if wanted := (AddStats{whole.Len() - 10, whole.Len() - 30 - again + again}); stats.Passages != wanted.Passages ||
		stats.Encoded != wanted.Encoded {
		t.Errorf("added %+v, want %+v", stats, wanted)
	}
	if err := opened.Save(path); err != nil {
		t.Fatal(err)
	}
	if err := opened.Close(); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(path); err != nil || !bytes.Equal(data, want) {
		t.Errorf("documents added to a file give another one; error %v", err)
	}
	stats = mustAddTexts(t, rest, m, docs[:6], AddOptions{ChunkTokens: 20, Reuse: []*Index{whole}})
	if stats.Encoded != 0 {
		t.Errorf("%d vectors were computed that an index had", stats.Encoded)
	}

	first := whole.Passage(whole.Len() - 3)
	if first.Lang != "de-AT" || first.ID != "long" || first.Start == 0 {
		t.Errorf("passage %+v of a document in de_at", first)
	}
	if got := whole.Passage(0); got != (Passage{ID: "0/en", Lang: "en", Text: docs[0].Text}) {
		t.Errorf("the first passage is %+v", got)
	}
	if !slices.Equal(whole.Document(0), m.Tokenizer.Encode(docs[0].Text)) {
		t.Error("the tokens of a passage are not those of its text")
	}
}

func TestAddErrors(t *testing.T) {
	m := textModel(t)
	good := corpus.Document{ID: "good", Text: "one"}
	x := emptyIndex(t, m)
	for want, doc := range map[string]corpus.Document{
		`document 1 ("a"): it has no text`:  {ID: "a", Text: " \n"},
		`document 1 ("b"): it is not UTF-8`: {ID: "b", Text: "\xff"},
		`document 1 ("\xff"): it is not`:    {ID: "\xff", Text: "one"},
		`document 1 ("c"): `:                {ID: "c", Text: "one", Lang: "?"},
	} {
		if _, err := x.Add(t.Context(), m, []corpus.Document{good, doc}, AddOptions{}); err == nil ||
			!strings.Contains(err.Error(), "index: add: "+want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	for _, chunk := range []int{-1, leastChunk - 1, 63} {
		if _, err := x.Add(t.Context(), m, nil, AddOptions{ChunkTokens: chunk}); err == nil ||
			!strings.Contains(err.Error(), fmt.Sprintf("ChunkTokens is %d, want 4 to 62", chunk)) {
			t.Errorf("ChunkTokens %d: error %v", chunk, err)
		}
	}
	c := testConfig(1)
	c.Seed++
	other := testModel(t, c)
	for _, o := range []AddOptions{{}, {Reuse: []*Index{emptyIndex(t, other)}}} {
		to := x
		if o.Reuse == nil {
			to = emptyIndex(t, other)
		}
		if _, err := to.Add(t.Context(), m, []corpus.Document{good}, o); err == nil ||
			!strings.Contains(err.Error(), "made by model") {
			t.Errorf("an index of another model: error %v", err)
		}
	}
	if _, err := x.Add(t.Context(), testModel(t, testConfig(1)), []corpus.Document{good}, AddOptions{}); err == nil ||
		!strings.Contains(err.Error(), "no tokenizer") {
		t.Errorf("no tokenizer: error %v", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := x.Add(cancelled, m, []corpus.Document{good}, AddOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v", err)
	}
	for want, add := range map[string]func() error{
		"index: add: the index was made by model": func() error { return x.AddPassages(t.Context(), other, nil, nil) },
		"index: add: embed: ": func() error {
			return x.AddPassages(t.Context(), m, []Passage{{ID: "a"}}, [][]int32{{int32(m.Config.VocabSize)}})
		},
		context.Canceled.Error(): func() error {
			return x.AddPassages(cancelled, m, []Passage{{ID: "a"}}, [][]int32{{5}})
		},
	} {
		if err := add(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("passages: error %v, want %q", err, want)
		}
	}
	if x.Len() != 0 {
		t.Errorf("%d documents were added in spite of an error", x.Len())
	}
}

// An index knows the vectors, and which g made them.
func TestVector(t *testing.T) {
	m := textModel(t)
	x := emptyIndex(t, m)
	docs := testDocuments(3)
	mustAddTexts(t, x, m, docs, AddOptions{})
	want, err := m.Embed(t.Context(), [][]int32{x.Document(1)})
	if err != nil || !slices.Equal(x.Vector(1), want) {
		t.Errorf("another vector, error %v", err)
	}
	if got := fmt.Sprintf("%x", x.flat.Origin); got != m.RetrievalFingerprint() {
		t.Errorf("made by %s, the model is %s", got, m.RetrievalFingerprint())
	}
}

func TestSearch(t *testing.T) {
	m := textModel(t)
	docs := testDocuments(30)
	docs = append(docs, corpus.Document{ID: "brazil", Lang: "pt-BR", Text: "um dois"},
		corpus.Document{ID: "unknown", Text: "uno due"})
	x := emptyIndex(t, m)
	if hits, err := m.Search(t.Context(), "one", x, SearchOptions{}); err != nil || len(hits) != 0 {
		t.Errorf("searching an empty index: %v, %v", hits, err)
	}
	mustAddTexts(t, x, m, docs, AddOptions{})
	for _, i := range []int{0, 7, 12, 60} {
		hits, err := m.Search(t.Context(), docs[i].Text, x, SearchOptions{K: 3})
		if err != nil || len(hits) != 3 || hits[0].Document != i || hits[0].Relevance < 0.9999 ||
			hits[0].Passage != x.Passage(i) {
			t.Fatalf("document %d: hits %+v, error %v", i, hits, err)
		}
		want, err := m.Retrieve(t.Context(), m.Tokenizer.Encode(docs[i].Text), x, 3)
		same := func(a, b Hit) bool {
			return a.Passage == b.Passage && math.Abs(float64(a.Relevance-b.Relevance)) < 1e-6
		}
		if err != nil || !slices.EqualFunc(hits, want, same) {
			t.Errorf("Search finds %v, Retrieve %v; error %v", hits, want, err)
		}
	}
	all, err := m.Search(t.Context(), docs[4].Text, x, SearchOptions{K: 1 << 62})
	if err != nil || len(all) != len(docs) {
		t.Fatalf("%d hits, error %v", len(all), err)
	}
	for lang, least := range map[string]int{"de": 30, "en": 30, "pt": 1, "PT_br": 1, "pt-PT": 0, "fr": 0} {
		hits, err := m.Search(t.Context(), docs[4].Text, x, SearchOptions{K: 100, Lang: lang})
		want := slices.DeleteFunc(slices.Clone(all), func(h Hit) bool {
			return !strings.HasPrefix(strings.ToLower(h.Lang)+" ", strings.ToLower(lang[:2])) || lang == "pt-PT"
		})
		if err != nil || len(want) != least || !slices.Equal(hits, want) {
			t.Errorf("%s: %d hits, want %d; error %v", lang, len(hits), len(want), err)
		}
	}
	if hits, err := m.Search(t.Context(), strings.Repeat("one two. ", 200), x, SearchOptions{}); err != nil ||
		len(hits) != 10 {
		t.Errorf("a long query: %v, %v", hits, err)
	}
	for want, o := range map[string]SearchOptions{"k is -1": {K: -1}, "language": {Lang: "?"}} {
		if _, err := m.Search(t.Context(), "one", x, o); err == nil || !strings.Contains(err.Error(), "search: ") ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want one with %q", o, err, want)
		}
	}
	if _, err := m.Search(t.Context(), "", x, SearchOptions{}); err == nil ||
		!strings.Contains(err.Error(), "the text is empty") {
		t.Errorf("empty text: error %v", err)
	}
}

// TestSearchWhileAdding is for the race detector.
func TestSearchWhileAdding(t *testing.T) {
	m := textModel(t)
	docs := testDocuments(20)
	x := emptyIndex(t, m)
	mustAddTexts(t, x, m, docs[:2], AddOptions{})
	done := make(chan error)
	go func() {
		for _, doc := range docs[2:] {
			if _, err := x.Add(t.Context(), m, []corpus.Document{doc}, AddOptions{Reuse: []*Index{x}}); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for n := 0; n < len(docs); n = x.Len() {
		hits, err := m.Search(t.Context(), docs[0].Text, x, SearchOptions{K: 1})
		if err != nil || hits[0].Document != 0 {
			t.Fatalf("hits %v, error %v", hits, err)
		}
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestRerank(t *testing.T) {
	m := textModel(t)
	docs := testDocuments(10)
	x := emptyIndex(t, m)
	mustAddTexts(t, x, m, docs, AddOptions{})
	query := docs[3].Text
	hits, err := m.Search(t.Context(), query, x, SearchOptions{K: 8})
	if err != nil {
		t.Fatal(err)
	}
	ranked, err := m.Rerank(t.Context(), query, "de", hits)
	if err != nil || len(ranked) != len(hits) {
		t.Fatalf("%v, error %v", ranked, err)
	}
	language, err := m.Tokenizer.LanguageToken("de")
	if err != nil {
		t.Fatal(err)
	}
	for i, h := range ranked {
		b := Batch{Evidence: [][]int32{x.Document(h.Document)}, Targets: [][]int32{m.Tokenizer.Encode(query)},
			Languages: []int32{language}}
		if loss, err := m.Loss(&b); err != nil || loss[0] != h.Loss || i > 0 && h.Loss < ranked[i-1].Loss {
			t.Errorf("rank %d has loss %v, want %v; error %v", i, h.Loss, loss, err)
		}
		h.Loss = 0
		if !slices.Contains(hits, h) {
			t.Errorf("%v is none of the hits", h)
		}
	}
	if _, err := m.Rerank(t.Context(), query, "fr", hits); err == nil || !strings.Contains(err.Error(), `"fr"`) {
		t.Errorf("a language that the model does not know: error %v", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Rerank(cancelled, query, "de", hits); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v", err)
	}
}

// TestIndexOnDevice: a search fetches no weights from a device once the model was
// found to have made the index, and notices that training has changed them.
func TestIndexOnDevice(t *testing.T) {
	tok, store := testCorpus(t)
	b := backendtest.Opaque(tensor.NewCPU(1))
	c := testConfig(1)
	c.Backend = b
	m := testModel(t, c)
	m.Tokenizer = tok
	x := emptyIndex(t, m)
	docs := testDocuments(5)
	mustAddTexts(t, x, m, docs, AddOptions{})
	search := func(m *Model) (downloads int64, err error) {
		b.ResetCounts()
		_, err = m.Search(t.Context(), docs[0].Text, x, SearchOptions{K: 1})
		return b.Counts().Downloads, err
	}
	for range 2 {
		if downloads, err := search(m); err != nil || downloads != 1 {
			t.Errorf("a search downloads %d times, error %v", downloads, err)
		}
	}
	c.Seed++
	other := testModel(t, c)
	other.Tokenizer = tok
	for range 2 {
		if _, err := search(other); err == nil || !strings.Contains(err.Error(), "made by model") {
			t.Errorf("another model: error %v", err)
		}
	}
	o := testOptions("")
	o.Steps = 1
	if _, err := Pretrain(t.Context(), m, store, o); err != nil {
		t.Fatal(err)
	}
	if _, err := search(m); err == nil || !strings.Contains(err.Error(), "made by model") {
		t.Errorf("after a step of training: error %v", err)
	}
}
