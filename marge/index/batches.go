package index

import (
	"fmt"
	"math/rand/v2"
	"slices"

	"github.com/marge-go/marge/internal/heap"
)

// Batch is a subgraph of a shard's links: documents to train on together. All
// of the evidence is shared by all of the targets. Both lists hold positions in
// the shard's items, in the order in which they were added. An item may be
// evidence and target of the same batch.
type Batch struct {
	Evidence, Targets []int32
}

// BatchOptions sets how batches grow.
type BatchOptions struct {
	// Weight of a link between different languages and within one language.
	// If both are zero, they are the paper's 100 and 1.
	CrossWeight, MonoWeight float32
	// TokenBudget is the most tokens that the evidence and the targets of a
	// batch may have together. It must be positive.
	TokenBudget int
	// MaxEvidence and MaxTargets bound the documents of a batch; 0 is no bound.
	MaxEvidence, MaxTargets int
	// Seed determines the order in which evidence documents start batches.
	Seed uint64
}

// Batches makes one pass over the linked targets of a shard: batches in which
// every target that has a link occurs exactly once (section 2.4 of the paper).
// Evidence may recur in several batches.
//
// The evidence documents, shuffled by opt.Seed, start a batch each, in rounds
// until no target is left. A batch grows by the evidence document or unused
// target whose links to the opposite side of the batch have the greatest total
// weight among those that still fit the limits. Ties go to the document with
// the highest score of a single such link, then to evidence, then to the lower
// position. Growth ends when nothing that is linked to the batch fits. So every
// target of a batch has a link to some of its evidence, and the other way
// round. Batches come in the order in which they grew; the last ones get only
// what the others left: shuffle them before training.
//
// length is the number of tokens of an item, as evidence and as target. A
// target that exceeds the budget with each of its evidence documents makes a
// batch of its own with one of them: only such a batch exceeds the budget.
//
// The result depends neither on the order of pairs nor on anything but the
// arguments. Batches panics if a pair is not a link between two different
// items, if a score is not a number, if a length, weight or limit is negative,
// or if the budget is not positive.
func Batches(pairs []Pair, items []Item, length func(item int) int, opt BatchOptions) []Batch {
	if opt.TokenBudget <= 0 || opt.MaxEvidence < 0 || opt.MaxTargets < 0 {
		panic(fmt.Sprintf("index: batches: token budget %d (must be positive), at most %d evidence and %d targets "+
			"(must not be negative)", opt.TokenBudget, opt.MaxEvidence, opt.MaxTargets))
	}
	if opt.CrossWeight == 0 && opt.MonoWeight == 0 {
		opt.CrossWeight, opt.MonoWeight = 100, 1
	}
	if !(opt.CrossWeight >= 0 && opt.MonoWeight >= 0) {
		panic(fmt.Sprintf("index: batches: link weights %v and %v, must not be negative",
			opt.CrossWeight, opt.MonoWeight))
	}
	g := newGrower(pairs, items, length, opt)
	seeds := g.evidence()
	random := rand.New(rand.NewPCG(opt.Seed, 0))
	random.Shuffle(len(seeds), func(i, j int) { seeds[i], seeds[j] = seeds[j], seeds[i] })

	var batches []Batch
	for len(seeds) > 0 {
		open := seeds[:0]
		for _, e := range seeds {
			if !g.canStart(e) {
				continue
			}
			batches = append(batches, g.grow(e))
			open = append(open, e)
		}
		seeds = open
	}
	return batches
}

// edge is a link as seen from one of its ends.
type edge struct {
	to     int32 // node at the other end
	score  float32
	weight float64
}

// candidate is an entry of the queue: a node with what it would add.
type candidate struct {
	gain  float64 // total weight of its links into the batch
	score float32 // the best score of these
	node  int32
}

// Before is the order in which candidates leave the queue.
func (a candidate) Before(b candidate) bool {
	if a.gain != b.gain {
		return a.gain > b.gain
	}
	if a.score != b.score {
		return a.score > b.score
	}
	return a.node < b.node
}

// grower grows batches in the bipartite graph of links. Item i is the node i as
// evidence and the node n+i as target, n being the number of items.
type grower struct {
	n      int32
	opt    BatchOptions
	tokens []int    // of each item
	edges  [][]edge // of each node; those of evidence lose targets that are used
	used   []bool   // items that have been targets
	tooBig []bool   // items that as targets exceed the budget with any evidence

	batch int32                // number of the batch that grows, from 1
	seen  []int32              // of each node: the last batch with a link to it
	added []int32              // of each node: the last batch that it was added to
	best  []candidate          // of each node: its latest entry, valid if seen in this batch
	queue heap.Heap[candidate] // has outdated entries too
}

