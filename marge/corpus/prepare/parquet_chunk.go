package prepare

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/parquet-go/parquet-go"
	thriftlib "github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

const (
	// maxPageBytes is the length of the longest page, compressed or not.
	maxPageBytes = 64 << 20
	// plainDictionary is what older files call Plain in the page of a dictionary,
	// and RLEDictionary in others.
	plainDictionary format.Encoding = 2
	// maxPageHeader is the length of the longest header of a page, which may have
	// texts in its statistics.
	maxPageHeader = 16 << 20
)

// chunk reads a column of a row group, a value after another. It has no value
// if it was not opened.
type chunk struct {
	r         io.ReaderAt
	name      string
	kind      parquet.Kind
	levels    byte  // the level of a value that is no null
	unit      int64 // of dates
	codec     format.CompressionCodec
	pos, end  int64 // in the file
	pageStart int64 // of the page that is read, or the next
	rows      int64 // that are left

	header []byte // of a page
	packed []byte // a page as it is stored
	page   page
	dict   []uint32 // where the values of dictionary begin, and the end
	words  []byte   // the page with the dictionary
	value  []byte   // the last one that was read
	null   bool
}

// page is what is left of a page.
type page struct {
	values  int // and nulls
	nulls   bool
	level   hybrid
	index   hybrid // in the dictionary
	indexed bool
	plain   []byte
	deltas  *deltas // or nil
	buffer  []byte  // for the next page
}

// pageHeader is format.PageHeader, where it can be seen whether there is a
// checksum.
type pageHeader struct {
	Type                 format.PageType                             `thrift:"1,required"`
	UncompressedPageSize int32                                       `thrift:"2,required"`
	CompressedPageSize   int32                                       `thrift:"3,required"`
	CRC                  thriftlib.Null[int32]                       `thrift:"4,optional"`
	DataPageHeader       thriftlib.Null[format.DataPageHeader]       `thrift:"5,optional"`
	DictionaryPageHeader thriftlib.Null[format.DictionaryPageHeader] `thrift:"7,optional"`
	DataPageHeaderV2     thriftlib.Null[format.DataPageHeaderV2]     `thrift:"8,optional"`
}

// open goes to the first page. end is that of all pages of the file.
func (c *chunk) open(column *parquet.Column, meta *format.ColumnChunk, end int64) (err error) {
	c.name, c.kind = strings.Join(column.Path(), "."), column.Type().Kind()
	c.levels = byte(column.MaxDefinitionLevel())
	if c.kind != parquet.ByteArray {
		c.unit, _ = dateUnit(column) // 0 for an ID
	}
	m := &meta.MetaData
	if meta.FilePath != "" {
		return fmt.Errorf("it is in another file, %s", meta.FilePath)
	}
	c.codec = m.Codec
	c.pos = m.DataPageOffset
	if m.DictionaryPageOffset > 0 {
		c.pos = min(c.pos, m.DictionaryPageOffset)
	}
	c.end, c.pageStart, c.rows = c.pos+m.TotalCompressedSize, c.pos, m.NumValues
	if c.pos < 4 || m.TotalCompressedSize < 0 || c.end > end || c.rows < 0 {
		c.end = c.pos
		return fmt.Errorf("its %d bytes at byte %d are not in the file", m.TotalCompressedSize, c.pos)
	}
	return nil
}

func (c *chunk) failure(err error) error {
	return fmt.Errorf("column %s: page at byte %d: %w", c.name, c.pageStart, err)
}

// next reads a value.
func (c *chunk) next() error {
	if c.name == "" {
		return nil
	}
	for c.page.values == 0 {
		if err := c.endPage(); err != nil {
			return err
		}
		if err := c.nextPage(); err != nil {
			return err
		}
	}
	c.page.values--
	c.rows--
	c.value, c.null = nil, false
	if c.page.nulls {
		level, err := c.page.level.next()
		if err != nil {
			return fmt.Errorf("levels: %w", err)
		}
		if level > uint32(c.levels) {
			return fmt.Errorf("a level is %d, of %d", level, c.levels)
		}
		if c.null = level < uint32(c.levels); c.null {
			return nil
		}
	}
	var err error
	if c.page.indexed {
		i, err := c.page.index.next()
		if err != nil {
			return fmt.Errorf("indices: %w", err)
		}
		if int64(i) >= int64(len(c.dict))-1 {
			return fmt.Errorf("value %d of a dictionary of %d", i, len(c.dict)-1)
		}
		c.value = c.words[c.dict[i]:c.dict[i+1]]
		if c.kind == parquet.ByteArray {
			c.value = c.value[4:] // behind its length
		}
		return nil
	}
	if c.page.deltas != nil {
		c.value, err = c.page.deltas.next()
	} else {
		c.value, c.page.plain, err = c.plain(c.page.plain)
	}
	return err
}

