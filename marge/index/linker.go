package index

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/internal/ceil"
	"github.com/marge-go/marge/marge/internal/parallel"
	"github.com/marge-go/marge/marge/vectors"
)

// Similarities are computed in blocks of blockRows x blockColumns, which is
// 1 MB. A part is a block of targets with up to partBlocks blocks of evidence.
// Blocks begin at multiples of their size.
const (
	blockRows    = 512
	blockColumns = 512
	partBlocks   = 16
)

// flushPairs is the number of pairs after which a thread adds what it has found.
const flushPairs = 1 << 10

// linker is what Links and CenteredLinks do. The similarity of two targets is
// computed once and serves both directions.
type linker struct {
	similarity  similarity
	items       []Item
	order       []int32 // positions of items: targets, then the others, both by language
	lang        []int   // of the items in this order
	targets     int
	parts       []linkPart
	mono, cross selection
	means       *neighbourMeans // nil without a margin
	mutual      bool            // a pair is one of both items, whether or not they are targets
	threads     perThread[linkThread]

	mu  sync.Mutex
	bad *Pair // first eligible pair, by position, whose score is not finite
}

// similarity computes how similar items are.
type similarity interface {
	// block sets the scores of a thread, as r1-r0 rows, to the similarities of
	// items r0 to r1 in the order, which are targets, and items c0 to c1.
	block(w *linkThread, r0, r1, c0, c1 int)
}

// linkPart pairs rows r0 to r1 of the order, which are targets, with what comes
// after them in columns c0 to c1.
type linkPart struct{ r0, r1, c0, c1 int }

// linkThread is the state of a thread.
type linkThread struct {
	scores      []float32 // rows x columns
	columns     []float32 // thresholds of the columns as targets, for rows of one language
	thresholds  []float32 // of the pairs of a row with the columns
	above       []uint64  // bits of the scores above
	mono, cross []Pair

	rows              []float32 // vectors of the rows of the latest block
	rowsFrom          int
	rowBuf, columnBuf []float32 // copies of vectors that do not lie together
}

func newLinker(items []Item) *linker {
	if len(items) > math.MaxInt32 {
		panic(fmt.Sprintf("index: links: %d items, at most %d are possible", len(items), math.MaxInt32))
	}
	l := &linker{items: items, order: make([]int32, len(items))}
	for i := range items {
		l.order[i] = int32(i)
		if items[i].Target {
			l.targets++
		}
	}
	slices.SortStableFunc(l.order, func(a, b int32) int {
		x, y := &items[a], &items[b]
		if x.Target != y.Target {
			if x.Target {
				return -1
			}
			return 1
		}
		return cmp.Compare(x.Lang, y.Lang)
	})
	for _, item := range l.order {
		l.lang = append(l.lang, items[item].Lang)
	}
	for r0 := 0; r0 < l.targets; r0 += blockRows {
		for c0 := r0; c0 < len(items); c0 += partBlocks * blockColumns {
			c1 := min(c0+partBlocks*blockColumns, len(items))
			l.parts = append(l.parts, linkPart{r0, min(r0+blockRows, l.targets), c0, c1})
		}
	}
	// In the order of languages the best pairs could come last, and each would be
	// kept for a while. Any order gives the same links.
	random := rand.New(rand.NewPCG(0, 0))
	random.Shuffle(len(l.parts), func(i, j int) { l.parts[i], l.parts[j] = l.parts[j], l.parts[i] })
	return l
}

// links finds the links, by the similarity that has been set.
func (l *linker) links(ctx context.Context, run asm.Runner, opt LinkOptions) ([]Pair, error) {
	if err := opt.Validate(); err != nil {
		return nil, fmt.Errorf("index: links: %w", err)
	}
	if opt.Mono == 0 && opt.Cross == 0 {
		return nil, nil
	}
	if opt.Margin != "" && opt.Margin != vectors.MarginNone {
		var err error
		if l.means, err = l.neighbourMeans(ctx, run, opt); err != nil {
			return nil, err
		}
	}
	l.mono = newSelection(opt.Mono, l.targets, l.items, opt)
	l.cross = newSelection(opt.Cross, l.targets, l.items, opt)
	if err := l.run(ctx, run); err != nil {
		return nil, err
	}
	pairs := slices.Concat(l.mono.best(), l.cross.best())
	slices.SortFunc(pairs, comparePairs)
	if n := len(pairs); n > 0 && math.IsInf(float64(pairs[n-1].Score), -1) {
		return nil, badPair(pairs[n-1])
	}
	return pairs, nil
}

// run offers all pairs to the selections.
func (l *linker) run(ctx context.Context, run asm.Runner) error {
	err := parallel.Run(ctx, run, len(l.parts), func(part int) { l.part(ctx, part) })
	if err != nil {
		return fmt.Errorf("index: links: %w", err)
	}
	if l.bad != nil {
		return badPair(*l.bad)
	}
	return nil
}

func badPair(p Pair) error {
	return fmt.Errorf("index: links: the similarity of target %d and evidence %d is %v", p.Target, p.Evidence, p.Score)
}

func (l *linker) newThread() *linkThread {
	rows, columns := min(blockRows, l.targets), min(blockColumns, len(l.items))
	return &linkThread{
		scores:     make([]float32, rows*columns),
		columns:    make([]float32, columns),
		thresholds: make([]float32, columns),
		above:      make([]uint64, ceil.Div(columns, 64)),
	}
}

