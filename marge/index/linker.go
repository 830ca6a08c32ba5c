package index

import (
	"cmp"
	"math/bits"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/marge-go/marge/asm"
)

// Similarities are computed in blocks of targetBlock x evidenceBlock, which is
// 1 MB. A part is a block of targets with up to partBlocks blocks of evidence.
const (
	targetBlock   = 512
	evidenceBlock = 512
	partBlocks    = 16
)

// flushPairs is the number of pairs after which a thread adds what it has found.
const flushPairs = 1 << 10

// linker is the task of Links. Inner products are symmetric to the last bit,
// as every product and the order of additions are: of two targets the
// similarity is computed once and serves both directions.
type linker struct {
	vectors     []float32
	dim         int
	items       []Item
	order       []int32 // positions of items: targets, then the others, both by language
	targets     int
	parts       []linkPart
	mono, cross *selector
	threads     perThread[linkThread]

	mu  sync.Mutex
	nan *Pair // first eligible pair, by position, whose score is not a number
}

// linkPart pairs rows r0 to r1 of the order, which are targets, with what comes
// after them in columns c0 to c1.
type linkPart struct{ r0, r1, c0, c1 int }

// linkThread is the state of a thread.
type linkThread struct {
	rows, columns []float32 // vectors
	scores        []float32 // rows x columns
	thresholds    []float32 // of the columns, for a row of one language
	above         []uint64  // bits of the scores above
	mono, cross   []Pair
}

func newLinker(vectors []float32, dim int, items []Item) *linker {
	l := &linker{vectors: vectors, dim: dim, items: items, order: make([]int32, len(items))}
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
	blocks := ceilDiv(l.targets, targetBlock)
	for b := range blocks {
		r0, r1 := span(l.targets, blocks, b)
		columns := len(items) - r0
		parts := ceilDiv(columns, partBlocks*evidenceBlock)
		for p := range parts {
			c0, c1 := span(columns, parts, p)
			l.parts = append(l.parts, linkPart{r0, r1, r0 + c0, r0 + c1})
		}
	}
	// In this order of languages the best pairs could come last, each better
	// than the worst of the best so far. Any order gives the same links.
	random := rand.New(rand.NewPCG(0, 0))
	random.Shuffle(len(l.parts), func(i, j int) { l.parts[i], l.parts[j] = l.parts[j], l.parts[i] })
	return l
}

func (l *linker) newThread() *linkThread {
	rows, columns := min(targetBlock, l.targets), min(evidenceBlock, len(l.items))
	return &linkThread{
		scores:     make([]float32, rows*columns),
		thresholds: make([]float32, columns),
		above:      make([]uint64, ceilDiv(columns, 64)),
	}
}

func (l *linker) Do(part int) {
	p := l.parts[part]
	w := l.threads.take(l.newThread)
	defer l.threads.put(w)
	rows := l.gather(&w.rows, p.r0, p.r1)
	blocks := ceilDiv(p.c1-p.c0, evidenceBlock)
	for b := range blocks {
		from, to := span(p.c1-p.c0, blocks, b)
		c0, c1 := p.c0+from, p.c0+to
		innerProducts(rows, l.gather(&w.columns, c0, c1), l.dim, w.scores, c1-c0)
		l.selectPairs(w, p.r0, p.r1, c0, c1)
	}
}

// gather returns the vectors from to to of the order: where they lie if they
// lie together, otherwise as a copy in buf.
func (l *linker) gather(buf *[]float32, from, to int) []float32 {
	order, dim := l.order[from:to], l.dim
	first := int(order[0])
	together := true
	for i, item := range order {
		together = together && int(item) == first+i
	}
	if together {
		return l.vectors[first*dim : (first+len(order))*dim]
	}
	*buf = (*buf)[:0]
	for _, item := range order {
		*buf = append(*buf, l.vectors[int(item)*dim:(int(item)+1)*dim]...)
	}
	return *buf
}

// selectPairs adds what may be among the best of the scores of rows r0 to r1
// and columns c0 to c1.
func (l *linker) selectPairs(w *linkThread, r0, r1, c0, c1 int) {
	n := c1 - c0
	thresholds, above := w.thresholds[:n], w.above[:ceilDiv(n, 64)]
	// The thresholds are those of a row of this language with these minima.
	var lang int
	var mono, cross float32
	for r := r0; r < r1; r++ {
		row := w.scores[(r-r0)*n : (r-r0+1)*n]
		self := &l.items[l.order[r]]
		if m, c := l.mono.threshold(), l.cross.threshold(); r == r0 || self.Lang != lang || m != mono || c != cross {
			lang, mono, cross = self.Lang, m, c
			aboveMono, aboveCross := notBelow(mono), notBelow(cross)
			for j, item := range l.order[c0:c1] {
				thresholds[j] = aboveCross
				if l.items[item].Lang == lang {
					thresholds[j] = aboveMono
				}
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
		}
	}
	l.flush(w)
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
	if b.Target {
		l.add(pairs, Pair{evidence, target, score})
	}
}

func (l *linker) add(pairs *[]Pair, p Pair) {
	if p.Score != p.Score {
		l.reportNaN(p)
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

func (l *linker) reportNaN(p Pair) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.nan == nil || p.Target < l.nan.Target || p.Target == l.nan.Target && p.Evidence < l.nan.Evidence {
		l.nan = &p
	}
}
