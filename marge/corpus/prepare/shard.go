package prepare

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"

	"github.com/marge-go/marge/internal/osfile"
	"github.com/marge-go/marge/marge/corpus"
)

// Shards says which documents training looks for evidence in together.
type Shards struct {
	// Groups is how many shards documents without a date are spread over: 1,000.
	// Those of a Group are in the same.
	Groups int
	// MaxCharacters is the size above which a shard is cut into parts: 40
	// million characters, some 20,000 chunks of 512 tokens. The documents of a
	// Group stay together.
	MaxCharacters int64
}

func (s Shards) resolve() (Shards, error) {
	if s.Groups < 0 || s.MaxCharacters < 0 {
		return s, fmt.Errorf("prepare: negative options of shards: %+v", s)
	}
	s.Groups, s.MaxCharacters = cmp.Or(s.Groups, 1000), cmp.Or(s.MaxCharacters, 40_000_000)
	return s, nil
}

// Key returns the shard of a document before shards that are too large are cut:
// its Shard if it has one, the day of its Date, or else a number below Groups
// that its Group tells, or its ID if it has none.
func (s Shards) Key(doc *corpus.Document) string {
	s, _ = s.resolve()
	switch {
	case doc.Shard != "":
		return doc.Shard
	case dayAndTime.MatchString(doc.Date):
		return doc.Date[:len("2006-01-02")]
	case doc.Date != "":
		return doc.Date
	}
	width := len(strconv.Itoa(s.Groups - 1))
	return fmt.Sprintf("group-%0*d", width, kinship(doc)%uint64(max(1, s.Groups)))
}

var dayAndTime = regexp.MustCompile(`^[0-9]{4}-[0-9]{2}-[0-9]{2}[T ]`)

// kinship is a number that the documents of a group have in common.
func kinship(doc *corpus.Document) uint64 {
	sum := sha256.Sum256([]byte(cmp.Or(doc.Group, doc.ID)))
	return binary.BigEndian.Uint64(sum[:])
}

// sizeRecord says how many characters a document adds to a shard.
func (s Shards) sizeRecord(doc *corpus.Document) record {
	return record{[]byte(hexOf(s.Key(doc))), strconv.AppendInt(nil, int64(characters(doc.Text)), 10)}
}

// partsOf adds up records of sizeRecord and emits the number of parts of shards
// that are too large. end emits the last.
type partsOf struct {
	changes
	limit int64
	size  int64
}

func (p *partsOf) add(r record, out emit) error {
	n, err := strconv.ParseInt(string(r.value), 10, 64)
	if err != nil || n < 0 {
		return fmt.Errorf("key %.200q: the size is %.200q", r.key, r.value)
	}
	if p.group != nil && !bytes.Equal(p.group, r.group()) {
		if err := p.cut(p.group, out); err != nil {
			return err
		}
	}
	p.next(r)
	if p.size > math.MaxInt64-n {
		return fmt.Errorf("key %.200q: the size of the shard is more than %d", r.key, int64(math.MaxInt64))
	}
	p.size += n
	return nil
}

func (p *partsOf) end(out emit) error { return p.cut(p.group, out) }

func (p *partsOf) cut(group []byte, out emit) error {
	parts := (p.size-1)/p.limit + 1
	p.size = 0
	if parts < 2 {
		return nil
	}
	return out(record{group, strconv.AppendInt(nil, parts, 10)})
}

// parts says into how many parts shards are cut that are too large. It is read
// from records of partsOf.
type parts map[string]uint64 // by key

func (p parts) add(r record) error {
	key, err := unhex(r.key)
	if err != nil {
		return err
	}
	n, err := strconv.ParseUint(string(r.value), 10, 63)
	if err != nil || n < 2 {
		return fmt.Errorf("key %.200q: the number of parts is %.200q", r.key, r.value)
	}
	p[key] = n
	return nil
}

