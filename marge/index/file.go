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
	"github.com/marge-go/marge/marge/vectors"
)

// The file of a Flat has these parts, with all numbers little-endian:
//
//	header   headerSize bytes, see header
//	vectors  count rows of dim float32
//	ends     count uint64, where each record ends; missing if all are empty
//	records  without separators
//
// Files of version 1 have no origin: zeros are in its place.
const (
	magic         = "MARGEFLT"
	formatVersion = 2
	headerSize    = 128 // the vectors begin at a cache line
)

// header begins the file, after magic and version, in the order of its fields,
// and ends in the SHA-256 of what comes before.
type header struct {
	dim         uint32
	count       uint64
	recordBytes uint64
	sum         [sha256.Size]byte // of all that follows the header
	origin      [sha256.Size]byte
}

func (h *header) encode() []byte {
	b := append(make([]byte, 0, headerSize), magic...)
	b = binary.LittleEndian.AppendUint32(b, formatVersion)
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
	if version := binary.LittleEndian.Uint32(data[at:]); version < 1 || version > formatVersion {
		return h, fmt.Errorf("it has version %d of the format, want 1 to %d", version, formatVersion)
	}
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
	overflow, size := bits.Mul64(4*uint64(h.dim), h.count)
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
	sum := sha256.New()
	w := io.MultiWriter(file, sum)
	if _, err := file.Write(make([]byte, headerSize)); err != nil {
		return err
	}
	if err := writeNumbers(w, f.vectors); err != nil {
		return err
	}
	if len(f.records) > 0 {
		if err := writeNumbers(w, f.ends); err != nil {
			return err
		}
		if _, err := w.Write(f.records); err != nil {
			return err
		}
	}
	h := header{
		dim: uint32(f.dim), count: uint64(f.Len()), recordBytes: uint64(len(f.records)),
		sum: [sha256.Size]byte(sum.Sum(nil)), origin: f.Origin,
	}
	_, err := file.WriteAt(h.encode(), 0)
	return err
}

func writeNumbers[T float32 | uint64](w io.Writer, numbers []T) error {
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
	f := &Flat{Origin: h.origin, dim: int(h.dim), file: data}
	at := headerSize + 4*int(h.dim)*int(h.count)
	f.vectors = floats(data[headerSize:at])
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

// floats returns little-endian values without a copy where the machine stores
// them in the same way, and else decoded.
func floats(data []byte) []float32 {
	if len(data) == 0 {
		return nil
	}
	first := unsafe.Pointer(unsafe.SliceData(data))
	if littleEndian && uintptr(first)%unsafe.Alignof(float32(0)) == 0 {
		return unsafe.Slice((*float32)(first), len(data)/4)
	}
	out := make([]float32, len(data)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
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
		err = vectors.CheckFinite(f.vectors[:f.dim*int(h.count)], f.dim)
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
	*f = Flat{dim: f.dim}
	if err := osfile.Unmap(file); err != nil {
		return fmt.Errorf("index: close %s: %w", path, err)
	}
	return nil
}
