package index

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// naiveBatches is Batches by definition: before each step it looks at every
// document and adds up the weights of its links anew.
func naiveBatches(pairs []Pair, items []Item, length func(int) int, opt BatchOptions) []Batch {
	type node struct {
		target bool
		item   int32
	}
	used := map[int32]bool{}
	fits := func(e, t int32) bool { return length(int(e))+length(int(t)) <= opt.TokenBudget }
	tooBig := func(t int32) bool {
		return !slices.ContainsFunc(pairs, func(p Pair) bool { return p.Target == t && fits(p.Evidence, t) })
	}
	grow := func(seed int32) Batch {
		b := Batch{Evidence: []int32{seed}}
		left := opt.TokenBudget - length(int(seed))
		for {
			type gain struct {
				weight float64
				score  float32
			}
			gains := map[node]gain{}
			offer := func(n node, p Pair) {
				g, ok := gains[n]
				if items[p.Target].Lang == items[p.Evidence].Lang {
					g.weight += float64(opt.MonoWeight)
				} else {
					g.weight += float64(opt.CrossWeight)
				}
				if !ok || p.Score > g.score {
					g.score = p.Score
				}
				gains[n] = g
			}
			for _, p := range pairs {
				hasTarget, hasEvidence := slices.Contains(b.Targets, p.Target), slices.Contains(b.Evidence, p.Evidence)
				if hasEvidence && !hasTarget && !used[p.Target] && (opt.MaxTargets == 0 || len(b.Targets) < opt.MaxTargets) {
					offer(node{true, p.Target}, p)
				}
				if hasTarget && !hasEvidence && (opt.MaxEvidence == 0 || len(b.Evidence) < opt.MaxEvidence) {
					offer(node{false, p.Evidence}, p)
				}
			}
			order := slices.SortedFunc(maps.Keys(gains), func(x, y node) int {
				kind := 0
				if x.target != y.target {
					kind = 1
					if y.target {
						kind = -1
					}
				}
				return cmp.Or(cmp.Compare(gains[y].weight, gains[x].weight), cmp.Compare(gains[y].score, gains[x].score), kind,
					cmp.Compare(x.item, y.item))
			})
			next := slices.IndexFunc(order, func(n node) bool { return length(int(n.item)) <= left })
			if next < 0 && len(b.Targets) == 0 {
				next = slices.IndexFunc(order, func(n node) bool { return tooBig(n.item) })
			}
			if next < 0 {
				return b
			}
			n := order[next]
			left -= length(int(n.item))
			if n.target {
				used[n.item] = true
				b.Targets = append(b.Targets, n.item)
			} else {
				b.Evidence = append(b.Evidence, n.item)
			}
		}
	}

	set := map[int32]bool{}
	for _, p := range pairs {
		set[p.Evidence] = true
	}
	seeds := slices.Sorted(maps.Keys(set))
	r := rand.New(rand.NewPCG(opt.Seed, 0))
	r.Shuffle(len(seeds), func(i, j int) { seeds[i], seeds[j] = seeds[j], seeds[i] })
	var batches []Batch
	for grown := true; grown; {
		grown = false
		for _, e := range seeds {
			if slices.ContainsFunc(pairs, func(p Pair) bool {
				return p.Evidence == e && !used[p.Target] && (fits(e, p.Target) || tooBig(p.Target))
			}) {
				batches = append(batches, grow(e))
				grown = true
			}
		}
	}
	return batches
}

func randomPairs(r *rand.Rand, items []Item, n int) []Pair {
	links := map[[2]int32]float32{}
	for range n {
		t, e := int32(r.IntN(len(items))), int32(r.IntN(len(items)))
		if items[t].Target && items[t].Source != items[e].Source {
			links[[2]int32{t, e}] = float32(r.IntN(10)) / 10
		}
	}
	var pairs []Pair
	for l, score := range links {
		pairs = append(pairs, Pair{l[0], l[1], score})
	}
	slices.SortFunc(pairs, comparePairs)
	return pairs
}