func newGrower(pairs []Pair, items []Item, length func(item int) int, opt BatchOptions) *grower {
	n := len(items)
	g := &grower{
		n: int32(n), opt: opt,
		tokens: make([]int, n), edges: make([][]edge, 2*n), used: make([]bool, n), tooBig: make([]bool, n),
		seen: make([]int32, 2*n), added: make([]int32, 2*n), best: make([]candidate, 2*n),
	}
	degree := make([]int, 2*n)
	for i, p := range pairs {
		if p.Target < 0 || int(p.Target) >= n || p.Evidence < 0 || int(p.Evidence) >= n || p.Target == p.Evidence {
			panic(fmt.Sprintf("index: batches: pair %d links target %d to evidence %d of %d items",
				i, p.Target, p.Evidence, n))
		}
		if p.Score != p.Score {
			panic(fmt.Sprintf("index: batches: the score of pair %d (target %d, evidence %d) is not a number",
				i, p.Target, p.Evidence))
		}
		degree[p.Evidence]++
		degree[n+int(p.Target)]++
	}
	all := make([]edge, 2*len(pairs))
	for node, d := range degree {
		g.edges[node], all = all[:0:d], all[d:]
		if d > 0 {
			if t := length(node % n); t >= 0 {
				g.tokens[node%n] = t
			} else {
				panic(fmt.Sprintf("index: batches: item %d has %d tokens", node%n, t))
			}
		}
		g.tooBig[node%n] = node >= n
	}
	for _, p := range pairs {
		weight := float64(opt.MonoWeight)
		if items[p.Target].Lang != items[p.Evidence].Lang {
			weight = float64(opt.CrossWeight)
		}
		target := g.n + p.Target
		g.edges[p.Evidence] = append(g.edges[p.Evidence], edge{target, p.Score, weight})
		g.edges[target] = append(g.edges[target], edge{p.Evidence, p.Score, weight})
		if g.tokens[p.Target]+g.tokens[p.Evidence] <= opt.TokenBudget {
			g.tooBig[p.Target] = false
		}
	}
	return g
}

// evidence returns the evidence documents that have a link.
func (g *grower) evidence() []int32 {
	var linked []int32
	for e := range g.n {
		if len(g.edges[e]) > 0 {
			linked = append(linked, e)
		}
	}
	return linked
}

// canStart tells whether a batch that starts with evidence e has a target.
func (g *grower) canStart(e int32) bool {
	g.dropUsed(e)
	return slices.ContainsFunc(g.edges[e], func(to edge) bool {
		t := to.to - g.n
		return g.tooBig[t] || g.tokens[e]+g.tokens[t] <= g.opt.TokenBudget
	})
}

func (g *grower) dropUsed(e int32) {
	g.edges[e] = slices.DeleteFunc(g.edges[e], func(to edge) bool { return g.used[to.to-g.n] })
}

// grow returns the batch that starts with evidence e, for which canStart holds.
func (g *grower) grow(e int32) Batch {
	g.batch++
	g.queue = g.queue[:0]
	var b Batch
	left := g.opt.TokenBudget
	tooBig := int32(-1) // best target that exceeds the budget with any evidence
	add := func(node int32) {
		g.added[node] = g.batch
		if node < g.n {
			b.Evidence = append(b.Evidence, node)
			left -= g.tokens[node]
		} else {
			b.Targets = append(b.Targets, node-g.n)
			left -= g.tokens[node-g.n]
			g.used[node-g.n] = true
		}
		g.offer(node, &b)
	}
	for add(e); len(g.queue) > 0; {
		c := g.queue.Pop()
		// An outdated entry comes after the latest one of its node, which was
		// added or, as limits only tighten, will never be.
		if g.added[c.node] == g.batch {
			continue
		}
		item := c.node % g.n
		switch {
		case g.full(c.node, &b):
		case g.tokens[item] <= left:
			add(c.node)
		case len(b.Targets) == 0 && tooBig < 0 && g.tooBig[item]:
			tooBig = c.node
		}
	}
	if len(b.Targets) == 0 {
		add(tooBig)
	}
	return b
}

// full tells whether the side of the batch that a node belongs to is full.
func (g *grower) full(node int32, b *Batch) bool {
	size, limit := len(b.Targets), g.opt.MaxTargets
	if node < g.n {
		size, limit = len(b.Evidence), g.opt.MaxEvidence
	}
	return limit > 0 && size >= limit
}

// offer raises what the neighbours of a node that was added would add.
func (g *grower) offer(node int32, b *Batch) {
	if node < g.n {
		if g.full(g.n, b) {
			return
		}
		g.dropUsed(node)
	} else if g.full(0, b) {
		return
	}
	for _, to := range g.edges[node] {
		if g.added[to.to] == g.batch {
			continue
		}
		c := &g.best[to.to]
		if g.seen[to.to] != g.batch {
			g.seen[to.to] = g.batch
			*c = candidate{gain: to.weight, score: to.score, node: to.to}
		} else {
			c.gain += to.weight
			c.score = max(c.score, to.score)
		}
		g.queue.Push(*c)
	}
}
