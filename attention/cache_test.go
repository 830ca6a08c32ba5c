package attention

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/internal/isatest"
	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/tensor"
	"github.com/marge-go/marge/tensor/backendtest"
)

// decoding is a search step by step: what each sequence has so far, beside a cache of it.
type decoding struct {
	b     tensor.Backend
	a     *MultiHead
	tp    *tensor.Tape
	cache *Cache
	rng   *rand.Rand
	past  [][]float32 // rows of each sequence
}

const (
	decodingWidth, decodingHeads        = 24, 3
	decodingSequences, decodingCapacity = 4, 70
)

func newDecoding(b tensor.Backend) *decoding {
	a := NewMultiHead(b, decodingWidth, decodingHeads, nil)
	rng := rand.New(rand.NewPCG(1, 2))
	for _, p := range a.Parameters(nil, "") {
		nn.Normal(p.Tensor, rng, 0.3)
	}
	d := &decoding{b: b, a: a, tp: tensor.NewTape(b), rng: rng}
	d.tp.Poison()
	d.cache = NewCache(b, decodingSequences, decodingCapacity, decodingWidth)
	d.cache.Reset(3)
	d.past = make([][]float32, 3)
	return d
}

// step attends with the given numbers of new tokens. It returns the results by
// the cache and those of attention to the whole sequences.
func (d *decoding) step(lengths ...int) (got, want []float32) {
	d.tp.Reset(tensor.Inference, 0)
	var x, all []float32
	offsets, allOffsets := []int32{0}, []int32{0}
	for i, n := range lengths {
		for range n * decodingWidth {
			x = append(x, float32(d.rng.NormFloat64()))
		}
		d.past[i] = append(slices.Clip(d.past[i]), x[int(offsets[i])*decodingWidth:]...)
		offsets = append(offsets, offsets[i]+int32(n))
		all = append(all, d.past[i]...)
		allOffsets = append(allOffsets, int32(len(all)/decodingWidth))
	}
	y := d.a.SelfCached(d.tp, d.tp.Floats(x, len(x)/decodingWidth, decodingWidth), offsets, d.cache)
	got = values(y)
	whole := values(d.a.Self(d.tp, d.tp.Floats(all, len(all)/decodingWidth, decodingWidth), allOffsets, true))
	for i, n := range lengths {
		end := int(allOffsets[i+1]) * decodingWidth
		want = append(want, whole[end-n*decodingWidth:end]...)
	}
	return got, want
}

func (d *decoding) reorder(rows ...int32) {
	d.tp.Reset(tensor.Inference, 0)
	d.cache.Reorder(rows)
	var past [][]float32
	for _, row := range rows {
		past = append(past, d.past[row])
	}
	d.past = past
}

func values(t *tensor.Tensor) []float32 {
	v := make([]float32, t.Len())
	t.CopyTo(v)
	return v
}

// search does what a beam search does with a cache: prompts of several lengths,
// tokens one by one, hypotheses dropped, doubled and exchanged. It passes its
// results to check.
func (d *decoding) search(check func(name string, got, want []float32)) {
	step := func(lengths ...int) {
		got, want := d.step(lengths...)
		check(fmt.Sprintf("%v tokens more, of %v", lengths, d.cache.Lengths()), got, want)
	}
	step(3, 0, 50)
	step(1, 2, 1)
	step(1, 1, 1)
	d.reorder(2, 0, 2)
	step(1, 1, 1)
	d.reorder(0, 1, 2)
	step(0, 4, 1)
	d.reorder(1)
	step(2)
	d.reorder(0, 0, 0, 0)
	step(1, 0, 1, 3)
	d.reorder(3, 2, 1, 0)
	step(1, 1, 1, 1)
	step(0, 0, 0, 0)
	d.cache.Reset(2)
	d.past = make([][]float32, 2)
	step(decodingCapacity, 1)
}

