package index

import (
	"fmt"
	"math"
	"slices"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/marge/vectors"
)

// Precision is how a [Flat] keeps the values of vectors. Queries, and what they are
// compared with, are float32 in any case.
type Precision uint8

// The precisions. What a vector of another than Float32 loses changes which of nearly
// equal scores is the greater.
const (
	Float32  Precision = iota
	BFloat16           // half the memory: 8 bits of precision, rounded to nearest even
	Int8               // a quarter, and a scale for each vector, see asm.QuantizeInt8
)

var precisionNames = [...]string{Float32: "float32", BFloat16: "bfloat16", Int8: "int8"}

// String returns the name that ParsePrecision takes.
func (p Precision) String() string {
	if int(p) < len(precisionNames) {
		return precisionNames[p]
	}
	return fmt.Sprintf("Precision(%d)", uint8(p))
}

// ParsePrecision returns the precision of a name: float32, bfloat16 or int8.
func ParsePrecision(name string) (Precision, error) {
	if i := slices.Index(precisionNames[:], name); i >= 0 {
		return Precision(i), nil
	}
	return Float32, fmt.Errorf("index: unknown precision %q (have float32, bfloat16, int8)", name)
}

// bytes returns the memory of a vector with dim values.
func (p Precision) bytes(dim uint32) uint64 {
	switch p {
	case BFloat16:
		return 2 * uint64(dim)
	case Int8:
		return 4 + uint64(dim)
	}
	return 4 * uint64(dim)
}

// mostReduced is the greatest magnitude that all precisions hold.
const mostReduced = 3.38e38

// stored are rows of dim values in some precision, in one of the slices.
type stored struct {
	precision Precision
	dim       int
	f32       []float32
	bf16      []uint16
	int8      []int8
	scales    []float32 // of the rows of int8
}

// count returns the number of rows.
func (s *stored) count() int { return (len(s.f32) + len(s.bf16) + len(s.int8)) / s.dim }

// check returns an error if the precision does not hold a value.
func (s *stored) check(rows []float32) error {
	if err := vectors.CheckFinite(rows, s.dim); err != nil || s.precision == Float32 {
		return err
	}
	for i, v := range rows {
		if math.Abs(float64(v)) > mostReduced {
			return fmt.Errorf("vector %d has the value %v at position %d, more than %v, which %v does not hold",
				i/s.dim, v, i%s.dim, mostReduced, s.precision)
		}
	}
	return nil
}

// finite returns an error if one of the first n rows has a value that is not finite.
func (s *stored) finite(n int) error {
	if s.precision == Float32 {
		return vectors.CheckFinite(s.f32[:n*s.dim], s.dim)
	}
	var buf []float32
	for from := 0; from < n; from += convertedRows {
		if err := vectors.CheckFinite(s.rows(from, min(from+convertedRows, n), &buf), s.dim); err != nil {
			return fmt.Errorf("from vector %d on: %w", from, err)
		}
	}
	return nil
}

// add copies rows that check has passed.
func (s *stored) add(rows []float32) {
	switch s.precision {
	case Float32:
		s.f32 = append(s.f32, rows...)
	case BFloat16:
		from := len(s.bf16)
		s.bf16 = slices.Grow(s.bf16, len(rows))[:from+len(rows)]
		asm.ToBF16(s.bf16[from:], rows)
	case Int8:
		from := len(s.int8)
		s.int8 = slices.Grow(s.int8, len(rows))[:from+len(rows)]
		for ; len(rows) > 0; rows, from = rows[s.dim:], from+s.dim {
			s.scales = append(s.scales, asm.QuantizeInt8(s.int8[from:from+s.dim], rows[:s.dim]))
		}
	}
}

// rows returns rows from to to-1: those kept, if they are float32, or converted in buf,
// which is made larger if need be.
func (s *stored) rows(from, to int, buf *[]float32) []float32 {
	lo, hi := from*s.dim, to*s.dim
	if s.precision == Float32 {
		return s.f32[lo:hi:hi]
	}
	if cap(*buf) < hi-lo {
		*buf = make([]float32, hi-lo)
	}
	values := (*buf)[:hi-lo]
	if s.precision == BFloat16 {
		asm.FromBF16(values, s.bf16[lo:hi])
		return values
	}
	for i := from; i < to; i++ {
		at := i * s.dim
		asm.DequantizeInt8(values[at-lo:at-lo+s.dim], s.int8[at:at+s.dim], s.scales[i])
	}
	return values
}

// part returns a copy of rows from to to-1.
func (s *stored) part(from, to int) stored {
	lo, hi := from*s.dim, to*s.dim
	p := stored{precision: s.precision, dim: s.dim}
	switch s.precision {
	case Float32:
		p.f32 = slices.Clone(s.f32[lo:hi])
	case BFloat16:
		p.bf16 = slices.Clone(s.bf16[lo:hi])
	case Int8:
		p.int8, p.scales = slices.Clone(s.int8[lo:hi]), slices.Clone(s.scales[from:to])
	}
	return p
}

// blockRows is how many rows a search converts at once: they stay in the second-level
// cache.
func (s *stored) blockRows() int {
	if s.precision == Float32 {
		return vectorBlock
	}
	return min(vectorBlock, max(16, 1<<16/s.dim))
}

// convertedRows is how many rows As and Verify convert at once.
const convertedRows = 1 << 10

// As returns a copy of the index, with its records, that keeps vectors in a precision,
// those that are added later as well. It is an error if that does not hold a value.
func (f *Flat) As(p Precision) (*Flat, error) {
	if int(p) >= len(precisionNames) {
		panic(fmt.Sprintf("index: as: no %v", p))
	}
	if p == f.stored.precision {
		return f.Part(0, f.Len()), nil
	}
	as := &Flat{Origin: f.Origin, stored: stored{precision: p, dim: f.Dim()},
		records: slices.Clone(f.records), ends: slices.Clone(f.ends)}
	for from := 0; from < f.Len(); from += convertedRows {
		if err := as.stored.addFrom(&f.stored, from, min(from+convertedRows, f.Len())); err != nil {
			return nil, fmt.Errorf("index: as %v: from vector %d on: %w", p, from, err)
		}
	}
	return as, nil
}

// addFrom adds rows from to to-1 of other, with their bits where the precision is the same.
func (s *stored) addFrom(other *stored, from, to int) error {
	if s.precision == Int8 && other.precision == Int8 {
		s.int8 = append(s.int8, other.int8[from*s.dim:to*s.dim]...)
		s.scales = append(s.scales, other.scales[from:to]...)
		return nil
	}
	var buf []float32
	rows := other.rows(from, to, &buf)
	if err := s.check(rows); err != nil {
		return err
	}
	s.add(rows)
	return nil
}

// Precision returns how the index keeps vectors.
func (f *Flat) Precision() Precision { return f.stored.precision }
