// Package backendtest tests implementations of [tensor.Backend]. [Run] is one
// suite for all of them. [Opaque] is a backend that finds code which takes the
// memory of tensors for the host's.
package backendtest

import (
	"sync/atomic"

	"github.com/marge-go/marge/tensor"
)

// OpaqueBackend computes on a CPU backend, with the same results bit for bit, but
// keeps the memory of tensors where the host does not see it, as a device does:
// reading it without Download panics. It has the optional methods of a backend,
// but no threads for the host.
type OpaqueBackend struct {
	cpu *tensor.CPU
	// Fail, if not nil, is called with the name of each operation before it starts, such as "gemm". An error becomes
	// a panic with a *tensor.BackendError.
	Fail func(op string) error

	downloads, uploads, launches atomic.Int64
}

// Opaque returns a backend that computes on cpu, which Close closes.
func Opaque(cpu *tensor.CPU) *OpaqueBackend { return &OpaqueBackend{cpu: cpu} }

// Counts are calls of a backend.
type Counts struct {
	Downloads int64 // calls that wait for the device: Download, SumSquares and SumSquaresAll
	Uploads   int64
	Launches  int64 // of everything else
}

// Counts returns the calls so far.
func (b *OpaqueBackend) Counts() Counts {
	return Counts{b.downloads.Load(), b.uploads.Load(), b.launches.Load()}
}

// ResetCounts sets the counts to zero.
func (b *OpaqueBackend) ResetCounts() {
	b.downloads.Store(0)
	b.uploads.Store(0)
	b.launches.Store(0)
}

func (b *OpaqueBackend) begin(op string, count *atomic.Int64) {
	count.Add(1)
	if b.Fail != nil {
		if err := b.Fail(op); err != nil {
			panic(&tensor.BackendError{Backend: b.Name(), Op: op, Err: err})
		}
	}
}

func (b *OpaqueBackend) launch(op string) { b.begin(op, &b.launches) }

// host returns t as a tensor of the CPU.
func host(t *tensor.Tensor) *tensor.Tensor {
	if t == nil {
		return nil
	}
	s, _ := t.Storage()
	return t.WithStorage(s.Device.(*tensor.Storage))
}

// Name returns "opaque".
func (b *OpaqueBackend) Name() string { return "opaque" }

// Close implements tensor.Backend.
func (b *OpaqueBackend) Close() error { return b.cpu.Close() }

// NewStorage implements tensor.Backend.
func (b *OpaqueBackend) NewStorage(dt tensor.DType, n int) *tensor.Storage {
	if b.Fail != nil {
		if err := b.Fail("newstorage"); err != nil {
			panic(&tensor.BackendError{Backend: b.Name(), Op: "newstorage", Err: err})
		}
	}
	return &tensor.Storage{Device: b.cpu.NewStorage(dt, n)}
}

// Upload implements tensor.Backend.
func (b *OpaqueBackend) Upload(dst *tensor.Tensor, f []float32, i []int32) {
	b.begin("upload", &b.uploads)
	b.cpu.Upload(host(dst), f, i)
}

// Download implements tensor.Backend.
func (b *OpaqueBackend) Download(dst []float32, src *tensor.Tensor) {
	b.begin("download", &b.downloads)
	b.cpu.Download(dst, host(src))
}

// SumSquares implements tensor.Backend.
func (b *OpaqueBackend) SumSquares(x *tensor.Tensor) float64 {
	b.begin("sumsquares", &b.downloads)
	return b.cpu.SumSquares(host(x))
}

// SumSquaresAll is tensor.SumSquaresAll in one call.
func (b *OpaqueBackend) SumSquaresAll(x []*tensor.Tensor) []float64 {
	b.begin("sumsquaresall", &b.downloads)
	sums := make([]float64, len(x))
	for i, t := range x {
		sums[i] = b.cpu.SumSquares(host(t))
	}
	return sums
}

// AdamWAll is tensor.AdamWAll in one call.
func (b *OpaqueBackend) AdamWAll(calls []tensor.AdamWCall) {
	b.launch("adamwall")
	for _, c := range calls {
		b.cpu.AdamW(host(c.P), host(c.G), host(c.M), host(c.V), c.Options)
	}
}

