package attention

import (
	"fmt"
	"math"

	"github.com/marge-go/marge/tensor"
)

// Cache holds the keys and values that one layer's causal self-attention has
// computed for several sequences, so that later tokens need not compute them
// again. It is for inference: gradients do not flow through it.
//
// Every token has a row of its own, of which sequences are lists. So sequences with
// a common beginning share its rows, and new orders move nothing.
type Cache struct {
	keys, values *tensor.Tensor // [most*capacity, width]
	width        int
	seqs         *sequences // shared by the caches of the layers of a model
	steps        int        // number of times that tokens were added
}

// sequences tells which rows of a cache the tokens of sequences have.
type sequences struct {
	most, capacity int       // number of sequences, and of the tokens of one
	rows           [][]int32 // of each sequence
	free           []int32   // rows that no sequence has, in ascending order, but not all of these
	layers         int       // caches that share this
	// The newest step, and how many layers have not made it yet:
	steps   int
	waiting int
	offsets []int32 // of the new tokens
	added   []int32 // rows of the new tokens
	lists   tensor.AttentionRowsOptions
	window  int // that lists are for
}

// NewCache returns a cache for keys and values of the given width, of up to the given
// number of sequences and, as capacity, of tokens in each. All sequences are
// there and empty.
func NewCache(b tensor.Backend, n, capacity, width int) *Cache {
	if n < 1 || capacity < 1 || width < 1 {
		panic(fmt.Sprintf("attention: cache of %d sequences of %d tokens, width %d", n, capacity, width))
	}
	return newCache(b, width, &sequences{most: n, capacity: capacity, rows: make([][]int32, n)})
}

func newCache(b tensor.Backend, width int, s *sequences) *Cache {
	s.layers++
	n := s.most * s.capacity
	return &Cache{
		keys: tensor.New(b, tensor.Float32, n, width), values: tensor.New(b, tensor.Float32, n, width),
		width: width, seqs: s,
	}
}

// NewCache returns a cache for the keys and values of the attention, see the
// function NewCache.
func (a *MultiHead) NewCache(sequences, capacity int) *Cache {
	return NewCache(a.K.Weight.Backend(), sequences, capacity, a.K.Weight.Dim(0))
}

// Layer returns a cache for another layer, of keys and values of the same width. It
// has the same sequences: what Reset and Reorder do to one cache, they do to all,
// and each layer is to add the same tokens before any adds more. The sequences must
// be empty.
func (c *Cache) Layer() *Cache {
	for i, rows := range c.seqs.rows {
		if len(rows) > 0 {
			panic(fmt.Sprintf("attention: a layer more for sequence %d of %d tokens", i, len(rows)))
		}
	}
	layer := newCache(c.keys.Backend(), c.width, c.seqs)
	layer.steps = c.seqs.steps
	return layer
}

// Reset makes the cache one of the given number of sequences without tokens.
func (c *Cache) Reset(sequences int) {
	if sequences < 0 || sequences > c.seqs.most {
		panic(fmt.Sprintf("attention: %d sequences in a cache of %d", sequences, c.seqs.most))
	}
	c.seqs.mustBeBetweenSteps()
	c.seqs.rows, c.seqs.free = make([][]int32, sequences), nil
}

// mustBeBetweenSteps panics if some layers have more tokens than others.
func (s *sequences) mustBeBetweenSteps() {
	if s.waiting > 0 {
		panic(fmt.Sprintf("attention: %d of %d layers have not seen the newest tokens", s.waiting, s.layers))
	}
}

// Lengths returns the number of tokens of each sequence.
func (c *Cache) Lengths() []int32 {
	lengths := make([]int32, len(c.seqs.rows))
	for i, rows := range c.seqs.rows {
		lengths[i] = int32(len(rows))
	}
	return lengths
}

