package prepare

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/corpus/source"
)

// steps runs all steps. Records are divided into partitions by the first fields
// of their keys: a task of the steps after reading is a partition.
func (p *pipeline) steps(ctx context.Context) error {
	groups := splits(p.wanted.Inputs, p.o.splitBytes)
	n := p.wanted.Partitions
	all := []step{
		{"read", len(groups), func(ctx context.Context, task int, dir string, c *Counts) error {
			return p.read(ctx, groups[task], dir, c)
		}, nil},
		{"ids", n, p.ids, []string{"read"}},
		{"exact", n, p.exact, nil},
		{"minhash", n, p.minhash, nil},
		{"near", n, p.near, nil},
		{"parts", n, p.parts, []string{"minhash"}},
		{"shard", n, p.shard, []string{"ids", "exact", "near"}},
		{"write", n, p.write, []string{"shard"}},
	}
	for i, s := range all {
		p.report(func(now *Progress) {
			*now = Progress{Step: s.name, Number: i + 1, Steps: len(all), Tasks: s.tasks}
		})
		if err := p.runStep(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// sorter returns one that writes runs of records for all partitions.
func (p *pipeline) sorter(dir, prefix string) *sorter {
	return &sorter{dir: dir, prefix: prefix, parts: p.wanted.Partitions, limit: int(p.o.Memory / int64(p.o.Threads))}
}

// clean is what comes before sorting.
func (o *Options) clean(doc corpus.Document) (corpus.Document, Reason) {
	for _, step := range []func(corpus.Document) (corpus.Document, Reason){
		Normalise, o.Languages.Language, o.Quality.Filter,
	} {
		var reason Reason
		if doc, reason = step(doc); reason != "" {
			return doc, reason
		}
	}
	return doc, ""
}

// read reads and cleans documents. One goroutine reads; the cleaning is work for
// several.
func (p *pipeline) read(ctx context.Context, inputs []Input, dir string, c *Counts) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	out := p.sorter(dir, "run")
	var mu sync.Mutex // of out and dropped
	dropped := map[Reason]int{}
	docs := make(chan corpus.Document, p.o.Threads)
	one := func(doc corpus.Document) error {
		doc, reason := p.o.clean(doc)
		var r record
		var err error
		if reason == "" {
			r, err = documentRecord(&doc)
		}
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err != nil:
			return err
		case reason != "":
			dropped[reason]++
			return nil
		}
		return out.add(r)
	}
	var wg sync.WaitGroup
	for range p.o.Threads {
		wg.Go(func() {
			for doc := range docs {
				if ctx.Err() == nil {
					if err := one(doc); err != nil {
						cancel(err)
					}
				}
			}
		})
	}
	o := readOptions{source.Options{Lang: p.o.Lang, MaxBytes: p.o.MaxBytes}, &p.items}
	passed := 0
	err := readAll(ctx, inputs, o, c, func(doc corpus.Document) error {
		if passed++; passed == progressEvery {
			passed = 0
			p.report(func(now *Progress) { now.Documents += progressEvery })
		}
		select {
		case docs <- doc:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	close(docs)
	wg.Wait()
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	if err != nil {
		return err
	}
	c.Dropped = dropped
	return out.spill()
}

const progressEvery = 1000

// runs returns what tasks of a step left for a partition.
func (p *pipeline) runs(step, prefix string, part int) (segments []segment, err error) {
	tasks, err := os.ReadDir(p.work(step))
	if err != nil {
		return nil, err
	}
	for _, task := range tasks {
		files, err := os.ReadDir(p.work(step, task.Name()))
		if err != nil {
			return nil, err
		}
		for _, file := range files {
			if strings.HasPrefix(file.Name(), prefix+"-") {
				path := p.work(step, task.Name(), file.Name())
				segments = append(segments, segment{path, part, p.wanted.Partitions})
			}
		}
	}
	return segments, nil
}

// input is a step and the prefix of the files that it left.
type input struct{ step, prefix string }

// merge calls fn with the records of a partition that steps left, sorted.
func (p *pipeline) merge(ctx context.Context, part int, dir string, inputs []input, fn emit) error {
	var segments []segment
	for _, in := range inputs {
		more, err := p.runs(in.step, in.prefix, part)
		if err != nil {
			return err
		}
		segments = append(segments, more...)
	}
	passed := 0
	return merge(ctx, dir, segments, func(r record) error {
		if passed++; passed == progressEvery {
			passed = 0
			p.report(func(now *Progress) { now.Documents += progressEvery })
		}
		return fn(r)
	})
}

// documents calls fn with the documents of a partition that no step drops.
func (p *pipeline) documents(
	ctx context.Context, part int, dir string, drops []string, fn func(doc *corpus.Document) error,
) (dropped map[Reason]int, err error) {
	inputs := []input{{"ids", fmt.Sprintf("documents-%05d", part)}}
	for _, step := range drops {
		inputs = append(inputs, input{step, "run"})
	}
	var d dropping
	err = p.merge(ctx, part, dir, inputs, func(r record) error {
		return d.add(r, func(r record) error {
			doc, err := decodeDocument(r.value)
			if err != nil {
				return err
			}
			return fn(&doc)
		})
	})
	return d.dropped, err
}

func (p *pipeline) ids(ctx context.Context, part int, dir string, c *Counts) error {
	// One file with records of this partition, in the format of many.
	docs, err := createRun(filepath.Join(dir, fmt.Sprintf("documents-%05d-0", part)), p.wanted.Partitions)
	if err != nil {
		return err
	}
	out := p.sorter(dir, "run")
	var unique uniqueIDs
	err = p.merge(ctx, part, dir, []input{{"read", "run"}}, func(r record) error {
		return unique.add(r, func(r record) error {
			doc, err := decodeDocument(r.value)
			if err != nil {
				return err
			}
			if err := docs.add(part, r); err != nil {
				return err
			}
			return out.add(exactRecord(&doc))
		})
	})
	if err != nil {
		docs.file.Close()
		return err
	}
	if unique.dropped > 0 {
		c.Dropped = count(c.Dropped, SameID, unique.dropped)
	}
	if err := docs.close(); err != nil {
		return err
	}
	return out.spill()
}

func (p *pipeline) exact(ctx context.Context, part int, dir string, c *Counts) error {
	out := p.sorter(dir, "run")
	var e exactDuplicates
	err := p.merge(ctx, part, dir, []input{{"ids", "run"}}, func(r record) error { return e.add(r, out.add) })
	if err != nil {
		return err
	}
	return out.spill()
}

func (p *pipeline) minhash(ctx context.Context, part int, dir string, c *Counts) error {
	out, sizes := p.sorter(dir, "run"), p.sorter(dir, "size")
	out.limit, sizes.limit = out.limit/8*7, sizes.limit/8
	_, err := p.documents(ctx, part, dir, []string{"exact"}, func(doc *corpus.Document) error {
		if err := sizes.add(p.o.Shards.sizeRecord(doc)); err != nil {
			return err
		}
		return bandRecords(doc, out.add)
	})
	if err != nil {
		return err
	}
	if err := sizes.spill(); err != nil {
		return err
	}
	return out.spill()
}

func (p *pipeline) near(ctx context.Context, part int, dir string, c *Counts) error {
	out := p.sorter(dir, "run")
	var n nearDuplicates
	err := p.merge(ctx, part, dir, []input{{"minhash", "run"}}, func(r record) error { return n.add(r, out.add) })
	if err != nil {
		return err
	}
	return out.spill()
}

func (p *pipeline) parts(ctx context.Context, part int, dir string, c *Counts) error {
	out := p.sorter(dir, "run")
	sizes := partsOf{limit: p.o.Shards.MaxCharacters}
	err := p.merge(ctx, part, dir, []input{{"minhash", "size"}}, func(r record) error { return sizes.add(r, out.add) })
	if err != nil {
		return err
	}
	if err := sizes.end(out.add); err != nil {
		return err
	}
	return out.spill()
}

func (p *pipeline) shard(ctx context.Context, part int, dir string, c *Counts) error {
	cut := parts{}
	for i := range p.wanted.Partitions {
		if err := p.merge(ctx, i, dir, []input{{"parts", "run"}}, cut.add); err != nil {
			return err
		}
	}
	out := p.sorter(dir, "run")
	var err error
	c.Dropped, err = p.documents(ctx, part, dir, []string{"exact", "near"}, func(doc *corpus.Document) error {
		r, err := p.o.Shards.shardRecord(*doc, cut)
		if err != nil {
			return err
		}
		return out.add(r)
	})
	if err != nil {
		return err
	}
	return out.spill()
}

func (p *pipeline) write(ctx context.Context, part int, dir string, c *Counts) error {
	out := shardFiles{dir: filepath.Join(p.dir, ShardsName), done: c.shard, kept: func(doc *corpus.Document) {
		c.keep(doc.Lang, characters(doc.Text))
	}}
	defer out.abort()
	if err := p.merge(ctx, part, dir, []input{{"shard", "run"}}, out.add); err != nil {
		return err
	}
	return out.close()
}
