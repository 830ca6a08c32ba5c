package marge

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/marge-go/marge/marge/index"
	"github.com/marge-go/marge/marge/vectors"
)

// link represents the chunks of shards as vectors, of g or of TF-IDF, and links
// those of each shard. What documents of one language have in common, the mean
// of their vectors, is taken off first: in an untrained encoder it outweighs
// the rest. The ranks of a group link the shards in turn; what they add up are
// integers, so that the links are those of one rank.
func (r *retrieved) link(ctx context.Context, shards []int, step int) ([]shardLinks, error) {
	links := make([]shardLinks, len(shards))
	var own []*shardLinks
	total := 0
	for i, shard := range shards {
		links[i] = shardLinks{shard: shard, items: r.items(shard)}
		total += len(links[i].items)
		if i%r.o.Group.Size() == r.o.Group.Rank() {
			own = append(own, &links[i])
		}
	}
	var docs [][]int32
	var langs []int
	for _, l := range own {
		for _, item := range l.items {
			docs, langs = append(docs, r.store.Tokens(item.Chunk)), append(langs, item.Lang)
		}
	}
	find := r.linkByG
	if step < r.o.TFIDFSteps {
		find = func(ctx context.Context, docs [][]int32, _ []int, own []*shardLinks) error {
			return r.linkByTFIDF(ctx, docs, total, own)
		}
	}
	if err := find(ctx, docs, langs, own); err != nil {
		return nil, err
	}
	return links, r.gatherLinks(links, own)
}

// linkByTFIDF links shards whose documents are docs, of total on all ranks.
func (r *retrieved) linkByTFIDF(ctx context.Context, docs [][]int32, total int, own []*shardLinks) error {
	o := r.o.Links
	o.PerTarget = false
	var df []int32
	err := r.o.Group.Together(ctx, func(ctx context.Context) (err error) {
		df, err = index.DocumentFrequency(ctx, docs, r.m.Config.VocabSize)
		return err
	})
	if err == nil {
		err = r.addUp(df)
	}
	if err != nil {
		return err
	}
	return r.o.Group.Together(ctx, func(ctx context.Context) error {
		for _, l := range own {
			n := len(l.items)
			rows, err := index.TFIDF(ctx, r.m.Runner(), docs[:n], df, total, index.TFIDFOptions{})
			if err != nil {
				return err
			}
			if l.pairs, err = index.CenteredLinks(ctx, r.m.Runner(), rows, l.items, o); err != nil {
				return err
			}
			docs = docs[n:]
		}
		return nil
	})
}

// addUp replaces counts by their sums over the ranks.
func (r *retrieved) addUp(counts []int32) error {
	wide := make([]int64, len(counts))
	for i, n := range counts {
		wide[i] = int64(n)
	}
	err := r.o.Group.AllReduceInt64(wide)
	for i, n := range wide {
		counts[i] = int32(n)
	}
	return err
}

// linkByG links shards whose documents are docs, in the languages langs.
func (r *retrieved) linkByG(ctx context.Context, docs [][]int32, langs []int, own []*shardLinks) error {
	d := r.m.Config.EmbeddingDim()
	means := vectors.NewMeans(len(r.languages), d)
	var rows []float32
	err := r.o.Group.Together(ctx, func(ctx context.Context) (err error) {
		if rows, err = r.m.Embed(ctx, docs); err != nil {
			return err
		}
		if err = means.Add(ctx, r.m.Runner(), rows, langs); err != nil {
			return fmt.Errorf("center by language: %w", err)
		}
		return nil
	})
	if err == nil {
		err = r.o.Group.AllReduceInt64(means.Sums)
	}
	if err == nil {
		err = r.o.Group.AllReduceInt64(means.Counts)
	}
	if err != nil {
		return err
	}
	return r.o.Group.Together(ctx, func(ctx context.Context) error {
		if err := means.Center(ctx, r.m.Runner(), rows, langs); err != nil {
			return fmt.Errorf("center by language: %w", err)
		}
		for _, l := range own {
			var err error
			n := len(l.items) * d
			if l.pairs, err = index.Links(ctx, r.m.Runner(), rows[:n], d, l.items, r.o.Links); err != nil {
				return err
			}
			rows = rows[n:]
		}
		return nil
	})
}

// gatherLinks gives every rank the pairs of all shards.
func (r *retrieved) gatherLinks(links []shardLinks, own []*shardLinks) error {
	size := r.o.Group.Size()
	if size == 1 {
		return nil
	}
	var mine []byte
	for _, l := range own {
		mine = l.encode(mine)
	}
	all, err := r.o.Group.AllGather(mine)
	if err != nil {
		return err
	}
	for i := range links {
		if all[i%size], err = links[i].decode(all[i%size]); err == nil {
			err = index.CheckPairs(links[i].pairs, links[i].items)
		}
		if err != nil {
			return fmt.Errorf("links of shard %q from rank %d: %w", r.store.Shards()[links[i].shard], i%size, err)
		}
	}
	return nil
}

// encode appends the pairs of a shard to data.
func (l *shardLinks) encode(data []byte) []byte {
	data = binary.LittleEndian.AppendUint32(data, uint32(len(l.pairs)))
	for _, p := range l.pairs {
		data = binary.LittleEndian.AppendUint32(data, uint32(p.Target))
		data = binary.LittleEndian.AppendUint32(data, uint32(p.Evidence))
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(p.Score))
	}
	return data
}

// decode reads the pairs of a shard and returns the rest of the data.
func (l *shardLinks) decode(data []byte) ([]byte, error) {
	const pairBytes = 12
	if len(data) < 4 {
		return nil, errors.New("their number is missing")
	}
	n := int(binary.LittleEndian.Uint32(data))
	if data = data[4:]; n > len(data)/pairBytes {
		return nil, fmt.Errorf("%d pairs in %d bytes", n, len(data))
	}
	l.pairs = nil
	for ; n > 0; n-- {
		l.pairs = append(l.pairs, index.Pair{
			Target: int32(binary.LittleEndian.Uint32(data)), Evidence: int32(binary.LittleEndian.Uint32(data[4:])),
			Score: math.Float32frombits(binary.LittleEndian.Uint32(data[8:])),
		})
		data = data[pairBytes:]
	}
	return data, nil
}
