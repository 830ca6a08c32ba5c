package tensor

import (
	"fmt"
	"slices"
	"sync"
)

// Backend is where tensors live and operations run: the processor, or a GPU.
// All that a model needs runs through it. Matrices are row-major with unit
// stride along the last dimension; "contiguous" arguments have no gaps
// between rows either. A method may return before its work is done, as long
// as later methods and Download see the results in order.
//
// A backend may also have the methods SumSquaresAll and AdamWAll, see the
// functions of those names, Runner, see HostRunner, NewInt8Storage, see
// Tensor.Quantize, and, all or none, SwiGLU, SwiGLUBackward, RMSNorm,
// RMSNormBackward and Rotate, as [CPU] has them; or else Compresses, Compress, Expand,
// CompressGELU, ExpandGELU and ExpandGELUBackward, see Tape.Compress. When its
// device fails, a method panics with a [*BackendError].
type Backend interface {
	// Name is the name under which the backend is registered.
	Name() string
	// Close frees what the backend holds, such as threads and memory of a device. Neither it nor its tensors may be
	// used afterwards. Closing again does nothing.
	Close() error

	// NewStorage returns zeroed memory for n elements.
	NewStorage(dt DType, n int) *Storage
	// Upload copies host data to a contiguous tensor: f to a float32 tensor, i to an int32 tensor.
	Upload(dst *Tensor, f []float32, i []int32)
	// Download copies a contiguous float32 tensor to the host.
	Download(dst []float32, src *Tensor)

	// Map sets (adds) dst = e(in...), element by element, the inputs being broadcast to the shape of dst. All
	// tensors can have any strides, but no two elements of dst the same place. dst can be an input.
	Map(dst *Tensor, e *Expr, in []*Tensor, accumulate bool)
	// Reduce sets (adds) each element of dst to the reduction of the elements of x that fall on it: dst has the rank
	// of x, and size 1 where elements are put together. Any strides.
	Reduce(dst *Tensor, op ReduceOp, x *Tensor, accumulate bool)

	// GatherAlong sets (adds) each element of dst to the element of x at its own position, but at index along an axis.
	// dst has the shape of x in the other axes; the int32 index is broadcast to dst. Any strides. An index that x does
	// not have is a panic.
	GatherAlong(dst, x, index *Tensor, axis int, accumulate bool)
	// ScatterAlong sets (adds to) the element of dst at the position of each element of src, but at index along an axis,
	// in the order of src: of several at one place the last stays. The int32 index is broadcast to src. Any strides.
	ScatterAlong(dst, src, index *Tensor, axis int, accumulate bool)
	// CopyInts sets the contiguous tensor dst, int32 or float32, to the int32 tensor x, of equal shape and any strides.
	CopyInts(dst, x *Tensor)
	// CumSum sets (adds) dst to the sums of the elements of x up to each along an axis or, if reverse, from each on,
	// added up in float64. Any strides; dst can be x.
	CumSum(dst, x *Tensor, axis int, reverse, accumulate bool)
	// ArgReduce sets each element of the int32 tensor dst to the position, along the axis in which dst has size 1, of
	// the first element that ReduceMax or ReduceMin takes, the first NaN if there is one. Any strides of x.
	ArgReduce(dst *Tensor, op ReduceOp, x *Tensor)
	// TopK sets values and the int32 tensor indices to the greatest elements along the last axis of x, which come first,
	// and their positions: as many as values has. NaN is the greatest; of equals the first comes first. Any strides.
	TopK(values, indices, x *Tensor)

	// Fill sets every element of a contiguous tensor.
	Fill(dst *Tensor, value float32)
	// Add sets dst = a + b, all contiguous.
	Add(dst, a, b *Tensor)
	// Axpy adds alpha*x to y, both contiguous.
	Axpy(alpha float32, x, y *Tensor)
	// Scale sets dst = alpha * x, contiguous.
	Scale(dst *Tensor, alpha float32, x *Tensor)
	// MulScalar sets (or, with accumulate, adds) dst = s[0] * x.
	MulScalar(dst, x, s *Tensor, accumulate bool)
	// AddDot sets the one element of dst to (adds to it) the inner product of x and y.
	AddDot(dst, x, y *Tensor, accumulate bool)
	// AddRows sets (adds to) dst [d] the sum of the rows of x [n, d].
	AddRows(dst, x *Tensor, accumulate bool)
	// SumSquares returns the sum of the squares of a contiguous tensor, accumulated in float64.
	SumSquares(x *Tensor) float64

	// Gemm sets C = act(alpha*op(A)*op(B) + beta*C + bias) for the matrices of the last two dimensions. The others are
	// broadcast, and can have any strides. Where C has size 1 in one of them, the products are summed over it. A bias or
	// an activation is for matrices alone.
	Gemm(c, a, b *Tensor, o GemmOptions)
	// GELU sets dst = x*Phi(x), exact (erf) form.
	GELU(dst, x *Tensor)
	// GELUBackward sets (adds) dx = dy * d GELU(x)/dx.
	GELUBackward(dx, dy, x *Tensor, accumulate bool)
	// LayerNorm normalises the rows of x [n, d]; mean and rstd [n] are kept for the backward pass.
	LayerNorm(y, mean, rstd, x, gamma, beta *Tensor, eps float32)
	// LayerNormBackward sets (adds to) dx, dgamma and dbeta, each as accumulate says. Each of the three may be nil.
	LayerNormBackward(dx, dgamma, dbeta, dy, x, gamma, mean, rstd *Tensor, accumulate [3]bool)
	// Dropout zeroes elements with probability p and scales the rest by 1/(1-p). Element i of a stream is dropped as
	// asm.Dropout does with counter stream<<36 + i, on all backends.
	Dropout(dst, x *Tensor, p float32, seed, stream uint64)
	// AddDropout sets dst to x plus what Dropout makes of y; dst may be y.
	AddDropout(dst, x, y *Tensor, p float32, seed, stream uint64)

	// Gather sets (adds) row i of dst to scale * table[rows[i]].
	Gather(dst, table, rows *Tensor, scale float32, accumulate bool)
	// ScatterAdd adds scale * src[i] to row rows[i] of dst, in order of i.
	ScatterAdd(dst, src, rows *Tensor, scale float32)
	// SegmentMean sets row s of dst to the mean of the rows offsets[s]:offsets[s+1] of x (zero for none).
	SegmentMean(dst, x *Tensor, offsets []int32)
	// SegmentMeanBackward adds dy[s]/n to the rows of segment s of dx.
	SegmentMeanBackward(dx, dy *Tensor, offsets []int32)
	// LinearMax sets row s of dst to the greatest values in the columns of the rows offsets[s]:offsets[s+1] of x*w^T (zero
	// for none), and rows to the first rows that have them, or -1. It works in products [n, d].
	LinearMax(dst, rows, products, x, w *Tensor, offsets []int32)
	// LinearMaxBackward adds dy[s, j] times row rows[s, j] of x to row j of dw, and dy[s, j] times row j of w to that row
	// of dx. No two segments share a row. dx and dw may be nil.
	LinearMaxBackward(dx, dw, dy, x, w, rows *Tensor)
	// Normalize divides the rows of x by their Euclidean norms, zero rows aside; norm [n] is kept for the backward
	// pass. Norms that float32 does not hold are no exception.
	Normalize(y, norm, x *Tensor)
	// NormalizeBackward adds (dy - y*(y.dy))/norm to dx, nothing for zero rows.
	NormalizeBackward(dx, dy, y, norm *Tensor)

	// Attention computes multi-head attention; lse [heads, rows of q] is kept for the backward pass.
	Attention(out, lse, q, k, v, bias *Tensor, o *AttentionOptions)
	// AttentionBackward sets (adds to) dq, dk, dv and dbias, each as accumulate says. Each of the four may be nil.
	AttentionBackward(dq, dk, dv, dbias, dout, out, lse, q, k, v, bias *Tensor, o *AttentionOptions, accumulate [4]bool)

	// AttentionRows sets row i of out to multi-head attention of row i of q to rows of k and v that the options list.
	// Unless mass is nil, it sets mass [heads, segments that the queries see, query after query] to the sums of the
	// attention weights over each segment. No row depends on how many others there are.
	AttentionRows(out, mass, q, k, v *Tensor, o *AttentionRowsOptions)

	// CrossEntropy sets nll[i], the label-smoothed negative log-likelihood of targets[i]
	// under softmax(hidden[i] * table^T), and loss[0] = scale * sum of nll. Unless dhidden is nil it sets
	// dhidden and, unless that is nil, dtable to the gradients of loss[0]. It works in logits [rows, v], on as many
	// rows at a time.
	CrossEntropy(loss, nll, dhidden, dtable, hidden, table, targets, logits *Tensor, smoothing, scale float32)

	// CrossEntropyRows sets losses[i] to the loss of row i of logits [n, classes], whose rows may have gaps between them,
	// for targets[i], as Tape.CrossEntropyLoss defines it, and counts[i] to the weight of targets[i]; both are 0 where
	// it is ignore. weight may be nil.
	CrossEntropyRows(losses, counts, logits, targets, weight *Tensor, smoothing float32, ignore int32)
	// CrossEntropyRowsBackward sets (adds) dlogits[i] to dlosses[i] times the gradient of losses[i].
	CrossEntropyRowsBackward(
		dlogits, dlosses, logits, targets, weight *Tensor, smoothing float32, ignore int32, accumulate bool)

	// AdamW updates parameter p and moments m, v with gradient g in one pass.
	AdamW(p, g, m, v *Tensor, o AdamWOptions)
}