// Map implements tensor.Backend.
func (b *OpaqueBackend) Map(dst *tensor.Tensor, e *tensor.Expr, in []*tensor.Tensor, accumulate bool) {
	b.launch("map")
	inputs := make([]*tensor.Tensor, len(in))
	for i, t := range in {
		inputs[i] = host(t)
	}
	b.cpu.Map(host(dst), e, inputs, accumulate)
}

// Reduce implements tensor.Backend.
func (b *OpaqueBackend) Reduce(dst *tensor.Tensor, op tensor.ReduceOp, x *tensor.Tensor, accumulate bool) {
	b.launch("reduce")
	b.cpu.Reduce(host(dst), op, host(x), accumulate)
}

// GatherAlong implements tensor.Backend.
func (b *OpaqueBackend) GatherAlong(dst, x, index *tensor.Tensor, axis int, accumulate bool) {
	b.launch("gatheralong")
	b.cpu.GatherAlong(host(dst), host(x), host(index), axis, accumulate)
}

// ScatterAlong implements tensor.Backend.
func (b *OpaqueBackend) ScatterAlong(dst, src, index *tensor.Tensor, axis int, accumulate bool) {
	b.launch("scatteralong")
	b.cpu.ScatterAlong(host(dst), host(src), host(index), axis, accumulate)
}

// CopyInts implements tensor.Backend.
func (b *OpaqueBackend) CopyInts(dst, x *tensor.Tensor) {
	b.launch("copyints")
	b.cpu.CopyInts(host(dst), host(x))
}

// CumSum implements tensor.Backend.
func (b *OpaqueBackend) CumSum(dst, x *tensor.Tensor, axis int, reverse, accumulate bool) {
	b.launch("cumsum")
	b.cpu.CumSum(host(dst), host(x), axis, reverse, accumulate)
}

// ArgReduce implements tensor.Backend.
func (b *OpaqueBackend) ArgReduce(dst *tensor.Tensor, op tensor.ReduceOp, x *tensor.Tensor) {
	b.launch("argreduce")
	b.cpu.ArgReduce(host(dst), op, host(x))
}

// TopK implements tensor.Backend.
func (b *OpaqueBackend) TopK(values, indices, x *tensor.Tensor) {
	b.launch("topk")
	b.cpu.TopK(host(values), host(indices), host(x))
}

// SoftmaxRows is the softmax of rows in one pass, which a backend may have.
func (b *OpaqueBackend) SoftmaxRows(y, x *tensor.Tensor) {
	b.launch("softmaxrows")
	b.cpu.SoftmaxRows(host(y), host(x))
}

// SoftmaxRowsBackward is the gradient of SoftmaxRows.
func (b *OpaqueBackend) SoftmaxRowsBackward(dx, dy, y *tensor.Tensor, accumulate bool) {
	b.launch("softmaxrowsbackward")
	b.cpu.SoftmaxRowsBackward(host(dx), host(dy), host(y), accumulate)
}

// Fill implements tensor.Backend.
func (b *OpaqueBackend) Fill(dst *tensor.Tensor, value float32) {
	b.launch("fill")
	b.cpu.Fill(host(dst), value)
}

// Add implements tensor.Backend.
func (b *OpaqueBackend) Add(dst, x, y *tensor.Tensor) {
	b.launch("add")
	b.cpu.Add(host(dst), host(x), host(y))
}

// Axpy implements tensor.Backend.
func (b *OpaqueBackend) Axpy(alpha float32, x, y *tensor.Tensor) {
	b.launch("axpy")
	b.cpu.Axpy(alpha, host(x), host(y))
}

// Scale implements tensor.Backend.
func (b *OpaqueBackend) Scale(dst *tensor.Tensor, alpha float32, x *tensor.Tensor) {
	b.launch("scale")
	b.cpu.Scale(host(dst), alpha, host(x))
}

// MulScalar implements tensor.Backend.
func (b *OpaqueBackend) MulScalar(dst, x, s *tensor.Tensor, accumulate bool) {
	b.launch("mulscalar")
	b.cpu.MulScalar(host(dst), host(x), host(s), accumulate)
}

// AddDot implements tensor.Backend.
func (b *OpaqueBackend) AddDot(dst, x, y *tensor.Tensor, accumulate bool) {
	b.launch("adddot")
	b.cpu.AddDot(host(dst), host(x), host(y), accumulate)
}

// AddRows implements tensor.Backend.
func (b *OpaqueBackend) AddRows(dst, x *tensor.Tensor, accumulate bool) {
	b.launch("addrows")
	b.cpu.AddRows(host(dst), host(x), accumulate)
}

