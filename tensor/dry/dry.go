// Package dry has a [tensor.Backend] that computes nothing and counts memory, so that
// what a training of any size takes can be told in a moment, from the program itself.
package dry

import (
	"sync/atomic"

	"github.com/marge-go/marge/tensor"
)

// Backend counts the bytes that the tensors of a program would take. All results are
// zero.
type Backend struct {
	// Precision is how a backend multiplies that this one stands for, see
	// tensor.CPUOptions.
	Precision tensor.DType

	bytes atomic.Int64
}

// New returns a backend that has counted nothing yet.
func New() *Backend { return &Backend{} }

// Bytes returns what all tensors so far would take. What a program has dropped is
// counted too: no backend is told of that.
func (b *Backend) Bytes() int64 { return b.bytes.Load() }

// Name returns "dry".
func (b *Backend) Name() string { return "dry" }

// Close does nothing.
func (b *Backend) Close() error { return nil }

// NewStorage implements tensor.Backend.
func (b *Backend) NewStorage(dt tensor.DType, n int) *tensor.Storage {
	b.bytes.Add(int64(n) * int64(dt.Size()))
	return &tensor.Storage{Device: b}
}

// Download implements tensor.Backend.
func (b *Backend) Download(dst []float32, _ *tensor.Tensor) { clear(dst) }

// SumSquares implements tensor.Backend.
func (b *Backend) SumSquares(*tensor.Tensor) float64 { return 0 }

// Compresses tells a tape to keep activations as [tensor.CPU] does.
func (b *Backend) Compresses() bool { return b.Precision == tensor.BFloat16 }

// The other operations of tensor.Backend, and those on what is compressed, do nothing.

func (b *Backend) Upload(*tensor.Tensor, []float32, []int32)                             {}
func (b *Backend) Map(*tensor.Tensor, *tensor.Expr, []*tensor.Tensor, bool)              {}
func (b *Backend) Reduce(*tensor.Tensor, tensor.ReduceOp, *tensor.Tensor, bool)          {}
func (b *Backend) GatherAlong(_, _, _ *tensor.Tensor, _ int, _ bool)                     {}
func (b *Backend) ScatterAlong(_, _, _ *tensor.Tensor, _ int, _ bool)                    {}
func (b *Backend) CopyInts(_, _ *tensor.Tensor)                                          {}
func (b *Backend) CumSum(_, _ *tensor.Tensor, _ int, _, _ bool)                          {}
func (b *Backend) ArgReduce(*tensor.Tensor, tensor.ReduceOp, *tensor.Tensor)             {}
func (b *Backend) TopK(_, _, _ *tensor.Tensor)                                           {}
func (b *Backend) Fill(*tensor.Tensor, float32)                                          {}
func (b *Backend) Add(_, _, _ *tensor.Tensor)                                            {}
func (b *Backend) Axpy(float32, *tensor.Tensor, *tensor.Tensor)                          {}
func (b *Backend) Scale(*tensor.Tensor, float32, *tensor.Tensor)                         {}
func (b *Backend) MulScalar(_, _, _ *tensor.Tensor, _ bool)                              {}
func (b *Backend) AddDot(_, _, _ *tensor.Tensor, _ bool)                                 {}
func (b *Backend) AddRows(_, _ *tensor.Tensor, _ bool)                                   {}
func (b *Backend) Gemm(_, _, _ *tensor.Tensor, _ tensor.GemmOptions)                     {}
func (b *Backend) GELU(_, _ *tensor.Tensor)                                              {}
func (b *Backend) GELUBackward(_, _, _ *tensor.Tensor, _ bool)                           {}
func (b *Backend) Compress(_, _ *tensor.Tensor)                                          {}
func (b *Backend) Expand(_, _ *tensor.Tensor)                                            {}
func (b *Backend) CompressGELU(_, _ *tensor.Tensor)                                      {}
func (b *Backend) ExpandGELU(_, _ *tensor.Tensor)                                        {}
func (b *Backend) ExpandGELUBackward(_, _ *tensor.Tensor)                                {}
func (b *Backend) LayerNorm(_, _, _, _, _, _ *tensor.Tensor, _ float32)                  {}
func (b *Backend) LayerNormBackward(_, _, _, _, _, _, _, _ *tensor.Tensor, _ [3]bool)    {}
func (b *Backend) Dropout(_, _ *tensor.Tensor, _ float32, _, _ uint64)                   {}
func (b *Backend) AddDropout(_, _, _ *tensor.Tensor, _ float32, _, _ uint64)             {}
func (b *Backend) Gather(_, _, _ *tensor.Tensor, _ float32, _ bool)                      {}
func (b *Backend) ScatterAdd(_, _, _ *tensor.Tensor, _ float32)                          {}
func (b *Backend) SegmentMean(_, _ *tensor.Tensor, _ []int32)                            {}
func (b *Backend) SegmentMeanBackward(_, _ *tensor.Tensor, _ []int32)                    {}
func (b *Backend) LinearMax(_, _, _, _, _ *tensor.Tensor, _ []int32)                     {}
func (b *Backend) LinearMaxBackward(_, _, _, _, _, _ *tensor.Tensor)                     {}
func (b *Backend) Normalize(_, _, _ *tensor.Tensor)                                      {}
func (b *Backend) NormalizeBackward(_, _, _, _ *tensor.Tensor)                           {}
func (b *Backend) Attention(_, _, _, _, _, _ *tensor.Tensor, _ *tensor.AttentionOptions) {}
func (b *Backend) AttentionBackward(
	_, _, _, _, _, _, _, _, _, _, _ *tensor.Tensor, _ *tensor.AttentionOptions, _ [4]bool) {
}
func (b *Backend) AttentionRows(_, _, _, _, _ *tensor.Tensor, _ *tensor.AttentionRowsOptions) {}
func (b *Backend) CrossEntropy(_, _, _, _, _, _, _, _ *tensor.Tensor, _, _ float32)           {}
func (b *Backend) CrossEntropyRows(_, _, _, _, _ *tensor.Tensor, _ float32, _ int32)          {}
func (b *Backend) CrossEntropyRowsBackward(_, _, _, _, _ *tensor.Tensor, _ float32, _ int32, _ bool) {
}
func (b *Backend) AdamW(_, _, _, _ *tensor.Tensor, _ tensor.AdamWOptions) {}

var _ tensor.Backend = (*Backend)(nil)
