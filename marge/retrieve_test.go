package marge

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/marge/index"
)

func TestIndexInFile(t *testing.T) {
	m := testModel(t, testConfig(1))
	docs := [][]int32{{10, 11}, {20, 21, 22}, {}, {30}, {49, 41, 42, 43}}
	ctx := context.Background()
	for _, ids := range [][]string{nil, {"a", "", "größer", "d", "e"}} {
		x, err := m.NewIndex(ctx, docs, ids)
		if err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "documents.index")
		if err := x.Save(path); err != nil {
			t.Fatal(err)
		}
		opened, err := OpenIndex(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := opened.Verify(); err != nil {
			t.Error(err)
		}
		for _, x := range []*Index{x, opened} {
			if x.Len() != len(docs) {
				t.Fatalf("%d documents, want %d", x.Len(), len(docs))
			}
			for i, doc := range docs {
				if !slices.Equal(x.Document(i), doc) || ids != nil && x.ID(i) != ids[i] || ids == nil && x.ID(i) != "" {
					t.Errorf("document %d is %v named %q, want %v", i, x.Document(i), x.ID(i), doc)
				}
			}
		}
		want, err := m.Retrieve(ctx, docs[1], x, 3)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := m.Retrieve(ctx, docs[1], opened, 3); err != nil || !slices.Equal(got, want) {
			t.Errorf("retrieved %v from the file, %v from memory; error %v", got, want, err)
		}
		if err := opened.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestIndexErrors(t *testing.T) {
	m := testModel(t, testConfig(1))
	ctx := context.Background()
	if _, err := m.NewIndex(ctx, [][]int32{{10}}, []string{"a", "b"}); err == nil ||
		!strings.Contains(err.Error(), "2 ids for 1 documents") {
		t.Errorf("two names for a document: %v", err)
	}
	if _, err := OpenIndex(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("opened a file that is not there")
	}
	path := filepath.Join(t.TempDir(), "documents.index")
	text := string(binary.AppendUvarint(nil, textRecord))
	for record, want := range map[string]string{
		"":                              "the record of 0 bytes holds no name",
		"\x05abcd":                      "the record of 5 bytes holds no name",
		"\xff":                          "the record of 1 bytes holds no name",
		"\x00\x80":                      "its tokens are damaged",
		"\x00\x80\x80\x80\x80\x08":      "its tokens are damaged", // 1 << 31
		"\xff\xff\xff\xff\xff\xff\x7f":  "holds no name",
		text:                            "the record of 6 bytes holds no name",
		text + "\x01":                   "the record of 7 bytes holds no name",
		text + "\x01n\x02d":             "the record of 10 bytes holds no language",
		text + "\x01n\x00":              "the record of 9 bytes holds no start",
		text + "\x01n\x00\x07":          "the record of 10 bytes holds no text",
		text + "\x01n\x00\x07\x03ab":    "the record of 13 bytes holds no text",
		text + "\x01n\x00\x07\x01a\x80": "its tokens are damaged",
		text + "\x01n\x00\x80\x80\x80\x80\x08\x01a": "the text begins at character 2147483648",
	} {
		flat := index.NewFlat(3)
		records := [][]byte{appendTokens(appendBytes(nil, "good"), []int32{1, math.MaxInt32}), []byte(record)}
		if err := flat.AddRecords(make([]float32, 6), records); err != nil {
			t.Fatal(err)
		}
		if err := flat.Save(path); err != nil {
			t.Fatal(err)
		}
		_, err := OpenIndex(path)
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%s: document 1: ", path)) ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("record %q: error %v, want %q", record, err, want)
		}
	}
	if _, err := m.Retrieve(ctx, []int32{10}, &Index{flat: index.NewFlat(3)}, 1); err == nil ||
		!strings.Contains(err.Error(), "dimension 3") {
		t.Errorf("an index of another model: error %v", err)
	}
}

// TestIndexOfAnotherModel: an index is searched only with the weights that made
// it.
func TestIndexOfAnotherModel(t *testing.T) {
	ctx := t.Context()
	docs := [][]int32{{10, 11}, {20, 21, 22}, {30}}
	m, same := testModel(t, testConfig(1)), testModel(t, testConfig(1))
	x, err := m.NewIndex(ctx, docs, nil)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "documents.index")
	if err := x.Save(path); err != nil {
		t.Fatal(err)
	}
	opened, err := OpenIndex(path)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	other := testConfig(1)
	other.Seed++
	heads := testConfig(1)
	heads.EncoderAttentionHeads *= 2
	for _, x := range []*Index{x, opened} {
		for name, m := range map[string]*Model{"other weights": testModel(t, other), "other heads": testModel(t, heads)} {
			_, err := m.Retrieve(ctx, docs[0], x, 1)
			if err == nil || !strings.Contains(err.Error(), "made by model "+short(x.flat.Origin)) ||
				!strings.Contains(err.Error(), "this is model "+short(m.retrievalFingerprint())) {
				t.Errorf("%s: error %v", name, err)
			}
		}
		for _, m := range []*Model{m, same} {
			if _, err := m.Retrieve(ctx, docs[0], x, 1); err != nil {
				t.Error(err)
			}
		}
	}
	// What the decoder knows does not matter, and every parameter of g does.
	same.decoder.norm.Bias.Float32s()[0]++
	if _, err := same.Retrieve(ctx, docs[0], opened, 1); err != nil {
		t.Errorf("after a change of the decoder: %v", err)
	}
	for _, p := range append(same.shared.Parameters(nil, "shared."), same.retrievalParameters()...) {
		values := p.Float32s()
		old := slices.Clone(values)
		values[0]++
		if _, err := same.Retrieve(ctx, docs[0], opened, 1); err == nil {
			t.Errorf("%s changed after a search: no error", p.Name)
		}
		copy(values, old)
		values[len(values)-1]++
		if _, err := same.Retrieve(ctx, docs[0], &Index{flat: opened.flat}, 1); err == nil {
			t.Errorf("%s changed before the first search: no error", p.Name)
		}
		copy(values, old)
	}
	if _, err := same.Retrieve(ctx, docs[0], &Index{flat: opened.flat}, 1); err != nil {
		t.Errorf("after every change was undone: %v", err)
	}
	// Files from before have no fingerprint.
	x.flat.Origin = [32]byte{}
	if _, err := testModel(t, other).Retrieve(ctx, docs[0], x, 1); err != nil {
		t.Errorf("an index of an unknown model: %v", err)
	}
}

