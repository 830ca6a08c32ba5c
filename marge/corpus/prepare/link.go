package prepare

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"

	"github.com/klauspost/compress/zstd"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/internal/osfile"
	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/index"
)

// A Link is a line of a file of links, as JSON: a target and a chunk that was found to
// be relevant to it. A chunk is named by the ID of its document, which the shard has
// once, and its number there, from 0. The file has the links of a shard, those with
// the greatest score first, and is compressed with zstd; files are named as those of
// the shards.
type Link struct {
	Target        string  `json:"target"`
	TargetChunk   int     `json:"target_chunk"`
	Evidence      string  `json:"evidence"`
	EvidenceChunk int     `json:"evidence_chunk"`
	Score         float32 `json:"score"` // cosine, centred by language, with the margin if there is one
}

// LinkCounts describes links.
type LinkCounts struct {
	Targets  int `json:"targets"`  // chunks that may be targets
	Links    int `json:"links"`    // all links
	Cross    int `json:"cross"`    // links between documents in different languages
	Unlinked int `json:"unlinked"` // targets without a link
}

func (c *LinkCounts) add(other LinkCounts) {
	c.Targets += other.Targets
	c.Links += other.Links
	c.Cross += other.Cross
	c.Unlinked += other.Unlinked
}

// linked describes a file of links, and says that it is complete.
type linked struct {
	LinkCounts
	ShardFile
	Shard   string            `json:"shard"`
	Means   string            `json:"means"` // means.sum
	Options index.LinkOptions `json:"options"`
}

// linker links parts of an index.
type linker struct {
	dir   string // of the index
	means means  // over all shards
	sum   string // of means
	links index.LinkOptions
	run   asm.Runner
}

// part links a part, unless it is linked.
func (l *linker) part(ctx context.Context, p *part) (LinkCounts, error) {
	if err := ctx.Err(); err != nil {
		return LinkCounts{}, err
	}
	path := filepath.Join(l.dir, LinksName, partName(p.File))
	wanted := linked{ShardFile: p.ShardFile, Shard: p.Shard, Means: l.sum, Options: l.links}
	var is linked
	err := readJSON(path+".json", &is)
	if err == nil {
		err = errors.Join(differ("the shard", is.ShardFile, wanted.ShardFile),
			differ("Links", is.Options, wanted.Options), differ("the sum of the means of languages", is.Means, wanted.Means))
		if err != nil {
			err = fmt.Errorf("%s.json: %w", path, err)
		}
		return is.LinkCounts, err
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return LinkCounts{}, err
	}
	if err := l.link(ctx, p, path, &wanted); err != nil {
		if ctx.Err() == nil {
			err = fmt.Errorf("shard %q: %w", p.Shard, err)
		}
		return LinkCounts{}, err
	}
	return wanted.LinkCounts, nil
}

// link links a part, writes the links, and fills in what came of it.
func (l *linker) link(ctx context.Context, p *part, path string, done *linked) error {
	file := vectorsPath(l.dir, p.File)
	x, err := marge.OpenIndex(file)
	if err != nil {
		return err
	}
	defer x.Close()
	if err := x.Verify(); err != nil {
		return fmt.Errorf("%w: remove it and %s", err, partPath(l.dir, p.File))
	}
	if x.Len() != p.Chunks {
		return fmt.Errorf("%s has %d vectors, want %d", file, x.Len(), p.Chunks)
	}
	chunks, items, langs := chunksOf(x, p)
	var pairs []index.Pair
	if len(items) > 0 {
		if pairs, err = l.pairs(ctx, x, items, langs, p); err != nil {
			return err
		}
	}
	s := index.LinkStats(pairs, items)
	done.LinkCounts = LinkCounts{s.Targets, s.Links, s.Cross, s.Unlinked}
	if err := os.MkdirAll(filepath.Join(l.dir, LinksName), 0o777); err != nil {
		return err
	}
	err = osfile.Replace(path+".jsonl.zst", func(f *os.File) error {
		return writeLinks(f, func(yield func(Link) bool) {
			for _, pair := range pairs {
				target, evidence := chunks[pair.Target], chunks[pair.Evidence]
				if !yield(Link{target.id, target.number, evidence.id, evidence.number, pair.Score}) {
					return
				}
			}
		})
	})
	if err != nil {
		return err
	}
	description, err := json.Marshal(done)
	if err != nil {
		return err
	}
	return osfile.WriteFile(path+".json", description)
}

// chunkName names a chunk.
type chunkName struct {
	id     string // of its document
	number int    // there
}

// chunksOf returns the names of the chunks of a part, the items to link, and the
// languages, which items have by number.
func chunksOf(x *marge.Index, p *part) (chunks []chunkName, items []index.Item, langs []string) {
	sources := map[string]int{}
	for i := range x.Len() {
		passage := x.Passage(i)
		c := chunkName{id: passage.ID}
		if i > 0 && chunks[i-1].id == c.id {
			c.number = chunks[i-1].number + 1
		}
		chunks = append(chunks, c)
		lang := slices.Index(langs, passage.Lang)
		if lang < 0 {
			lang, langs = len(langs), append(langs, passage.Lang)
		}
		source := cmp.Or(p.Sources[c.id], c.id)
		if _, ok := sources[source]; !ok {
			sources[source] = len(sources)
		}
		items = append(items, index.Item{
			Chunk: i, Lang: lang, Source: sources[source], Target: c.number == 0 || !p.FirstChunkTargets,
		})
	}
	return chunks, items, langs
}

// pairs returns the links of a part (arXiv:2006.15020, section 2.4), as training finds
// them: of vectors from which the mean of their language is taken off.
func (l *linker) pairs(
	ctx context.Context, x *marge.Index, items []index.Item, langs []string, p *part,
) ([]index.Pair, error) {
	means, err := l.means.of(langs, p)
	if err != nil {
		return nil, err
	}
	if dim := len(x.Vector(0)); dim != means.Dim {
		return nil, fmt.Errorf("%s has vectors of dimension %d, the means %d", vectorsPath(l.dir, p.File), dim, means.Dim)
	}
	rows, of := make([]float32, 0, len(items)*means.Dim), make([]int, len(items))
	for i, item := range items {
		rows, of[i] = append(rows, x.Vector(i)...), item.Lang
	}
	if err := means.Center(ctx, l.run, rows, of); err != nil {
		return nil, err
	}
	return index.Links(ctx, l.run, rows, means.Dim, items, l.links)
}

// writeLinks writes a file of links.
func writeLinks(f *os.File, links iter.Seq[Link]) error {
	z, err := zstd.NewWriter(f, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
	if err != nil {
		return err
	}
	out := bufio.NewWriterSize(z, 1<<16)
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	for link := range links {
		if err := lines.Encode(link); err != nil {
			return errors.Join(err, z.Close())
		}
	}
	return errors.Join(out.Flush(), z.Close())
}
