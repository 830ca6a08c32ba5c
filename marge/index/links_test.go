package index

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/marge/vectors"
	"github.com/marge-go/marge/tensor"
)

// naiveLinks is Links by definition, with inner products in float64.
func naiveLinks(rows []float32, dim int, items []Item, opt LinkOptions) []Pair {
	var mono, cross []Pair
	targets := 0
	near := naiveMeans(rows, dim, items, opt.Neighbours)
	for t, target := range items {
		if !target.Target {
			continue
		}
		targets++
		for e, evidence := range items {
			if evidence.Source == target.Source {
				continue
			}
			p := Pair{int32(t), int32(e), float32(dot64(rows[t*dim:(t+1)*dim], rows[e*dim:(e+1)*dim]))}
			same := target.Lang == evidence.Lang
			average := (near(t, same) + near(e, same)) / 2
			switch {
			case opt.Margin == vectors.MarginDistance:
				p.Score -= average
			case opt.Margin == vectors.MarginRatio && average > 0:
				p.Score /= average
			case opt.Margin == vectors.MarginRatio:
				p.Score = 0
			}
			if same {
				mono = append(mono, p)
			} else {
				cross = append(cross, p)
			}
		}
	}
	byScore := func(a, b Pair) int {
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.Target, b.Target), cmp.Compare(a.Evidence, b.Evidence))
	}
	best := func(pairs []Pair, perTarget float64) []Pair {
		slices.SortFunc(pairs, byScore)
		if !opt.PerTarget {
			return pairs[:min(len(pairs), int(min(math.Round(perTarget*float64(targets)), 1e9)))]
		}
		var kept []Pair
		links := map[int32]float64{}
		for _, p := range pairs {
			if links[p.Target]++; links[p.Target] <= math.Round(perTarget) {
				kept = append(kept, p)
			}
		}
		return kept
	}
	pairs := slices.Concat(best(mono, opt.Mono), best(cross, opt.Cross))
	slices.SortFunc(pairs, byScore)
	return pairs
}

// naiveMeans returns a function that returns the mean cosine of an item with
// its k nearest neighbours, 4 if k is 0, in the same or in other languages.
func naiveMeans(rows []float32, dim int, items []Item, k int) func(item int, same bool) float32 {
	if k == 0 {
		k = 4
	}
	means := map[bool][]float32{}
	for _, same := range []bool{true, false} {
		for i, self := range items {
			var cosines []float64
			for j, other := range items {
				if self.Source != other.Source && (self.Target || other.Target) && (self.Lang == other.Lang) == same {
					cosines = append(cosines, dot64(rows[i*dim:(i+1)*dim], rows[j*dim:(j+1)*dim]))
				}
			}
			slices.Sort(cosines)
			slices.Reverse(cosines)
			cosines = cosines[:min(k, len(cosines))]
			sum := 0.0
			for _, c := range cosines {
				sum += c
			}
			means[same] = append(means[same], float32(sum/max(1, float64(len(cosines)))))
		}
	}
	return func(item int, same bool) float32 { return means[same][item] }
}

// linkOptions are settings of all kinds.
var linkOptions = []LinkOptions{
	{Mono: 4, Cross: 4}, {Mono: 0.3, Cross: 2.5}, {Cross: 4}, {Mono: 4}, {}, {Mono: 1e-9, Cross: 1e-9},
	{Mono: 1e30, Cross: 3}, {Mono: 1e300, Cross: 1e300},
	{Mono: 4, Cross: 4, PerTarget: true}, {Mono: 0.3, Cross: 2.5, PerTarget: true}, {Mono: 1, PerTarget: true},
	{Mono: 1e30, Cross: 3, PerTarget: true},
	{Mono: 2, Cross: 3, Margin: vectors.MarginNone}, {Mono: 2, Cross: 3, Margin: vectors.MarginDistance},
	{Mono: 2, Cross: 3, Margin: vectors.MarginRatio},
	{Cross: 3, Margin: vectors.MarginRatio, Neighbours: 1, PerTarget: true},
	{Mono: 3, Cross: 1, Margin: vectors.MarginDistance, Neighbours: 7, PerTarget: true},
	{Mono: 1, Cross: 1, Margin: vectors.MarginDistance, Neighbours: 1 << 20},
}

