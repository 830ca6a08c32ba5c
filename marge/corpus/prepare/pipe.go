package prepare

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/corpus/source"
)

// PipeOptions says what the steps of Pipe do; what a step does not need is
// ignored.
type PipeOptions struct {
	Languages Languages
	Quality   Quality
	Shards    Shards
	Lang      string    // as in Options
	MaxBytes  int       // as in Options
	Parts     io.Reader // what the step parts wrote, for shard; nil stands for nothing
	Dir       string    // in which write makes files, which exists; that of the index, for encode and link

	Index IndexOptions // of encode and link
	Means io.Reader    // what the step means wrote, for link
}

// A pipe is a step as a filter of lines.
type pipe struct {
	o   *PipeOptions
	c   *Counts
	out *bufio.Writer
}

// pipes are the steps of Pipe.
var pipes = map[string]func(p *pipe, ctx context.Context, in io.Reader) error{
	"read": (*pipe).read,
	"normalise": func(p *pipe, ctx context.Context, in io.Reader) error {
		return p.clean(ctx, in, Normalise)
	},
	"language": func(p *pipe, ctx context.Context, in io.Reader) error {
		return p.clean(ctx, in, p.o.Languages.Language)
	},
	"quality": func(p *pipe, ctx context.Context, in io.Reader) error {
		return p.clean(ctx, in, p.o.Quality.Filter)
	},
	"key": (*pipe).key,
	"ids": func(p *pipe, ctx context.Context, in io.Reader) error {
		var u uniqueIDs
		err := p.sorted(ctx, in, func(r record) error { return u.add(r, p.checked) })
		if u.dropped > 0 {
			p.c.Dropped = count(p.c.Dropped, SameID, u.dropped)
		}
		return err
	},
	"hash": func(p *pipe, ctx context.Context, in io.Reader) error {
		return p.documents(ctx, in, func(doc *corpus.Document) error { return p.record(exactRecord(doc)) })
	},
	"exact": func(p *pipe, ctx context.Context, in io.Reader) error {
		var e exactDuplicates
		return p.sorted(ctx, in, func(r record) error { return e.add(r, p.record) })
	},
	"minhash": func(p *pipe, ctx context.Context, in io.Reader) error {
		return p.documents(ctx, in, func(doc *corpus.Document) error { return bandRecords(doc, p.record) })
	},
	"near": func(p *pipe, ctx context.Context, in io.Reader) error {
		var n nearDuplicates
		return p.sorted(ctx, in, func(r record) error { return n.add(r, p.record) })
	},
	"drop": func(p *pipe, ctx context.Context, in io.Reader) error {
		var d dropping
		err := p.sorted(ctx, in, func(r record) error { return d.add(r, p.checked) })
		p.c.Dropped = d.dropped
		return err
	},
	"sizes": func(p *pipe, ctx context.Context, in io.Reader) error {
		return p.documents(ctx, in, func(doc *corpus.Document) error { return p.record(p.o.Shards.sizeRecord(doc)) })
	},
	"parts": func(p *pipe, ctx context.Context, in io.Reader) error {
		sizes := partsOf{limit: p.o.Shards.MaxCharacters}
		if err := p.sorted(ctx, in, func(r record) error { return sizes.add(r, p.record) }); err != nil {
			return err
		}
		return sizes.end(p.record)
	},
	"shard":  (*pipe).shard,
	"write":  (*pipe).write,
	"encode": (*pipe).encode,
	"means": func(p *pipe, ctx context.Context, in io.Reader) error {
		var m meansOf
		if err := p.sorted(ctx, in, func(r record) error { return m.add(r, p.record) }); err != nil {
			return err
		}
		return m.end(p.record)
	},
	"link": (*pipe).link,
}

// PipeSteps returns the names of the steps of Pipe.
func PipeSteps() []string { return slices.Sorted(maps.Keys(pipes)) }

