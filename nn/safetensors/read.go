package safetensors

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/internal/osfile"
)

// A File is an open safetensors file. Its methods may be called concurrently,
// except for Close.
type File struct {
	path     string
	mapped   []byte
	tensors  []Tensor // in the order of their data
	index    map[string]int
	metadata map[string]string
}

// Open maps the file at path into memory and checks it: the length and the
// syntax of the header, and that the tensors' sizes follow from type and
// shape, lie in the file, do not overlap and leave no holes. Errors name the
// file and the tensor.
//
// Files of newer versions of the format stay readable: a tensor of a type that
// this package does not know is listed, and only reading its elements is an
// error; members of the header that it does not know are ignored. What Open
// needs of memory is a small multiple of the header, whatever is in it.
//
// The file must not be truncated or overwritten while it is open; replacing or
// removing it is harmless.
func Open(path string) (*File, error) {
	data, err := osfile.Map(path)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	file := &File{path: path, mapped: data}
	if err := file.parse(data); err != nil {
		return nil, fmt.Errorf("safetensors: %s: %w", path, errors.Join(err, osfile.Unmap(data)))
	}
	return file, nil
}

// Close unmaps the file. Tensors and slices obtained from it must not be used
// afterwards.
func (f *File) Close() error {
	data := f.mapped
	*f = File{path: f.path}
	if err := osfile.Unmap(data); err != nil {
		return fmt.Errorf("safetensors: unmap %s: %w", f.path, err)
	}
	return nil
}

// Names returns the names of the tensors in the order of their data.
func (f *File) Names() []string {
	names := make([]string, len(f.tensors))
	for i, t := range f.tensors {
		names[i] = t.Name
	}
	return names
}

// Metadata returns the free-form strings of the header; nil if there are none.
func (f *File) Metadata() map[string]string { return f.metadata }

// Tensor returns the tensor with the given name. Its Data is a view of the
// mapped file: writing to it crashes the program, and it is gone after Close.
func (f *File) Tensor(name string) (Tensor, bool) {
	i, ok := f.index[name]
	if !ok {
		return Tensor{}, false
	}
	return f.tensors[i], true
}

// Float32s returns the elements of the named tensor, converted as Tensor.Float32s
// says, maybe a view of the mapped file, with the limits that Tensor states.
func (f *File) Float32s(name string) ([]float32, error) {
	return lookUp(f, name, Tensor.Float32s)
}

// copyBytes is how many bytes of a tensor CopyFloat32s reads at a time.
const copyBytes = 1 << 20

// CopyFloat32s copies the elements of the named tensor, converted as
// Tensor.Float32s does, to dst, which must have as many. It gives back the memory that the file is
// mapped to as it goes, so that reading a large file takes little more memory than
// what it is read into.
func (f *File) CopyFloat32s(dst []float32, name string) error {
	t, ok := f.Tensor(name)
	if !ok {
		return fmt.Errorf("safetensors: %s: no tensor %q", f.path, name)
	}
	size := t.DType.Size()
	if size == 0 || len(t.Data)/size != len(dst) {
		return fmt.Errorf("safetensors: %s: tensor %q has shape %s of %s, which is not %d numbers",
			f.path, name, shapeString(t.Shape), t.DType, len(dst))
	}
	for data := t.Data; len(data) > 0; data = data[len(t.Data):] {
		t.Data = data[:min(copyBytes, len(data))]
		if t.DType == BF16 { // without a copy on the way, which would be garbage of the size of the model
			n := len(t.Data) / 2
			asm.FromBF16(dst[:n], elements[uint16](t))
			dst = dst[n:]
			osfile.Forget(t.Data)
			continue
		}
		values, err := t.Float32s()
		if err != nil {
			return fmt.Errorf("safetensors: %s: %w", f.path, err)
		}
		dst = dst[copy(dst, values):]
		osfile.Forget(t.Data)
	}
	return nil
}