func TestLinksAgainstNaive(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	sizes := []int{0, 1, 2, 3, 17, 60, blockRows - 1, blockRows, blockRows + 1, blockColumns - 1, blockColumns,
		blockColumns + 1, 1100}
	for _, n := range sizes {
		for _, share := range []float64{0, 0.3, 1} {
			items := randomItems(r, n, share)
			dim := 1 + r.IntN(5)
			rows := smallIntegers(r, n, dim)
			opt := linkOptions[r.IntN(len(linkOptions))]
			want := naiveLinks(rows, dim, items, opt)
			for _, run := range runners {
				if got := mustLink(t, run, rows, dim, items, opt); !slices.Equal(got, want) {
					t.Fatalf("%d items, share of targets %v, %+v, %d threads: %d pairs differ from the %d of the reference",
						n, share, opt, run.Threads(), len(got), len(want))
				}
			}
		}
	}
}

func TestLinksOptions(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 1))
	items := randomItems(r, 200, 0.5)
	rows := smallIntegers(r, 200, 4)
	for _, opt := range linkOptions {
		got, want := mustLink(t, threads(3), rows, 4, items, opt), naiveLinks(rows, 4, items, opt)
		if !slices.Equal(got, want) {
			t.Errorf("%+v: %d pairs differ from the %d of the reference", opt, len(got), len(want))
		}
	}
}

// TestLinksTies has equal scores only, more of them than a selector holds, so
// that the position decides after a threshold is set.
func TestLinksTies(t *testing.T) {
	const n = 1100
	rows, items := make([]float32, n), make([]Item, n)
	for i := range n {
		rows[i] = 1
		items[i] = Item{Source: i, Lang: i % 2, Target: true}
	}
	for _, opt := range []LinkOptions{{Mono: 4, Cross: 4}, {Mono: 4, Cross: 4, PerTarget: true},
		{Mono: 4, Cross: 4, Margin: vectors.MarginRatio}} {
		want := naiveLinks(rows, 1, items, opt)
		for _, run := range runners {
			if got := mustLink(t, run, rows, 1, items, opt); !slices.Equal(got, want) {
				t.Errorf("%+v, %d threads: differs from the reference", opt, run.Threads())
			}
		}
	}
}

// TestLinksThreads has scores that round, where the naive reference cannot be
// compared bit by bit.
func TestLinksThreads(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 1))
	const n, dim = 1500, 24
	items, rows := randomItems(r, n, 0.7), gaussian(r, n, dim)
	for _, opt := range linkOptions[8:] {
		want := mustLink(t, asm.Serial, rows, dim, items, opt)
		for _, run := range runners[1:] {
			if !slices.Equal(mustLink(t, run, rows, dim, items, opt), want) {
				t.Errorf("%+v: %d threads give other links than one", opt, run.Threads())
			}
		}
	}
	want := mustLink(t, asm.Serial, rows, dim, items, LinkOptions{Mono: 4, Cross: 4})
	for _, run := range runners[1:] {
		if !slices.Equal(mustLink(t, run, rows, dim, items, LinkOptions{Mono: 4, Cross: 4}), want) {
			t.Errorf("%d threads give other links than one", run.Threads())
		}
	}
	targets := 0
	for _, item := range items {
		if item.Target {
			targets++
		}
	}
	if len(want) != 8*targets {
		t.Errorf("%d links for %d targets", len(want), targets)
	}
	for _, p := range want {
		exact := dot64(rows[int(p.Target)*dim:][:dim], rows[int(p.Evidence)*dim:][:dim])
		if math.Abs(float64(p.Score)-exact) > dim*0x1p-24 {
			t.Fatalf("target %d, evidence %d: score %v, in float64 %v", p.Target, p.Evidence, p.Score, exact)
		}
	}
}

