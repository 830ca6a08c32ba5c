package safetensors

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"
)

// maxDimensions bounds the length of a shape. No library that writes the
// format has tensors of more than 64 dimensions.
const maxDimensions = 64

// parseHeader reads the JSON header. Names are compared letter by letter, and
// none may occur twice; those of tensors are left to the caller. Members that
// are unknown or null are skipped.
func parseHeader(header []byte) (sections []section, metadata map[string]string, err error) {
	if len(header) == 0 || header[0] != '{' {
		return nil, nil, errors.New("not a JSON object")
	}
	// Names are compared here with fewer copies than the decoder makes.
	d := jsontext.NewDecoder(bytes.NewBuffer(header), jsontext.AllowDuplicateNames(true))
	// At most six times the header, and no more copies as it grows.
	sections = make([]section, 0, bytes.Count(header, []byte(`"data_offsets"`)))
	hasMetadata := false
	err = object(d, func(key string) error {
		if key == metadataKey {
			if hasMetadata {
				return fmt.Errorf("%q occurs twice", key)
			}
			hasMetadata = true
			metadata, err = parseMetadata(d)
			return err
		}
		if d.PeekKind() == 'n' {
			return d.SkipValue()
		}
		s := section{tensor: Tensor{Name: key}}
		if err := s.parse(d); err != nil {
			return fmt.Errorf("tensor %q: %w", shortened(key), err)
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

func parseMetadata(d *jsontext.Decoder) (map[string]string, error) {
	if d.PeekKind() == 'n' {
		return nil, d.SkipValue()
	}
	m := make(map[string]string)
	err := object(d, func(key string) error {
		if _, ok := m[key]; ok {
			return fmt.Errorf("%q occurs twice", shortened(key))
		}
		if kind := d.PeekKind(); kind != '"' && kind != jsontext.KindInvalid {
			return fmt.Errorf("%q is not a string", shortened(key))
		}
		t, err := d.ReadToken()
		if err != nil {
			return err
		}
		m[key] = t.String()
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", metadataKey, err)
	}
	return m, nil
}

// parse reads {"dtype": ..., "shape": [...], "data_offsets": [begin, end]}.
func (s *section) parse(d *jsontext.Decoder) error {
	var seen struct{ dtype, shape, offsets bool }
	once := func(seen *bool, key string) error {
		if *seen {
			return fmt.Errorf("%q occurs twice", key)
		}
		*seen = true
		return nil
	}
	err := object(d, func(key string) (err error) {
		if d.PeekKind() == 'n' {
			return d.SkipValue()
		}
		switch key {
		case "dtype":
			if err := once(&seen.dtype, key); err != nil {
				return err
			}
			s.tensor.DType, err = parseDType(d)
		case "shape":
			if err := once(&seen.shape, key); err != nil {
				return err
			}
			s.tensor.Shape, err = parseShape(d)
		case "data_offsets":
			if err := once(&seen.offsets, key); err != nil {
				return err
			}
			err = s.parseOffsets(d)
		default:
			return d.SkipValue()
		}
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case s.tensor.DType == "":
		return errors.New("no dtype")
	case !seen.shape:
		return errors.New("no shape")
	case !seen.offsets:
		return errors.New("no data_offsets")
	}
	return nil
}

// dtypes keeps a header of many tensors from having many copies of their types.
var dtypes = func() map[string]DType {
	m := make(map[string]DType)
	for _, t := range []DType{F64, F32, F16, BF16, F8E4M3, F8E5M2, I64, I32, I16, I8, U64, U32, U16, U8, Bool} {
		m[string(t)] = t
	}
	return m
}()

func parseDType(d *jsontext.Decoder) (DType, error) {
	v, err := d.ReadValue()
	if err != nil {
		return "", err
	}
	if v.Kind() != '"' {
		return "", errors.New("not a string")
	}
	if t, ok := dtypes[string(v[1:len(v)-1])]; ok {
		return t, nil
	}
	name, err := jsontext.AppendUnquote(nil, v)
	return DType(name), err
}

func parseShape(d *jsontext.Decoder) ([]int, error) {
	shape := []int{}
	err := integers(d, func(n uint64) error {
		if len(shape) == maxDimensions {
			return fmt.Errorf("more than %d dimensions", maxDimensions)
		}
		if n > math.MaxInt {
			return fmt.Errorf("dimension %d does not fit this machine: %d", len(shape), n)
		}
		shape = append(shape, int(n))
		return nil
	})
	return shape, err
}

func (s *section) parseOffsets(d *jsontext.Decoder) error {
	var offsets [2]uint64
	n := 0
	err := integers(d, func(offset uint64) error {
		if n == len(offsets) {
			return errors.New("more than two")
		}
		offsets[n] = offset
		n++
		return nil
	})
	if err == nil && n < len(offsets) {
		err = errors.New("fewer than two")
	}
	s.begin, s.end = offsets[0], offsets[1]
	return err
}

// integers reads a JSON array of integers that are not negative.
func integers(d *jsontext.Decoder, each func(uint64) error) error {
	if err := begin(d, '[', "an array"); err != nil {
		return err
	}
	for d.PeekKind() != ']' {
		v, err := d.ReadValue()
		if err != nil {
			return unexpectedEOF(err)
		}
		n, err := strconv.ParseUint(string(v), 10, 64)
		if err != nil {
			return fmt.Errorf("%s is not an integer in range", shortened(string(v)))
		}
		if err := each(n); err != nil {
			return err
		}
	}
	_, err := d.ReadToken()
	return unexpectedEOF(err)
}

// object reads a JSON object and calls member after each name, which must read
// the value.
func object(d *jsontext.Decoder, member func(key string) error) error {
	if err := begin(d, '{', "an object"); err != nil {
		return err
	}
	for d.PeekKind() != '}' {
		t, err := d.ReadToken()
		if err != nil {
			return unexpectedEOF(err)
		}
		if err := member(t.String()); err != nil {
			return unexpectedEOF(err)
		}
	}
	_, err := d.ReadToken()
	return unexpectedEOF(err)
}

// begin reads the token that an array or an object begins with.
func begin(d *jsontext.Decoder, kind jsontext.Kind, name string) error {
	t, err := d.ReadToken()
	if err != nil {
		return unexpectedEOF(err)
	}
	if t.Kind() != kind {
		return fmt.Errorf("found %s instead of %s", shortened(t.String()), name)
	}
	return nil
}

func unexpectedEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// shortened returns a name or a value for an error; hostile ones may have
// millions of bytes.
func shortened(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return s[:most] + "..."
}
