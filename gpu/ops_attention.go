//go:build cuda

package gpu

import (
	"fmt"

	"github.com/marge-go/marge/internal/ceil"
	"github.com/marge-go/marge/tensor"
)

// The kernels of attention have blocks of attentionThreads threads. The plain ones
// take plainTile queries or keys and compute plainColumns columns of a head, those
// for tensor cores take coreTile, the forward ones of narrow heads twice as many, and
// compute all columns. Besides numbers of matrices these keep coreExtra for each row.
const (
	attentionThreads = 128
	attentionWarps   = attentionThreads / 32
	plainTile        = 32
	plainColumns     = 64
	coreTile         = 64
	coreExtra        = 9
)

// attention is a call of Attention or AttentionBackward.
type attention struct {
	o          *tensor.AttentionOptions
	bias       bool
	width      int // of a head
	keyHeads   int
	rows, keys int
	onCores    bool
	inputs     []any // q, k, v, bias and the segments of keys, as kernels take them
	settings   []any // what kernels take behind their tiles
}

func (b *Backend) newAttention(q, k, v, bias *tensor.Tensor, o *tensor.AttentionOptions) *attention {
	a := &attention{o: o, bias: bias != nil, width: q.Dim(1) / o.Heads, rows: q.Dim(0), keys: k.Dim(0)}
	a.keyHeads = k.Dim(1) / a.width
	a.onCores = a.width == 32 || a.width == 64 || a.width == 128
	var offsets devptr
	if a.bias {
		offsets = b.table(o.KOffsets)
	}
	a.inputs = []any{
		b.ptr(q), leading(q), b.ptr(k), leading(k), b.ptr(v), leading(v), b.dense(bias), offsets, len(o.KOffsets) - 1,
	}
	var threshold uint32
	inverse := float32(1)
	if o.Dropout > 0 {
		inverse, threshold = dropoutScale(o.Dropout)
	}
	a.settings = []any{
		a.width, o.Heads / a.keyHeads, a.rows, a.keys, flag(o.Causal), o.Window, o.Scale,
		o.Stream << streamShift, mix(o.Seed), threshold, inverse,
	}
	return a
}

// segment returns the rows of key segment i that count.
func (a *attention) segment(i int) (lo, hi int32) {
	lo, hi = a.o.KOffsets[i], a.o.KOffsets[i+1]
	if a.o.KLengths != nil {
		hi = lo + a.o.KLengths[i]
	}
	return lo, hi
}

// queryTiles lists tiles of queries: first row, rows, the first of the keys that the
// segment can see, their number, the position of the first row among them in causal
// attention, and the segment. first has the first tile of each segment, and the
// number of tiles.
func (a *attention) queryTiles(tile int) (tiles, first []int32) {
	size := int32(tile)
	for s := range len(a.o.QOffsets) - 1 {
		first = append(first, int32(len(tiles)/6))
		lo, hi := a.o.QOffsets[s], a.o.QOffsets[s+1]
		from, to := int32(0), int32(a.keys)
		if !a.bias {
			from, to = a.segment(s)
		}
		n := ceil.Div(int(hi-lo), tile)
		for i := range int32(n) {
			row, position := lo+i*size, int32(0)
			if a.o.Causal { // the last ones see most keys, and begin first
				row = lo + (int32(n)-1-i)*size
				position = to - from - (hi - row)
			}
			tiles = append(tiles, row, min(size, hi-row), from, to-from, position, int32(s))
		}
	}
	return tiles, append(first, int32(len(tiles)/6))
}

// keyTiles lists tiles of keys: first row, rows, how many of them count, the first
// of the queries that can see them, their number, the position of that query in
// causal attention, and that of the first row.
func (a *attention) keyTiles(tile int) (tiles []int32) {
	size := int32(tile)
	if a.bias {
		for row := int32(0); row < int32(a.keys); row += size {
			n := min(size, int32(a.keys)-row)
			tiles = append(tiles, row, n, n, 0, int32(a.rows), 0, row)
		}
		return tiles
	}
	for s := range len(a.o.KOffsets) - 1 {
		lo, hi := a.segment(s)
		query, queries := a.o.QOffsets[s], a.o.QOffsets[s+1]-a.o.QOffsets[s]
		for row := lo; row < a.o.KOffsets[s+1]; row += size {
			n := min(size, a.o.KOffsets[s+1]-row)
			tiles = append(tiles, row, n, max(0, min(n, hi-row)), query, queries, hi-lo-queries, row-lo)
		}
	}
	return tiles
}

// tile returns how many queries or keys blocks of a kernel take.
func (a *attention) tile(kernel string) int {
	switch {
	case !a.onCores:
		return plainTile
	case kernel == "" && a.width <= 64:
		return 2 * coreTile
	}
	return coreTile
}

// launch starts a kernel for a number of tiles and heads. own are the arguments that come before those that all
// kernels have, aligned what of them can be read or written 16 bytes at once.
//
// Blocks on tensor cores keep in shared memory the rows of their tile, of q or of two matrices, and tiles of two
// matrices of the other side: two such pairs but for gradients of wide heads.
func (a *attention) launch(b *Backend, kernel string, tiles, heads int, list devptr, aligned int32, own ...any) {
	grid, shared := [3]int{tiles, heads, ceil.Div(a.width, plainColumns)}, 0
	if a.onCores {
		rows, held, pairs, other := a.tile(kernel), 2, 2, 32
		if kernel == "" {
			held = 1
		}
		if a.width > 64 {
			other = 16
			if kernel != "" {
				pairs = 1
			}
		}
		grid[2] = 1
		shared = 4 * (rows*(held*a.width+coreExtra) + pairs*other*(2*(a.width+4)+coreExtra))
		if kernel == "_keys" && a.width > 64 {
			grid[2] = 2 // for dk and dv
		}
		kernel = fmt.Sprintf("attention_%s%s_%d", b.attentionCores(), kernel, a.width)
		for i := range 3 {
			aligned |= flag(isAligned(a.inputs[2*i].(devptr), a.inputs[2*i+1].(int))) << i
		}
		own = append(own, aligned)
	} else {
		kernel = "attention_plain" + kernel
	}
	b.launch(kernel, grid, attentionThreads, shared, a.args(list, own...)...)
}