// checkBatches reports the first promise of Batches that does not hold.
func checkBatches(batches []Batch, pairs []Pair, length func(int) int, opt BatchOptions) error {
	linked := map[[2]int32]bool{}
	open := map[int32]bool{}
	for _, p := range pairs {
		linked[[2]int32{p.Target, p.Evidence}] = true
		open[p.Target] = true
	}
	for i, b := range batches {
		if len(b.Evidence) == 0 || len(b.Targets) == 0 {
			return fmt.Errorf("batch %d has %d evidence and %d targets", i, len(b.Evidence), len(b.Targets))
		}
		tokens := 0
		seen := map[int32]bool{}
		for _, e := range b.Evidence {
			if seen[e] {
				return fmt.Errorf("batch %d has evidence %d twice", i, e)
			}
			seen[e] = true
			tokens += length(int(e))
			if !slices.ContainsFunc(b.Targets, func(t int32) bool { return linked[[2]int32{t, e}] }) {
				return fmt.Errorf("batch %d: evidence %d has no link", i, e)
			}
		}
		for _, t := range b.Targets {
			if !open[t] {
				return fmt.Errorf("batch %d: target %d occurs twice or has no link at all", i, t)
			}
			delete(open, t)
			tokens += length(int(t))
			if !slices.ContainsFunc(b.Evidence, func(e int32) bool { return linked[[2]int32{t, e}] }) {
				return fmt.Errorf("batch %d: target %d has no link to its evidence", i, t)
			}
		}
		if tokens > opt.TokenBudget && (len(b.Evidence) > 1 || len(b.Targets) > 1) {
			return fmt.Errorf("batch %d has %d tokens and more than a pair", i, tokens)
		}
		if opt.MaxEvidence > 0 && len(b.Evidence) > opt.MaxEvidence ||
			opt.MaxTargets > 0 && len(b.Targets) > opt.MaxTargets {
			return fmt.Errorf("batch %d has %d evidence and %d targets", i, len(b.Evidence), len(b.Targets))
		}
	}
	if len(open) > 0 {
		return fmt.Errorf("%d linked targets are in no batch", len(open))
	}
	return nil
}

func TestBatchesAgainstNaive(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		items := randomItems(r, 2+r.IntN(30), []float64{0.3, 1}[r.IntN(2)])
		pairs := randomPairs(r, items, r.IntN(150))
		tokens := make([]int, len(items))
		for i := range tokens {
			tokens[i] = r.IntN(100)
		}
		length := func(i int) int { return tokens[i] }
		opt := BatchOptions{CrossWeight: 100, MonoWeight: 1, TokenBudget: 50 + r.IntN(400), MaxEvidence: r.IntN(4),
			MaxTargets: r.IntN(4), Seed: seed}
		if seed%3 == 0 {
			opt.CrossWeight = float32(r.IntN(3))
		}
		want := naiveBatches(pairs, items, length, opt)
		if err := checkBatches(want, pairs, length, opt); err != nil {
			t.Fatalf("seed %d: the reference is wrong: %v", seed, err)
		}
		r.Shuffle(len(pairs), func(i, j int) { pairs[i], pairs[j] = pairs[j], pairs[i] })
		if got := Batches(pairs, items, length, opt); !equalBatches(got, want) {
			t.Fatalf("seed %d, %d items, %d pairs, %+v:\n got %v\nwant %v", seed, len(items), len(pairs), opt, got, want)
		}
	}
}

func equalBatches(a, b []Batch) bool {
	return slices.EqualFunc(a, b, func(x, y Batch) bool {
		return slices.Equal(x.Evidence, y.Evidence) && slices.Equal(x.Targets, y.Targets)
	})
}

func TestBatchesSmall(t *testing.T) {
	// 0 and 1 are German, the others English; 4 has no link.
	items := []Item{{Lang: 0}, {Lang: 0}, {Lang: 1}, {Lang: 1}, {Lang: 1}}
	pairs := []Pair{{0, 2, 0.9}, {0, 1, 0.8}, {1, 2, 0.7}, {3, 2, 0.99}}
	ten := func(int) int { return 10 }
	evidence1, evidence2 := int32(1), int32(2)

	// From 2: the cross-language targets 0 and 1 before the more similar 3.
	// Evidence 1 (weight 1, score 0.8) loses to target 3 (weight 1, score 0.99).
	for seed := range uint64(20) {
		got := Batches(pairs, items, ten, BatchOptions{TokenBudget: 50, Seed: seed})
		want := []Batch{{[]int32{evidence2, evidence1}, []int32{0, 1, 3}}}
		if got[0].Evidence[0] == evidence1 {
			// From 1: its only target, then by weight the evidence 2 and target 1.
			want = []Batch{{[]int32{evidence1, evidence2}, []int32{0, 1, 3}}}
		}
		if !equalBatches(got, want) {
			t.Errorf("seed %d: got %v, want %v", seed, got, want)
		}
		got = Batches(pairs, items, ten, BatchOptions{TokenBudget: 20, Seed: seed})
		if len(got) != 3 {
			t.Errorf("seed %d: budget for a pair: got %v", seed, got)
		}
	}
}