// plain cuts the first value from those that are encoded plainly.
func (c *chunk) plain(data []byte) (value, rest []byte, err error) {
	n := 4
	switch c.kind {
	case parquet.Int64:
		n = 8
	case parquet.ByteArray:
		if len(data) < 4 {
			return nil, nil, errShort
		}
		length := binary.LittleEndian.Uint32(data)
		data = data[4:]
		if n = len(data); uint64(length) > uint64(n) {
			return nil, nil, errShort
		}
		n = int(length)
	}
	if len(data) < n {
		return nil, nil, errShort
	}
	if value = data[:n]; c.kind == parquet.ByteArray && !utf8.Valid(value) {
		return nil, nil, errors.New("a value is not UTF-8")
	}
	return value, data[n:], nil
}

// endPage checks that nothing is left of a page without values.
func (c *chunk) endPage() error {
	p := &c.page
	if len(p.plain) > 0 || !p.level.done() || !p.index.done() || p.deltas != nil && !p.deltas.done() {
		return errors.New("bytes are left behind the values")
	}
	return nil
}

// finish checks that nothing is left behind the last row.
func (c *chunk) finish() error {
	if c.name == "" {
		return nil
	}
	if err := c.endPage(); err != nil {
		return err
	}
	if c.pageStart = c.pos; c.page.values > 0 || c.pos != c.end || c.rows != 0 {
		return fmt.Errorf("%d values and %d bytes are left behind the last row", int64(c.page.values)+c.rows, c.end-c.pos)
	}
	return nil
}

// nextPage reads a page, with the dictionary if that comes first.
func (c *chunk) nextPage() error {
	if c.pageStart = c.pos; c.pos == c.end {
		return fmt.Errorf("it ends, and %d rows are missing", max(c.rows, 1))
	}
	h, err := c.readHeader()
	if err != nil {
		return fmt.Errorf("header: %w", err)
	}
	if h.CompressedPageSize < 0 || int64(h.CompressedPageSize) > c.end-c.pos {
		return fmt.Errorf("it has %d bytes, of %d that are left", h.CompressedPageSize, c.end-c.pos)
	}
	if h.UncompressedPageSize < 0 || max(h.CompressedPageSize, h.UncompressedPageSize) > maxPageBytes {
		return fmt.Errorf("it has %d bytes, %d compressed, want at most %d", h.UncompressedPageSize, h.CompressedPageSize,
			maxPageBytes)
	}
	if c.packed, err = c.readBytes(c.packed, int(h.CompressedPageSize)); err != nil {
		return err
	}
	if sum := crc32.ChecksumIEEE(c.packed); h.CRC.Valid && uint32(h.CRC.V) != sum {
		return errors.New("its checksum is wrong")
	}
	switch {
	case h.Type == format.DictionaryPage && h.DictionaryPageHeader.Valid:
		return c.dictionary(h)
	case h.Type == format.DataPage && h.DataPageHeader.Valid:
		return c.dataPage(h)
	case h.Type == format.DataPageV2 && h.DataPageHeaderV2.Valid:
		return c.dataPageV2(h)
	case h.Type == format.IndexPage:
		return nil
	}
	return fmt.Errorf("it is of type %v", h.Type)
}

// readBytes reads bytes of the file into a buffer.
func (c *chunk) readBytes(buffer []byte, n int) ([]byte, error) {
	if cap(buffer) < n {
		buffer = make([]byte, n)
	}
	if got, err := c.r.ReadAt(buffer[:n], c.pos); got < n {
		if err != io.EOF {
			return buffer, readError{err}
		}
		return buffer, io.ErrUnexpectedEOF
	}
	c.pos += int64(n)
	return buffer[:n], nil
}

// readError is that of a file that cannot be read, which is no damage of it.
type readError struct{ error }

func (e readError) Unwrap() error { return e.error }

// readHeader reads the header of a page.
func (c *chunk) readHeader() (h pageHeader, err error) {
	for most := 1 << 10; ; most *= 8 {
		n := int(min(c.end-c.pos, int64(most)))
		if c.header, err = c.readBytes(c.header, n); err != nil {
			return h, err
		}
		c.pos -= int64(n)
		length, err := checkThrift(c.header)
		if err == errShort && n == most && most < maxPageHeader {
			continue
		} else if err != nil {
			return h, err
		}
		c.pos += int64(length)
		return h, guarded(func() error {
			return thriftlib.Unmarshal(new(thriftlib.CompactProtocol), bytes.Clone(c.header[:length]), &h)
		})
	}
}