func (l *linker) part(ctx context.Context, part int) {
	p := l.parts[part]
	w := l.threads.take(l.newThread)
	defer l.threads.put(w)
	for c0 := p.c0; c0 < p.c1 && ctx.Err() == nil; c0 += blockColumns {
		c1 := min(c0+blockColumns, p.c1)
		l.similarity.block(w, p.r0, p.r1, c0, c1)
		l.selectPairs(w, p.r0, p.r1, c0, c1)
	}
}

// dense is the similarity of Links. Inner products are symmetric to the last
// bit, as every product and the order of additions are.
type dense struct {
	vectors []float32
	dim     int
	order   []int32
}

func (d *dense) block(w *linkThread, r0, r1, c0, c1 int) {
	if w.rows == nil || w.rowsFrom != r0 {
		w.rows, w.rowsFrom = d.gather(&w.rowBuf, r0, r1), r0
	}
	innerProducts(w.rows, d.gather(&w.columnBuf, c0, c1), d.dim, w.scores, c1-c0)
}

// gather returns the vectors from to to of the order: where they lie if they
// lie together, otherwise as a copy in buf.
func (d *dense) gather(buf *[]float32, from, to int) []float32 {
	order, dim := d.order[from:to], d.dim
	first := int(order[0])
	together := true
	for i, item := range order {
		together = together && int(item) == first+i
	}
	if together {
		return d.vectors[first*dim : (first+len(order))*dim]
	}
	*buf = (*buf)[:0]
	for _, item := range order {
		*buf = append(*buf, d.vectors[int(item)*dim:(int(item)+1)*dim]...)
	}
	return *buf
}

// selectPairs adds what may be among the best of the scores of rows r0 to r1
// and columns c0 to c1.
func (l *linker) selectPairs(w *linkThread, r0, r1, c0, c1 int) {
	n := c1 - c0
	columns, thresholds, above := w.columns[:n], w.thresholds[:n], w.above[:ceil.Div(n, 64)]
	// The thresholds are those of a row of this language with these minima.
	var lang int
	var mono, cross float32
	flushed := true
	for r := r0; r < r1; r++ {
		row := w.scores[(r-r0)*n : (r-r0+1)*n]
		if l.means != nil {
			l.means.apply(row, r, c0)
		}
		target := l.order[r]
		self := &l.items[target]
		m, c := l.mono.threshold(target), l.cross.threshold(target)
		if flushed || self.Lang != lang {
			l.columnThresholds(columns, self.Lang, c0)
		}
		if flushed || self.Lang != lang || m != mono || c != cross {
			lang, mono, cross, flushed = self.Lang, m, c, false
			aboveMono, aboveCross := notBelow(mono), notBelow(cross)
			for j, column := range columns {
				above := aboveCross
				if l.lang[c0+j] == lang {
					above = aboveMono
				}
				thresholds[j] = min(above, column)
			}
		}
		asm.Above(above, row, thresholds)
		for word, set := range above {
			for ; set != 0; set &= set - 1 {
				j := word*64 + bits.TrailingZeros64(set)
				if c0+j > r {
					l.offer(w, r, c0+j, row[j])
				}
			}
		}
		if len(w.mono)+len(w.cross) >= flushPairs {
			l.flush(w)
			flushed = true
		}
	}
	l.flush(w)
}

// columnThresholds sets the thresholds of columns from c0 on, as targets of
// items of a language.
func (l *linker) columnThresholds(dst []float32, lang, c0 int) {
	for j := range dst {
		s := l.cross
		if l.lang[c0+j] == lang {
			s = l.mono
		}
		dst[j] = nothing
		if c0+j < l.targets || l.mutual {
			dst[j] = notBelow(s.threshold(l.order[c0+j]))
		}
	}
}

// offer takes the pairs of a row, which is a target, and a column, unless both
// come from one source.
func (l *linker) offer(w *linkThread, row, column int, score float32) {
	target, evidence := l.order[row], l.order[column]
	a, b := &l.items[target], &l.items[evidence]
	if a.Source == b.Source {
		return
	}
	pairs := &w.cross
	if a.Lang == b.Lang {
		pairs = &w.mono
	}
	l.add(pairs, Pair{target, evidence, score})
	if b.Target || l.mutual {
		l.add(pairs, Pair{evidence, target, score})
	}
}

// add takes a pair. NaN and +Inf are above any threshold, so that all of them
// come here; -Inf is left to be the worst.
func (l *linker) add(pairs *[]Pair, p Pair) {
	if p.Score != p.Score || p.Score > math.MaxFloat32 {
		l.reportBad(p)
		return
	}
	*pairs = append(*pairs, p)
}

// flush adds the pairs that a thread has found.
func (l *linker) flush(w *linkThread) {
	l.mono.add(w.mono)
	l.cross.add(w.cross)
	w.mono, w.cross = w.mono[:0], w.cross[:0]
}

func (l *linker) reportBad(p Pair) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.bad == nil || p.Target < l.bad.Target || p.Target == l.bad.Target && p.Evidence < l.bad.Evidence {
		l.bad = &p
	}
}
