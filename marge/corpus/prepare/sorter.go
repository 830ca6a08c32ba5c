package prepare

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/klauspost/compress/s2"
	"github.com/zeebo/xxh3"

	"github.com/marge-go/marge/internal/heap"
)

// A sorter sorts records that need not fit in memory, in parts: the first field
// of its key tells which part a record is in. It writes runs, files that are
// sorted, whenever limit bytes have come together.
type sorter struct {
	dir, prefix string // of the runs
	parts       int
	limit       int

	arena   []byte
	entries []entry
	runs    int
}

// An entry is a record in the arena.
type entry struct {
	part                       uint32
	offset, keySize, valueSize int
}

const entryBytes = 32

func (s *sorter) record(e entry) record {
	value := e.offset + e.keySize
	return record{s.arena[e.offset:value], s.arena[value : value+e.valueSize]}
}

func partOf(group []byte, parts int) int { return int(xxh3.Hash(group) % uint64(parts)) }

func (s *sorter) add(r record) error {
	more := len(r.key) + len(r.value) + entryBytes
	if used := len(s.arena) + entryBytes*len(s.entries); used > 0 && used+more > s.limit {
		if err := s.spill(); err != nil {
			return err
		}
	}
	part := uint32(partOf(r.group(), s.parts))
	s.entries = append(s.entries, entry{part, len(s.arena), len(r.key), len(r.value)})
	s.arena = append(append(s.arena, r.key...), r.value...)
	return nil
}

// spill writes what is in memory as a run.
func (s *sorter) spill() error {
	if len(s.entries) == 0 {
		return nil
	}
	slices.SortFunc(s.entries, func(a, b entry) int {
		if a.part != b.part {
			return int(a.part) - int(b.part)
		}
		return s.record(a).compare(s.record(b))
	})
	w, err := createRun(filepath.Join(s.dir, fmt.Sprintf("%s-%05d", s.prefix, s.runs)), s.parts)
	if err != nil {
		return err
	}
	s.runs++
	for _, e := range s.entries {
		if err := w.add(int(e.part), s.record(e)); err != nil {
			return errors.Join(err, w.file.Close())
		}
	}
	s.arena, s.entries = s.arena[:0], s.entries[:0]
	return w.close()
}

// A runWriter writes a run: the records of each part, as a stream of S2, which
// has checksums; then the offset of each part and of the end, and the number of
// parts. Numbers are little-endian; a record is the lengths of key and value as
// varints, the key and the value.
type runWriter struct {
	file    *os.File
	out     *bufio.Writer
	z       *s2.Writer
	parts   int
	offset  int64 // in the file
	offsets []uint64
	scratch []byte
}

const blockBytes = 64 << 10 // of S2: what it takes to read a run

func createRun(path string, parts int) (*runWriter, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	w := &runWriter{file: f, out: bufio.NewWriterSize(f, 1<<16), parts: parts, offsets: []uint64{0}}
	w.z = s2.NewWriter(nil, s2.WriterConcurrency(1), s2.WriterBlockSize(blockBytes))
	w.z.Reset(w)
	return w, nil
}

// Write takes what was compressed.
func (w *runWriter) Write(p []byte) (int, error) {
	n, err := w.out.Write(p)
	w.offset += int64(n)
	return n, err
}

// add adds a record; neither parts nor records of one go back.
func (w *runWriter) add(part int, r record) error {
	if err := w.startPart(part); err != nil {
		return err
	}
	w.scratch = binary.AppendUvarint(w.scratch[:0], uint64(len(r.key)))
	w.scratch = binary.AppendUvarint(w.scratch, uint64(len(r.value)))
	w.scratch = append(append(w.scratch, r.key...), r.value...)
	_, err := w.z.Write(w.scratch)
	return err
}

// startPart ends the parts before.
func (w *runWriter) startPart(part int) error {
	for len(w.offsets) <= part {
		if err := w.z.Close(); err != nil {
			return err
		}
		w.offsets = append(w.offsets, uint64(w.offset))
		w.z.Reset(w)
	}
	return nil
}

func (w *runWriter) close() error {
	err := w.startPart(w.parts) // the end
	for _, offset := range w.offsets {
		w.scratch = binary.LittleEndian.AppendUint64(w.scratch[:0], offset)
		if err == nil {
			_, err = w.out.Write(w.scratch)
		}
	}
	if err == nil {
		err = w.out.Flush()
	}
	if err == nil {
		err = w.file.Sync()
	}
	return errors.Join(err, w.file.Close())
}