// GemmOptions describes a matrix product, see Backend.Gemm.
type GemmOptions struct {
	TransA, TransB bool
	Alpha, Beta    float32
	Bias           *Tensor // [n], added to every row
	GELU           bool
	PreActivation  *Tensor // shape of C: receives the value before GELU
	// Rowwise makes a row of C depend on its row of A, and not on how many others there are, to the last bit.
	Rowwise bool
}

// AttentionOptions describes packed multi-head attention. Queries form
// segments (documents) QOffsets[i]:QOffsets[i+1], keys and values segments
// KOffsets[j]:KOffsets[j+1].
//
// Without a bias, query segment i attends to key segment i (self-attention of
// each document on its own). If KLengths is not nil, key segment j has only the
// rows KOffsets[j]:KOffsets[j]+KLengths[j]; the rest is room for more, which no
// operation reads and whose gradient is zero. If Causal, the queries stand at the
// end of the keys: query r of n attends to the keys up to length-n+r, so that new
// queries can follow keys of the past. With a Window it attends to the last Window of
// them alone (Beltagy et al. 2020, arXiv:2004.05150).
//
// With a bias [query segments, key segments], every query segment attends to all
// keys, and bias[i, j] is added to its scores against all tokens of key segment j;
// -Inf masks the pair (arXiv:2006.15020, eq. 4).
//
// Where all is masked, or there are no keys, the output is zero.
//
// Heads are as wide as those of q. Keys and values can have fewer heads, a divisor
// of Heads: as many as their width holds. Groups of consecutive heads of queries
// then share one (grouped-query attention, Ainslie et al. 2023, arXiv:2305.13245),
// and its gradient is the sum of theirs, in their order.
type AttentionOptions struct {
	Heads              int // of queries
	QOffsets, KOffsets []int32
	KLengths           []int32 // nil, or the lengths of the key segments; without a bias only
	Causal             bool
	Window             int     // of causal attention; 0: all keys
	Scale              float32 // multiplies the scores; 1/sqrt(head width)
	Dropout            float32 // of attention weights
	// Seed and Stream of the dropout. The weight of head h, query i and key j has the counter stream<<36 + (h*queries +
	// i)*keys + j, see Backend.Dropout, where j counts from the beginning of the segment unless there is a bias.
	Seed, Stream uint64
}