// shardRecord gives a document its shard.
func (s Shards) shardRecord(doc corpus.Document, p parts) (record, error) {
	key := s.Key(&doc)
	doc.Shard = key
	if n := p[key]; n > 0 {
		// kinship has chosen the group already: other bits of the hash.
		sum := sha256.Sum256([]byte(cmp.Or(doc.Group, doc.ID)))
		doc.Shard = fmt.Sprintf("%s.%0*d", key, len(strconv.FormatUint(n-1, 10)), binary.BigEndian.Uint64(sum[8:])%n)
	}
	value, err := encodeDocument(&doc)
	return record{[]byte(hexOf(doc.Shard) + " " + hexOf(doc.ID)), value}, err
}

// A Shard is a file that was written.
type Shard struct {
	Name       string `json:"name"`
	Documents  int    `json:"documents"`
	Characters int64  `json:"characters"`
}

// shardFiles writes records of shardRecord, a file a shard. A file appears as a
// whole, with all of its documents, and replaces one that is there. close ends
// the last.
type shardFiles struct {
	changes
	dir  string
	file *shardFile // that is open
	done func(Shard)
	kept func(*corpus.Document)
}

type shardFile struct {
	Shard
	pipe   *io.PipeWriter
	lines  *bufio.Writer // to pipe
	result chan error
}

func (w *shardFiles) add(r record) error {
	fields, err := r.fields(2)
	if err != nil {
		return err
	}
	doc, err := decodeDocument(r.value)
	if err != nil {
		return fmt.Errorf("key %.200q: %w", r.key, err)
	}
	if w.next(r) {
		if err := w.close(); err != nil {
			return err
		}
		name, err := unhex(fields[0])
		if err != nil {
			return err
		}
		w.file = w.open(name)
	}
	w.file.lines.Write(r.value)
	if err := w.file.lines.WriteByte('\n'); err != nil { // that of Write, if it failed
		return err
	}
	w.file.Documents++
	w.file.Characters += int64(characters(doc.Text))
	if w.kept != nil {
		w.kept(&doc)
	}
	return nil
}

// open begins a file. What is written to lines ends up in it.
func (w *shardFiles) open(name string) *shardFile {
	from, to := io.Pipe()
	f := &shardFile{Shard{Name: name}, to, bufio.NewWriterSize(to, 1<<16), make(chan error, 1)}
	go func() {
		err := osfile.Replace(filepath.Join(w.dir, fileName(name)), func(out *os.File) error {
			z, err := zstd.NewWriter(out, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
			if err != nil {
				return err
			}
			if _, err := io.Copy(z, from); err != nil {
				z.Close()
				return err
			}
			return z.Close()
		})
		if err != nil {
			err = fmt.Errorf("shard %q: %w", name, err)
		}
		from.CloseWithError(err)
		f.result <- err
	}()
	return f
}

// close ends the file that is open.
func (w *shardFiles) close() error {
	f := w.file
	if f == nil {
		return nil
	}
	w.file = nil
	f.pipe.CloseWithError(f.lines.Flush()) // nil ends the file
	if err := <-f.result; err != nil {
		return err
	}
	w.done(f.Shard)
	return nil
}

var errAborted = errors.New("aborted")

// abort leaves nothing of the file that is open.
func (w *shardFiles) abort() {
	if w.file != nil {
		w.file.pipe.CloseWithError(errAborted)
		<-w.file.result
		w.file = nil
	}
}

var plainName = regexp.MustCompile(`^[0-9a-z][0-9a-z._-]{0,99}$`)

// fileName returns the name of the file of a shard: names that file systems may
// not take, or not keep apart, are replaced by a hash.
func fileName(shard string) string {
	if !plainName.MatchString(shard) || strings.HasPrefix(shard, "shard-") {
		sum := sha256.Sum256([]byte(shard))
		shard = "shard-" + hex.EncodeToString(sum[:16])
	}
	return shard + ".jsonl.zst"
}