// A segment is a part of a run.
type segment struct {
	path        string
	part, parts int
}

// A cursor reads a segment.
type cursor struct {
	record
	name   string
	file   *os.File
	in     *bufio.Reader
	buffer []byte
}

// open returns a cursor at the first record, or nil if there is none.
func (s segment) open() (c *cursor, err error) {
	f, err := os.Open(s.path)
	if err != nil {
		return nil, err
	}
	defer func() {
		if c == nil {
			f.Close()
		}
	}()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	var bounds [16]byte
	index := info.Size() - int64(8*(s.parts+1))
	if _, err := f.ReadAt(bounds[:], index+int64(8*s.part)); err != nil {
		return nil, fmt.Errorf("%s is damaged: %w", s.path, noEOF(err))
	}
	begin, end := binary.LittleEndian.Uint64(bounds[:]), binary.LittleEndian.Uint64(bounds[8:])
	if begin > end || end > uint64(index) {
		return nil, fmt.Errorf("%s is damaged: part %d is from %d to %d", s.path, s.part, begin, end)
	}
	if begin == end {
		return nil, nil
	}
	z := s2.NewReader(io.NewSectionReader(f, int64(begin), int64(end-begin)), s2.ReaderMaxBlockSize(blockBytes))
	c = &cursor{name: s.path, file: f, in: bufio.NewReaderSize(z, 1<<12)}
	if ok, err := c.next(); err != nil || !ok {
		return nil, err
	}
	return c, nil
}

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// next goes to the next record. ok is false at the end.
func (c *cursor) next() (ok bool, err error) {
	key, err := binary.ReadUvarint(c.in)
	if err == io.EOF {
		return false, nil
	}
	var value uint64
	if err == nil {
		value, err = binary.ReadUvarint(c.in)
	}
	if err == nil && (key > maxRecordBytes || value > maxRecordBytes) {
		err = errors.New("a record is too long")
	}
	if err == nil {
		c.buffer = slices.Grow(c.buffer[:0], int(key+value))[:key+value]
		_, err = io.ReadFull(c.in, c.buffer)
	}
	if err != nil {
		return false, fmt.Errorf("%s is damaged: %w", c.name, noEOF(err))
	}
	c.key, c.value = c.buffer[:key:key], c.buffer[key:]
	return true, nil
}

// maxRecordBytes is the length of the longest key or value.
const maxRecordBytes = 1 << 30

// Before implements heap.Ordered.
func (c *cursor) Before(other *cursor) bool { return c.compare(other.record) < 0 }

// fanIn is how many runs are merged at once: each needs some 200 kB.
const fanIn = 32

// merge calls fn with the records of all segments, sorted. Where there are many
// it makes runs of some in dir first, of which nothing is left.
func merge(ctx context.Context, dir string, segments []segment, fn emit) error {
	for made := 0; len(segments) > fanIn; made++ {
		path := filepath.Join(dir, fmt.Sprintf("merged-%05d", made))
		w, err := createRun(path, 1)
		if err != nil {
			return err
		}
		defer os.Remove(path)
		err = mergeOnce(ctx, segments[:fanIn], func(r record) error { return w.add(0, r) })
		if err != nil {
			return errors.Join(err, w.file.Close())
		}
		if err := w.close(); err != nil {
			return err
		}
		segments = append(slices.Clone(segments[fanIn:]), segment{path, 0, 1})
	}
	return mergeOnce(ctx, segments, fn)
}

// mergeOnce is merge of a few segments.
func mergeOnce(ctx context.Context, segments []segment, fn emit) error {
	var cursors heap.Heap[*cursor]
	var opened []*cursor
	defer func() {
		for _, c := range opened {
			c.file.Close()
		}
	}()
	for _, s := range segments {
		c, err := s.open()
		if err != nil {
			return err
		}
		if c != nil {
			opened = append(opened, c)
			cursors.Push(c)
		}
	}
	for n := 0; len(cursors) > 0; n++ {
		if n%256 == 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
		}
		first := cursors[0]
		if err := fn(first.record); err != nil {
			return err
		}
		ok, err := first.next()
		if err != nil {
			return err
		}
		if ok {
			cursors.ReplaceFirst(first)
		} else {
			cursors.Pop()
		}
	}
	return nil
}
