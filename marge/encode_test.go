package marge

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/marge/corpus"
)

// encodeModel is wide enough for asm.Gemm to have a way of its own for a few
// rows.
func encodeModel(t *testing.T, pooling string, threads int) *Model {
	c := testConfig(threads)
	c.DModel, c.EncoderFFNDim, c.RetrievalPooling = 128, 512, pooling
	if pooling == PoolMax {
		c.RetrievalDim = 96
	}
	m := testModel(t, c)
	m.Tokenizer, _ = testCorpus(t)
	return m
}

// The vector of a document has the same bits alone, among others and with any
// number of threads.
func TestEmbedDoesNotDependOnTheOthers(t *testing.T) {
	r := rand.New(rand.NewPCG(20, 1))
	var docs [][]int32
	for n := range 16 {
		docs = append(docs, make([]int32, n))
	}
	for range 90 {
		docs = append(docs, make([]int32, r.IntN(63))) // more than are encoded at once
	}
	for _, doc := range docs {
		for i := range doc {
			doc[i] = int32(r.IntN(400))
		}
	}
	for _, pooling := range []string{PoolFirst, PoolMean, PoolMax} {
		m, threaded := encodeModel(t, pooling, 1), encodeModel(t, pooling, 2)
		for layer := range 3 {
			embed := func(m *Model, docs [][]int32) []float32 {
				rows, err := m.embedLayer(t.Context(), docs, layer)
				if err != nil {
					t.Fatal(err)
				}
				return rows
			}
			all := embed(m, docs)
			if !slices.Equal(all, embed(threaded, docs)) {
				t.Errorf("%s, layer %d: another number of threads gives other bits", pooling, layer)
			}
			dim := len(all) / len(docs)
			for i := range 24 {
				if one := embed(threaded, docs[i:i+1]); !slices.Equal(one, all[i*dim:(i+1)*dim]) {
					t.Errorf("%s, layer %d: a document of %d tokens differs alone and among others", pooling, layer, len(docs[i]))
				}
			}
		}
	}
}

func TestEncode(t *testing.T) {
	m := encodeModel(t, PoolMax, 2)
	texts := []string{"null eins", "", strings.Repeat("one two three ", 40), "null eins"}
	var docs [][]int32
	for _, text := range texts {
		docs = append(docs, m.Tokenizer.Encode(text))
	}
	if len(docs[2]) < 70 {
		t.Fatalf("the long text has %d tokens", len(docs[2]))
	}
	for layer, dim := range []int{96, 128, 128} {
		for _, cut := range []DocumentOptions{{}, {ChunkTokens: 9}, {MaxChunks: 1}} {
			got, err := m.Encode(t.Context(), texts, EncodeOptions{Layer: layer, DocumentOptions: cut})
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(texts) || !slices.Equal(got[0], got[3]) {
				t.Fatalf("%d vectors, or those of equal texts differ", len(got))
			}
			for i, doc := range docs {
				chunks, _, err := m.chunks([][]int32{doc}, cut)
				if err != nil {
					t.Fatal(err)
				}
				var rows []float32
				if layer == 0 {
					rows, err = m.Embed(t.Context(), chunks)
				} else {
					rows, err = m.EmbedTokens(t.Context(), chunks, layer)
				}
				if err != nil {
					t.Fatal(err)
				}
				want, squares := make([]float64, dim), 0.0
				for j, x := range rows {
					want[j%dim] += float64(x)
				}
				for _, x := range want {
					squares += x * x
				}
				if len(got[i]) != dim {
					t.Fatalf("layer %d: %d values, want %d", layer, len(got[i]), dim)
				}
				for j, x := range want {
					if math.Abs(float64(got[i][j])-x/math.Sqrt(squares)) > 1e-6 {
						t.Fatalf("layer %d, %+v, text %d: %v at %d, want %v", layer, cut, i, got[i][j], j, x/math.Sqrt(squares))
					}
				}
			}
		}
	}
	if none, err := m.Encode(t.Context(), nil, EncodeOptions{}); err != nil || len(none) != 0 {
		t.Errorf("no texts: %v, error %v", none, err)
	}
}

// Texts are cut as the corpus of the training was, also by a model that was saved.
func TestChunksOfTheCorpus(t *testing.T) {
	m := encodeModel(t, PoolMax, 2)
	doc := m.Tokenizer.Encode(strings.Repeat("one two three ", 40))
	lengths := func(m *Model) (lengths []int) {
		chunks, _, err := m.chunks([][]int32{doc}, DocumentOptions{})
		if err != nil {
			t.Fatal(err)
		}
		passages, _, err := m.cutDocuments(t.Context(), []corpus.Document{{ID: "a", Text: m.Tokenizer.Decode(doc)}}, 0)
		if err != nil {
			t.Fatal(err)
		}
		longest := 0
		for _, p := range passages {
			longest = max(longest, len(m.Tokenizer.Encode(p.Text)))
		}
		return []int{len(chunks[0]), longest}
	}
	if got := lengths(m); got[0] != 62 || got[1] <= 31 {
		t.Errorf("a model that was not trained makes chunks and passages of %d tokens, the longest have 62", got)
	}
	store, err := corpus.FromDocuments(testDocuments(24), m.Tokenizer, corpus.BuildOptions{ChunkTokens: 9, MinTokens: 1})
	if err != nil {
		t.Fatal(err)
	}
	o := testOptions("")
	o.Steps = 1
	if _, err := Pretrain(t.Context(), m, store, o); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
	loaded, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*Model{m, loaded} {
		if got := lengths(m); got[0] != 9 || got[1] > 9 || got[1] < 5 {
			t.Errorf("a model whose corpus had chunks of 9 tokens makes chunks and passages of %d", got)
		}
	}
}

func TestEncodeErrors(t *testing.T) {
	m := encodeModel(t, PoolFirst, 1)
	texts := []string{"null", "one"}
	for want, o := range map[string]EncodeOptions{
		"-1 of 2 layers":          {Layer: -1},
		"3 of 2 layers":           {Layer: 3},
		"chunks of 63 tokens":     {DocumentOptions: DocumentOptions{ChunkTokens: 63}},
		"-1 chunks of a document": {DocumentOptions: DocumentOptions{MaxChunks: -1}},
	} {
		if _, err := m.Encode(t.Context(), texts, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want one with %q", o, err, want)
		}
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := m.Encode(cancelled, texts, EncodeOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v", err)
	}
	id := m.Tokenizer.Encode("one")[0]
	m.shared.Weight.Float32s()[int(id)*m.Config.DModel] = float32(math.NaN())
	want := fmt.Sprintf("vector of document %d is not finite", 1)
	for layer := range 3 {
		if _, err := m.Encode(t.Context(), texts, EncodeOptions{Layer: layer}); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("layer %d with a weight that is not a number: error %v", layer, err)
		}
	}
	m.Tokenizer = nil
	if _, err := m.Encode(t.Context(), texts, EncodeOptions{}); !errors.Is(err, errNoTokenizer) {
		t.Errorf("without tokenizer: error %v", err)
	}
}
