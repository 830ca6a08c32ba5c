package nn

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/marge-go/marge/internal/osfile"
	"github.com/marge-go/marge/nn/safetensors"
	"github.com/marge-go/marge/tensor"
)

// The files of Save, by the names of Hugging Face.
const (
	weightsFile = "model.safetensors"
	indexFile   = "model.safetensors.index.json"
)

// shardIndex is the content of indexFile.
type shardIndex struct {
	Metadata struct {
		TotalSize int64 `json:"total_size"` // bytes
	} `json:"metadata"`
	WeightMap map[string]string `json:"weight_map"` // the file of each tensor
}

// Save writes the values of parameters to a directory, which it makes: as
// model.safetensors or, if they take more than shardBytes, as several files of at most
// that size (or of one parameter) and model.safetensors.index.json, which tells where each
// parameter is. With shardBytes 0 there is one file. Other files stay.
//
// Whatever happens, the directory holds what was saved before or all that is saved now.
// What was saved before is removed in the end; an error of that is returned, too.
func Save(dir string, params []Parameter, shardBytes int64) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("nn: save: %w", err)
		}
	}()
	defer tensor.Recover(&err)
	if err := checkNames(params); err != nil {
		return err
	}
	if shardBytes < 0 {
		return fmt.Errorf("shards of %d bytes", shardBytes)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	old, err := readIndex(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	shards := shardsOf(params, shardBytes)
	if len(shards) == 1 {
		if err := writeShard(filepath.Join(dir, weightsFile), params); err != nil {
			return err
		}
		if old == nil {
			return nil
		}
		return removeAll(dir, append(shardFiles(old), indexFile))
	}
	// The files of the new shards must not be those of the old ones.
	stem := "model"
	if old != nil && slices.ContainsFunc(shardFiles(old), func(f string) bool { return strings.HasPrefix(f, "model-") }) {
		stem = "model.new"
	}
	var index shardIndex
	index.WeightMap = make(map[string]string)
	for i, shard := range shards {
		name := fmt.Sprintf("%s-%05d-of-%05d.safetensors", stem, i+1, len(shards))
		if err := writeShard(filepath.Join(dir, name), shard); err != nil {
			return err
		}
		for _, p := range shard {
			index.WeightMap[p.Name] = name
			index.Metadata.TotalSize += bytesOf(p)
		}
	}
	data, err := json.MarshalIndent(index, "", "  ")
	if err != nil {
		return err
	}
	if err := osfile.WriteFile(filepath.Join(dir, indexFile), append(data, '\n')); err != nil {
		return err
	}
	remove := []string{weightsFile} // Load takes it if it is there
	if old != nil {
		remove = append(remove, shardFiles(old)...)
	}
	return removeAll(dir, remove)
}

func bytesOf(p Parameter) int64 { return int64(p.Len()) * int64(p.DType().Size()) }

// checkNames reports parameters that a file cannot hold.
func checkNames(params []Parameter) error {
	seen := make(map[string]bool)
	for _, p := range params {
		if seen[p.Name] {
			return fmt.Errorf("two parameters are named %q", p.Name)
		}
		seen[p.Name] = true
		if p.DType() != tensor.Float32 {
			return fmt.Errorf("parameter %q is %v, want float32", p.Name, p.Tensor)
		}
	}
	return nil
}

// shardsOf divides parameters into shards, in order.
func shardsOf(params []Parameter, shardBytes int64) [][]Parameter {
	shards := [][]Parameter{nil}
	size := int64(0)
	for _, p := range params {
		last := len(shards) - 1
		if n := bytesOf(p); shardBytes > 0 && len(shards[last]) > 0 && size+n > shardBytes {
			shards, size, last = append(shards, nil), 0, last+1
		}
		shards[last] = append(shards[last], p)
		size += bytesOf(p)
	}
	return shards
}

func writeShard(path string, params []Parameter) error {
	var tensors []safetensors.Tensor
	for _, p := range params {
		tensors = append(tensors, safetensors.Float32(p.Name, p.Shape(), p.Values()))
	}
	return osfile.Replace(path, func(f *os.File) error {
		return safetensors.Write(f, tensors, map[string]string{"format": "pt"})
	})
}

// removeAll removes files of a directory, those that are there.
func removeAll(dir string, names []string) error {
	var errs []error
	for _, name := range names {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, osfile.SyncDir(dir))...)
}

