package safetensors

import (
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestReadIndex(t *testing.T) {
	path := filepath.Join(t.TempDir(), "model.safetensors.index.json")
	read := func(content string) (map[string]string, error) {
		t.Helper()
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		return ReadIndex(path)
	}
	files, err := read(`{"metadata": {"total_size": 8, "more": []},
		"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}`)
	if err != nil || !maps.Equal(files, map[string]string{"a": "1.safetensors", "b": "2.safetensors"}) {
		t.Errorf("%v, %v", files, err)
	}
	for content, want := range map[string]string{
		"":                                "EOF",
		"{}":                              "no weight_map",
		`{"weight_map": []}`:              "weight_map",
		`{"weight_map": {"a": 1}}`:        "/weight_map/a",
		`{"weight_map": {"a": "../x"}}`:   `tensor "a" is in "../x"`,
		`{"weight_map": {"a": ".."}}`:     `".."`,
		`{"weight_map": {"a": "."}}`:      `is in "."`,
		`{"weight_map": {"a": ""}}`:       `tensor "a"`,
		`{"weight_map": {"a":"x","a":2}}`: "duplicate",
	} {
		_, err := read(content)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %v, want one with %q", content, err, want)
		}
	}
}

// FuzzReadIndex reads any file without a panic, and names only files of the same
// directory.
func FuzzReadIndex(f *testing.F) {
	f.Add([]byte(`{"weight_map": {"a": "1.safetensors", "b": "../2.safetensors"}}`))
	f.Add([]byte(`{"metadata": {}, "weight_map": null}`))
	path := filepath.Join(f.TempDir(), "index.json")
	f.Fuzz(func(t *testing.T, data []byte) {
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		files, err := ReadIndex(path)
		if err != nil && !strings.Contains(err.Error(), path) {
			t.Errorf("error %v does not name the file", err)
		}
		for _, name := range files {
			if strings.ContainsAny(name, "/") || name == "" || name == "." || name == ".." {
				t.Errorf("a file %q is named", name)
			}
		}
	})
}