// Int32s returns the elements of the named tensor of type I32, with the limits
// that Tensor states.
func (f *File) Int32s(name string) ([]int32, error) {
	return lookUp(f, name, Tensor.Int32s)
}

// Int64s returns the elements of the named tensor of type I64, with the limits
// that Tensor states.
func (f *File) Int64s(name string) ([]int64, error) {
	return lookUp(f, name, Tensor.Int64s)
}

func lookUp[T any](f *File, name string, get func(Tensor) ([]T, error)) ([]T, error) {
	t, ok := f.Tensor(name)
	if !ok {
		return nil, fmt.Errorf("safetensors: %s: no tensor %q", f.path, name)
	}
	v, err := get(t)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %s: %w", f.path, err)
	}
	return v, nil
}

// section is what the header says about one tensor.
type section struct {
	tensor     Tensor
	begin, end uint64 // in the data section
}

// parse fills f from the bytes of a whole file.
func (f *File) parse(file []byte) error {
	if len(file) < 8 {
		return fmt.Errorf("%d bytes are too few for a header: %w", len(file), io.ErrUnexpectedEOF)
	}
	n, rest := binary.LittleEndian.Uint64(file), file[8:]
	if n > maxHeader {
		return fmt.Errorf("header length %d exceeds the format's limit of %d", n, maxHeader)
	}
	if n > uint64(len(rest)) {
		return fmt.Errorf("header of %d bytes in a file of %d: %w", n, len(file), io.ErrUnexpectedEOF)
	}
	sections, metadata, err := parseHeader(rest[:n])
	if err != nil {
		return fmt.Errorf("header: %w", err)
	}
	slices.SortStableFunc(sections, func(a, b section) int {
		return cmp.Or(cmp.Compare(a.begin, b.begin), cmp.Compare(a.end, b.end))
	})
	f.metadata = metadata
	f.index = make(map[string]int, len(sections))
	for i, s := range sections {
		if _, ok := f.index[s.tensor.Name]; ok {
			return fmt.Errorf("header: %q occurs twice", shortened(s.tensor.Name))
		}
		f.index[s.tensor.Name] = i
	}
	data := rest[n:]
	f.tensors = make([]Tensor, len(sections))
	var at uint64
	for i, s := range sections {
		if err := s.place(at, data); err != nil {
			return fmt.Errorf("tensor %q: %w", shortened(s.tensor.Name), err)
		}
		s.tensor.Data = data[s.begin:s.end:s.end]
		f.tensors[i] = s.tensor
		at = s.end
	}
	if at != uint64(len(data)) {
		return fmt.Errorf("the tensors take %d bytes, but the data section has %d", at, len(data))
	}
	return nil
}

// place checks the offsets of a section that must begin at the given offset.
func (s *section) place(at uint64, data []byte) error {
	size := s.end - s.begin // that of a type which this package does not know
	if s.tensor.DType.Size() > 0 {
		known, err := s.tensor.byteSize()
		if err != nil {
			return err
		}
		size = uint64(known)
	}
	switch {
	case s.end < s.begin:
		return fmt.Errorf("data offsets [%d %d] are reversed", s.begin, s.end)
	case s.end > uint64(len(data)):
		return fmt.Errorf("data offsets [%d %d] exceed the data section of %d bytes: %w",
			s.begin, s.end, len(data), io.ErrUnexpectedEOF)
	case s.end-s.begin != size:
		return fmt.Errorf("data offsets [%d %d] hold %d bytes, but shape %s of %s needs %d",
			s.begin, s.end, s.end-s.begin, shapeString(s.tensor.Shape), s.tensor.DType, size)
	case s.begin < at:
		return fmt.Errorf("data offsets [%d %d] overlap the tensor that ends at %d", s.begin, s.end, at)
	case s.begin > at:
		return fmt.Errorf("data offsets [%d %d] leave a hole from %d", s.begin, s.end, at)
	}
	return nil
}