// TestLinksBits has links chosen by scores that come from one product of all
// items: that only half of it is computed, in blocks, must not change a bit.
func TestLinksBits(t *testing.T) {
	r := rand.New(rand.NewPCG(12, 1))
	const n, dim = 1300, 300
	rows := gaussian(r, n, dim)
	scores := make([]float32, n*n)
	innerProducts(rows, rows, dim, scores, n)
	for _, share := range []float64{0.5, 1} {
		items := randomItems(r, n, share)
		var mono, cross []Pair
		targets := 0
		for i, score := range scores {
			target, evidence := items[i/n], items[i%n]
			if i%n == 0 && target.Target {
				targets++
			}
			p := Pair{int32(i / n), int32(i % n), score}
			switch {
			case !target.Target || target.Source == evidence.Source:
			case target.Lang == evidence.Lang:
				mono = append(mono, p)
			default:
				cross = append(cross, p)
			}
		}
		want := slices.Concat(selectBest(mono, 3*targets), selectBest(cross, 5*targets))
		slices.SortFunc(want, comparePairs)
		for _, run := range runners {
			if got := mustLink(t, run, rows, dim, items, LinkOptions{Mono: 3, Cross: 5}); !slices.Equal(got, want) {
				t.Errorf("share of targets %v, %d threads: differs from the product of all", share, run.Threads())
			}
		}
	}
}

func TestLinksErrors(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 1))
	const n, dim = 700, 3
	items, rows := randomItems(r, n, 1), smallIntegers(r, n, dim)
	for i := range items {
		items[i].Source = i
	}
	both := LinkOptions{Mono: 1, Cross: 1}
	wantError := func(want string, rows []float32, opt LinkOptions) {
		t.Helper()
		for _, run := range runners {
			pairs, err := Links(t.Context(), run, rows, dim, items, opt)
			if err == nil || !strings.Contains(err.Error(), want) || pairs != nil {
				t.Errorf("%d links, error %v, want one with %q", len(pairs), err, want)
			}
		}
	}
	for want, x := range map[string]float64{"NaN": math.NaN(), "+Inf": math.Inf(1), "-Inf": math.Inf(-1)} {
		bad := slices.Clone(rows)
		bad[333*dim+1], bad[600*dim] = float32(x), float32(x)
		wantError("vector 333 has the value "+want+" at position 1", bad, both)
	}
	// Products of finite values: 2^127 * 2 and more exceed float32.
	bad := slices.Clone(rows)
	for i := range n {
		bad[i*dim] = 1
	}
	copy(bad[333*dim:], []float32{0x1p127, 0, 0})
	copy(bad[620*dim:], []float32{0x1p127, 0, 0})
	wantError("target 333 and evidence 620 is +Inf", bad, both)
	// All but item 333 are linked to something better than -Inf to it.
	copy(bad[620*dim:], []float32{-0x1p127, 0, 0})
	few := LinkOptions{Mono: 0.1, Cross: 0.1}
	for _, run := range runners {
		if _, err := Links(t.Context(), run, bad, dim, items, few); err != nil {
			t.Errorf("a score of -Inf that is not among the best: error %v", err)
		}
	}
	wantError("is -Inf", bad, LinkOptions{Mono: n, Cross: n})

	wantError("Mono is -1", rows, LinkOptions{Mono: -1, Cross: 1})
	wantError(`no margin "wide": have "none", "distance" and "ratio"`, rows, LinkOptions{Mono: 1, Margin: "wide"})
	wantError("-1 neighbours", rows, LinkOptions{Mono: 1, Neighbours: -1})
	wantError("Cross is NaN", rows, LinkOptions{Mono: 1, Cross: math.NaN()})
	mustPanic(t, "2100 vector values for 699 items of dimension 3", func() {
		Links(t.Context(), asm.Serial, rows, dim, items[1:], both)
	})
	mustPanic(t, "dimension 0", func() { Links(t.Context(), asm.Serial, nil, 0, nil, both) })
}

// TestLinksIneligible has a score that is not finite, but of a pair within one
// source.
func TestLinksIneligible(t *testing.T) {
	items := []Item{{Source: 1, Target: true}, {Source: 1, Lang: 1}}
	if got := mustLink(t, asm.Serial, []float32{0x1p100, 0x1p100}, 1, items,
		LinkOptions{Mono: 1, Cross: 1}); len(got) != 0 {
		t.Errorf("linked %v within one source", got)
	}
}

