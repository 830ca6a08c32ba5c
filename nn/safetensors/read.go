package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"unicode/utf8"
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
// The file must not be truncated or overwritten while it is open; replacing or
// removing it is harmless.
func Open(path string) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("safetensors: %s is not a regular file", path)
	}
	if info.Size() > math.MaxInt {
		return nil, fmt.Errorf("safetensors: %s: %d bytes do not fit in the address space", path, info.Size())
	}
	if info.Size() < 8 {
		return nil, fmt.Errorf("safetensors: %s: %d bytes are too few for a header: %w", path, info.Size(), io.ErrUnexpectedEOF)
	}
	data, err := mapFile(f, int(info.Size()))
	if err != nil {
		return nil, fmt.Errorf("safetensors: map %s: %w", path, err)
	}
	file := &File{path: path, mapped: data}
	if err := file.parse(data); err != nil {
		return nil, fmt.Errorf("safetensors: %s: %w", path, errors.Join(err, unmapFile(data)))
	}
	return file, nil
}

// Close unmaps the file. Tensors and slices obtained from it must not be used
// afterwards.
func (f *File) Close() error {
	data := f.mapped
	*f = File{path: f.path}
	if data == nil {
		return nil
	}
	if err := unmapFile(data); err != nil {
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

// Float32s returns the elements of the named tensor, converted from BF16 or
// F16 if need be. Like Tensor.Float32s it may be a view of the mapped file,
// with the limits that Tensor states.
func (f *File) Float32s(name string) ([]float32, error) {
	return lookUp(f, name, Tensor.Float32s)
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
	data := rest[n:]
	f.metadata = metadata
	f.tensors = make([]Tensor, len(sections))
	f.index = make(map[string]int, len(sections))
	var at uint64
	for i, s := range sections {
		if err := s.place(at, data); err != nil {
			return fmt.Errorf("tensor %q: %w", s.tensor.Name, err)
		}
		s.tensor.Data = data[s.begin:s.end:s.end]
		f.tensors[i] = s.tensor
		f.index[s.tensor.Name] = i
		at = s.end
	}
	if at != uint64(len(data)) {
		return fmt.Errorf("the tensors take %d bytes, but the data section has %d", at, len(data))
	}
	return nil
}

// place checks the offsets of a section that must begin at the given offset.
func (s *section) place(at uint64, data []byte) error {
	size, err := s.tensor.byteSize()
	switch {
	case err != nil:
		return err
	case s.end < s.begin:
		return fmt.Errorf("data offsets [%d %d] are reversed", s.begin, s.end)
	case s.end > uint64(len(data)):
		return fmt.Errorf("data offsets [%d %d] exceed the data section of %d bytes: %w", s.begin, s.end, len(data), io.ErrUnexpectedEOF)
	case s.end-s.begin != uint64(size):
		return fmt.Errorf("data offsets [%d %d] hold %d bytes, but shape %s of %s needs %d",
			s.begin, s.end, s.end-s.begin, shapeString(s.tensor.Shape), s.tensor.DType, size)
	case s.begin < at:
		return fmt.Errorf("data offsets [%d %d] overlap the tensor that ends at %d", s.begin, s.end, at)
	case s.begin > at:
		return fmt.Errorf("data offsets [%d %d] leave a hole from %d", s.begin, s.end, at)
	}
	return nil
}

// parseHeader reads the JSON header strictly: unlike encoding/json it refuses
// repeated names, names in other case, and invalid UTF-8.
func parseHeader(header []byte) (sections []section, metadata map[string]string, err error) {
	if len(header) == 0 || header[0] != '{' {
		return nil, nil, errors.New("not a JSON object")
	}
	if !utf8.Valid(header) {
		return nil, nil, errors.New("not valid UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(header))
	seen := make(map[string]bool)
	err = object(d, func(key string) error {
		if seen[key] {
			return fmt.Errorf("%q occurs twice", key)
		}
		seen[key] = true
		if key == metadataKey {
			metadata, err = parseMetadata(d)
			return err
		}
		s := section{tensor: Tensor{Name: key}}
		if err := s.parse(d); err != nil {
			return fmt.Errorf("tensor %q: %w", key, err)
		}
		sections = append(sections, s)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	if rest := bytes.TrimLeft(header[d.InputOffset():], " \t\r\n"); len(rest) > 0 {
		return nil, nil, fmt.Errorf("%d bytes after the JSON object", len(rest))
	}
	return sections, metadata, nil
}

func parseMetadata(d *json.Decoder) (map[string]string, error) {
	m := make(map[string]string)
	err := object(d, func(key string) error {
		if _, ok := m[key]; ok {
			return fmt.Errorf("%q occurs twice", key)
		}
		v, err := d.Token()
		if err != nil {
			return err
		}
		s, ok := v.(string)
		if !ok {
			return fmt.Errorf("%q is not a string", key)
		}
		m[key] = s
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", metadataKey, err)
	}
	return m, nil
}

// parse reads {"dtype": ..., "shape": [...], "data_offsets": [begin, end]}.
func (s *section) parse(d *json.Decoder) error {
	var shape, offsets []*uint64
	var seen []string
	err := object(d, func(key string) error {
		if slices.Contains(seen, key) {
			return fmt.Errorf("%q occurs twice", key)
		}
		seen = append(seen, key)
		switch key {
		case "dtype":
			return d.Decode(&s.tensor.DType)
		case "shape":
			return d.Decode(&shape)
		case "data_offsets":
			return d.Decode(&offsets)
		}
		return fmt.Errorf("unknown field %q", key)
	})
	switch {
	case err != nil:
		return err
	case s.tensor.DType == "":
		return errors.New("no dtype")
	case shape == nil:
		return errors.New("no shape")
	case len(offsets) != 2 || offsets[0] == nil || offsets[1] == nil:
		return errors.New("data_offsets are not two integers")
	}
	s.begin, s.end = *offsets[0], *offsets[1]
	s.tensor.Shape = make([]int, len(shape))
	for i, n := range shape {
		if n == nil || *n > math.MaxInt {
			return fmt.Errorf("dimension %d of the shape is not an integer in range", i)
		}
		s.tensor.Shape[i] = int(*n)
	}
	return nil
}

// object reads a JSON object and calls member after each key, which must read
// the value.
func object(d *json.Decoder, member func(key string) error) error {
	if t, err := d.Token(); err != nil {
		return unexpectedEOF(err)
	} else if t != json.Delim('{') {
		return fmt.Errorf("found %v instead of an object", t)
	}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return unexpectedEOF(err)
		}
		// Where a key may stand the decoder returns strings only.
		if err := member(t.(string)); err != nil {
			return unexpectedEOF(err)
		}
	}
	_, err := d.Token()
	return unexpectedEOF(err)
}

func unexpectedEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
