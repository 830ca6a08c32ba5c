package corpus

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math"
	"unsafe"
)

// A store is a directory of three files, in which all numbers are
// little-endian:
//
//	tokens    the tokens of all chunks as int32, without separators
//	strings   the IDs and groups of all documents (ID of 0, group of 0, ID of
//	          1, ...), then the languages, then the shards, without separators
//	metadata  a header, the columns, the SHA-256 of all that comes before, what
//	          the store was made from (Provenance) as JSON, and the SHA-256 of
//	          the first SHA-256 and the JSON
//
// The header holds the checksums of the other files, so that the SHA-256 of
// the metadata without the JSON names the whole content.
const (
	tokensFile   = "tokens"
	stringsFile  = "strings"
	metadataFile = "metadata"
)

// Open still reads earlier versions of the format. Those before 3 end after the
// first SHA-256, and version 1 has no vocab in the header.
const (
	magic         = "MARGECRP"
	formatVersion = 3
)

// firstChunkTargets is the flag of stores in which only the first chunk of a
// document is a target.
const firstChunkTargets = 1

// header begins the metadata. Its fields are in the order of the file, after
// magic.
type header struct {
	version     uint32
	flags       uint32
	docs        uint32
	chunks      uint32
	langs       uint32
	shards      uint32
	tokens      uint64
	stringBytes uint64
	vocab       uint64 // all tokens are less; 0 if the encoder did not tell
	tokensSum   [sha256.Size]byte
	stringsSum  [sha256.Size]byte

	provenance []byte // JSON behind the columns
}

// long returns the 8-byte fields of the header.
func (h *header) long() []*uint64 {
	if h.version == 1 {
		return []*uint64{&h.tokens, &h.stringBytes}
	}
	return []*uint64{&h.tokens, &h.stringBytes, &h.vocab}
}

// headerSize returns the length of the header, magic and version included.
func (h *header) headerSize() int { return len(magic) + 6*4 + 8*len(h.long()) + 2*sha256.Size }

// columns are tables of the documents, chunks, shards and strings. They follow
// the header in this order.
type columns struct {
	tokenStart  []uint64 // of chunks, and the number of tokens
	stringStart []uint64 // of strings, and the length of the strings file
	chunkDoc    []uint32
	docFirst    []uint32 // first chunk of documents, and the number of chunks
	docLang     []uint32
	docShard    []uint32
	docSource   []uint32
	shardStart  []uint32 // of shards in shardChunks, and the number of chunks
	shardChunks []uint32
}

func (h *header) strings() uint64 { return 2*uint64(h.docs) + uint64(h.langs) + uint64(h.shards) }

// size returns the length of the metadata without the provenance and its
// checksum. It cannot overflow.
func (h *header) size() uint64 {
	long := uint64(h.chunks) + 1 + h.strings() + 1
	short := uint64(h.chunks) + uint64(h.docs) + 1 + 3*uint64(h.docs) + uint64(h.shards) + 1 + uint64(h.chunks)
	return uint64(h.headerSize()) + 8*long + 4*short + sha256.Size
}

// encodeMetadata is the inverse of decodeMetadata.
func encodeMetadata(h *header, c *columns) []byte {
	out := make([]byte, 0, h.size()+uint64(len(h.provenance))+sha256.Size)
	out = append(out, magic...)
	for _, v := range []uint32{h.version, h.flags, h.docs, h.chunks, h.langs, h.shards} {
		out = binary.LittleEndian.AppendUint32(out, v)
	}
	for _, v := range h.long() {
		out = binary.LittleEndian.AppendUint64(out, *v)
	}
	out = append(out, h.tokensSum[:]...)
	out = append(out, h.stringsSum[:]...)
	for _, column := range [][]uint64{c.tokenStart, c.stringStart} {
		for _, v := range column {
			out = binary.LittleEndian.AppendUint64(out, v)
		}
	}
	for _, column := range [][]uint32{
		c.chunkDoc, c.docFirst, c.docLang, c.docShard, c.docSource, c.shardStart, c.shardChunks,
	} {
		for _, v := range column {
			out = binary.LittleEndian.AppendUint32(out, v)
		}
	}
	sum := sha256.Sum256(out)
	out = append(out, sum[:]...)
	if h.version < 3 {
		return out
	}
	out = append(out, h.provenance...)
	sum = sha256.Sum256(out[h.size()-sha256.Size:])
	return append(out, sum[:]...)
}

