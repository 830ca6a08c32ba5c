package prepare

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"
)

// deltas are the values of a page in an encoding of differences. Integers
// (DELTA_BINARY_PACKED) are numbers; of texts, the numbers are the lengths, and
// the texts follow (DELTA_LENGTH_BYTE_ARRAY), or what is left of them without the
// beginning that each has in common with the one before (DELTA_BYTE_ARRAY).
type deltas struct {
	size    int // of an integer, in bytes, or 0
	common  deltaNumbers
	numbers deltaNumbers
	text    []byte
	value   []byte // the last one
	total   int    // bytes of the values so far
}

// newDeltas begins a page of values of a kind.
func newDeltas(encoding format.Encoding, kind parquet.Kind, data []byte) (*deltas, error) {
	var d deltas
	var err error
	if encoding == format.DeltaBinaryPacked != (kind != parquet.ByteArray) {
		return nil, fmt.Errorf("values of type %v have the encoding %v", kind, encoding)
	}
	switch kind {
	case parquet.Int32:
		d.size = 4
	case parquet.Int64:
		d.size = 8
	}
	if encoding == format.DeltaByteArray {
		if d.common, data, err = newDeltaNumbers(data); err != nil {
			return nil, fmt.Errorf("lengths of what values have in common: %w", err)
		}
	}
	if d.numbers, d.text, err = newDeltaNumbers(data); err != nil {
		return nil, fmt.Errorf("numbers: %w", err)
	}
	if encoding == format.DeltaByteArray && d.common.left != d.numbers.left {
		return nil, fmt.Errorf("%d values have something in common, of %d", d.common.left, d.numbers.left)
	}
	return &d, nil
}

// next returns the next value, which is valid until the next call.
func (d *deltas) next() ([]byte, error) {
	if d.numbers.left == 0 {
		return nil, errors.New("values are missing")
	}
	n := d.numbers.next()
	if d.size > 0 {
		d.value = binary.LittleEndian.AppendUint64(d.value[:0], uint64(n))[:d.size]
		return d.value, nil
	}
	common := int64(0)
	if d.common.left > 0 {
		common = d.common.next()
	}
	if common < 0 || common > int64(len(d.value)) {
		return nil, fmt.Errorf("a value has %d bytes in common with one of %d", common, len(d.value))
	}
	if n < 0 || n > int64(len(d.text)) {
		return nil, errShort
	}
	// A few bytes may stand for any number of long values.
	if d.total += int(common + n); d.total > maxPageBytes {
		return nil, fmt.Errorf("its values have more than %d bytes", maxPageBytes)
	}
	d.value = append(d.value[:common], d.text[:n]...)
	d.text = d.text[n:]
	if !utf8.Valid(d.value) {
		return nil, errors.New("a value is not UTF-8")
	}
	return d.value, nil
}

func (d *deltas) done() bool { return d.numbers.left == 0 && len(d.text) == 0 }

// deltaNumbers reads integers of which the differences are packed, those of a
// part of a block with equally many bits. The differences wrap around.
type deltaNumbers struct {
	data   []byte // the blocks that are not read
	left   int    // numbers that are not read
	value  int64  // the next one
	parts  int    // of a block
	size   int    // of a part, in numbers
	least  int64  // difference of the block
	widths []byte // of parts of the block that are left
	width  int    // bits of a difference of the part
	packed []byte // the part
	bit    int    // of the next difference in the part
	ready  int    // differences of the part that are left
}

// newDeltaNumbers returns the numbers that data begins with, and what follows
// them. That all of them are there is known then.
func newDeltaNumbers(data []byte) (d deltaNumbers, rest []byte, err error) {
	if len(data) == 0 { // as there may be for nulls only
		return d, nil, nil
	}
	var head [3]uint64 // numbers of a block, parts of a block, numbers
	for i := range head {
		n := 0
		if head[i], n = binary.Uvarint(data); n <= 0 {
			return d, nil, errShort
		}
		data = data[n:]
	}
	block, parts, count := head[0], head[1], head[2]
	if parts == 0 || parts > block || block > math.MaxInt32 || block%(32*parts) != 0 || count > math.MaxInt32 {
		return d, nil, fmt.Errorf("%d numbers in blocks of %d in %d parts", count, block, parts)
	}
	d.left, d.parts, d.size = int(count), int(parts), int(block/parts)
	if d.value, data, err = signed(data); err != nil {
		return d, nil, err
	}
	d.data, rest = data, data
	for left := d.left - 1; left > 0; {
		if _, rest, err = signed(rest); err != nil {
			return d, nil, err
		}
		if len(rest) < d.parts {
			return d, nil, errShort
		}
		widths := rest[:d.parts]
		rest = rest[d.parts:]
		for i := 0; i < len(widths) && left > 0; i++ { // the others have no bits
			if widths[i] > 64 {
				return d, nil, fmt.Errorf("a difference has %d bits", widths[i])
			}
			bytes := d.size / 8 * int(widths[i])
			if bytes > len(rest) {
				return d, nil, errShort
			}
			rest = rest[bytes:]
			left -= d.size
		}
	}
	return d, rest, nil
}

// signed cuts an integer from data.
func signed(data []byte) (int64, []byte, error) {
	value, n := binary.Varint(data)
	if n <= 0 {
		return 0, nil, errShort
	}
	return value, data[n:], nil
}

// next returns the next number, of those that are left.
func (d *deltaNumbers) next() int64 {
	value := d.value
	if d.left--; d.left == 0 {
		return value
	}
	if d.ready == 0 {
		d.begin()
	}
	var word [9]byte
	copy(word[:], d.packed[d.bit/8:])
	difference := binary.LittleEndian.Uint64(word[:]) >> (d.bit % 8)
	difference |= uint64(word[8]) << 1 << (63 - d.bit%8)
	d.value += d.least + int64(difference&(1<<d.width-1))
	d.bit += d.width
	d.ready--
	return value
}

// begin begins a part, which newDeltaNumbers has seen.
func (d *deltaNumbers) begin() {
	if len(d.widths) == 0 {
		d.least, d.data, _ = signed(d.data)
		d.widths, d.data = d.data[:d.parts], d.data[d.parts:]
	}
	d.width, d.widths = int(d.widths[0]), d.widths[1:]
	n := d.size / 8 * d.width
	d.packed, d.data = d.data[:n], d.data[n:]
	d.bit, d.ready = 0, d.size
}
