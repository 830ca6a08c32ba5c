package marge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
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
	if _, err := m.NewIndex(ctx, [][]int32{{10}}, []string{"a", "b"}); err == nil || !strings.Contains(err.Error(), "2 ids for 1 documents") {
		t.Errorf("two names for a document: %v", err)
	}
	if _, err := OpenIndex(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("opened a file that is not there")
	}
	path := filepath.Join(t.TempDir(), "documents.index")
	for record, want := range map[string]string{
		"":                             "the record of 0 bytes holds no name",
		"\x05abcd":                     "the record of 5 bytes holds no name",
		"\xff":                         "the record of 1 bytes holds no name",
		"\x00\x80":                     "its tokens are damaged",
		"\x00\x80\x80\x80\x80\x08":     "its tokens are damaged", // 1 << 31
		"\xff\xff\xff\xff\xff\xff\x7f": "holds no name",
	} {
		flat := index.NewFlat(3)
		flat.AddRecords(make([]float32, 6), [][]byte{appendDocument(nil, "good", []int32{1, math.MaxInt32}), []byte(record)})
		if err := flat.Save(path); err != nil {
			t.Fatal(err)
		}
		_, err := OpenIndex(path)
		if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%s: document 1: ", path)) || !strings.Contains(err.Error(), want) {
			t.Errorf("record %q: error %v, want %q", record, err, want)
		}
	}
	if _, err := m.Retrieve(ctx, []int32{10}, &Index{index.NewFlat(3)}, 1); err == nil || !strings.Contains(err.Error(), "dimension 3") {
		t.Errorf("an index of another model: error %v", err)
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
	for _, o := range []DocumentOptions{{}, {ChunkTokens: 20}, {ChunkTokens: 20, MaxChunks: 2}, {ChunkTokens: 5}, {MaxChunks: 1}} {
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
	if _, err := m.EmbedDocuments(ctx, docs, DocumentOptions{}); err == nil || !strings.Contains(err.Error(), "document 12, in chunks: document 2: token 400 at 26") {
		t.Errorf("a token outside the vocabulary: error %v", err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := m.EmbedDocuments(cancelled, docs[:3], DocumentOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v", err)
	}
}
