package index

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"

	"github.com/marge-go/marge/internal/osfile"
)

// Merge writes the vectors and records of files that [Flat.Save] wrote, one after
// the other, as one such file with vectors of precision p. The file appears whole or
// not at all. Parts are opened one at a time: Merge needs the memory of where the records of
// one end, 8 bytes for each, and of some blocks of vectors, however large the parts
// are together.
//
// Parts must have one dimension and one [Flat.Origin]. An error names the part; it is
// one if there is none, if its checksum is another, or if p does not hold a value.
func Merge(ctx context.Context, path string, parts []string, p Precision) error {
	m := &merging{ctx: ctx, parts: parts}
	if int(p) >= len(precisionNames) {
		panic(fmt.Sprintf("index: merge: no %v", p))
	}
	m.precision = p
	if err := m.check(); err != nil {
		return fmt.Errorf("index: merge: %w", err)
	}
	err := osfile.Replace(path, func(f *os.File) error { return writeFlat(f, m.header, m.write) })
	if err != nil {
		return fmt.Errorf("index: merge %s: %w", path, err)
	}
	return nil
}

type merging struct {
	header
	ctx   context.Context
	parts []string
}

// each opens the parts in turn.
func (m *merging) each(do func(f *Flat) error) error {
	for _, path := range m.parts {
		if err := m.ctx.Err(); err != nil {
			return err
		}
		f, err := OpenFlat(path)
		if err != nil {
			return err
		}
		if err := errors.Join(do(f), f.Close()); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// check reads all parts and fills in the header.
func (m *merging) check() error {
	if len(m.parts) == 0 {
		return errors.New("there are no parts")
	}
	err := m.each(func(f *Flat) error {
		switch {
		case m.dim == 0:
			m.dim, m.origin = uint32(f.Dim()), f.Origin
		case uint32(f.Dim()) != m.dim:
			return fmt.Errorf("it has vectors of dimension %d, %s of %d", f.Dim(), m.parts[0], m.dim)
		case f.Origin != m.origin:
			return fmt.Errorf("it was made by %x, %s by %x: their vectors cannot be compared",
				f.Origin[:8], m.parts[0], m.origin[:8])
		}
		m.count += uint64(f.Len())
		m.recordBytes += uint64(len(f.records))
		return f.Verify()
	})
	if err == nil && m.count > math.MaxInt32 {
		err = fmt.Errorf("%d vectors, at most %d are possible", m.count, math.MaxInt32)
	}
	return err
}

// write writes what follows the header.
func (m *merging) write(w io.Writer) error {
	steps := []func(w io.Writer, f *Flat) error{m.writer((*stored).writeValues)}
	if m.precision == Int8 {
		scales := m.writer(func(s *stored, w io.Writer) error { return writeNumbers(w, s.scales) })
		steps = append([]func(io.Writer, *Flat) error{scales}, steps...)
	}
	if m.recordBytes > 0 {
		before := uint64(0)
		steps = append(steps, func(w io.Writer, f *Flat) error {
			f.endRecords()
			for i := range f.ends {
				f.ends[i] += before
			}
			before += uint64(len(f.records))
			return writeNumbers(w, f.ends)
		}, func(w io.Writer, f *Flat) error {
			_, err := w.Write(f.records)
			return err
		})
	}
	for _, step := range steps {
		if err := m.each(func(f *Flat) error { return step(w, f) }); err != nil {
			return err
		}
	}
	return nil
}

// writer returns a step that writes vectors of a part, converted.
func (m *merging) writer(write func(s *stored, w io.Writer) error) func(w io.Writer, f *Flat) error {
	return func(w io.Writer, f *Flat) error {
		for from := 0; from < f.Len(); from += convertedRows {
			if err := m.ctx.Err(); err != nil {
				return err
			}
			s := stored{precision: m.precision, dim: f.Dim()}
			if err := s.addFrom(&f.stored, from, min(from+convertedRows, f.Len())); err != nil {
				return fmt.Errorf("as %v: from vector %d on: %w", m.precision, from, err)
			}
			if err := write(&s, w); err != nil {
				return err
			}
		}
		return nil
	}
}