// dictionary reads the page of the dictionary.
func (c *chunk) dictionary(h pageHeader) (err error) {
	d := h.DictionaryPageHeader.V
	if c.dict != nil {
		return errors.New("there is another dictionary")
	}
	if d.Encoding != format.Plain && d.Encoding != plainDictionary {
		return fmt.Errorf("the dictionary has the encoding %v", d.Encoding)
	}
	if c.words, err = decompress(nil, c.packed, c.codec, int(h.UncompressedPageSize)); err != nil {
		return err
	}
	rest := c.words
	c.dict = append(c.dict, 0)
	for range d.NumValues {
		if _, rest, err = c.plain(rest); err != nil {
			return fmt.Errorf("the dictionary: %w", err)
		}
		c.dict = append(c.dict, uint32(len(c.words)-len(rest)))
	}
	if len(rest) > 0 || d.NumValues < 0 {
		return fmt.Errorf("the dictionary has %d values and %d bytes that are left", d.NumValues, len(rest))
	}
	return nil
}

// dataPage begins a page of the first version, which begins with the levels.
func (c *chunk) dataPage(h pageHeader) (err error) {
	d, p := h.DataPageHeader.V, &c.page
	if p.buffer, err = decompress(p.buffer, c.packed, c.codec, int(h.UncompressedPageSize)); err != nil {
		return err
	}
	data := p.buffer
	var levels []byte
	if c.levels > 0 {
		if d.DefinitionLevelEncoding != format.RLE {
			return fmt.Errorf("the levels have the encoding %v", d.DefinitionLevelEncoding)
		}
		if len(data) < 4 || uint64(binary.LittleEndian.Uint32(data)) > uint64(len(data)-4) {
			return fmt.Errorf("levels: %w", errShort)
		}
		n := binary.LittleEndian.Uint32(data)
		levels, data = data[4:4+n], data[4+n:]
	}
	return c.begin(d.NumValues, d.Encoding, levels, data)
}

// dataPageV2 begins a page of the second version, whose levels are not
// compressed.
func (c *chunk) dataPageV2(h pageHeader) (err error) {
	d, p := h.DataPageHeaderV2.V, &c.page
	n := d.DefinitionLevelsByteLength
	if d.RepetitionLevelsByteLength != 0 || n < 0 || int(n) > len(c.packed) || n > h.UncompressedPageSize {
		return fmt.Errorf("its levels have %d and %d bytes", d.RepetitionLevelsByteLength, n)
	}
	codec := c.codec
	if d.IsCompressed.Valid && !d.IsCompressed.V {
		codec = format.Uncompressed
	}
	levels := bytes.Clone(c.packed[:n])
	if p.buffer, err = decompress(p.buffer, c.packed[n:], codec, int(h.UncompressedPageSize-n)); err != nil {
		return err
	}
	return c.begin(d.NumValues, d.Encoding, levels, p.buffer)
}

// begin begins a page with its levels and values.
func (c *chunk) begin(values int32, encoding format.Encoding, levels, data []byte) error {
	if values < 0 || int64(values) > c.rows {
		return fmt.Errorf("it has %d values, and the column %d", values, c.rows)
	}
	p := &c.page
	p.values, p.nulls = int(values), c.levels > 0
	p.level, p.index, p.plain, p.indexed, p.deltas = hybrid{}, hybrid{}, nil, false, nil
	if p.nulls {
		p.level = newHybrid(levels, bitsFor(c.levels), p.values)
	}
	switch encoding {
	case format.Plain:
		p.plain = data
	case plainDictionary, format.RLEDictionary:
		if c.dict == nil {
			return errors.New("it has no dictionary")
		}
		p.indexed = true
		if len(data) == 0 { // as there may be for nulls only
			return nil
		}
		width := int(data[0])
		if width > 32 {
			return fmt.Errorf("an index has %d bits", width)
		}
		p.index = newHybrid(data[1:], width, p.values)
	case format.DeltaBinaryPacked, format.DeltaLengthByteArray, format.DeltaByteArray:
		var err error
		p.deltas, err = newDeltas(encoding, c.kind, data)
		return err
	default:
		return fmt.Errorf("the encoding %v is not known", encoding)
	}
	return nil
}

func (c *chunk) text() string {
	switch {
	case c.null || c.value == nil:
		return ""
	case c.kind == parquet.ByteArray:
		return string(c.value)
	}
	return strconv.FormatInt(c.integer(), 10)
}

func (c *chunk) integer() int64 {
	if c.kind == parquet.Int32 {
		return int64(int32(binary.LittleEndian.Uint32(c.value)))
	}
	return int64(binary.LittleEndian.Uint64(c.value))
}

// day returns the value of a column of dates.
func (c *chunk) day() string {
	if c.unit == 0 || c.null || c.value == nil {
		return c.text()
	}
	days := c.integer() / c.unit
	if c.integer()%c.unit < 0 {
		days--
	}
	const most = 3e6 // as to the year 9999
	if days < -most || days > most {
		return ""
	}
	return time.Unix(days*24*60*60, 0).UTC().Format(time.DateOnly)
}