// cancelAfter is a Runner that cancels a context after some parts.
type cancelAfter struct {
	parts  int
	cancel func()
	done   *int
}

func (cancelAfter) Threads() int { return 1 }

func (c cancelAfter) Run(parts int, t asm.Task) {
	for p := range parts {
		if *c.done++; *c.done > c.parts {
			c.cancel()
		}
		t.Do(p)
	}
}

// TestCancel stops all that takes long in the middle.
func TestCancel(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 1))
	const n, dim = 1200, 4
	items, rows, docs := randomItems(r, n, 1), gaussian(r, n, dim), randomDocs(r, n, 50, 9)
	df, err := DocumentFrequency(t.Context(), docs, 50)
	if err != nil {
		t.Fatal(err)
	}
	tfidf, err := TFIDF(t.Context(), asm.Serial, docs, df, n, TFIDFOptions{})
	if err != nil {
		t.Fatal(err)
	}
	flat := NewFlat(dim)
	for range 20 {
		if err := flat.Add(rows); err != nil {
			t.Fatal(err)
		}
	}
	opt := LinkOptions{Mono: 1, Cross: 1, Margin: vectors.MarginRatio}
	for name, f := range map[string]func(ctx context.Context, run asm.Runner) error{
		"links": func(ctx context.Context, run asm.Runner) error {
			_, err := Links(ctx, run, rows, dim, items, opt)
			return err
		},
		"centered links": func(ctx context.Context, run asm.Runner) error {
			_, err := CenteredLinks(ctx, run, tfidf, items, opt)
			return err
		},
		"tf-idf": func(ctx context.Context, run asm.Runner) error {
			_, err := TFIDF(ctx, run, docs, df, n, TFIDFOptions{})
			return err
		},
		"document frequency": func(ctx context.Context, run asm.Runner) error {
			run.Run(2, noTask{})
			_, err := DocumentFrequency(ctx, docs, 50)
			return err
		},
		"search": func(ctx context.Context, run asm.Runner) error {
			_, _, err := flat.Search(ctx, run, make([]float32, 600*dim), 2)
			return err
		},
	} {
		for parts := range 2 {
			ctx, cancel := context.WithCancel(t.Context())
			done := 0
			if err := f(ctx, cancelAfter{parts, cancel, &done}); !errors.Is(err, context.Canceled) || done < 2 {
				t.Errorf("%s, cancelled after %d of %d parts: error %v", name, parts, done, err)
			}
			cancel()
		}
	}
}

// cancelling is a similarity that cancels a context in its first block.
type cancelling struct {
	blocks int
	cancel func()
}

func (c *cancelling) block(*linkThread, int, int, int, int) {
	c.blocks++
	c.cancel()
}

// TestCancelWithinPart: a part of several blocks stops after one.
func TestCancelWithinPart(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	l := newLinker(randomItems(rand.New(rand.NewPCG(9, 1)), 3*blockColumns, 1))
	s := &cancelling{cancel: cancel}
	l.similarity = s
	if _, err := l.links(ctx, asm.Serial, LinkOptions{Mono: 1}); !errors.Is(err, context.Canceled) || s.blocks != 1 {
		t.Errorf("%d blocks, error %v", s.blocks, err)
	}
}

type noTask struct{}

func (noTask) Do(int) {}

