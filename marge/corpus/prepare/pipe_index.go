package prepare

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"

	"github.com/marge-go/marge/tensor"
)

func (p *pipe) encode(ctx context.Context, in io.Reader) error {
	o, err := p.o.Index.resolve()
	if err != nil {
		return err
	}
	e, err := newEncoder(&o)
	if err != nil {
		return err
	}
	return paths(in, func(path string) error {
		part, err := e.part(ctx, p.o.Dir, path)
		if err != nil {
			return err
		}
		p.c.Shards++
		p.c.Kept += part.Documents
		for _, lang := range slices.Sorted(maps.Keys(part.Languages)) {
			r, err := sumRecord(lang, part.Languages[lang])
			if err == nil {
				err = p.record(r)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func (p *pipe) link(ctx context.Context, in io.Reader) error {
	o, err := p.o.Index.resolve()
	if err != nil {
		return err
	}
	if p.o.Means == nil {
		return errors.New("the means, which the step means writes, are missing")
	}
	l := linker{dir: p.o.Dir, means: means{}, links: o.Links, run: tensor.HostRunner(o.Backend)}
	if err := p.records(ctx, p.o.Means, func(_ int, r record) error { return l.means.addRecord(r) }); err != nil {
		return fmt.Errorf("means: %w", err)
	}
	l.sum = l.means.sum()
	lines := json.NewEncoder(p.out)
	return paths(in, func(path string) error {
		part, err := readPart(p.o.Dir, path)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is not encoded: %w", path, err)
		}
		if err != nil {
			return err
		}
		counts, err := l.part(ctx, part)
		if err != nil {
			return err
		}
		p.c.Shards++
		p.c.Kept += part.Documents
		return lines.Encode(counts)
	})
}
