package marge

import (
	"errors"
	"fmt"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/internal/osfile"
	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/nn/safetensors"
	"github.com/marge-go/marge/tensor"
)

// quantizedInt8 is Config.Quantization of models with int8 matrices. In a file, the
// scales of the rows of such a matrix have its name and scaleSuffix.
const (
	quantizedInt8 = "int8"
	scaleSuffix   = "_scale"
)

// Quantize makes the model one for inference: token embeddings, which are the output
// projection too, and the matrices of attention, feed-forward networks and the features
// of g become int8 values with a float32 scale for each row, see
// [tensor.Tensor.Quantize]. That is about a quarter of the memory, and of what every
// step of generation reads. Position embeddings, norms, biases and heads stay float32,
// as do attention, softmax and all sums but those of the products.
//
// A weight is off by at most 1/254 of the greatest of its row, and so is what it is
// multiplied by, of its token. Errors of many products mostly cancel: vectors of g keep
// a cosine of more than 0.99 with those before. But they are others, so indexes have to
// be made anew. But for GELU, softmax, norms and attention, results have the same bits
// on all processors.
//
// [Model.Save] keeps the values, so a model can be quantised once and loaded often.
// Training the model is an error afterwards. It is an error if the backend has no
// products of int8 matrices, as only the CPU has, if a matrix is too wide, see
// [asm.MaxInt8Cols], or a weight is not finite. Then the model is as it was. Nobody may
// be using it.
func (m *Model) Quantize() (err error) {
	defer tensor.Recover(&err)
	if m.Config.Quantization != "" {
		return errors.New("quantize: the model is quantised already")
	}
	int8s := m.int8s()
	for _, p := range m.params {
		if !int8s[p.Name] {
			continue
		}
		if width := p.Dim(1); width > asm.MaxInt8Cols {
			return fmt.Errorf("quantize: %s is %v, which has more than %d columns", p.Name, p.Tensor, asm.MaxInt8Cols)
		}
		for i, v := range p.Values() {
			if !finite(float64(v)) {
				return fmt.Errorf("quantize: %s: element %d is %v", p.Name, i, v)
			}
		}
	}
	for _, p := range m.params {
		if int8s[p.Name] {
			if err := p.Quantize(); err != nil { // of the first: the backend cannot
				return fmt.Errorf("quantize: %s: %w", p.Name, err)
			}
		}
	}
	m.Config.Quantization = quantizedInt8
	m.revision.Add(1)
	return nil
}

// int8s returns the names of the parameters that Quantize makes int8.
func (m *Model) int8s() map[string]bool {
	names := map[string]bool{}
	for p := range m.Config.paramShapes() {
		if p.int8 {
			names[p.name] = true
		}
	}
	return names
}

// mustTrain returns an error if the model cannot be trained.
func (m *Model) mustTrain() error {
	if m.Config.Quantization != "" {
		return fmt.Errorf("the model is quantised to %s, which is for inference: train the model that it was made of",
			m.Config.Quantization)
	}
	return nil
}

// readInt8 is readTensor for an int8 matrix and its scales.
func readInt8(f *safetensors.File, path, name string, p nn.Parameter) error {
	t, _ := f.Tensor(name)
	q, err := t.Int8s()
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	scales, err := floats(f, name+scaleSuffix)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	if err := p.SetInt8s(q, scales); err != nil {
		return fmt.Errorf("%s: tensor %s: %w", path, name, err)
	}
	osfile.Forget(t.Data)
	return nil
}

// int8Tensors returns a parameter as readInt8 reads it.
func int8Tensors(p nn.Parameter) []safetensors.Tensor {
	q, scales := p.Int8s()
	return []safetensors.Tensor{safetensors.Int8(p.Name, p.Shape(), q),
		safetensors.Float32(p.Name+scaleSuffix, p.Shape()[:1], scales)}
}
