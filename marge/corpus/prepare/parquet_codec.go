package prepare

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"
)

// decompress returns the size bytes that a page has, in buffer if it is long
// enough. It needs no more memory, whatever the page holds.
func decompress(buffer, packed []byte, codec format.CompressionCodec, size int) ([]byte, error) {
	if cap(buffer) < size {
		buffer = make([]byte, size)
	}
	buffer = buffer[:size]
	n := 0
	var r io.Reader
	var err error
	switch codec {
	case format.Uncompressed:
		if n = len(packed); n <= size {
			copy(buffer, packed)
		}
	case format.Snappy:
		if n, err = snappy.DecodedLen(packed); err == nil && n == size {
			_, err = snappy.Decode(buffer, packed)
		}
	case format.Lz4Raw:
		if size > 0 {
			n, err = lz4.UncompressBlock(packed, buffer)
		}
	case format.Gzip:
		r, err = gzip.NewReader(bytes.NewReader(packed))
	case format.Brotli:
		r = brotli.NewReader(bytes.NewReader(packed))
	case format.Zstd:
		var z *zstd.Decoder
		z, err = zstd.NewReader(bytes.NewReader(packed),
			zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxPageBytes))
		if err == nil {
			defer z.Close()
			r = z
		}
	default:
		return buffer, fmt.Errorf("the compression %v is not known", codec)
	}
	if r != nil && err == nil {
		n, err = io.ReadFull(r, buffer)
		if err == nil || err == io.EOF && size == 0 {
			var more [1]byte
			if _, err = io.ReadFull(r, more[:]); err == nil {
				return buffer, fmt.Errorf("it has more than %d bytes", size)
			}
			if err == io.EOF {
				err = nil
			}
		} else if err == io.ErrUnexpectedEOF || err == io.EOF {
			err = nil // of a page that is shorter, or cut off
		}
	}
	if err == nil && n != size {
		err = fmt.Errorf("it has %d bytes, its header tells %d", n, size)
	}
	if err != nil {
		return buffer, fmt.Errorf("%v: %w", codec, err)
	}
	return buffer, nil
}

func bitsFor(level byte) int { return bits.Len8(level) }

// hybrid reads numbers in Parquet's mixture of runs of equal numbers and of
// packed bits (RLE).
type hybrid struct {
	data   []byte
	width  int // bits of a number
	left   int // numbers that are not read
	equal  int // of them, how many are value
	value  uint32
	packed int    // of them, how many are in data, packed
	bit    int    // of the first of them
	after  []byte // what follows the packed ones
}

func newHybrid(data []byte, width, count int) hybrid {
	return hybrid{data: data, width: width, left: count}
}

// next returns the next number.
func (h *hybrid) next() (uint32, error) {
	for h.equal == 0 && h.packed == 0 {
		if err := h.run(); err != nil {
			return 0, err
		}
	}
	h.left--
	if h.equal > 0 {
		h.equal--
		return h.value, nil
	}
	var word [8]byte
	copy(word[:], h.data[h.bit/8:])
	value := uint32(binary.LittleEndian.Uint64(word[:]) >> (h.bit % 8) & (1<<h.width - 1))
	h.bit += h.width
	if h.packed--; h.packed == 0 {
		h.data = h.after
	}
	return value, nil
}

// run begins a run.
func (h *hybrid) run() error {
	head, n := binary.Uvarint(h.data)
	if n <= 0 {
		return errShort
	}
	h.data = h.data[n:]
	count := head >> 1
	if head&1 == 0 {
		size := (h.width + 7) / 8
		if size > len(h.data) {
			return errShort
		}
		if count == 0 || count > uint64(h.left) {
			return fmt.Errorf("a run of %d, where %d are left", count, h.left)
		}
		var word [4]byte
		copy(word[:], h.data[:size])
		h.value, h.equal, h.data = binary.LittleEndian.Uint32(word[:]), int(count), h.data[size:]
		return nil
	}
	// Groups of eight, the last of which may have more than there are.
	if count == 0 || count > uint64(h.left+7)/8 {
		return fmt.Errorf("%d packed groups, where %d numbers are left", count, h.left)
	}
	if count*uint64(h.width) > uint64(len(h.data)) {
		return errShort
	}
	size := int(count) * h.width
	h.packed, h.bit, h.after = min(int(count)*8, h.left), 0, h.data[size:]
	return nil
}

// done reports whether nothing is left but what fills the last group of eight.
func (h *hybrid) done() bool {
	if h.packed > 0 {
		return h.packed < 8 && len(h.after) == 0
	}
	return h.equal == 0 && len(h.data) == 0
}