// Pipe is one step of Run as a filter of lines, for engines that pipe records
// through programs. Lines are documents (JSON Lines, as corpus.Read reads them)
// or records: a key, a tab and JSON. An engine sorts records by line, byte by
// byte; records with equal first fields of their keys (to the first space) must
// go to the same call, in one piece.
//
//	step       reads                    writes
//	read       paths of files           documents
//	normalise  documents                documents
//	language   documents                documents
//	quality    documents                documents
//	key        documents                documents by ID
//	ids        documents by ID, sorted  documents by ID, of which each ID is there once
//	hash       documents by ID          hashes of texts
//	exact      hashes, sorted           what to drop
//	minhash    documents by ID          bands of MinHashes
//	near       bands, sorted            what to drop
//	drop       documents by ID and what to drop, together, sorted; writes documents by ID
//	sizes      documents by ID          sizes of shards
//	parts      sizes, sorted            parts of shards that are too large
//	shard      documents by ID          documents by shard
//	write      documents by shard, sorted; makes the files in Dir, and writes what is in them as JSON
//	encode     paths of files of shards; makes their parts of the index in Dir, and writes sums of vectors by language
//	means      sums, sorted             sums, one of each language
//	link       paths of files of shards that are encoded; makes the links in Dir, and writes their counts as JSON
//
// [Index] makes the index of what encode and link left in Dir, with the same
// IndexOptions. Calls of encode need the whole model each.
//
// minhash and sizes read what drop left of exact duplicates, shard what it left
// of both kinds.
//
// Keys are of hexadecimal fields, so that they sort in the same order as strings
// and as bytes. The result is that of Run. Lines that are not what a step reads,
// or are not sorted, are an error that names the line; the step read counts what
// is no document in files.
func Pipe(ctx context.Context, step string, o PipeOptions, in io.Reader, out io.Writer) (*Counts, error) {
	var c Counts
	run := pipes[step]
	if run == nil {
		return &c, fmt.Errorf("prepare: unknown step %q, want one of %v", step, PipeSteps())
	}
	resolved, err := Options{
		Languages: o.Languages, Quality: o.Quality, Shards: o.Shards, Lang: o.Lang, MaxBytes: o.MaxBytes,
	}.resolve()
	if err != nil {
		return &c, err
	}
	o.Quality, o.Shards = resolved.Quality, resolved.Shards
	p := &pipe{o: &o, c: &c, out: bufio.NewWriterSize(out, 1<<16)}
	err = run(p, ctx, in)
	if err == nil {
		err = p.out.Flush()
	}
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("prepare: step %s: %w", step, err)
	}
	return &c, err
}

const pipeName = "standard input"

// record writes a record.
func (p *pipe) record(r record) error {
	p.out.Write(r.key)
	p.out.WriteByte('\t')
	p.out.Write(r.value)
	return p.out.WriteByte('\n') // the error of any of these
}

// checked writes a record that must be a document.
func (p *pipe) checked(r record) error {
	if _, err := decodeDocument(r.value); err != nil {
		return err
	}
	return p.record(r)
}

func (p *pipe) document(doc *corpus.Document) error {
	value, err := encodeDocument(doc)
	if err != nil {
		return err
	}
	p.out.Write(value)
	return p.out.WriteByte('\n')
}

// records calls fn with the records that in holds.
func (p *pipe) records(ctx context.Context, in io.Reader, fn func(line int, r record) error) error {
	lines := bufio.NewReaderSize(in, 1<<16)
	var long []byte
	for number := 1; ; number++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		long = long[:0]
		var part []byte
		var err error
		for {
			part, err = lines.ReadSlice('\n')
			if err != bufio.ErrBufferFull && len(long) == 0 {
				break
			}
			long = append(long, part...)
			part = long
			if err != bufio.ErrBufferFull || len(long) > maxRecordBytes {
				break
			}
		}
		if err == io.EOF && len(part) == 0 {
			return nil
		}
		if err != nil && err != io.EOF {
			return fmt.Errorf("%s:%d: %w", pipeName, number, err)
		}
		key, value, ok := bytes.Cut(bytes.TrimSuffix(part, []byte{'\n'}), []byte{'\t'})
		if !ok || len(key) == 0 {
			return fmt.Errorf("%s:%d: no key and tab", pipeName, number)
		}
		if err := fn(number, record{key, value}); err != nil {
			return fmt.Errorf("%s:%d: %w", pipeName, number, err)
		}
	}
}