// isAligned reports whether the rows of a matrix can be read 16 bytes at once.
func isAligned(p devptr, leading int) bool { return p%16 == 0 && leading%4 == 0 }

// Bits of what is aligned, after those of q, k and v.
const (
	gradientAligned = 8 << iota
	firstAligned    // out, dq or dk
	secondAligned   // dv
)

// args returns the arguments of a kernel: its own, and those that all have.
func (a *attention) args(tiles devptr, own ...any) []any {
	own = append(own, a.inputs...)
	own = append(own, tiles)
	return append(own, a.settings...)
}

// Attention implements tensor.Backend.
func (b *Backend) Attention(out, lse, q, k, v, bias *tensor.Tensor, o *tensor.AttentionOptions) {
	defer b.enter("Attention")()
	if q.Len() == 0 {
		return
	}
	b.attend(b.newAttention(q, k, v, bias, o), out, lse)
}

func (b *Backend) attend(a *attention, out, lse *tensor.Tensor) {
	tiles, _ := a.queryTiles(a.tile(""))
	a.launch(b, "", len(tiles)/6, a.o.Heads, b.table(tiles), firstAligned*b.aligned(out),
		b.ptr(out), leading(out), b.dense(lse))
}

// AttentionBackward implements tensor.Backend.
func (b *Backend) AttentionBackward(dq, dk, dv, dbias, dout, out, lse, q, k, v, bias *tensor.Tensor,
	o *tensor.AttentionOptions, accumulate [4]bool) {
	defer b.enter("AttentionBackward")()
	a := b.newAttention(q, k, v, bias, o)
	var known []any // of each query: maximum, share and inner product of dout and out
	for range 3 {
		known = append(known, b.scratch(o.Heads*a.rows*4))
	}
	gradient := []any{b.ptr(dout), leading(dout)}
	plain, _ := a.queryTiles(plainTile)
	own := append(append([]any{}, known...), b.dense(lse), b.ptr(out), leading(out))
	b.launch("attention_plain_rows", [3]int{len(plain) / 6, o.Heads, 1}, attentionThreads, 0,
		a.args(b.table(plain), append(own, gradient...)...)...)
	aligned := gradientAligned * b.aligned(dout)
	if dq != nil || dbias != nil {
		a.backwardQueries(b, dq, dbias, known, gradient, aligned, accumulate[0], accumulate[3])
	}
	if dk != nil || dv != nil {
		tiles := a.keyTiles(a.tile("_keys"))
		own := append([]any{
			b.ptr(dk), leadingOrNone(dk), flag(accumulate[1]), b.ptr(dv), leadingOrNone(dv), flag(accumulate[2]),
		}, known...)
		own = append(own, b.table(o.QOffsets), len(o.QOffsets)-1)
		aligned |= firstAligned*b.aligned(dk) | secondAligned*b.aligned(dv)
		a.launch(b, "_keys", len(tiles)/7, a.keyHeads, b.table(tiles), aligned, append(own, gradient...)...)
	}
}

// backwardQueries computes dq and dbias, of which one may be missing. The gradient of a bias is made of partial sums,
// of each block, or on tensor cores of each warp.
func (a *attention) backwardQueries(b *Backend, dq, dbias *tensor.Tensor, known, gradient []any, aligned int32,
	accumulate, accumulateBias bool) {
	tiles, first := a.queryTiles(a.tile("_queries"))
	parts := len(tiles) / 6
	if a.onCores {
		parts *= attentionWarps
		for i := range first {
			first[i] *= attentionWarps
		}
	}
	queries, keys := len(a.o.QOffsets)-1, len(a.o.KOffsets)-1
	var partial devptr
	if dbias != nil {
		partial = b.scratch(a.o.Heads * parts * keys * 4)
	}
	own := append([]any{b.ptr(dq), leadingOrNone(dq), flag(accumulate), partial}, known...)
	a.launch(b, "_queries", len(tiles)/6, a.o.Heads, b.table(tiles), aligned|firstAligned*b.aligned(dq),
		append(own, gradient...)...)
	if dbias != nil {
		b.launch("attention_plain_bias", [3]int{ceil.Div(dbias.Len(), attentionThreads), 1, 1}, attentionThreads, 0,
			b.dense(dbias), flag(accumulateBias), partial, b.table(first), parts, a.o.Heads, queries, keys)
	}
}

// aligned returns 1 if the rows of a matrix can be read 16 bytes at once.
func (b *Backend) aligned(t *tensor.Tensor) int32 {
	return flag(t != nil && isAligned(b.ptr(t), leading(t)))
}

// leadingOrNone is leading for tensors that may be missing.
func leadingOrNone(t *tensor.Tensor) int {
	if t == nil {
		return 0
	}
	return leading(t)
}

// attentionCores returns how attention multiplies on tensor cores.
func (b *Backend) attentionCores() string {
	if b.precision == FP32 {
		return "3xtf32"
	}
	return "tf32"
}