// Gemm implements tensor.Backend.
func (b *OpaqueBackend) Gemm(c, x, y *tensor.Tensor, o tensor.GemmOptions) {
	b.launch("gemm")
	o.Bias, o.PreActivation = host(o.Bias), host(o.PreActivation)
	b.cpu.Gemm(host(c), host(x), host(y), o)
}

// GELU implements tensor.Backend.
func (b *OpaqueBackend) GELU(dst, x *tensor.Tensor) {
	b.launch("gelu")
	b.cpu.GELU(host(dst), host(x))
}

// GELUBackward implements tensor.Backend.
func (b *OpaqueBackend) GELUBackward(dx, dy, x *tensor.Tensor, accumulate bool) {
	b.launch("gelubackward")
	b.cpu.GELUBackward(host(dx), host(dy), host(x), accumulate)
}

// SwiGLU is that of tensor.CPU.
func (b *OpaqueBackend) SwiGLU(y, gate, up *tensor.Tensor) {
	b.launch("swiglu")
	b.cpu.SwiGLU(host(y), host(gate), host(up))
}

// SwiGLUBackward is that of tensor.CPU.
func (b *OpaqueBackend) SwiGLUBackward(dgate, dup, dy, gate, up *tensor.Tensor) {
	b.launch("swiglubackward")
	b.cpu.SwiGLUBackward(host(dgate), host(dup), host(dy), host(gate), host(up))
}

// RMSNorm is that of tensor.CPU.
func (b *OpaqueBackend) RMSNorm(y, rstd, x, weight *tensor.Tensor, eps float32) {
	b.launch("rmsnorm")
	b.cpu.RMSNorm(host(y), host(rstd), host(x), host(weight), eps)
}

// RMSNormBackward is that of tensor.CPU.
func (b *OpaqueBackend) RMSNormBackward(dx, dweight, dy, x, weight, rstd *tensor.Tensor, accumulate [2]bool) {
	b.launch("rmsnormbackward")
	b.cpu.RMSNormBackward(host(dx), host(dweight), host(dy), host(x), host(weight), host(rstd), accumulate)
}

// Rotate is that of tensor.CPU.
func (b *OpaqueBackend) Rotate(y, x, cos, sin *tensor.Tensor, back bool) {
	b.launch("rotate")
	b.cpu.Rotate(host(y), host(x), host(cos), host(sin), back)
}

// LayerNorm implements tensor.Backend.
func (b *OpaqueBackend) LayerNorm(y, mean, rstd, x, gamma, beta *tensor.Tensor, eps float32) {
	b.launch("layernorm")
	b.cpu.LayerNorm(host(y), host(mean), host(rstd), host(x), host(gamma), host(beta), eps)
}

// LayerNormBackward implements tensor.Backend.
func (b *OpaqueBackend) LayerNormBackward(
	dx, dgamma, dbeta, dy, x, gamma, mean, rstd *tensor.Tensor, accumulate [3]bool,
) {
	b.launch("layernormbackward")
	b.cpu.LayerNormBackward(
		host(dx), host(dgamma), host(dbeta), host(dy), host(x), host(gamma), host(mean), host(rstd), accumulate)
}

// Dropout implements tensor.Backend.
func (b *OpaqueBackend) Dropout(dst, x *tensor.Tensor, p float32, seed, stream uint64) {
	b.launch("dropout")
	b.cpu.Dropout(host(dst), host(x), p, seed, stream)
}

// AddDropout implements tensor.Backend.
func (b *OpaqueBackend) AddDropout(dst, x, y *tensor.Tensor, p float32, seed, stream uint64) {
	b.launch("adddropout")
	b.cpu.AddDropout(host(dst), host(x), host(y), p, seed, stream)
}

// Gather implements tensor.Backend.
func (b *OpaqueBackend) Gather(dst, table, rows *tensor.Tensor, scale float32, accumulate bool) {
	b.launch("gather")
	b.cpu.Gather(host(dst), host(table), host(rows), scale, accumulate)
}

// ScatterAdd implements tensor.Backend.
func (b *OpaqueBackend) ScatterAdd(dst, src, rows *tensor.Tensor, scale float32) {
	b.launch("scatteradd")
	b.cpu.ScatterAdd(host(dst), host(src), host(rows), scale)
}

