package marge

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/marge-go/marge/marge/checkpoint"
	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/nn/safetensors"
)

// mbartOffset is the number of rows before the first position in mBART's tables of
// positions. Nothing reads them.
const mbartOffset = 2

const (
	mbartPrefix     = "model."
	mbartBias       = "final_logits_bias" // [1, vocabulary], not below model
	positionsSuffix = "embed_positions.weight"
)

// mbartTied are the names of the one matrix that embeds tokens and scores them.
var mbartTied = []string{
	"shared.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight",
}

// mbartIgnored are what converted checkpoints of fairseq have besides.
var mbartIgnored = []string{"encoder.version", "decoder.version"}

// ofMBART tells whether mBART has the parameter of a model.
func ofMBART(name string) bool {
	return name != "beta" && !strings.HasPrefix(name, "encoder.retrieval_") &&
		!strings.HasPrefix(name, "decoder.base_layers.") && !strings.HasPrefix(name, "classification_head.") &&
		!strings.HasPrefix(name, "qa_outputs.")
}

// mbartWeights are the open files of an mBART's weights.
type mbartWeights struct {
	files   map[string]*safetensors.File // by path
	tensors map[string]mbartTensor       // by name without mbartPrefix
}

// mbartTensor is where a tensor is.
type mbartTensor struct {
	path, name string
	file       *safetensors.File
}

func (t mbartTensor) shape() []int {
	found, _ := t.file.Tensor(t.name)
	return found.Shape
}

// read reads the tensor straight into a parameter.
func (t mbartTensor) read(p nn.Parameter) error { return readTensor(t.file, t.path, t.name, p) }

func (w *mbartWeights) close() {
	for _, f := range w.files {
		f.Close()
	}
}