func TestSelector(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 1))
	orders := map[string]func(i, n int) float32{
		"ascending":  func(i, n int) float32 { return float32(i) },
		"descending": func(i, n int) float32 { return float32(-i) },
		"equal":      func(i, n int) float32 { return 1 },
		"organ pipe": func(i, n int) float32 { return float32(min(i, n-i)) },
		"few values": func(i, n int) float32 { return float32(r.IntN(3)) },
		"random":     func(i, n int) float32 { return r.Float32() },
	}
	for name, score := range orders {
		for _, n := range []int{1, 31, 33, 1000, 50000} {
			all := make([]Pair, n)
			for i := range all {
				all[i] = Pair{int32(i % 7), int32(i), score(i, n)}
			}
			sorted := slices.SortedFunc(slices.Values(all), comparePairs)
			for _, k := range []int{0, 1, 2, n / 3, n - 1, n, n + 1} {
				got := slices.Clone(selectBest(slices.Clone(all), k))
				slices.SortFunc(got, comparePairs)
				if !slices.Equal(got, sorted[:min(k, n)]) {
					t.Errorf("%s: wrong best %d of %d", name, k, n)
				}
				s := newSelector(k)
				s.limit = k + 40
				for part := range slices.Chunk(all, 17) {
					s.add(slices.DeleteFunc(slices.Clone(part), func(p Pair) bool { return p.Score < s.threshold(0) }))
				}
				got = slices.Clone(s.best())
				slices.SortFunc(got, comparePairs)
				if !slices.Equal(got, sorted[:min(k, n)]) {
					t.Errorf("%s: selector: wrong best %d of %d", name, k, n)
				}
				if n > 10000 {
					break
				}
			}
		}
	}
}

func TestCheckPairs(t *testing.T) {
	items := []Item{{Source: 0, Target: true}, {Source: 1, Target: true}, {Source: 0}}
	good := []Pair{{0, 1, 1}, {1, 0, -1}, {1, 2, 0}}
	if err := CheckPairs(good, items); err != nil {
		t.Error(err)
	}
	for want, p := range map[string]Pair{
		"pair 3 links target 1 to evidence 3: there are 3 items": {1, 3, 0},
		"there are 3 items":         {-1, 1, 0},
		"may not be a target":       {2, 1, 0},
		"both are from one source":  {0, 2, 0},
		"score is not a number":     {0, 1, float32(math.NaN())},
		"score is -Inf":             {0, 1, float32(math.Inf(-1))},
		"a pair before is the same": {1, 0, 3},
	} {
		if err := CheckPairs(append(good, p), items); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: error %v, want one with %q", p, err, want)
		}
	}
}

func TestLinkStats(t *testing.T) {
	items := []Item{{Lang: 1, Target: true}, {Lang: 2, Target: true}, {Lang: 1, Target: true}, {Lang: 1}}
	got := LinkStats([]Pair{{0, 1, 1}, {0, 3, 1}, {0, 2, 1}, {1, 0, 0.5}}, items)
	if want := (Stats{Targets: 3, Links: 4, Cross: 2, Unlinked: 1, MaxLinks: 3}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if got.CrossShare() != 0.5 || got.LinksPerTarget() != 4.0/3 {
		t.Errorf("cross share %v, links per target %v", got.CrossShare(), got.LinksPerTarget())
	}
	if empty := LinkStats(nil, nil); empty.CrossShare() != 0 || empty.LinksPerTarget() != 0 {
		t.Errorf("without links: %v, %v", empty.CrossShare(), empty.LinksPerTarget())
	}
}

func BenchmarkLinks(b *testing.B) {
	for _, c := range []struct {
		n, dim int
		name   string
		opt    LinkOptions
	}{
		{5000, 256, "", LinkOptions{Mono: 4, Cross: 4}},
		{5000, 256, "/target", LinkOptions{Mono: 4, Cross: 4, PerTarget: true}},
		{5000, 256, "/ratio", LinkOptions{Mono: 4, Cross: 4, Margin: vectors.MarginRatio}},
		{20000, 128, "", LinkOptions{Mono: 4, Cross: 4}},
	} {
		r := rand.New(rand.NewPCG(6, 1))
		items, rows := randomItems(r, c.n, 1), gaussian(r, c.n, c.dim)
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("%dx%d%s/threads=%d", c.n, c.dim, c.name, threads), func(b *testing.B) {
				pool := tensor.NewPool(threads)
				defer pool.Close()
				for b.Loop() {
					mustLink(b, pool, rows, c.dim, items, c.opt)
				}
				b.ReportMetric(float64(c.n)*float64(c.n)*float64(b.N)/b.Elapsed().Seconds(), "pairs/s")
			})
		}
	}
}
