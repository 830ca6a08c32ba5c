package index

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/bits"
	"os"
	"unsafe"

	"github.com/marge-go/marge/internal/osfile"
)

// The file of a Flat has these parts, with all numbers little-endian:
//
//	header   headerSize bytes, see header
//	scales   count float32, of vectors of int8
//	vectors  count rows of dim float32, bfloat16 or int8
//	ends     count uint64, where each record ends; missing if all are empty
//	records  without separators
//
// Files of version 1 have no origin: zeros are in its place. Those whose vectors are not
// float32 have version 3, with the precision in the upper half of that number.
const (
	magic          = "MARGEFLT"
	floatVersion   = 2
	formatVersion  = 3
	precisionShift = 16
	headerSize     = 128 // what follows begins at a cache line
)

// header begins the file, after magic and version, in the order of its fields,
// and ends in the SHA-256 of what comes before.
type header struct {
	precision   Precision
	dim         uint32
	count       uint64
	recordBytes uint64
	sum         [sha256.Size]byte // of all that follows the header
	origin      [sha256.Size]byte
}

func (h *header) encode() []byte {
	b := append(make([]byte, 0, headerSize), magic...)
	version := uint32(floatVersion)
	if h.precision != Float32 {
		version = formatVersion | uint32(h.precision)<<precisionShift
	}
	b = binary.LittleEndian.AppendUint32(b, version)
	b = binary.LittleEndian.AppendUint32(b, h.dim)
	b = binary.LittleEndian.AppendUint64(b, h.count)
	b = binary.LittleEndian.AppendUint64(b, h.recordBytes)
	b = append(b, h.sum[:]...)
	b = append(b, h.origin[:]...)
	sum := sha256.Sum256(b)
	return append(b, sum[:]...)
}

// decodeHeader returns the header of a file with the given content. The parts
// that it promises are there.
func decodeHeader(data []byte) (h header, err error) {
	if !bytes.HasPrefix(data, []byte(magic[:min(len(magic), len(data))])) {
		return h, fmt.Errorf("it begins with %q, the file of a flat index with %q",
			data[:min(len(magic), len(data))], magic)
	}
	if len(data) < headerSize {
		return h, fmt.Errorf("it has %d bytes, too few for the header", len(data))
	}
	at := len(magic)
	word := binary.LittleEndian.Uint32(data[at:])
	version, precision := word&(1<<precisionShift-1), word>>precisionShift
	if version < 1 || version > formatVersion {
		return h, fmt.Errorf("it has version %d of the format, want 1 to %d", version, formatVersion)
	}
	if int(precision) >= len(precisionNames) || (precision == uint32(Float32)) != (version <= floatVersion) {
		return h, fmt.Errorf("it has vectors of a precision %d that version %d of the format does not have",
			precision, version)
	}
	h.precision = Precision(precision)
	if sum := headerSize - sha256.Size; sha256.Sum256(data[:sum]) != [sha256.Size]byte(data[sum:headerSize]) {
		return h, errors.New("the header does not match its checksum")
	}
	h.dim = binary.LittleEndian.Uint32(data[at+4:])
	h.count = binary.LittleEndian.Uint64(data[at+8:])
	h.recordBytes = binary.LittleEndian.Uint64(data[at+16:])
	copy(h.sum[:], data[at+24:])
	copy(h.origin[:], data[at+24+sha256.Size:])
	if h.dim == 0 || h.dim > math.MaxInt32 || h.count > math.MaxInt32 {
		return h, fmt.Errorf("it has %d vectors of dimension %d: neither may exceed %d, and the dimension not be 0",
			h.count, h.dim, math.MaxInt32)
	}
	overflow, size := bits.Mul64(h.precision.bytes(h.dim), h.count)
	var carry [3]uint64
	size, carry[0] = bits.Add64(size, headerSize, 0)
	size, carry[1] = bits.Add64(size, h.endsBytes(), 0)
	size, carry[2] = bits.Add64(size, h.recordBytes, 0)
	if overflow != 0 || carry != [3]uint64{} {
		return h, fmt.Errorf("%d vectors of dimension %d and %d bytes of records exceed any file",
			h.count, h.dim, h.recordBytes)
	}
	if uint64(len(data)) != size {
		return h, fmt.Errorf("it has %d bytes, but %d vectors of dimension %d and %d bytes of records take %d",
			len(data), h.count, h.dim, h.recordBytes, size)
	}
	return h, nil
}

func (h *header) endsBytes() uint64 {
	if h.recordBytes == 0 {
		return 0
	}
	return 8 * h.count
}

// Save writes the index to a file, which [OpenFlat] opens. The file appears
// whole or, if there is an error, not at all: then one that was there before
// stays.
func (f *Flat) Save(path string) error {
	if err := osfile.Replace(path, f.write); err != nil {
		return fmt.Errorf("index: save %s: %w", path, err)
	}
	return nil
}

// writeValues is how many numbers are written at once.
const writeValues = 1 << 14

func (f *Flat) write(file *os.File) error {
	h := header{
		precision: f.stored.precision, dim: uint32(f.Dim()), count: uint64(f.Len()), recordBytes: uint64(len(f.records)),
		origin: f.Origin,
	}
	return writeFlat(file, h, func(w io.Writer) error {
		err := errors.Join(writeNumbers(w, f.stored.scales), f.stored.writeValues(w))
		if err == nil && len(f.records) > 0 {
			if err = writeNumbers(w, f.ends); err == nil {
				_, err = w.Write(f.records)
			}
		}
		return err
	})
}

