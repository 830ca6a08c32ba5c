package attention

import (
	"fmt"
	"slices"

	"github.com/marge-go/marge/tensor"
)

// Cache holds the keys and values that one layer's causal self-attention has
// computed for several sequences, so that later tokens need not compute them
// again. It is for inference: gradients do not flow through it.
type Cache struct {
	keys, values buffer
	width        int
	capacity     int     // rows of a sequence
	most         int     // sequences
	lengths      []int32 // of the sequences there are
	offsets      []int32 // where the rows of the sequences begin, and all rows end
}

// buffer has the rows of all sequences, each with room up to the capacity, and
// memory to reorder them into.
type buffer struct{ rows, next *tensor.Tensor }

// NewCache returns a cache for keys and values of the given width, of up to the given
// number of sequences and, as capacity, of tokens in each. All sequences are
// there and empty.
func NewCache(b tensor.Backend, sequences, capacity, width int) *Cache {
	if sequences < 1 || capacity < 1 || width < 1 {
		panic(fmt.Sprintf("attention: cache of %d sequences of %d tokens, width %d", sequences, capacity, width))
	}
	newBuffer := func() buffer {
		return buffer{
			tensor.New(b, tensor.Float32, sequences*capacity, width), tensor.New(b, tensor.Float32, sequences*capacity, width),
		}
	}
	c := &Cache{keys: newBuffer(), values: newBuffer(), width: width, capacity: capacity, most: sequences}
	c.Reset(sequences)
	return c
}

// NewCache returns a cache for the keys and values of the attention, see the
// function NewCache.
func (a *MultiHead) NewCache(sequences, capacity int) *Cache {
	return NewCache(a.K.Weight.Backend(), sequences, capacity, a.K.Weight.Dim(0))
}

// Reset makes the cache one of the given number of sequences without tokens.
func (c *Cache) Reset(sequences int) {
	if sequences < 0 || sequences > c.most {
		panic(fmt.Sprintf("attention: %d sequences in a cache of %d", sequences, c.most))
	}
	c.setLengths(make([]int32, sequences))
}

// setLengths sets the number of sequences and their lengths.
func (c *Cache) setLengths(lengths []int32) {
	c.lengths, c.offsets = lengths, make([]int32, len(lengths)+1)
	for i := range c.offsets {
		c.offsets[i] = int32(i * c.capacity)
	}
}

// Lengths returns the number of tokens of each sequence.
func (c *Cache) Lengths() []int32 { return slices.Clone(c.lengths) }

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
	for i, length := range c.lengths {
		n := int(offsets[i+1] - offsets[i])
		to := i*c.capacity + int(length)
		copyRows(tp, c.keys.rows, to, k, int(offsets[i]), n)
		copyRows(tp, c.values.rows, to, v, int(offsets[i]), n)
		c.lengths[i] += int32(n)
	}
}

// mustFit panics unless there is room for new tokens by offsets.
func (c *Cache) mustFit(offsets []int32) {
	if len(offsets) != len(c.lengths)+1 {
		panic(fmt.Sprintf("attention: new tokens of %d sequences in a cache of %d", len(offsets)-1, len(c.lengths)))
	}
	for i, length := range c.lengths {
		if n := offsets[i+1] - offsets[i]; n < 0 || int(length+n) > c.capacity {
			panic(fmt.Sprintf("attention: %d more tokens in sequence %d, which has %d of %d", n, i, length, c.capacity))
		}
	}
}

// Reorder makes sequence i what sequence rows[i] was, as when a beam search keeps
// its best hypotheses. A sequence can be taken several times, and their number can
// change.
func (c *Cache) Reorder(tp *tensor.Tape, rows []int32) {
	if len(rows) > c.most {
		panic(fmt.Sprintf("attention: %d sequences in a cache of %d", len(rows), c.most))
	}
	lengths, moved := make([]int32, len(rows)), false
	for i, row := range rows {
		if row < 0 || int(row) >= len(c.lengths) {
			panic(fmt.Sprintf("attention: sequence %d of %d, at position %d of a new order", row, len(c.lengths), i))
		}
		lengths[i] = c.lengths[row]
		moved = moved || int(row) != i
	}
	if moved {
		for i, row := range rows {
			copyRows(tp, c.keys.next, i*c.capacity, c.keys.rows, int(row)*c.capacity, int(lengths[i]))
			copyRows(tp, c.values.next, i*c.capacity, c.values.rows, int(row)*c.capacity, int(lengths[i]))
		}
		c.keys.rows, c.keys.next = c.keys.next, c.keys.rows
		c.values.rows, c.values.next = c.values.next, c.values.rows
	}
	c.setLengths(lengths)
}

// copyRows copies n rows of src from one on to dst.
func copyRows(tp *tensor.Tape, dst *tensor.Tensor, to int, src *tensor.Tensor, from, n int) {
	if n > 0 {
		tp.Backend().Scale(tp.Rows(dst, to, to+n), 1, tp.Rows(src, from, from+n))
	}
}

// SelfCached is causal self-attention of new tokens x [n, width] to all tokens of
// their sequences, whose keys and values are in the cache. The rows
// offsets[i]:offsets[i+1] belong to sequence i, and are appended to it. Up to
// rounding, the result is what Self returns for the last rows of the whole
// sequences. The tape must not record.
func (a *MultiHead) SelfCached(tp *tensor.Tape, x *tensor.Tensor, offsets []int32, c *Cache) *tensor.Tensor {
	c.mustFit(offsets)
	rotate := a.rotation(tp, offsets, c.lengths)
	c.Append(tp, rotate(a.K.Forward(tp, x)), a.V.Forward(tp, x), offsets)
	rows := int(c.offsets[len(c.offsets)-1])
	keys, values := tp.Rows(c.keys.rows, 0, rows), tp.Rows(c.values.rows, 0, rows)
	o := tensor.AttentionOptions{QOffsets: offsets, KOffsets: c.offsets, KLengths: c.lengths, Causal: true, Window: a.Window}
	return a.attend(tp, rotate(a.Q.Forward(tp, x)), keys, values, nil, o)
}
