package marge

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
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