// decodeMetadata returns what a metadata file holds. The columns are views of
// data where the machine can read them in place. Everything that a Store
// relies on is checked, whatever the data.
func decodeMetadata(data []byte) (header, columns, error) {
	fail := func(format string, args ...any) (header, columns, error) {
		return header{}, columns{}, fmt.Errorf(format, args...)
	}
	if len(data) < len(magic)+4 {
		return fail("has %d bytes, too few for a header", len(data))
	}
	if !bytes.HasPrefix(data, []byte(magic)) {
		return fail("is no corpus: it begins with %q, want %q", data[:len(magic)], magic)
	}
	h := header{version: binary.LittleEndian.Uint32(data[len(magic):])}
	if h.version < 1 || h.version > formatVersion {
		return fail("has version %d of the format, want at most %d", h.version, formatVersion)
	}
	if len(data) < h.headerSize() {
		return fail("has %d bytes, too few for a header", len(data))
	}
	at := len(magic) + 4
	for _, field := range []*uint32{&h.flags, &h.docs, &h.chunks, &h.langs, &h.shards} {
		*field = binary.LittleEndian.Uint32(data[at:])
		at += 4
	}
	for _, field := range h.long() {
		*field = binary.LittleEndian.Uint64(data[at:])
		at += 8
	}
	at += copy(h.tokensSum[:], data[at:])
	at += copy(h.stringsSum[:], data[at:])
	size := h.size()
	switch n := uint64(len(data)); {
	case h.version < 3 && n != size:
		return fail("has %d bytes, want %d", n, size)
	case h.version >= 3 && n < size+sha256.Size:
		return fail("has %d bytes, want at least %d", n, size+sha256.Size)
	}
	if h.version >= 3 {
		end := len(data) - sha256.Size
		h.provenance = data[size:end]
		if sha256.Sum256(data[size-sha256.Size:end]) != [sha256.Size]byte(data[end:]) {
			return fail("does not match its checksum")
		}
		data = data[:size]
	}
	body := len(data) - sha256.Size
	if sha256.Sum256(data[:body]) != [sha256.Size]byte(data[body:]) {
		return fail("does not match its checksum")
	}
	if h.flags&^firstChunkTargets != 0 {
		return fail("has unknown flags %#x", h.flags)
	}
	if h.tokens > math.MaxInt/4 || h.stringBytes > math.MaxInt {
		return fail("has %d tokens and %d bytes of strings, too many for this machine", h.tokens, h.stringBytes)
	}
	if h.vocab > math.MaxInt32+1 {
		return fail("has a vocabulary of %d, more than there are tokens", h.vocab)
	}

	var c columns
	for _, column := range []struct {
		to *[]uint64
		n  uint64
	}{{&c.tokenStart, uint64(h.chunks) + 1}, {&c.stringStart, h.strings() + 1}} {
		*column.to = view(data[at:at+8*int(column.n)], binary.LittleEndian.Uint64)
		at += 8 * int(column.n)
	}
	for _, column := range []struct {
		to *[]uint32
		n  uint64
	}{
		{&c.chunkDoc, uint64(h.chunks)}, {&c.docFirst, uint64(h.docs) + 1},
		{&c.docLang, uint64(h.docs)}, {&c.docShard, uint64(h.docs)}, {&c.docSource, uint64(h.docs)},
		{&c.shardStart, uint64(h.shards) + 1}, {&c.shardChunks, uint64(h.chunks)},
	} {
		*column.to = view(data[at:at+4*int(column.n)], binary.LittleEndian.Uint32)
		at += 4 * int(column.n)
	}
	return h, c, c.check(&h)
}

// check returns an error if the columns contradict each other or the header.
func (c *columns) check(h *header) error {
	if err := ascending("chunk", c.tokenStart, h.tokens); err != nil {
		return err
	}
	for i := range c.chunkDoc {
		if c.tokenStart[i] == c.tokenStart[i+1] {
			return fmt.Errorf("chunk %d has no token", i)
		}
	}
	if err := ascending("string", c.stringStart, h.stringBytes); err != nil {
		return err
	}
	if err := ascending("document", c.docFirst, h.chunks); err != nil {
		return err
	}
	if err := ascending("shard", c.shardStart, h.chunks); err != nil {
		return err
	}
	for doc := range c.docLang {
		if c.docLang[doc] >= h.langs || c.docShard[doc] >= h.shards || c.docSource[doc] >= h.docs {
			return fmt.Errorf("document %d has language %d of %d, shard %d of %d, source %d of at most %d",
				doc, c.docLang[doc], h.langs, c.docShard[doc], h.shards, c.docSource[doc], h.docs)
		}
		for chunk := c.docFirst[doc]; chunk < c.docFirst[doc+1]; chunk++ {
			if int(c.chunkDoc[chunk]) != doc {
				return fmt.Errorf("chunk %d is one of document %d and of document %d", chunk, c.chunkDoc[chunk], doc)
			}
		}
	}
	for shard := range int(h.shards) {
		chunks := c.shardChunks[c.shardStart[shard]:c.shardStart[shard+1]]
		for i, chunk := range chunks {
			if chunk >= h.chunks {
				return fmt.Errorf("shard %d has chunk %d of %d", shard, chunk, h.chunks)
			}
			if c.docShard[c.chunkDoc[chunk]] != uint32(shard) {
				return fmt.Errorf("chunk %d is one of shard %d and of shard %d",
					chunk, shard, c.docShard[c.chunkDoc[chunk]])
			}
			if i > 0 && chunks[i-1] >= chunk {
				return fmt.Errorf("the chunks of shard %d are out of order", shard)
			}
		}
	}
	return nil
}

// ascending returns an error unless the offsets go from 0 to end without a
// step back.
func ascending[T uint32 | uint64](what string, offsets []T, end T) error {
	if offsets[0] != 0 {
		return fmt.Errorf("%s 0 begins at %d", what, offsets[0])
	}
	for i := range len(offsets) - 1 {
		if offsets[i] > offsets[i+1] {
			return fmt.Errorf("%s %d begins at %d and ends at %d", what, i, offsets[i], offsets[i+1])
		}
	}
	if last := offsets[len(offsets)-1]; last != end {
		return fmt.Errorf("the last %s ends at %d of %d", what, last, end)
	}
	return nil
}

var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

func decodeInt32(b []byte) int32 { return int32(binary.LittleEndian.Uint32(b)) }

// view returns little-endian numbers without a copy where the machine stores
// them in the same way, and else decoded.
func view[T int32 | uint32 | uint64](data []byte, decode func([]byte) T) []T {
	var zero T
	size := int(unsafe.Sizeof(zero))
	if len(data) == 0 {
		return []T{}
	}
	first := unsafe.Pointer(unsafe.SliceData(data))
	if littleEndian && uintptr(first)%unsafe.Alignof(zero) == 0 {
		return unsafe.Slice((*T)(first), len(data)/size)
	}
	out := make([]T, len(data)/size)
	for i := range out {
		out[i] = decode(data[i*size:])
	}
	return out
}