func TestRetrieveErrors(t *testing.T) {
	ctx := t.Context()
	docs := [][]int32{{10, 11}, {20, 21, 22}, {30}}
	m := testModel(t, testConfig(1))
	x, err := m.NewIndex(ctx, docs, []string{"bridge", "", "ferry"})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []int{0, -1, math.MinInt} {
		if _, err := m.Retrieve(ctx, docs[0], x, k); err == nil ||
			!strings.Contains(err.Error(), fmt.Sprintf("k is %d", k)) {
			t.Errorf("k %d: error %v", k, err)
		}
	}
	hits, err := m.Retrieve(ctx, docs[0], x, 100)
	if err != nil || len(hits) != 3 || hits[0].Document != 0 {
		t.Errorf("k 100: %v, error %v", hits, err)
	}
	if got := fmt.Sprint(hits[0], Hit{Document: 7, Relevance: -0.25}); got != "bridge (1.000) #7 (-0.250)" {
		t.Errorf("hits print as %q", got)
	}
	if got, want := fmt.Sprint(x), "index of 3 documents, dimension 32, made by model "+short(x.flat.Origin); got != want {
		t.Errorf("the index prints as %q, want %q", got, want)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := m.Retrieve(cancelled, docs[0], x, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v", err)
	}

	// A vector that is damaged, as in a file, and weights that are.
	x.flat.Origin = [32]byte{}
	path := filepath.Join(t.TempDir(), "documents.index")
	if err := x.Save(path); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copy(data[128+4*32:], []byte{0, 0, 0xc0, 0x7f}) // the vectors follow a header of 128 bytes
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	damaged, err := OpenIndex(path)
	if err != nil {
		t.Fatal(err)
	}
	defer damaged.Close()
	if _, err := m.Retrieve(ctx, docs[0], damaged, 1); err == nil || !strings.Contains(err.Error(), "vector 1 is NaN") {
		t.Errorf("a damaged vector: error %v", err)
	}
	for _, value := range []float64{math.NaN(), math.Inf(1)} {
		m := testModel(t, testConfig(1))
		m.encoder.retrievalNorm.Bias.Float32s()[0] = float32(value)
		want := "embed: the vector of document 0 is not finite"
		_, embedErr := m.Embed(ctx, docs)
		_, newErr := m.NewIndex(ctx, docs, nil)
		_, retrieveErr := m.Retrieve(ctx, docs[0], x, 1)
		_, documentsErr := m.EmbedDocuments(ctx, docs, DocumentOptions{})
		for i, err := range []error{embedErr, newErr, retrieveErr, documentsErr} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("a weight of %v: call %d: error %v, want one with %q", value, i, err, want)
			}
		}
		m.encoder.norm.Bias.Float32s()[0] = float32(value)
		m.shared.Weight.Float32s()[10*m.Config.DModel] = float32(value)
		if _, err := m.EmbedTokens(ctx, docs, 1); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a weight of %v: EmbedTokens: error %v", value, err)
		}
	}
}

