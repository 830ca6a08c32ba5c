package attention

import (
	"fmt"
	"slices"

	"github.com/marge-go/marge/tensor"
)

// Cache holds the keys and values of one layer's causal self-attention for the tokens that several
// sequences have so far, so that the next tokens need only their own. It is for inference: no gradients flow
// through it.
type Cache struct {
	keys, values buffer
	width        int
	capacity     int     // rows of a sequence
	most         int     // sequences
	lengths      []int32 // of the sequences there are
	offsets      []int32 // where the rows of the sequences begin, and all rows end
}

// buffer has the rows of all sequences, each followed by room up to the capacity, and memory of the same
// size to move them to.
type buffer struct{ rows, spare *tensor.Tensor }

// NewCache returns a cache of up to the given numbers of sequences and tokens in each, for attention of the
// given width. It has all sequences, with no tokens yet.
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

// Append adds keys and values k and v [n, width] to the ends of the sequences: the rows offsets[i]:offsets[i+1] to
// that of sequence i. It panics where they do not fit.
func (c *Cache) Append(tp *tensor.Tape, k, v *tensor.Tensor, offsets []int32) {
	if len(offsets) != len(c.lengths)+1 {
		panic(fmt.Sprintf("attention: new tokens of %d sequences in a cache of %d", len(offsets)-1, len(c.lengths)))
	}
	for i, length := range c.lengths {
		if n := offsets[i+1] - offsets[i]; n < 0 || int(length+n) > c.capacity {
			panic(fmt.Sprintf("attention: %d more tokens in sequence %d, which has %d of %d", n, i, length, c.capacity))
		}
	}
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

// Reorder makes sequence i what sequence rows[i] was, as a beam search keeps its best hypotheses; one can be
// taken several times, and there can be more or fewer than before.
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
			copyRows(tp, c.keys.spare, i*c.capacity, c.keys.rows, int(row)*c.capacity, int(lengths[i]))
			copyRows(tp, c.values.spare, i*c.capacity, c.values.rows, int(row)*c.capacity, int(lengths[i]))
		}
		c.keys.rows, c.keys.spare = c.keys.spare, c.keys.rows
		c.values.rows, c.values.spare = c.values.spare, c.values.rows
	}
	c.setLengths(lengths)
}

// copyRows copies n rows of src from one on to dst.
func copyRows(tp *tensor.Tape, dst *tensor.Tensor, to int, src *tensor.Tensor, from, n int) {
	if n > 0 {
		tp.Backend().Scale(tp.Rows(dst, to, to+n), 1, tp.Rows(src, from, from+n))
	}
}

// SelfCached returns causal self-attention of new tokens x [n, width] of the sequences of a cache, those of sequence i being the
// rows offsets[i]:offsets[i+1], each to the tokens of its own sequence up to itself; the new ones are appended to the cache. The result is that of Self for the last rows
// of the whole sequences, up to rounding. The tape must be one for inference.
func (a *MultiHead) SelfCached(tp *tensor.Tape, x *tensor.Tensor, offsets []int32, c *Cache) *tensor.Tensor {
	c.Append(tp, a.K.Forward(tp, x), a.V.Forward(tp, x), offsets)
	rows := int(c.offsets[len(c.offsets)-1])
	return a.attend(tp, x, tp.Rows(c.keys.rows, 0, rows), tp.Rows(c.values.rows, 0, rows), nil, tensor.AttentionOptions{
		QOffsets: offsets, KOffsets: c.offsets, KLengths: c.lengths, Causal: true,
	})
}
