package prepare

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/corpus/source"
)

// packDeltas encodes numbers in blocks of 64, of two parts.
func packDeltas(numbers ...int64) []byte {
	const block, parts = 64, 2
	b := binary.AppendUvarint(binary.AppendUvarint(nil, block), parts)
	b = binary.AppendUvarint(b, uint64(len(numbers)))
	if len(numbers) == 0 {
		return append(b, 0)
	}
	b = binary.AppendVarint(b, numbers[0])
	var differences []int64
	for i := 1; i < len(numbers); i++ {
		differences = append(differences, numbers[i]-numbers[i-1])
	}
	for part := range slices.Chunk(differences, block) {
		least := slices.Min(part)
		b = binary.AppendVarint(b, least)
		var widths, packed []byte
		for half := range slices.Chunk(part, block/parts) {
			width := 0
			for _, d := range half {
				width = max(width, bits.Len64(uint64(d-least)))
			}
			widths = append(widths, byte(width))
			bytes := make([]byte, block/parts*width/8)
			for i, d := range half {
				for bit := range width {
					at := i*width + bit
					bytes[at/8] |= byte(uint64(d-least)>>bit&1) << (at % 8)
				}
			}
			packed = append(packed, bytes...)
		}
		if len(widths) < parts {
			widths = append(widths, 99) // of a part that is not there
		}
		b = append(append(b, widths...), packed...)
	}
	return b
}

func unpackDeltas(data []byte) (numbers []int64, rest []byte, err error) {
	d, rest, err := newDeltaNumbers(data)
	if err != nil {
		return nil, nil, err
	}
	for d.left > 0 {
		numbers = append(numbers, d.next())
	}
	return numbers, rest, nil
}