// TestReindexStops: neither kind of link is made once the context is cancelled,
// nor of weights that are not finite.
func TestReindexStops(t *testing.T) {
	tok, store := testCorpus(t)
	links := func(tfidfSteps int) (*Model, *retrieved) {
		m := testModel(t, testConfig(1))
		m.Tokenizer = tok
		o := testOptions("")
		o.TFIDFSteps = tfidfSteps
		_, links, err := newPretraining(m, store, o)
		if err != nil {
			t.Fatal(err)
		}
		return m, links
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, steps := range []int{20, -1} {
		if _, l := links(steps); !errors.Is(l.reindex(ctx, 0), context.Canceled) {
			t.Errorf("TF-IDF for %d steps: an index was made though the context is cancelled", steps)
		}
	}
	m, l := links(-1)
	m.encoder.retrievalNorm.Weight.Float32s()[1] = float32(math.Inf(1))
	if err := l.reindex(t.Context(), 0); err == nil ||
		!strings.Contains(err.Error(), "vector of document 0 is not finite") {
		t.Errorf("weights that are not finite: error %v", err)
	}
}

func TestEmbedDocuments(t *testing.T) {
	m := testModel(t, testConfig(2))
	ctx := context.Background()
	r := rand.New(rand.NewPCG(15, 1))
	var docs [][]int32
	for _, n := range []int{0, 1, 7, 8, 19, 20, 21, 27, 28, 40, 62, 63, 200, 5000} {
		doc := make([]int32, n)
		for i := range doc {
			doc[i] = int32(r.IntN(m.Config.VocabSize))
		}
		docs = append(docs, doc)
	}
	d := m.Config.DModel
	for _, o := range []DocumentOptions{{}, {ChunkTokens: 20}, {ChunkTokens: 20, MaxChunks: 2}, {ChunkTokens: 5},
		{MaxChunks: 1}} {
		got, err := m.EmbedDocuments(ctx, docs, o)
		if err != nil {
			t.Fatal(err)
		}
		size := o.ChunkTokens
		if size == 0 {
			size = 62
		}
		for i, doc := range docs {
			// The chunks are those of a corpus.
			var chunks [][]int32
			for chunk := range slices.Chunk(doc, size) {
				if len(chunk) >= min(8, size) || len(chunks) == 0 {
					chunks = append(chunks, chunk)
				}
			}
			if len(doc) == 0 {
				chunks = [][]int32{nil}
			}
			if o.MaxChunks > 0 {
				chunks = chunks[:min(len(chunks), o.MaxChunks)]
			}
			vectors, err := m.Embed(ctx, chunks)
			if err != nil {
				t.Fatal(err)
			}
			sum, squares := make([]float64, d), 0.0
			for j, x := range vectors {
				sum[j%d] += float64(x)
			}
			for _, x := range sum {
				squares += x * x
			}
			for j, x := range sum {
				if want := x / math.Sqrt(squares); math.Abs(float64(got[i*d+j])-want) > 1e-6 {
					t.Fatalf("%+v, document of %d tokens: %v at %d, want %v", o, len(doc), got[i*d+j], j, want)
				}
			}
		}
	}

	for want, o := range map[string]DocumentOptions{
		"chunks of 63 tokens: the model takes 1 to 62": {ChunkTokens: 63},
		"chunks of -1 tokens":                          {ChunkTokens: -1},
		"-1 chunks of a document":                      {MaxChunks: -1},
	} {
		if _, err := m.EmbedDocuments(ctx, docs, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want one with %q", o, err, want)
		}
	}
	chunks, offsets, err := m.EmbedChunks(ctx, docs[8:10], DocumentOptions{ChunkTokens: 20})
	if err != nil {
		t.Fatal(err)
	}
	want, err := m.Embed(ctx, [][]int32{docs[8][:20], docs[8][20:], docs[9][:20], docs[9][20:]})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(offsets, []int{0, 2, 4}) || !slices.Equal(chunks, want) {
		t.Errorf("chunks at %v, or other vectors than g", offsets)
	}
	docs[12][150] = 400
	if _, err := m.EmbedDocuments(ctx, docs, DocumentOptions{}); err == nil ||
		!strings.Contains(err.Error(), "document 12, in chunks: document 2: token 400 at 26") {
		t.Errorf("a token outside the vocabulary: error %v", err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := m.EmbedDocuments(cancelled, docs[:3], DocumentOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v", err)
	}
}
