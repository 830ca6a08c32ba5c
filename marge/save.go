package marge

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/marge/checkpoint"
	"github.com/marge-go/marge/marge/tokenizer"
	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/nn/safetensors"
	"github.com/marge-go/marge/tensor"
)

// The files of a saved model, named as Hugging Face does.
const (
	configName    = "config.json"
	weightsName   = "model.safetensors"
	tokenizerName = "tokenizer.json"
)

// tokenizerNames are those that a tokenizer may have, and modelNames those that
// belong to a model.
var (
	tokenizerNames = []string{tokenizerName, "sentencepiece.bpe.model"}
	modelNames     = append([]string{configName, weightsName}, tokenizerNames...)
)

// Save writes the model to a directory that it creates if need be:
// config.json, model.safetensors, with a tokenizer tokenizer.json (of one that
// is a model of SentencePiece, sentencepiece.bpe.model), and their checksums in
// checksums.json. Pretrain's checkpoints have the same files.
//
// A model that was saved there before is replaced as a whole: [Load] reads the
// old or the new one, also when the process is killed or the disk is full in
// the middle of Save. Files of other names stay as they are; a checkpoint of a
// training that is saved over is none any more.
func (m *Model) Save(dir string) error { return m.SaveWith(dir, SaveOptions{}) }

// SaveOptions are the settings of [Model.SaveWith].
type SaveOptions struct {
	// Precision is how matrices are stored: as they are, Float32, or BFloat16, which
	// rounds their values to 8 bits of precision. [Load] makes float32 of these. That is
	// half the file, for inference: a training that goes on needs the bits that it lacks.
	// Int8 matrices, see [Model.Quantize], stay what they are.
	Precision tensor.DType
}

// SaveWith is Save with options. It is an error if bfloat16 does not hold a value,
// because it exceeds 3.39e38.
func (m *Model) SaveWith(dir string, o SaveOptions) (err error) {
	defer tensor.Recover(&err)
	if o.Precision != tensor.Float32 && o.Precision != tensor.BFloat16 {
		return fmt.Errorf("save model: models are saved as float32 or bfloat16, not %v", o.Precision)
	}
	if err := checkpoint.Save(dir, modelNames, func(d *checkpoint.Dir) error { return m.save(d, o) }); err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	return nil
}

func (m *Model) save(dir *checkpoint.Dir, o SaveOptions) error {
	config, err := MarshalConfig(m.Config)
	if err != nil {
		return err
	}
	err = writeFile(dir, configName, func(w io.Writer) error {
		_, err := w.Write(config)
		return err
	})
	if err == nil {
		err = writeFile(dir, weightsName, func(w io.Writer) error { return m.writeWeights(w, o) })
	}
	if err == nil && m.Tokenizer != nil {
		err = m.saveTokenizer(dir)
	}
	return err
}

func (m *Model) saveTokenizer(dir *checkpoint.Dir) error {
	return writeFile(dir, m.Tokenizer.FileName(), func(w io.Writer) error {
		_, err := m.Tokenizer.WriteTo(w)
		return err
	})
}

