package nn

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/nn/safetensors"
	"github.com/marge-go/marge/tensor"
	"github.com/marge-go/marge/tensor/backendtest"
)

// saved are parameters of 24, 8, 16 and 4 bytes; shift makes their values differ.
func saved(b tensor.Backend, shift float32) []Parameter {
	var params []Parameter
	for i, shape := range [][]int{{2, 3}, {2}, {4, 1}, {}} {
		t := NewParameter(b, shape...)
		values := make([]float32, t.Len())
		for j := range values {
			values[j] = shift + float32(10*i+j)
		}
		t.SetFloat32s(values)
		params = append(params, Parameter{fmt.Sprintf("p%d", i), t})
	}
	return params
}

func valuesOf(params []Parameter) [][]float32 {
	var all [][]float32
	for _, p := range params {
		v := make([]float32, p.Len())
		p.CopyTo(v)
		all = append(all, v)
	}
	return all
}

func equalValues(a, b []Parameter) bool {
	return slices.EqualFunc(valuesOf(a), valuesOf(b), slices.Equal)
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// One directory, saved to again and again in all ways, has the files of the last time
// and what others put there.
func TestSaveLoad(t *testing.T) {
	cpu := tensor.NewCPU(1)
	for _, b := range []tensor.Backend{cpu, backendtest.Opaque(tensor.NewCPU(1))} {
		defer b.Close()
		dir := filepath.Join(t.TempDir(), "new", "model")
		const a, c, z = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.new-0000"
		for i, step := range []struct {
			shardBytes int64
			want       []string
		}{
			{0, []string{weightsFile}},
			{52, []string{weightsFile}},
			{32, []string{a, c, indexFile}},
			{32, []string{z + "1-of-00002.safetensors", z + "2-of-00002.safetensors", indexFile}},
			{1, []string{"model-00001-of-00004.safetensors", "model-00002-of-00004.safetensors",
				"model-00003-of-00004.safetensors", "model-00004-of-00004.safetensors", indexFile}},
			{1000, []string{weightsFile}},
			{51, []string{a, c, indexFile}},
		} {
			params := saved(b, float32(100*i))
			if err := Save(dir, params, step.shardBytes); err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				if err := os.WriteFile(filepath.Join(dir, "config.json"), nil, 0o666); err != nil {
					t.Fatal(err)
				}
			}
			want := append(slices.Clone(step.want), "config.json")
			slices.Sort(want)
			if got := names(t, dir); !slices.Equal(got, want) {
				t.Errorf("save %d: %q, want %q", i, got, want)
			}
			loaded := saved(b, -1)
			if d, err := Load(dir, loaded, true); err != nil || !equalValues(loaded, params) {
				t.Errorf("save %d: %v, %v; %v, want %v", i, d, err, valuesOf(loaded), valuesOf(params))
			}
		}
	}
}

// A save that fails at any file leaves what was saved before.
func TestSaveKeepsOldOnFailure(t *testing.T) {
	b := tensor.NewCPU(1)
	defer b.Close()
	for _, before := range []int64{0, 32} {
		for _, obstacle := range []string{
			weightsFile, indexFile, "model-00002-of-00003.safetensors", "model.new-00002-of-00003.safetensors",
		} {
			dir := t.TempDir()
			old := saved(b, 0)
			if err := Save(dir, old, before); err != nil {
				t.Fatal(err)
			}
			// A directory cannot be replaced by a file.
			path := filepath.Join(dir, obstacle)
			if _, err := os.Stat(path); err == nil {
				continue
			}
			if err := os.MkdirAll(filepath.Join(path, "x"), 0o777); err != nil {
				t.Fatal(err)
			}
			limit := int64(24)
			if obstacle == weightsFile {
				limit = 0
			}
			err := Save(dir, saved(b, 50), limit)
			if obstacle == weightsFile || obstacle == indexFile || strings.HasPrefix(obstacle, "model.new") == (before > 0) {
				if err == nil {
					t.Errorf("saved over %s", obstacle)
					continue
				}
			} else {
				continue // not in the way
			}
			if err := os.RemoveAll(path); err != nil {
				t.Fatal(err)
			}
			loaded := saved(b, -1)
			if _, err := Load(dir, loaded, true); err != nil || !equalValues(loaded, old) {
				t.Errorf("%s in the way of shards of %d bytes: %v, %v", obstacle, limit, valuesOf(loaded), err)
			}
		}
	}
}

