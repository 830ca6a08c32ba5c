package marge

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/marge-go/marge/marge/tokenizer"
	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/nn/safetensors"
)

// The files of a saved model, named as Hugging Face does.
const (
	configName    = "config.json"
	weightsName   = "model.safetensors"
	tokenizerName = "tokenizer.json"
)

// creator makes the files of a directory.
type creator interface {
	Create(name string) (io.WriteCloser, error)
}

// Save writes the model to a directory that it creates if need be:
// config.json, model.safetensors and, with a tokenizer, tokenizer.json.
// Pretrain's checkpoints have the same files.
func (m *Model) Save(dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	return m.save(directory(dir))
}

type directory string

func (d directory) Create(name string) (io.WriteCloser, error) {
	return os.Create(filepath.Join(string(d), name))
}

func (m *Model) save(dir creator) error {
	config, err := MarshalConfig(m.Config)
	if err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	err = writeFile(dir, configName, func(w io.Writer) error {
		_, err := w.Write(config)
		return err
	})
	if err == nil {
		err = writeFile(dir, weightsName, func(w io.Writer) error { return writeTensors(w, m.params) })
	}
	if err == nil && m.Tokenizer != nil {
		err = writeFile(dir, tokenizerName, func(w io.Writer) error {
			_, err := m.Tokenizer.WriteTo(w)
			return err
		})
	}
	return err
}

// writeFile creates a file and reports the first error of writing and closing
// it.
func writeFile(dir creator, name string, write func(io.Writer) error) error {
	f, err := dir.Create(name)
	if err != nil {
		return fmt.Errorf("save %s: %w", name, err)
	}
	err = write(f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("save %s: %w", name, err)
	}
	return nil
}

func writeTensors(w io.Writer, params []nn.Parameter, more ...safetensors.Tensor) error {
	for _, p := range params {
		more = append(more, safetensors.Float32(p.Name, p.Shape(), hostValues(p)))
	}
	return safetensors.Write(w, more, map[string]string{"format": "pt"})
}

// hostValues returns the values of a parameter, without a copy where the
// backend keeps them in the host's memory.
func hostValues(p nn.Parameter) []float32 {
	if s, _ := p.Storage(); s.Device == nil {
		return p.Float32s()
	}
	values := make([]float32, p.Len())
	p.CopyTo(values)
	return values
}

// Load reads a model that Save or Pretrain wrote. Config.Backend and
// Config.Seed of the result are those of the zero Config; use LoadOn for
// another backend.
func Load(dir string) (*Model, error) { return LoadOn(dir, Config{}) }

// LoadOn is Load onto the backend of c, whose other fields are ignored.
func LoadOn(dir string, c Config) (*Model, error) {
	config, err := ReadConfig(filepath.Join(dir, configName))
	if err != nil {
		return nil, fmt.Errorf("load model: %w", err)
	}
	config.Backend = c.Backend
	m, err := build(config)
	if err != nil {
		return nil, fmt.Errorf("load model: %w", err)
	}
	if err := readTensors(filepath.Join(dir, weightsName), m.params, nil); err != nil {
		return nil, fmt.Errorf("load model: %w", err)
	}
	path := filepath.Join(dir, tokenizerName)
	if _, err := os.Stat(path); err == nil {
		if m.Tokenizer, err = tokenizer.Load(path); err != nil {
			return nil, fmt.Errorf("load model: %w", err)
		}
		if n := m.Tokenizer.VocabSize(); n > config.VocabSize {
			return nil, fmt.Errorf("load model: %s has %d tokens, more than the %d of the model", path, n, config.VocabSize)
		}
	}
	return m, nil
}

// readTensors fills params from a safetensors file, which must have exactly
// them and, unless extra is nil, what extra takes.
func readTensors(path string, params []nn.Parameter, extra func(*safetensors.File) (names []string, err error)) error {
	f, err := safetensors.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	known := map[string]bool{}
	for _, p := range params {
		known[p.Name] = true
		t, ok := f.Tensor(p.Name)
		if !ok {
			return fmt.Errorf("%s: tensor %s is missing", path, p.Name)
		}
		if !slices.Equal(t.Shape, p.Shape()) {
			return fmt.Errorf("%s: tensor %s has shape %v, want %v", path, p.Name, t.Shape, p.Shape())
		}
		values, err := f.Float32s(p.Name)
		if err != nil {
			return err
		}
		p.SetFloat32s(values)
	}
	if extra != nil {
		names, err := extra(f)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for _, n := range names {
			known[n] = true
		}
	}
	for _, n := range f.Names() {
		if !known[n] {
			return fmt.Errorf("%s: tensor %s is unknown", path, n)
		}
	}
	return nil
}