func TestDeltaNumbers(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, count := range []int{0, 1, 2, 32, 33, 34, 64, 65, 66, 97, 98, 1000} {
		for width := range 65 {
			var numbers []int64
			for range count {
				numbers = append(numbers, int64(rng.Uint64()>>(64-width)))
			}
			if count == 1000 {
				numbers[7], numbers[8], numbers[9] = math.MinInt64, math.MaxInt64, 0
			}
			data := append(packDeltas(numbers...), "rest"...)
			got, rest, err := unpackDeltas(data)
			if err != nil || !slices.Equal(got, numbers) || string(rest) != "rest" {
				t.Fatalf("%d numbers of %d bits: %v, %q, error %v, want %v", count, width, got, rest, err, numbers)
			}
			for cut := 1; cut < len(data)-len("rest"); cut++ {
				if got, _, err := unpackDeltas(data[:cut]); err == nil {
					t.Fatalf("%d numbers of %d bits, %d of %d bytes: %v, no error", count, width, cut, len(data), got)
				}
				if count > 100 && cut > 100 {
					break
				}
			}
		}
	}
	head := func(block, parts, count uint64) []byte {
		b := binary.AppendUvarint(binary.AppendUvarint(nil, block), parts)
		return append(binary.AppendUvarint(b, count), make([]byte, 1000)...)
	}
	wide := head(64, 2, 3)
	wide[5] = 65
	for want, data := range map[string][]byte{
		"3 numbers in blocks of 0 in 0 parts":           head(0, 0, 3),
		"3 numbers in blocks of 0 in 1 parts":           head(0, 1, 3),
		"3 numbers in blocks of 48 in 1 parts":          head(48, 1, 3),
		"3 numbers in blocks of 96 in 2 parts":          head(96, 2, 3),
		"blocks of 2147483648 in 1 parts":               head(1<<31, 1, 3),
		"in 9223372036854775808 parts":                  head(1<<20, 1<<63, 3),
		"2147483648 numbers in blocks of 64 in 2 parts": head(64, 2, 1<<31),
		"a difference has 65 bits":                      wide,
		"it is cut short":                               bytes.Repeat([]byte{0xff}, 20),
	} {
		if _, _, err := newDeltaNumbers(data); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestDeltas(t *testing.T) {
	const integers, lengths, common = format.DeltaBinaryPacked, format.DeltaLengthByteArray, format.DeltaByteArray
	page := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	kibibytes := make([]int64, 70<<10)
	for i := range kibibytes {
		kibibytes[i] = 1 << 10
	}
	kibibytes[0] = 0
	zeros := make([]int64, len(kibibytes))
	zeros[0] = 1 << 10
	for name, c := range map[string]struct {
		encoding format.Encoding
		kind     parquet.Kind
		data     []byte
		want     string // the values with bars between them, or the error
	}{
		"integers": {integers, parquet.Int32, packDeltas('a', 'b', 1<<40),
			"a\x00\x00\x00|b\x00\x00\x00|\x00\x00\x00\x00"},
		"long integers": {integers, parquet.Int64, packDeltas('a', 1<<40),
			"a\x00\x00\x00\x00\x00\x00\x00|\x00\x00\x00\x00\x00\x01\x00\x00"},
		"texts": {lengths, parquet.ByteArray, page(packDeltas(2, 0, 3), []byte("one..")), "on||e.."},
		"common": {common, parquet.ByteArray, page(packDeltas(0, 2, 1), packDeltas(3, 0, 1), []byte("one!")),
			"one|on|o!"},
		"nulls":      {common, parquet.ByteArray, nil, ""},
		"no values":  {common, parquet.ByteArray, page(packDeltas(), packDeltas()), ""},
		"bytes left": {integers, parquet.Int64, page(packDeltas(1), []byte{0}), "bytes are left"},
		"text left":  {lengths, parquet.ByteArray, page(packDeltas(1), []byte("ab")), "bytes are left"},
		"cut":        {lengths, parquet.ByteArray, page(packDeltas(3), []byte("ab")), "cut short"},
		"negative":   {lengths, parquet.ByteArray, page(packDeltas(-1), []byte("ab")), "cut short"},
		"not there": {common, parquet.ByteArray, page(packDeltas(1), packDeltas(1), []byte("a")),
			"a value has 1 bytes in common with one of 0"},
		"below zero": {common, parquet.ByteArray, page(packDeltas(-1), packDeltas(1), []byte("a")),
			"a value has -1 bytes in common"},
		"fewer": {common, parquet.ByteArray, page(packDeltas(0), packDeltas(1, 1), []byte("ab")),
			"1 values have something in common, of 2"},
		"not UTF-8": {lengths, parquet.ByteArray, page(packDeltas(1), []byte("\xff")), "not UTF-8"},
		"texts as integers": {integers, parquet.ByteArray, packDeltas(1),
			"values of type BYTE_ARRAY have the encoding DELTA_BINARY_PACKED"},
		"integers as texts": {lengths, parquet.Int64, packDeltas(1), "values of type INT64 have"},
		"a bomb": {common, parquet.ByteArray, page(packDeltas(kibibytes...), packDeltas(zeros...), make([]byte, 1<<10)),
			"its values have more than 67108864 bytes"},
	} {
		d, err := newDeltas(c.encoding, c.kind, c.data)
		var values []string
		for err == nil && d.numbers.left > 0 {
			var value []byte
			value, err = d.next()
			values = append(values, string(value))
		}
		if err == nil {
			_, more := d.next()
			if more == nil {
				t.Errorf("%s: no error behind the last value", name)
			}
			if !d.done() {
				err = fmt.Errorf("bytes are left")
			}
		}
		got := strings.Join(values, "|")
		if err == nil && got != c.want || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %q, error %v, want %q", name, got, err, c.want)
		}
		if err != nil && len(c.want) < 5 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestParquetManyDeltas reads pages of many blocks, as Arrow writes them.
func TestParquetManyDeltas(t *testing.T) {
	docs, _, err := readParquet(t, parquetFile(t, "deltas"), ParquetOptions{})
	if err != nil || len(docs) != 1000 {
		t.Fatalf("%d documents, error %v", len(docs), err)
	}
	for i, doc := range docs {
		id := int64(i) * int64(i) * int64(i) * int64(i) * int64(i) * int64(i)
		switch {
		case i == 7:
			id = math.MinInt64
		case i == 8:
			id = math.MaxInt64
		case i%2 == 1:
			id = -id
		}
		want := corpus.Document{
			ID: fmt.Sprint(id), Lang: "en", Text: strings.Repeat("ä", i%70) + fmt.Sprint(i), Source: fmt.Sprint("x:", i/3),
			Date: time.Unix(int64(i*i%50000)*24*60*60, 0).UTC().Format(time.DateOnly),
		}
		if doc != want {
			t.Fatalf("row %d: %+v, want %+v", i, doc, want)
		}
	}
}

// A file that cannot be read is no damage that is skipped.
func TestParquetReadError(t *testing.T) {
	data := parquetFile(t, "none")
	end := int64(pagesEnd(data))
	broken := brokenAt{bytes.NewReader(data), end / 2, end}
	o := ParquetOptions{Options: source.Options{SkipBad: true, OnBad: func(err error) { t.Errorf("skipped: %v", err) }}}
	stats, err := ReadParquet(t.Context(), "x", broken, int64(len(data)), o, func(corpus.Document) error { return nil })
	if err == nil || !strings.Contains(err.Error(), iotest.ErrTimeout.Error()) || stats.Damaged != 0 {
		t.Errorf("%v, error %v", stats, err)
	}
}

// brokenAt fails to read what begins in a part of it.
type brokenAt struct {
	*bytes.Reader
	begin, end int64
}

func (b brokenAt) ReadAt(p []byte, offset int64) (int, error) {
	if offset >= b.begin && offset < b.end {
		return 0, iotest.ErrTimeout
	}
	return b.Reader.ReadAt(p, offset)
}

func FuzzDeltas(f *testing.F) {
	f.Add(packDeltas(1, 5, 1<<40))
	f.Add(append(packDeltas(0, 2, 1), append(packDeltas(3, 0, 1), "one!"...)...))
	f.Fuzz(func(t *testing.T, data []byte) {
		if numbers, rest, err := unpackSome(data); err == nil {
			again, more, err := unpackDeltas(append(packDeltas(numbers...), rest...))
			if err != nil || !slices.Equal(again, numbers) || !bytes.Equal(more, rest) {
				t.Errorf("%v, then %v, error %v", numbers, again, err)
			}
		}
		for _, encoding := range []format.Encoding{format.DeltaByteArray, format.DeltaLengthByteArray} {
			d, err := newDeltas(encoding, parquet.ByteArray, data)
			for n := 0; err == nil && d.numbers.left > 0 && n < 1000; n++ {
				_, err = d.next()
			}
		}
	})
}

// unpackSome is unpackDeltas of up to a thousand numbers.
func unpackSome(data []byte) ([]int64, []byte, error) {
	d, _, err := newDeltaNumbers(data)
	if err != nil || d.left > 1000 {
		return nil, nil, fmt.Errorf("%d numbers, error %v", d.left, err)
	}
	return unpackDeltas(data)
}