// AttentionRowsOptions describes attention of single queries to rows of a matrix of keys and one of values, in any
// order, as generation needs it: to the tokens of a hypothesis in a cache, or to evidence that hypotheses share. Query
// i sees the segments Seen[2*i] to Seen[2*i+1]. Where all is masked, or there are no keys, the output is zero.
type AttentionRowsOptions struct {
	Heads   int
	KVHeads int     // of k and v: each serves Heads/KVHeads heads of queries, one after the other
	Scale   float32 // multiplies the scores; 1/sqrt(head width)
	Rows    []int32 // of k and v
	Offsets []int32 // segment s has the rows Rows[Offsets[s]:Offsets[s+1]]
	Seen    []int32
	Bias    []float32 // of each segment, added to the scores of its rows; nil: none
}

// AdamWOptions are the settings of one AdamW update, see [nn/optim].
type AdamWOptions struct {
	LR, Beta1, Beta2, Eps, WeightDecay float32
	Step                               int     // number of this update, from 1
	GradScale                          float32 // multiplies the gradient (clipping)
}

var (
	backendsMu sync.Mutex
	backends   = map[string]func() (Backend, error){}
)

// Register makes a backend available under a name, as database/sql drivers
// do. It panics when the name is taken.
func Register(name string, open func() (Backend, error)) {
	backendsMu.Lock()
	defer backendsMu.Unlock()
	if _, dup := backends[name]; dup {
		panic("tensor: backend " + name + " registered twice")
	}
	backends[name] = open
}

// Open returns the backend registered under a name.
func Open(name string) (Backend, error) {
	backendsMu.Lock()
	open, ok := backends[name]
	var names []string
	for n := range backends {
		names = append(names, n)
	}
	backendsMu.Unlock()
	if !ok {
		slices.Sort(names)
		return nil, fmt.Errorf("tensor: unknown backend %q (have %v; is its package imported?)", name, names)
	}
	b, err := open()
	if err != nil {
		return nil, fmt.Errorf("tensor: open backend %s: %w", name, err)
	}
	return b, nil
}