// writeFile creates a file and reports the first error of writing and closing
// it.
func writeFile(dir *checkpoint.Dir, name string, write func(io.Writer) error) error {
	f, err := dir.Create(name)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	err = write(f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func (m *Model) writeWeights(w io.Writer, o SaveOptions) error {
	if o.Precision == tensor.Float32 && m.Config.Quantization == "" {
		return writeTensors(w, m.params)
	}
	var same []nn.Parameter
	var converted []safetensors.Tensor
	for _, p := range m.params {
		switch {
		case p.DType() == tensor.Int8:
			converted = append(converted, int8Tensors(p)...)
		case o.Precision == tensor.BFloat16 && len(p.Shape()) == 2:
			t, err := bfloat16Tensor(p)
			if err != nil {
				return err
			}
			converted = append(converted, t)
		default:
			same = append(same, p)
		}
	}
	return writeTensors(w, same, converted...)
}

// bfloat16Tensor returns the values of a parameter rounded to bfloat16.
func bfloat16Tensor(p nn.Parameter) (safetensors.Tensor, error) {
	const infinity = 0x7f80
	values := p.Values()
	rounded := make([]uint16, len(values))
	asm.ToBF16(rounded, values)
	for i, v := range rounded {
		if v&infinity == infinity {
			return safetensors.Tensor{}, fmt.Errorf("tensor %s: bfloat16 does not hold element %d, %v", p.Name, i, values[i])
		}
	}
	return safetensors.BFloat16(p.Name, p.Shape(), rounded), nil
}

func writeTensors(w io.Writer, params []nn.Parameter, more ...safetensors.Tensor) error {
	for _, p := range params {
		more = append(more, safetensors.Float32(p.Name, p.Shape(), p.Values()))
	}
	return safetensors.Write(w, more, tensorMetadata)
}

// tensorMetadata are what files of tensors say of themselves.
var tensorMetadata = map[string]string{"format": "pt"}

// Load reads a model that [Model.Save] or [Pretrain] wrote. In the directory of
// a training, which has no model of its own but checkpoints, that is the newest
// checkpoint; if it is damaged, the error names an older one that could be
// loaded by its path.
//
// Files that checksums.json lists must match it; a directory without one, as
// downloaded from elsewhere, is read as it is. The weights must be finite
// numbers in the shapes that config.json asks for. Config.Backend and
// Config.Seed of the result are those of the zero Config; use LoadOn for
// another backend.
func Load(dir string) (*Model, error) { return LoadOn(dir, Config{}) }

// LoadOn is Load onto the backend of c, whose other fields are ignored.
func LoadOn(dir string, c Config) (m *Model, err error) {
	defer tensor.Recover(&err)
	for {
		path, err := modelIn(dir)
		if err != nil {
			return nil, fmt.Errorf("load model: %w", err)
		}
		m, err := loadFrom(path, c.Backend)
		if err == nil {
			return m, nil
		}
		if path == dir {
			return nil, fmt.Errorf("load model: %w", err)
		}
		if now, e := modelIn(dir); e == nil && now != path {
			continue // a training has written a newer one and removed this
		}
		err = fmt.Errorf("load model: newest checkpoint of %s: %w", dir, err)
		older, _, e := checkpoint.Latest(dir, func(checkpoint.Damaged) {})
		if e == nil && older != path {
			err = fmt.Errorf("%w (%s is whole)", err, older)
		}
		return nil, err
	}
}

// modelIn returns dir if it holds a model, or else its newest checkpoint.
func modelIn(dir string) (string, error) {
	files, err := checkpoint.Open(dir)
	if err != nil {
		return "", err
	}
	defer files.Close()
	_, configErr := files.Path(configName)
	if !errors.Is(configErr, fs.ErrNotExist) {
		return dir, nil // an error shows again when it is read
	}
	path, err := checkpoint.Newest(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("neither a model nor a directory with checkpoints: %w", configErr)
	}
	return path, err
}

// loadFrom reads the model in a directory.
func loadFrom(dir string, backend tensor.Backend) (*Model, error) {
	files, err := checkpoint.Open(dir)
	if err != nil {
		return nil, err
	}
	defer files.Close()
	path, err := files.Path(configName)
	if err != nil {
		return nil, err
	}
	config, err := ReadConfig(path)
	if err != nil {
		return nil, err
	}
	t, err := loadTokenizer(files, &config)
	if err != nil {
		return nil, err
	}
	if path, err = files.Path(weightsName); err != nil {
		return nil, err
	}
	f, err := safetensors.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := config.checkWeights(f); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	config.Backend = backend
	m, err := build(config)
	if err != nil {
		return nil, err
	}
	m.Tokenizer = t
	int8s := m.int8s()
	for _, p := range m.params {
		read := readTensor
		if config.Quantization != "" && int8s[p.Name] {
			read = readInt8
		}
		if err := read(f, path, p.Name, p); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// loadTokenizer reads the tokenizer of a model; nil if it has none.
func loadTokenizer(files *checkpoint.Files, c *Config) (tokenizer.Tokenizer, error) {
	for _, name := range tokenizerNames {
		path, err := files.Path(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		t, err := tokenizer.Load(path)
		if err != nil {
			return nil, err
		}
		if err := tokenizer.CheckSpecial(t); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		if n := t.VocabSize(); n > c.VocabSize {
			return nil, fmt.Errorf("%s has %d tokens, more than the %d of the model", path, n, c.VocabSize)
		}
		return t, nil
	}
	return nil, nil
}

// readTensors takes tensors from a safetensors file, which must have exactly them,
// all finite, and, unless extra is nil, what extra takes. If there is an error, none
// has been set.
func readTensors(path string, tensors []stored, extra func(*safetensors.File) (names []string, err error)) error {
	f, err := safetensors.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := readFrom(f, tensors, extra); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func readFrom(f *safetensors.File, tensors []stored, extra func(*safetensors.File) ([]string, error)) error {
	known := map[string]bool{}
	for _, t := range tensors {
		if err := checkShape(f, t.name, t.shape); err != nil {
			return err
		}
		known[t.name] = true
	}
	if extra != nil {
		names, err := extra(f)
		if err != nil {
			return err
		}
		for _, n := range names {
			known[n] = true
		}
	}
	if err := checkNames(f, known); err != nil {
		return err
	}
	return fillTensors(f, tensors)
}

// storedAs are parameters as files have them.
func storedAs(params []nn.Parameter) (list []stored) {
	for _, p := range params {
		list = append(list, stored{p.Name, p.Shape(), p.SetFloat32s})
	}
	return list
}

// checkShape returns an error if a file has no tensor of the given name and
// shape.
func checkShape(f *safetensors.File, name string, shape []int) error {
	t, ok := f.Tensor(name)
	if !ok {
		return fmt.Errorf("tensor %s is missing", name)
	}
	if !slices.Equal(t.Shape, shape) {
		return fmt.Errorf("tensor %s has shape %v, want %v", name, t.Shape, shape)
	}
	return nil
}

// checkNames returns an error if a file has a tensor that is not known.
func checkNames(f *safetensors.File, known map[string]bool) error {
	for _, n := range f.Names() {
		if !known[n] {
			return fmt.Errorf("tensor %s is unknown", n)
		}
	}
	return nil
}

// fillTensors sets tensors to those of a file, which has them in the right shapes,
// after a look at all of them, which must be finite as those of readTensor.
func fillTensors(f *safetensors.File, tensors []stored) error {
	for _, t := range tensors {
		values, err := floats(f, t.name)
		if err != nil {
			return err
		}
		for i, v := range values {
			if v-v != 0 { // NaN and infinity
				return fmt.Errorf("tensor %s: element %d is %v", t.name, i, v)
			}
		}
	}
	for _, t := range tensors {
		values, err := floats(f, t.name)
		if err != nil {
			return err
		}
		t.set(values)
	}
	return nil
}

// readTensor reads a tensor of the file at path, which has it in the right shape,
// straight into a parameter of a new model. One that is not a finite number would
// make every result NaN. Errors name the file and the tensor.
func readTensor(f *safetensors.File, path, name string, p nn.Parameter) error {
	values := p.Values()
	if err := f.CopyFloat32s(values, name); err != nil {
		return err
	}
	for i, v := range values {
		if v-v != 0 { // NaN and infinity
			return fmt.Errorf("%s: tensor %s: element %d is %v", path, name, i, v)
		}
	}
	if s, _ := p.Storage(); s.Device != nil {
		p.SetFloat32s(values)
	}
	return nil
}

// floats returns the values of a tensor that the file has. Its errors, unlike
// those of [safetensors.File.Float32s], leave the path to the caller.
func floats(f *safetensors.File, name string) ([]float32, error) {
	t, _ := f.Tensor(name)
	return t.Float32s()
}