// Reorder makes sequence i what sequence order[i] was, as when a beam search keeps
// its best hypotheses. A sequence can be taken several times, and their number can
// change. No keys or values are moved.
func (c *Cache) Reorder(order []int32) {
	s := c.seqs
	if len(order) > s.most {
		panic(fmt.Sprintf("attention: %d sequences in a cache of %d", len(order), s.most))
	}
	s.mustBeBetweenSteps()
	rows, taken := make([][]int32, len(order)), make([]bool, len(s.rows))
	for i, from := range order {
		if from < 0 || int(from) >= len(s.rows) {
			panic(fmt.Sprintf("attention: sequence %d of %d, at position %d of a new order", from, len(s.rows), i))
		}
		rows[i] = s.rows[from]
		if taken[from] { // its list is another's to append to
			rows[i] = append(make([]int32, 0, cap(rows[i])), rows[i]...)
		}
		taken[from] = true
	}
	s.rows = rows
}

// Append adds keys and values k and v [n, width] to the ends of the sequences:
// the rows offsets[i]:offsets[i+1] to sequence i. It panics if they do not fit.
func (c *Cache) Append(tp *tensor.Tape, k, v *tensor.Tensor, offsets []int32) {
	c.mustFit(offsets)
	for _, x := range []*tensor.Tensor{k, v} {
		if len(x.Shape()) != 2 || x.Dim(1) != c.width || x.Dim(0) != int(offsets[len(offsets)-1]) {
			panic(fmt.Sprintf("attention: %v appended to a cache of width %d by offsets %v", x, c.width, offsets))
		}
		if x.RequiresGrad() {
			panic("attention: a cache on a tape that records")
		}
	}
	s := c.seqs
	if c.steps == s.steps {
		s.extend(offsets)
	}
	c.steps, s.waiting = s.steps, s.waiting-1
	for from, n := 0, 0; from < len(s.added); from += n {
		to := int(s.added[from])
		for n = 1; from+n < len(s.added) && int(s.added[from+n]) == to+n; n++ {
		}
		copyRows(tp, c.keys, to, k, from, n)
		copyRows(tp, c.values, to, v, from, n)
	}
}

// copyRows copies n rows of src from one on to dst.
func copyRows(tp *tensor.Tape, dst *tensor.Tensor, to int, src *tensor.Tensor, from, n int) {
	tp.Backend().Scale(tp.Rows(dst, to, to+n), 1, tp.Rows(src, from, from+n))
}

// mustFit panics unless new tokens by offsets have room or, if another layer has
// seen them already, are the same.
func (c *Cache) mustFit(offsets []int32) {
	s := c.seqs
	if len(offsets) != len(s.rows)+1 {
		panic(fmt.Sprintf("attention: new tokens of %d sequences in a cache of %d", len(offsets)-1, len(s.rows)))
	}
	if c.steps == s.steps {
		s.mustBeBetweenSteps()
		for i, rows := range s.rows {
			if n := int(offsets[i+1] - offsets[i]); n < 0 || len(rows)+n > s.capacity {
				panic(fmt.Sprintf("attention: %d more tokens in sequence %d, which has %d of %d", n, i, len(rows), s.capacity))
			}
		}
		return
	}
	for i, offset := range offsets {
		if offset != s.offsets[i] {
			panic(fmt.Sprintf("attention: new tokens %v in a layer, %v in the one before", offsets, s.offsets))
		}
	}
}

// extend gives rows to new tokens.
func (s *sequences) extend(offsets []int32) {
	n := int(offsets[len(offsets)-1])
	if len(s.free) < n {
		s.findFree()
	}
	s.added, s.free = s.free[:n:n], s.free[n:]
	for i := range s.rows {
		s.rows[i] = append(s.rows[i], s.added[offsets[i]:offsets[i+1]]...)
	}
	s.offsets = append(s.offsets[:0], offsets...)
	s.steps, s.waiting, s.window = s.steps+1, s.layers, -1
}

// findFree sets free to all rows that no sequence has. They are enough for as many
// tokens as fit.
func (s *sequences) findFree() {
	used := make([]bool, s.most*s.capacity)
	for _, rows := range s.rows {
		for _, row := range rows {
			used[row] = true
		}
	}
	s.free = nil
	for row, used := range used {
		if !used {
			s.free = append(s.free, int32(row))
		}
	}
}

