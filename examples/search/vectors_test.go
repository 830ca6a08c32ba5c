package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/index"
)

// An index of a quantised model, with vectors of int8, which later runs keep.
func TestVectors(t *testing.T) {
	text := testDocuments(t)
	m, err := marge.Load(testCheckpoint(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Quantize(); err != nil {
		t.Fatal(err)
	}
	checkpoint := t.TempDir()
	if err := m.Save(checkpoint); err != nil {
		t.Fatal(err)
	}
	indexed := func(want index.Precision, message string, flags ...string) int64 {
		t.Helper()
		args := append([]string{"index", "-checkpoint", checkpoint, "-out", "x", "-chunk", "40"}, flags...)
		if _, messages := mustSearch(t, append(args, "docs")...); !strings.Contains(messages, message) {
			t.Errorf("%v: messages %q, want %q", flags, messages, message)
		}
		x, model, err := open("x", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close()
		if x.Precision() != want || model.Config.Quantization != "int8" {
			t.Errorf("%v: vectors as %v, model %+v", flags, x.Precision(), model.Config)
		}
		hits, err := find(t.Context(), model, x, request{Query: x.Passage(3).Text, K: 1})
		if err != nil || hits[0].Text != x.Passage(3).Text || !(hits[0].Score > 0.99) {
			t.Errorf("%v: hits %+v, error %v", flags, hits, err)
		}
		info, err := os.Stat(filepath.Join("x", passagesName))
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	small := indexed(index.Int8, "new", "-vectors", "int8")
	indexed(index.Int8, " 0 of them new")
	large := indexed(index.Float32, "has vectors as int8: its passages are encoded anew", "-vectors", "float32")
	if small >= large {
		t.Errorf("%d bytes with vectors of int8, %d with float32", small, large)
	}
	indexed(index.BFloat16, " 0 of them new", "-vectors", "bfloat16")
	if out, _ := mustSearch(t, "query", "-index", "x", "-k", "1", text); !strings.Contains(out, "1. ") {
		t.Errorf("found %q", out)
	}
	if _, _, err := search(t.Context(), "index", "-out", "x", "-vectors", "int4", "docs"); err == nil ||
		!strings.Contains(err.Error(), `-vectors: index: unknown precision "int4"`) {
		t.Errorf("error %v", err)
	}
}