// openMBARTWeights opens model.safetensors or the files that its index lists.
func openMBARTWeights(files *checkpoint.Files) (w *mbartWeights, err error) {
	w = &mbartWeights{files: map[string]*safetensors.File{}, tensors: map[string]mbartTensor{}}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	single, err := files.Path(weightsName)
	if err == nil {
		return w, w.open(single)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return w, err
	}
	path, indexErr := files.Path(weightsIndexName)
	if errors.Is(indexErr, fs.ErrNotExist) {
		if _, e := files.Path("pytorch_model.bin"); e == nil {
			return w, fmt.Errorf("%w, only pytorch_model.bin: load it with transformers and save it anew", err)
		}
		return w, err
	}
	if indexErr != nil {
		return w, indexErr
	}
	index, err := safetensors.ReadIndex(path)
	if err != nil {
		return w, err
	}
	for _, name := range slices.Compact(slices.Sorted(maps.Values(index))) {
		shard, err := files.Path(name)
		if err != nil {
			return w, fmt.Errorf("%s lists a file: %w", path, err)
		}
		if err := w.open(shard); err != nil {
			return w, err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(index)) {
		if t, ok := w.tensors[strings.TrimPrefix(name, mbartPrefix)]; !ok || t.name != name {
			return w, fmt.Errorf("%s lists tensor %s, which %s does not have", path, name, index[name])
		}
	}
	return w, nil
}

// open opens one file.
func (w *mbartWeights) open(path string) error {
	f, err := safetensors.Open(path)
	if err != nil {
		return err
	}
	w.files[path] = f
	for _, name := range f.Names() {
		short := strings.TrimPrefix(name, mbartPrefix)
		if other, ok := w.tensors[short]; ok {
			return fmt.Errorf("%s: tensor %s is tensor %s of %s, too", path, name, other.name, other.path)
		}
		w.tensors[short] = mbartTensor{path, name, f}
	}
	return nil
}

// check compares the names and the shapes of all tensors with a configuration and
// sets its LogitsBias.
func (w *mbartWeights) check(c *Config) error {
	known := map[string]bool{}
	want := func(name string, shape ...int) error {
		t, ok := w.tensors[name]
		if !ok {
			return fmt.Errorf("tensor %s is missing: the weights are not those of %s", name, configName)
		}
		if !slices.Equal(t.shape(), shape) {
			return fmt.Errorf("%s: tensor %s has shape %v, want %v: the weights are not those of %s",
				t.path, t.name, t.shape(), shape, configName)
		}
		known[name] = true
		return nil
	}
	for p := range c.paramShapes() {
		switch {
		case !ofMBART(p.name):
			continue
		case p.name == mbartTied[0]:
			for _, name := range w.tied() {
				if err := want(name, p.shape...); err != nil {
					return err
				}
			}
			continue
		case strings.HasSuffix(p.name, positionsSuffix):
			p.shape = []int{p.shape[0] + mbartOffset, p.shape[1]}
		}
		if err := want(p.name, p.shape...); err != nil {
			return err
		}
	}
	if _, ok := w.tensors[mbartBias]; ok {
		if err := want(mbartBias, 1, c.VocabSize); err != nil {
			return err
		}
		bias, err := w.tensors[mbartBias].file.Float32s(w.tensors[mbartBias].name)
		if err != nil {
			return err
		}
		c.LogitsBias = slices.ContainsFunc(bias, func(v float32) bool { return v != 0 })
	}
	for _, name := range slices.Sorted(maps.Keys(w.tensors)) {
		if !known[name] && !slices.Contains(mbartIgnored, name) {
			t := w.tensors[name]
			return fmt.Errorf("%s: tensor %s is unknown", t.path, t.name)
		}
	}
	return nil
}

// tied returns which of mbartTied there are, or the first of them, which is missing
// then.
func (w *mbartWeights) tied() (names []string) {
	for _, name := range mbartTied {
		if _, ok := w.tensors[name]; ok {
			names = append(names, name)
		}
	}
	if names == nil {
		names = mbartTied[:1]
	}
	return names
}

// fill sets the parameters of a model that mBART has to checked tensors.
func (w *mbartWeights) fill(m *Model) error {
	for _, p := range m.params {
		var err error
		switch {
		case !ofMBART(p.Name):
		case p.Name == mbartTied[0]:
			err = w.fillTied(p)
		case strings.HasSuffix(p.Name, positionsSuffix):
			table := nn.Parameter{Name: p.Name, Tensor: nn.NewParameter(m.backend, p.Dim(0)+mbartOffset, p.Dim(1))}
			if err = w.tensors[p.Name].read(table); err == nil {
				p.SetFloat32s(table.Values()[mbartOffset*p.Dim(1):])
			}
		default:
			err = w.tensors[p.Name].read(p)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// fillTied sets the token embeddings. If they are there more than once, all must be
// equal: the model has them once.
func (w *mbartWeights) fillTied(p nn.Parameter) error {
	names := w.tied()
	first := w.tensors[names[0]]
	if err := first.read(p); err != nil {
		return err
	}
	if len(names) == 1 {
		return nil
	}
	values, again := p.Values(), make([]float32, p.Len())
	for _, name := range names[1:] {
		t := w.tensors[name]
		if err := t.file.CopyFloat32s(again, t.name); err != nil {
			return err
		}
		if !slices.Equal(values, again) {
			return fmt.Errorf("%s: tensor %s differs from %s: the model has token embeddings that are tied to each other",
				t.path, t.name, first.name)
		}
	}
	return nil
}

// mbartTensors returns the parameters that mBART has, under its names.
func (m *Model) mbartTensors() (tensors []safetensors.Tensor) {
	bias := make([]float32, m.Config.VocabSize)
	for _, p := range m.params {
		values, shape := p.Values(), p.Shape()
		switch {
		case !ofMBART(p.Name):
			continue
		case p.Name == mbartBias:
			bias = values
			continue
		case strings.HasSuffix(p.Name, positionsSuffix):
			values = append(make([]float32, mbartOffset*shape[1]), values...)
			shape = []int{shape[0] + mbartOffset, shape[1]}
		}
		tensors = append(tensors, safetensors.Float32(mbartPrefix+p.Name, shape, values))
	}
	return append(tensors, safetensors.Float32(mbartBias, []int{1, len(bias)}, bias))
}
