package prepare

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
)

// maxFooterBytes is the length of the longest footer, and maxItems how many
// structures all the lists in it may have: the library makes room for them
// before it reads them.
const (
	maxFooterBytes = 16 << 20
	maxItems       = 1 << 17
)

// open reads the footer.
func (p *parquetReader) open(size int64) error {
	var tail [8]byte
	if size < int64(len(tail))+4 {
		return fmt.Errorf("it is no Parquet file, of %d bytes", size)
	}
	if _, err := p.r.ReadAt(tail[:], size-int64(len(tail))); err != nil && err != io.EOF {
		return err
	}
	switch magic := string(tail[4:]); magic {
	case "PAR1":
	case "PARE":
		return errors.New("it is encrypted")
	default:
		return fmt.Errorf("it is no Parquet file, or cut short: it ends with %q", magic)
	}
	length := int64(binary.LittleEndian.Uint32(tail[:]))
	if p.end = size - int64(len(tail)) - length; length > maxFooterBytes || p.end < 4 {
		return fmt.Errorf("its footer has %d bytes, want at most %d", length, min(maxFooterBytes, size-12))
	}
	footer := make([]byte, length)
	if _, err := p.r.ReadAt(footer, p.end); err != nil && err != io.EOF {
		return err
	}
	if _, err := checkThrift(footer); err != nil {
		return fmt.Errorf("its footer: %w", err)
	}
	err := guarded(func() (err error) {
		p.file, err = parquet.OpenFile(p.r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
		return err
	})
	if err != nil {
		return fmt.Errorf("its footer: %w", err)
	}
	rows := int64(0)
	for i := range p.file.Metadata().RowGroups {
		n := p.file.Metadata().RowGroups[i].NumRows
		if n < 0 || n > p.file.NumRows()-rows {
			return fmt.Errorf("row group %d has %d rows, of %d", i, n, p.file.NumRows())
		}
		rows += n
	}
	if rows != p.file.NumRows() {
		return fmt.Errorf("its row groups have %d rows, its footer tells %d", rows, p.file.NumRows())
	}
	return nil
}

// guarded makes an error of a panic of the library.
func guarded(f func() error) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("it cannot be parsed: %v", v)
		}
	}()
	return f()
}

// errShort is that of a structure that is cut off.
var errShort = errors.New("it is cut short")

// checkThrift goes over a structure of Thrift in the compact protocol, and
// returns its length. It is an error if a length in it is more than there is,
// if lists have more structures than maxItems, or if it is nested too deep.
func checkThrift(data []byte) (length int, err error) {
	t := thrift{data: data}
	t.structure(0)
	return t.n, t.err
}

// thrift goes over data; after an error it stays where it is.
type thrift struct {
	data  []byte
	n     int
	items int
	err   error
}

func (t *thrift) fail(err error) {
	if t.err == nil {
		t.err = err
	}
}

func (t *thrift) byte() byte {
	if t.skip(1); t.err != nil {
		return 0
	}
	return t.data[t.n-1]
}

func (t *thrift) skip(n uint64) {
	if n > uint64(len(t.data)-t.n) {
		t.fail(errShort)
	}
	if t.err == nil {
		t.n += int(n)
	}
}

func (t *thrift) varint() uint64 {
	v, n := binary.Uvarint(t.data[t.n:])
	if n < 0 {
		t.fail(errors.New("a number is too long"))
	} else if n == 0 {
		t.fail(errShort)
	}
	if t.err != nil {
		return 0
	}
	t.n += n
	return v
}

// maxThriftDepth is how deep structures may be nested.
const maxThriftDepth = 20

// structure goes over fields up to the mark of the end.
func (t *thrift) structure(depth int) {
	for t.err == nil {
		b := t.byte()
		if b == 0 {
			return
		}
		if b>>4 == 0 { // the number of the field follows
			t.varint()
		}
		if kind := b & 15; kind > 2 { // these are true and false
			t.value(kind, depth)
		}
	}
}

func (t *thrift) value(kind byte, depth int) {
	if depth > maxThriftDepth {
		t.fail(errors.New("it is nested too deep"))
		return
	}
	switch kind {
	case 1, 2, 3: // a bool in a list, a byte
		t.skip(1)
	case 4, 5, 6: // integers
		t.varint()
	case 7: // a float
		t.skip(8)
	case 8:
		t.skip(t.varint())
	case 9, 10: // a list, a set
		b := t.byte()
		n := uint64(b >> 4)
		if n == 15 {
			n = t.varint()
		}
		if n > uint64(len(t.data)-t.n) {
			t.fail(errShort)
		}
		if b&15 == 12 {
			if t.items += int(min(n, maxItems+1)); t.items > maxItems {
				t.fail(fmt.Errorf("its lists have more than %d items", maxItems))
			}
		}
		for ; n > 0 && t.err == nil; n-- {
			t.value(b&15, depth+1)
		}
	case 12:
		t.structure(depth + 1)
	default: // a map, which Parquet does not have
		t.fail(fmt.Errorf("it has a value of type %d", kind))
	}
}