// past returns how many tokens sequence i had before those by offsets.
func (c *Cache) past(i int, offsets []int32) int {
	n := len(c.seqs.rows[i])
	if c.steps < c.seqs.steps { // another layer has added them
		n -= int(offsets[i+1] - offsets[i])
	}
	return n
}

// listsOf returns the rows that each new token sees: those of its sequence up to
// itself, or the last of them if there is a window.
func (s *sequences) listsOf(window int) tensor.AttentionRowsOptions {
	if s.window == window {
		return s.lists
	}
	l := &s.lists
	l.Rows, l.Offsets, l.Seen, s.window = l.Rows[:0], append(l.Offsets[:0], 0), l.Seen[:0], window
	for i, rows := range s.rows {
		n := int(s.offsets[i+1] - s.offsets[i])
		for end := len(rows) - n + 1; end <= len(rows); end++ {
			first := 0
			if window > 0 {
				first = max(0, end-window)
			}
			segment := int32(len(l.Offsets) - 1)
			l.Rows = append(l.Rows, rows[first:end]...)
			l.Offsets = append(l.Offsets, int32(len(l.Rows)))
			l.Seen = append(l.Seen, segment, segment+1)
		}
	}
	return *l
}

// SelfCached is causal self-attention of new tokens x [n, width] to all tokens of
// their sequences, whose keys and values are in the cache. The rows
// offsets[i]:offsets[i+1] belong to sequence i, and are appended to it. Up to
// rounding, the result is what Self returns for the last rows of the whole
// sequences. The tape must not record.
func (a *MultiHead) SelfCached(tp *tensor.Tape, x *tensor.Tensor, offsets []int32, c *Cache) *tensor.Tensor {
	c.mustFit(offsets)
	starts, begins, prompt := make([]int32, len(offsets)-1), true, false
	for i := range starts {
		starts[i] = int32(c.past(i, offsets))
		begins = begins && starts[i] == 0
		prompt = prompt || offsets[i+1]-offsets[i] > 1
	}
	rotate := a.rotation(tp, offsets, starts)
	q, k, v := rotate(a.Q.Forward(tp, x)), rotate(a.K.Forward(tp, x)), a.V.Forward(tp, x)
	c.Append(tp, k, v, offsets)
	if begins && prompt { // nothing is in the cache but these tokens
		return a.attend(tp, q, k, v, nil, tensor.AttentionOptions{
			QOffsets: offsets, KOffsets: offsets, Causal: true, Window: a.Window,
		})
	}
	y, _ := a.attendRows(tp, q, c.keys, c.values, false, c.seqs.listsOf(a.Window))
	return y
}

// CrossRows is the attention of single tokens x [n, width] to evidence documents, as
// Cross is that of documents: by the options, token i sees some segments of the rows
// of z. The options' heads and scale need not be set. mass is nil, or [heads,
// segments that the tokens see] of the sums of attention weights.
func (a *MultiHead) CrossRows(
	tp *tensor.Tape, x *tensor.Tensor, z Evidence, wantMass bool, o tensor.AttentionRowsOptions,
) (y, mass *tensor.Tensor) {
	return a.attendRows(tp, a.Q.Forward(tp, x), z.K, z.V, wantMass, o)
}

func (a *MultiHead) attendRows(
	tp *tensor.Tape, q, k, v *tensor.Tensor, wantMass bool, o tensor.AttentionRowsOptions,
) (y, mass *tensor.Tensor) {
	o.Heads, o.KVHeads = a.Heads, k.Dim(1)*a.Heads/q.Dim(1)
	o.Scale = float32(1 / math.Sqrt(float64(q.Dim(1)/a.Heads)))
	out, mass := tp.AttentionRows(q, k, v, wantMass, o)
	return a.Out.Forward(tp, out), mass
}