var errOrder = errors.New("records are not sorted")

// sorted calls fn with the records that in holds, which are sorted.
func (p *pipe) sorted(ctx context.Context, in io.Reader, fn emit) error {
	var last record
	return p.records(ctx, in, func(_ int, r record) error {
		if r.compare(last) < 0 {
			return errOrder
		}
		last = record{append(last.key[:0], r.key...), append(last.value[:0], r.value...)}
		return fn(r)
	})
}

// documents calls fn with the documents of records by ID.
func (p *pipe) documents(ctx context.Context, in io.Reader, fn func(doc *corpus.Document) error) error {
	return p.records(ctx, in, func(_ int, r record) error {
		doc, err := decodeDocument(r.value)
		if err != nil {
			return err
		}
		return fn(&doc)
	})
}

func (p *pipe) read(ctx context.Context, in io.Reader) error {
	o := readOptions{source.Options{Lang: p.o.Lang, MaxBytes: p.o.MaxBytes}, &itemTables{}}
	return paths(in, func(path string) error {
		files, err := Expand([]string{path})
		if err != nil {
			return err
		}
		inputs, err := statInputs(files)
		if err != nil {
			return err
		}
		return readAll(ctx, inputs, o, p.c, func(doc corpus.Document) error { return p.document(&doc) })
	})
}

// paths calls fn with the lines of in that are not empty.
func paths(in io.Reader, fn func(path string) error) error {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		if lines.Text() == "" {
			continue
		}
		if err := fn(lines.Text()); err != nil {
			return err
		}
	}
	return lines.Err()
}

func (p *pipe) clean(
	ctx context.Context, in io.Reader, step func(corpus.Document) (corpus.Document, Reason),
) error {
	return p.lines(ctx, in, func(doc corpus.Document) error {
		doc, reason := step(doc)
		if reason != "" {
			p.c.Dropped = count(p.c.Dropped, reason, 1)
			return nil
		}
		p.c.Kept++
		return p.document(&doc)
	})
}

// lines calls fn with the documents of JSON Lines.
func (p *pipe) lines(ctx context.Context, in io.Reader, fn func(doc corpus.Document) error) error {
	_, err := corpus.ReadFrom(pipeName, in, corpus.ReadOptions{}, func(doc corpus.Document) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		p.c.Read++
		return fn(doc)
	})
	return err
}

func (p *pipe) key(ctx context.Context, in io.Reader) error {
	return p.lines(ctx, in, func(doc corpus.Document) error {
		r, err := documentRecord(&doc)
		if err != nil {
			return err
		}
		return p.record(r)
	})
}

func (p *pipe) shard(ctx context.Context, in io.Reader) error {
	cut := parts{}
	if p.o.Parts != nil {
		if err := p.records(ctx, p.o.Parts, func(_ int, r record) error { return cut.add(r) }); err != nil {
			return fmt.Errorf("parts: %w", err)
		}
	}
	return p.documents(ctx, in, func(doc *corpus.Document) error {
		r, err := p.o.Shards.shardRecord(*doc, cut)
		if err != nil {
			return err
		}
		return p.record(r)
	})
}

func (p *pipe) write(ctx context.Context, in io.Reader) error {
	var failed error // of writing to out, in a callback
	lines := json.NewEncoder(p.out)
	out := shardFiles{dir: p.o.Dir, done: func(s Shard) {
		p.c.shard(s)
		failed = errors.Join(failed, lines.Encode(s))
	}, kept: func(doc *corpus.Document) { p.c.keep(doc.Lang, characters(doc.Text)) }}
	defer out.abort()
	if err := p.sorted(ctx, in, out.add); err != nil {
		return err
	}
	return errors.Join(out.close(), failed)
}