func TestLoadDifference(t *testing.T) {
	b := tensor.NewCPU(1)
	defer b.Close()
	dir := t.TempDir()
	params := saved(b, 0)
	if err := Save(dir, params, 0); err != nil {
		t.Fatal(err)
	}
	other := append(saved(b, 7)[:2], Parameter{"z", NewParameter(b, 1)}, Parameter{"a", NewParameter(b, 1)})
	before := valuesOf(other)
	want := Difference{Missing: []string{"a", "z"}, Unexpected: []string{"p2", "p3"}}
	equal := func(d Difference) bool {
		return slices.Equal(d.Missing, want.Missing) && slices.Equal(d.Unexpected, want.Unexpected)
	}
	d, err := Load(dir, other, true)
	const text = `2 parameters missing ["a" "z"], 2 tensors unexpected ["p2" "p3"]`
	if err == nil || !equal(d) || !strings.Contains(err.Error(), text) {
		t.Errorf("strict: %v, %v", d, err)
	}
	if !slices.EqualFunc(valuesOf(other), before, slices.Equal) {
		t.Error("strict: parameters changed")
	}
	if d, err := Load(filepath.Join(dir, weightsFile), other, false); err != nil || !equal(d) {
		t.Errorf("not strict: %v, %v", d, err)
	}
	if !equalValues(other[:2], params[:2]) {
		t.Errorf("not strict: loaded %v, want %v", valuesOf(other[:2]), valuesOf(params[:2]))
	}
}

func TestLoadErrors(t *testing.T) {
	b := tensor.NewCPU(1)
	defer b.Close()
	write := func(t *testing.T, dir, name, data string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name string
		want []string
		make func(t *testing.T, dir string)
	}{
		{"nothing", []string{"neither " + weightsFile, indexFile}, func(t *testing.T, dir string) {}},
		{"other shape", []string{`"p0" has shape [6], the parameter [2 3]`}, func(t *testing.T, dir string) {
			p := saved(b, 0)
			p[0].Tensor = NewParameter(b, 6)
			if err := Save(dir, p, 0); err != nil {
				t.Fatal(err)
			}
		}},
		{"other type", []string{weightsFile, `"p0" has type I32`}, func(t *testing.T, dir string) {
			f, err := os.Create(filepath.Join(dir, weightsFile))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			tensors := []safetensors.Tensor{safetensors.Int32("p0", []int{2, 3}, make([]int32, 6))}
			if err := safetensors.Write(f, tensors, nil); err != nil {
				t.Fatal(err)
			}
		}},
		{"damaged", []string{weightsFile}, func(t *testing.T, dir string) { write(t, dir, weightsFile, "damaged") }},
		{"damaged index", []string{indexFile}, func(t *testing.T, dir string) { write(t, dir, indexFile, "{") }},
		{"path in the index", []string{indexFile, `"../x"`}, func(t *testing.T, dir string) {
			write(t, dir, indexFile, `{"weight_map": {"p0": "../x"}}`)
		}},
		{"missing shard", []string{"shard.safetensors"}, func(t *testing.T, dir string) {
			write(t, dir, indexFile, `{"weight_map": {"p0": "shard.safetensors"}}`)
		}},
		{"tensor in no shard", []string{`no tensor "q"`, indexFile}, func(t *testing.T, dir string) {
			if err := Save(dir, saved(b, 0), 0); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(filepath.Join(dir, weightsFile), filepath.Join(dir, "s")); err != nil {
				t.Fatal(err)
			}
			write(t, dir, indexFile, `{"weight_map": {"p0": "s", "q": "s"}}`)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			c.make(t, dir)
			params := saved(b, 7)
			_, err := Load(dir, params, false)
			if err == nil {
				t.Fatal("no error")
			}
			for _, part := range append(c.want, "nn: load: ") {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%v does not tell %s", err, part)
				}
			}
			if !equalValues(params, saved(b, 7)) {
				t.Error("parameters changed")
			}
		})
	}
	if _, err := Load(filepath.Join(t.TempDir(), "none"), nil, true); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
	twice := append(saved(b, 0), saved(b, 0)...)
	ids := []Parameter{{"ids", tensor.New(b, tensor.Int32, 2)}}
	for _, params := range [][]Parameter{twice, ids} {
		dir := t.TempDir()
		if err := Save(dir, params, 0); err == nil || len(names(t, dir)) > 0 {
			t.Errorf("saved %v: %v", params, err)
		}
		if _, err := Load(dir, params, false); err == nil {
			t.Errorf("loaded %v", params)
		}
	}
	if err := Save(t.TempDir(), saved(b, 0), -1); err == nil {
		t.Error("shards of -1 bytes")
	}
}

// A device that fails makes errors, not panics.
func TestSaveFromFailingDevice(t *testing.T) {
	b := backendtest.Opaque(tensor.NewCPU(1))
	defer b.Close()
	params := saved(b, 0)
	dir := t.TempDir()
	if err := Save(dir, params, 0); err != nil {
		t.Fatal(err)
	}
	failure := errors.New("device lost")
	b.Fail = func(string) error { return failure }
	if err := Save(dir, params, 0); !errors.Is(err, failure) {
		t.Errorf("save: %v", err)
	}
	if _, err := Load(dir, params, true); !errors.Is(err, failure) {
		t.Errorf("load: %v", err)
	}
}