// Attention to a cache is attention to the whole sequences.
func TestSelfCached(t *testing.T) {
	isatest.Each(t, func(t *testing.T) {
		b := tensor.NewCPU(2)
		defer b.Close()
		d := newDecoding(b)
		d.search(func(name string, got, want []float32) {
			if len(got) != len(want) {
				t.Fatalf("%s: %d values, want %d", name, len(got), len(want))
			}
			for i, w := range want {
				if diff := math.Abs(float64(got[i] - w)); !(diff <= 1e-6*max(1, math.Abs(float64(w)))) {
					t.Fatalf("%s: [%d] is %v, want %v", name, i, got[i], w)
				}
			}
		})
	})
}

// A device has the same bits, and is not waited for.
func TestSelfCachedOnADevice(t *testing.T) {
	cpu := tensor.NewCPU(1)
	defer cpu.Close()
	var want [][]float32
	newDecoding(cpu).search(func(name string, got, _ []float32) { want = append(want, got) })
	device := backendtest.Opaque(tensor.NewCPU(1))
	defer device.Close()
	d := newDecoding(device)
	device.ResetCounts()
	d.search(func(name string, got, _ []float32) {
		if !slices.Equal(got, want[0]) {
			t.Errorf("%s: other bits than on the CPU", name)
		}
		want = want[1:]
		if n := device.Counts().Downloads; n != 2 { // those of the test
			t.Errorf("%s: %d downloads", name, n)
		}
		device.ResetCounts()
	})
}

// Rows of dropped sequences are used again.
func TestCacheReusesRows(t *testing.T) {
	b := tensor.NewCPU(1)
	defer b.Close()
	d := newDecoding(b)
	const capacity = 6
	d.cache = NewCache(b, decodingSequences, capacity, decodingWidth)
	step := func(lengths ...int) {
		got, want := d.step(lengths...)
		for i, w := range want {
			if diff := math.Abs(float64(got[i] - w)); !(diff <= 4e-6*max(1, math.Abs(float64(w)))) {
				t.Fatalf("%v tokens more, of %v: [%d] is %v, want %v", lengths, d.cache.Lengths(), i, got[i], w)
			}
		}
	}
	for range 5 {
		d.cache.Reset(3)
		d.past = make([][]float32, 3)
		step(capacity, 1, 0)
		d.reorder(1, 2, 1)
		step(capacity-2, 2, 1)
		d.reorder(2, 2, 1, 1)
		step(capacity-2, 0, 3, capacity-2)
		step(0, 2, 1, 0)
	}
}

// The caches of several layers have one order, and find the tokens of each layer.
func TestCacheOfLayers(t *testing.T) {
	b := tensor.NewCPU(1)
	defer b.Close()
	rng := rand.New(rand.NewPCG(5, 6))
	tp := tensor.NewTape(b)
	first := NewCache(b, 3, 20, 8)
	caches := []*Cache{first, first.Layer(), first.Layer()}
	var layers []*MultiHead
	for range caches {
		layers = append(layers, NewMultiHead(b, 8, 2, rng))
	}
	first.Reset(2)
	past := make([][][]float32, 2) // [sequence][layer]
	for i := range past {
		past[i] = make([][]float32, len(caches))
	}
	for step := range 12 {
		tp.Reset(tensor.Inference, 0)
		offsets := []int32{0}
		for i := range past {
			offsets = append(offsets, offsets[i]+int32(1+(step+i)%2))
		}
		n := int(offsets[len(past)])
		for l, c := range caches {
			x := make([]float32, n*8)
			for i := range x {
				x[i] = float32(rng.NormFloat64())
			}
			got := values(layers[l].SelfCached(tp, tp.Floats(x, n, 8), offsets, c))
			for i := range past {
				lo, hi := offsets[i]*8, offsets[i+1]*8
				past[i][l] = append(slices.Clip(past[i][l]), x[lo:hi]...)
				whole := past[i][l]
				rows := len(whole) / 8
				want := values(layers[l].Self(tp, tp.Floats(whole, rows, 8), []int32{0, int32(rows)}, true))
				want = want[len(want)-int(hi-lo):]
				for j, w := range want {
					if diff := math.Abs(float64(got[int(lo)+j] - w)); !(diff <= 4e-6*max(1, math.Abs(float64(w)))) {
						t.Fatalf("step %d, layer %d, sequence %d: [%d] is %v, want %v", step, l, i, j, got[int(lo)+j], w)
					}
				}
			}
		}
		order := [][]int32{{1, 1, 0}, {2, 0}, {0, 1}}[step%3]
		caches[step%3].Reorder(order)
		var next [][][]float32
		for _, i := range order {
			next = append(next, slices.Clone(past[i]))
		}
		past = next
		if lengths := caches[(step+1)%3].Lengths(); len(lengths) != len(past) || int(lengths[0]) != len(past[0][0])/8 {
			t.Fatalf("step %d: lengths %v", step, lengths)
		}
	}
}