// readIndex reads the index of shards of a directory: the file of each tensor.
func readIndex(dir string) (map[string]string, error) {
	return safetensors.ReadIndex(filepath.Join(dir, indexFile))
}

// shardFiles returns the names of the shards that an index lists, sorted.
func shardFiles(index map[string]string) []string {
	return slices.Compact(slices.Sorted(maps.Values(index)))
}

// Difference tells what Load found beside what it looked for, in order of names.
type Difference struct {
	Missing    []string // parameters that the files do not have
	Unexpected []string // tensors that are no parameters
}

// String returns both lists in words.
func (d Difference) String() string {
	return fmt.Sprintf("%d parameters missing %q, %d tensors unexpected %q",
		len(d.Missing), d.Missing, len(d.Unexpected), d.Unexpected)
}

// Load sets parameters to the values that Save, or another program, wrote: path is a
// directory with model.safetensors or with model.safetensors.index.json and its shards, or
// a safetensors file. Values of all types that [safetensors.Tensor.Float32s] converts are
// taken.
//
// If strict is set, it is an error if parameters are missing in the files or if there are
// others; if not, those that are there are loaded. Either way Load tells the difference. It
// is an error if a shape or a type does not fit. Errors name file and tensor; after an
// error, no parameter has changed.
func Load(path string, params []Parameter, strict bool) (d Difference, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("nn: load: %w", err)
		}
	}()
	defer tensor.Recover(&err)
	if err := checkNames(params); err != nil {
		return d, err
	}
	w := weights{tensors: make(map[string]*safetensors.File)}
	defer func() { err = errors.Join(err, w.close()) }()
	if err := w.open(path); err != nil {
		return d, err
	}
	type assignment struct {
		to     Parameter
		values []float32
	}
	var assignments []assignment
	for _, p := range params {
		file, ok := w.tensors[p.Name]
		if !ok {
			d.Missing = append(d.Missing, p.Name)
			continue
		}
		delete(w.tensors, p.Name)
		t, _ := file.Tensor(p.Name)
		if !slices.Equal(t.Shape, p.Shape()) {
			return d, fmt.Errorf("%s: tensor %q has shape %v, the parameter %v", path, p.Name, t.Shape, p.Shape())
		}
		values, err := file.Float32s(p.Name)
		if err != nil {
			return d, err
		}
		assignments = append(assignments, assignment{p, values})
	}
	for name := range w.tensors {
		d.Unexpected = append(d.Unexpected, name)
	}
	slices.Sort(d.Missing)
	slices.Sort(d.Unexpected)
	if strict && len(d.Missing)+len(d.Unexpected) > 0 {
		return d, fmt.Errorf("%s: %v", path, d)
	}
	for _, a := range assignments {
		a.to.SetFloat32s(a.values)
	}
	return d, nil
}

// weights are the open files of Load.
type weights struct {
	files   []*safetensors.File
	tensors map[string]*safetensors.File // the file that holds each tensor
}

func (w *weights) close() error {
	var errs []error
	for _, f := range w.files {
		errs = append(errs, f.Close())
	}
	return errors.Join(errs...)
}

// openFile opens one more file.
func (w *weights) openFile(path string) (*safetensors.File, error) {
	f, err := safetensors.Open(path)
	if err == nil {
		w.files = append(w.files, f)
	}
	return f, err
}

// open opens what path of Load names. The files are to be closed even after an error.
func (w *weights) open(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.IsDir() {
		single := filepath.Join(path, weightsFile)
		if _, err := os.Stat(single); errors.Is(err, fs.ErrNotExist) {
			return w.openShards(path)
		}
		path = single
	}
	f, err := w.openFile(path)
	if err != nil {
		return err
	}
	for _, name := range f.Names() {
		w.tensors[name] = f
	}
	return nil
}

func (w *weights) openShards(dir string) error {
	index, err := readIndex(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s has neither %s nor %s: %w", dir, weightsFile, indexFile, fs.ErrNotExist)
	}
	if err != nil {
		return err
	}
	shards := make(map[string]*safetensors.File)
	for _, name := range shardFiles(index) {
		if shards[name], err = w.openFile(filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	for name, file := range index {
		if _, ok := shards[file].Tensor(name); !ok {
			return fmt.Errorf("%s has no tensor %q, which %s looks for there", file, name, indexFile)
		}
		w.tensors[name] = shards[file]
	}
	return nil
}