// writeFlat writes a header and what body writes, whose sum goes to the header.
func writeFlat(file *os.File, h header, body func(w io.Writer) error) error {
	if _, err := file.Write(make([]byte, headerSize)); err != nil {
		return err
	}
	sum := sha256.New()
	if err := body(io.MultiWriter(file, sum)); err != nil {
		return err
	}
	h.sum = [sha256.Size]byte(sum.Sum(nil))
	_, err := file.WriteAt(h.encode(), 0)
	return err
}

// writeValues writes the vectors without the scales of int8.
func (s *stored) writeValues(w io.Writer) error {
	switch s.precision {
	case BFloat16:
		return writeNumbers(w, s.bf16)
	case Int8:
		return writeNumbers(w, s.int8)
	}
	return writeNumbers(w, s.f32)
}

func writeNumbers[T float32 | uint16 | int8 | uint64](w io.Writer, numbers []T) error {
	var buf []byte
	for len(numbers) > 0 {
		n := min(len(numbers), writeValues)
		var err error
		if buf, err = binary.Append(buf[:0], binary.LittleEndian, numbers[:n]); err != nil {
			return err
		}
		if _, err := w.Write(buf); err != nil {
			return err
		}
		numbers = numbers[n:]
	}
	return nil
}

// OpenFlat opens a file that [Flat.Save] wrote. Where the system can do so, the
// file is mapped into memory: it opens at once however large it is, searches
// load what they read, and the system may drop it again. Until Close the file
// may be replaced, as Save does, but must not be changed or cut in place.
//
// The header and where records end are checked; [Flat.Verify] checks the rest,
// which would have to be read. A file of version 1 has no [Flat.Origin].
// Vectors that are added later are kept in memory, with a copy of the others.
func OpenFlat(path string) (*Flat, error) {
	data, err := osfile.Map(path)
	if err != nil {
		return nil, fmt.Errorf("index: open: %w", err)
	}
	f, err := decodeFlat(data)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("index: open %s: %w", path, err), osfile.Unmap(data))
	}
	f.path = path
	return f, nil
}

// decodeFlat returns the index in the content of a file.
func decodeFlat(data []byte) (*Flat, error) {
	h, err := decodeHeader(data)
	if err != nil {
		return nil, err
	}
	f := &Flat{Origin: h.origin, stored: stored{precision: h.precision, dim: int(h.dim)}, file: data}
	at := headerSize + int(h.precision.bytes(h.dim)*h.count)
	switch body, scales := data[headerSize:at], 4*int(h.count); h.precision {
	case BFloat16:
		f.stored.bf16 = numbers[uint16](body)
	case Int8:
		f.stored.scales, f.stored.int8 = numbers[float32](body[:scales]), numbers[int8](body[scales:])
	default:
		f.stored.f32 = numbers[float32](body)
	}
	if h.recordBytes == 0 {
		return f, nil
	}
	f.ends = make([]uint64, h.count)
	last := uint64(0)
	for i := range f.ends {
		end := binary.LittleEndian.Uint64(data[at:])
		if end < last || end > h.recordBytes {
			return nil, fmt.Errorf("record %d goes from %d to %d of %d bytes", i, last, end, h.recordBytes)
		}
		f.ends[i], last = end, end
		at += 8
	}
	if last != h.recordBytes {
		return nil, fmt.Errorf("the last record ends at %d of %d bytes", last, h.recordBytes)
	}
	f.records = data[at:len(data):len(data)]
	return f, nil
}

var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

// numbers returns little-endian values without a copy where the machine stores
// them in the same way, and else decoded.
func numbers[T float32 | uint16 | int8](data []byte) []T {
	if len(data) == 0 {
		return nil
	}
	var zero T
	n, first := len(data)/int(unsafe.Sizeof(zero)), unsafe.Pointer(unsafe.SliceData(data))
	if littleEndian && uintptr(first)%unsafe.Alignof(zero) == 0 {
		return unsafe.Slice((*T)(first), n)
	}
	out := make([]T, n)
	if _, err := binary.Decode(data, binary.LittleEndian, out); err != nil {
		panic(err) // numbers have a fixed size: none
	}
	return out
}

// Verify reads the whole file that the index was opened from and returns an
// error if it is not as it was written, or if a vector has a value that is not
// finite. An index in memory has nothing to verify.
func (f *Flat) Verify() error {
	if f.file == nil {
		return nil
	}
	h, err := decodeHeader(f.file)
	if err == nil && sha256.Sum256(f.file[headerSize:]) != h.sum {
		err = errors.New("the vectors and records do not match their checksum")
	}
	if err == nil {
		err = f.stored.finite(int(h.count))
	}
	if err != nil {
		return fmt.Errorf("index: verify %s: %w", f.path, err)
	}
	return nil
}

// Close frees an index, which is empty then, and its file. Vectors and records
// that it has returned must not be used any more.
func (f *Flat) Close() error {
	file, path := f.file, f.path
	*f = Flat{stored: stored{precision: f.Precision(), dim: f.Dim()}}
	if err := osfile.Unmap(file); err != nil {
		return fmt.Errorf("index: close %s: %w", path, err)
	}
	return nil
}
