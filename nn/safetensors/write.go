package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"
)

const (
	maxHeader   = 100_000_000 // bytes, the limit of the reference implementation
	metadataKey = "__metadata__"
)

// Write writes a safetensors file with the given tensors and metadata (which
// may be nil). The file depends on the set of tensors only, not on their
// order: they are stored by descending element size, then by name, so that
// each is aligned to its element size and the data section begins at a
// multiple of 8 bytes. Each tensor's Data is passed to w as it is.
//
// An error names the tensor whose name, type, shape and data do not agree, or
// wraps the error of w.
func Write(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	return WriteWith(w, tensors, metadata, nil)
}

// WriteWith is Write for tensors that need not be in memory all at once. When it is the
// turn of one whose Data is nil, data is called, and must write as many bytes as type
// and shape have.
func WriteWith(
	w io.Writer, tensors []Tensor, metadata map[string]string, data func(w io.Writer, t Tensor) error,
) error {
	sorted := slices.SortedFunc(slices.Values(tensors), func(a, b Tensor) int {
		return cmp.Or(cmp.Compare(b.DType.Size(), a.DType.Size()), cmp.Compare(a.Name, b.Name))
	})
	later := func(t Tensor) bool { return t.Data == nil && data != nil }
	header, err := encodeHeader(sorted, metadata, later)
	if err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	if _, err := w.Write(header); err != nil {
		return fmt.Errorf("safetensors: write header: %w", err)
	}
	for _, t := range sorted {
		if later(t) {
			err = writeLater(w, t, data)
		} else {
			_, err = w.Write(t.Data)
		}
		if err != nil {
			return fmt.Errorf("safetensors: write tensor %q: %w", t.Name, err)
		}
	}
	return nil
}

// writeLater lets data write a tensor.
func writeLater(w io.Writer, t Tensor, data func(w io.Writer, t Tensor) error) error {
	want, err := t.byteSize()
	if err != nil {
		return err
	}
	counted := &countingWriter{w: w}
	if err := data(counted, t); err != nil {
		return err
	}
	if counted.n != want {
		return fmt.Errorf("%d bytes were written, but shape %s of %s needs %d", counted.n, shapeString(t.Shape), t.DType,
			want)
	}
	return nil
}

type countingWriter struct {
	w io.Writer
	n int
}

func (c *countingWriter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += n
	return n, err
}

// encodeHeader returns the length prefix and the padded JSON header of a file
// that holds the tensors in the given order, of which some get their data later.
func encodeHeader(tensors []Tensor, metadata map[string]string, later func(Tensor) bool) ([]byte, error) {
	for k, v := range metadata {
		if !utf8.ValidString(k) || !utf8.ValidString(v) {
			return nil, fmt.Errorf("metadata %q: %q is not valid UTF-8", k, v)
		}
	}
	var b bytes.Buffer
	b.Write(make([]byte, 8))
	separator := byte('{')
	entry := func(key string, value any) error {
		b.WriteByte(separator)
		separator = ','
		k, err := json.Marshal(key)
		if err != nil {
			return err
		}
		v, err := json.Marshal(value)
		if err != nil {
			return err
		}
		b.Write(k)
		b.WriteByte(':')
		b.Write(v)
		return nil
	}
	if len(metadata) > 0 {
		if err := entry(metadataKey, metadata); err != nil {
			return nil, err
		}
	}
	offset := 0
	seen := make(map[string]bool, len(tensors))
	for _, t := range tensors {
		size, err := t.check(later(t))
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		if seen[t.Name] {
			return nil, fmt.Errorf("two tensors are named %q", t.Name)
		}
		seen[t.Name] = true
		info := struct {
			DType   DType  `json:"dtype"`
			Shape   []int  `json:"shape"`
			Offsets [2]int `json:"data_offsets"`
		}{t.DType, append([]int{}, t.Shape...), [2]int{offset, offset + size}}
		if err := entry(t.Name, info); err != nil {
			return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		offset += size
	}
	if separator == '{' {
		b.WriteByte('{')
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	n := b.Len() - 8
	if n > maxHeader {
		return nil, fmt.Errorf("header of %d bytes exceeds the format's limit of %d", n, maxHeader)
	}
	binary.LittleEndian.PutUint64(b.Bytes(), uint64(n))
	return b.Bytes(), nil
}

// check returns the size of a tensor in bytes, or reports what keeps it from being
// written.
func (t Tensor) check(later bool) (size int, err error) {
	switch {
	case t.Name == metadataKey:
		return 0, errors.New("the name is reserved")
	case !utf8.ValidString(t.Name):
		return 0, errors.New("the name is not valid UTF-8")
	}
	want, err := t.byteSize()
	if err != nil {
		return 0, err
	}
	if len(t.Data) != want && !later {
		return 0, fmt.Errorf("%d bytes of data, but shape %s of %s needs %d", len(t.Data), shapeString(t.Shape), t.DType,
			want)
	}
	return want, nil
}