// SegmentMean implements tensor.Backend.
func (b *OpaqueBackend) SegmentMean(dst, x *tensor.Tensor, offsets []int32) {
	b.launch("segmentmean")
	b.cpu.SegmentMean(host(dst), host(x), offsets)
}

// SegmentMeanBackward implements tensor.Backend.
func (b *OpaqueBackend) SegmentMeanBackward(dx, dy *tensor.Tensor, offsets []int32) {
	b.launch("segmentmeanbackward")
	b.cpu.SegmentMeanBackward(host(dx), host(dy), offsets)
}

// LinearMax implements tensor.Backend.
func (b *OpaqueBackend) LinearMax(dst, rows, products, x, w *tensor.Tensor, offsets []int32) {
	b.launch("linearmax")
	b.cpu.LinearMax(host(dst), host(rows), host(products), host(x), host(w), offsets)
}

// LinearMaxBackward implements tensor.Backend.
func (b *OpaqueBackend) LinearMaxBackward(dx, dw, dy, x, w, rows *tensor.Tensor) {
	b.launch("linearmaxbackward")
	b.cpu.LinearMaxBackward(host(dx), host(dw), host(dy), host(x), host(w), host(rows))
}

// Normalize implements tensor.Backend.
func (b *OpaqueBackend) Normalize(y, norm, x *tensor.Tensor) {
	b.launch("normalize")
	b.cpu.Normalize(host(y), host(norm), host(x))
}

// NormalizeBackward implements tensor.Backend.
func (b *OpaqueBackend) NormalizeBackward(dx, dy, y, norm *tensor.Tensor) {
	b.launch("normalizebackward")
	b.cpu.NormalizeBackward(host(dx), host(dy), host(y), host(norm))
}

// Attention implements tensor.Backend.
func (b *OpaqueBackend) Attention(out, lse, q, k, v, bias *tensor.Tensor, o *tensor.AttentionOptions) {
	b.launch("attention")
	b.cpu.Attention(host(out), host(lse), host(q), host(k), host(v), host(bias), o)
}

// AttentionBackward implements tensor.Backend.
func (b *OpaqueBackend) AttentionBackward(
	dq, dk, dv, dbias, dout, out, lse, q, k, v, bias *tensor.Tensor, o *tensor.AttentionOptions, accumulate [4]bool,
) {
	b.launch("attentionbackward")
	b.cpu.AttentionBackward(host(dq), host(dk), host(dv), host(dbias), host(dout), host(out), host(lse),
		host(q), host(k), host(v), host(bias), o, accumulate)
}

// AttentionRows implements tensor.Backend.
func (b *OpaqueBackend) AttentionRows(out, mass, q, k, v *tensor.Tensor, o *tensor.AttentionRowsOptions) {
	b.launch("attentionrows")
	b.cpu.AttentionRows(host(out), host(mass), host(q), host(k), host(v), o)
}

// CrossEntropy implements tensor.Backend.
func (b *OpaqueBackend) CrossEntropy(
	loss, nll, dhidden, dtable, hidden, table, targets, logits *tensor.Tensor, smoothing, scale float32,
) {
	b.launch("crossentropy")
	b.cpu.CrossEntropy(host(loss), host(nll), host(dhidden), host(dtable),
		host(hidden), host(table), host(targets), host(logits), smoothing, scale)
}

// CrossEntropyRows implements tensor.Backend.
func (b *OpaqueBackend) CrossEntropyRows(
	losses, counts, logits, targets, weight *tensor.Tensor, smoothing float32, ignore int32,
) {
	b.launch("crossentropyrows")
	b.cpu.CrossEntropyRows(host(losses), host(counts), host(logits), host(targets), host(weight), smoothing, ignore)
}

// CrossEntropyRowsBackward implements tensor.Backend.
func (b *OpaqueBackend) CrossEntropyRowsBackward(
	dlogits, dlosses, logits, targets, weight *tensor.Tensor, smoothing float32, ignore int32, accumulate bool,
) {
	b.launch("crossentropyrowsbackward")
	b.cpu.CrossEntropyRowsBackward(host(dlogits), host(dlosses), host(logits), host(targets), host(weight),
		smoothing, ignore, accumulate)
}

// AdamW implements tensor.Backend.
func (b *OpaqueBackend) AdamW(p, g, m, v *tensor.Tensor, o tensor.AdamWOptions) {
	b.launch("adamw")
	b.cpu.AdamW(host(p), host(g), host(m), host(v), o)
}