func TestBatchesOversized(t *testing.T) {
	items := make([]Item, 5)
	tokens := []int{10, 500, 60, 95, 7}
	length := func(i int) int { return tokens[i] }
	// Target 1 fits with nothing, target 0 with evidence 2 but not with 3.
	pairs := []Pair{{1, 2, 1}, {1, 3, 1}, {0, 2, 0.5}, {0, 3, 1}}
	for seed := range uint64(10) {
		opt := BatchOptions{TokenBudget: 100, Seed: seed}
		got := Batches(pairs, items, length, opt)
		if err := checkBatches(got, pairs, length, opt); err != nil || len(got) != 2 {
			t.Fatalf("seed %d: %v: %v", seed, got, err)
		}
		for _, b := range got {
			if b.Targets[0] == 0 && b.Evidence[0] != 2 {
				t.Errorf("seed %d: target 0 exceeds the budget in %v", seed, b)
			}
		}
	}
}

func TestBatchesLarge(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 1))
	pairs, items, length := hubs(r, 3000, 20000)
	opt := BatchOptions{TokenBudget: 2048, Seed: 5}
	got := Batches(pairs, items, length, opt)
	if err := checkBatches(got, pairs, length, opt); err != nil {
		t.Error(err)
	}
	if !equalBatches(got, Batches(pairs, items, length, opt)) {
		t.Error("a second call gives other batches")
	}
	opt.Seed = 6
	if equalBatches(got, Batches(pairs, items, length, opt)) {
		t.Error("another seed gives the same batches")
	}
}

func TestBatchesHostile(t *testing.T) {
	one := func(int) int { return 1 }
	opt := BatchOptions{TokenBudget: 10}
	if got := Batches(nil, nil, one, opt); len(got) != 0 {
		t.Errorf("no items: %v", got)
	}
	if got := Batches(nil, make([]Item, 3), one, opt); len(got) != 0 {
		t.Errorf("no pairs: %v", got)
	}
	items := make([]Item, 2)
	mustPanic(t, "token budget 0", func() { Batches(nil, items, one, BatchOptions{}) })
	mustPanic(t, "at most -1 evidence", func() {
		Batches(nil, items, one, BatchOptions{TokenBudget: 1, MaxEvidence: -1})
	})
	mustPanic(t, "weights -1 and 1", func() {
		Batches(nil, items, one, BatchOptions{TokenBudget: 1, CrossWeight: -1, MonoWeight: 1})
	})
	mustPanic(t, "pair 1 links target 1 to evidence 1", func() { Batches([]Pair{{0, 1, 1}, {1, 1, 1}}, items, one, opt) })
	mustPanic(t, "pair 0 links target -1", func() { Batches([]Pair{{-1, 1, 1}}, items, one, opt) })
	mustPanic(t, "evidence 2 of 2 items", func() { Batches([]Pair{{0, 2, 1}}, items, one, opt) })
	mustPanic(t, "item 1 has -1 tokens", func() { Batches([]Pair{{0, 1, 1}}, items, func(int) int { return -1 }, opt) })
	mustPanic(t, "score of pair 0 (target 0, evidence 1) is not a number", func() {
		Batches([]Pair{{0, 1, float32(math.NaN())}}, items, one, opt)
	})
}

// hubs returns links in which some evidence documents have very many targets.
func hubs(r *rand.Rand, n, links int) ([]Pair, []Item, func(int) int) {
	items := randomItems(r, n, 1)
	seen := map[[2]int32]bool{}
	zipf := rand.NewZipf(r, 1.3, 20, uint64(n-1))
	var pairs []Pair
	for len(pairs) < links {
		p := Pair{int32(r.IntN(n)), int32(zipf.Uint64()), r.Float32()}
		if l := [2]int32{p.Target, p.Evidence}; p.Target != p.Evidence && !seen[l] {
			seen[l] = true
			pairs = append(pairs, p)
		}
	}
	return pairs, items, func(i int) int { return 100 + (i*2654435761)%413 }
}

func BenchmarkBatches(b *testing.B) {
	for _, shape := range []string{"even", "hubs"} {
		b.Run(shape, func(b *testing.B) {
			r := rand.New(rand.NewPCG(8, 1))
			const n, links = 25000, 200000
			pairs, items, length := hubs(r, n, links)
			if shape == "even" {
				pairs = randomPairs(r, items, links)
			}
			for b.Loop() {
				Batches(pairs, items, length, BatchOptions{TokenBudget: 2048})
			}
		})
	}
}