func TestCachePanics(t *testing.T) {
	b := tensor.NewCPU(1)
	defer b.Close()
	x := tensor.New(b, tensor.Float32, 3, 8)
	a := NewMultiHead(b, 8, 2, nil)
	tp := tensor.NewTape(b)
	cache := func() *Cache { return NewCache(b, 2, 4, 8) }
	for _, c := range []struct {
		name, want string
		f          func()
	}{
		{"no sequences", "cache of 0 sequences of 4 tokens, width 8", func() { NewCache(b, 0, 4, 8) }},
		{"sequences", "new tokens of 1 sequences in a cache of 2", func() { a.SelfCached(tp, x, []int32{0, 3}, cache()) }},
		{"capacity", "2 more tokens in sequence 1, which has 3 of 4", func() {
			c := cache()
			a.SelfCached(tp, x, []int32{0, 0, 3}, c)
			a.SelfCached(tp, x, []int32{0, 1, 3}, c)
		}},
		{"width", "float32[3 8] appended to a cache of width 6", func() {
			a.SelfCached(tp, x, []int32{0, 1, 3}, NewCache(b, 2, 4, 6))
		}},
		{"offsets", "float32[3 8] appended to a cache of width 8 by offsets [0 1 2]", func() {
			a.SelfCached(tp, x, []int32{0, 1, 2}, cache())
		}},
		{"order", "sequence 2 of 2, at position 1", func() { cache().Reorder([]int32{0, 2}) }},
		{"too many", "3 sequences in a cache of 2", func() { cache().Reorder([]int32{0, 0, 0}) }},
		{"layer behind", "1 of 2 layers have not seen the newest tokens", func() {
			c := cache()
			c.Layer()
			a.SelfCached(tp, x, []int32{0, 1, 3}, c)
			c.Reorder([]int32{0})
		}},
		{"layer ahead", "1 of 2 layers have not seen the newest tokens", func() {
			c := cache()
			c.Layer()
			a.SelfCached(tp, x, []int32{0, 1, 3}, c)
			a.SelfCached(tp, x, []int32{0, 1, 3}, c)
		}},
		{"other tokens", "new tokens [0 2 3] in a layer, [0 1 3] in the one before", func() {
			c := cache()
			second := c.Layer()
			a.SelfCached(tp, x, []int32{0, 1, 3}, c)
			a.SelfCached(tp, x, []int32{0, 2, 3}, second)
		}},
		{"layer late", "a layer more for sequence 0 of 1 tokens", func() {
			c := cache()
			a.SelfCached(tp, x, []int32{0, 1, 3}, c)
			c.Layer()
		}},
		{"reset", "3 sequences in a cache of 2", func() { cache().Reset(3) }},
		{"recording", "a cache on a tape that records", func() {
			tp := tensor.NewTape(b)
			tp.Reset(tensor.Gradient, 0)
			a.SelfCached(tp, x, []int32{0, 1, 3}, cache())
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer func() {
				if got, _ := recover().(string); !strings.Contains(got, c.want) {
					t.Errorf("panic %q, want %q in it", got, c.want)
				}
			}()
			c.f()
		})
	}
}
