package backendtest

import (
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/marge-go/marge/tensor"
)

// recorder takes errors in place of a test, and ends the goroutine at the first.
type recorder struct {
	testing.TB
	failed bool
}

func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.failed = true
	runtime.Goexit()
}

// mutant is a CPU with one fault.
type mutant struct {
	*tensor.CPU
	fault string
	calls int
}

// has reports whether the mutant has a fault.
func (m *mutant) has(fault string) bool { return m.fault == fault }

func (m *mutant) AddRows(dst, x *tensor.Tensor, accumulate bool) {
	m.CPU.AddRows(dst, x, accumulate || m.has("addrows always adds"))
}

func (m *mutant) Gemm(c, a, b *tensor.Tensor, o tensor.GemmOptions) {
	if m.has("gemm reads what it overwrites") && o.PreActivation == nil {
		o.Beta = 1
	}
	if m.has("gemm sums batches once") && c.Shape()[0] == 1 {
		o.Beta = 0
	}
	if m.has("gemm drops the bias") {
		o.Bias = nil
	}
	m.CPU.Gemm(c, a, b, o)
	if m.has("gemm is never rowwise") && o.Rowwise && c.Dim(0) == 1 {
		c.Float32s()[0] *= 1 + 0x1p-23 // the portable kernel adds up rows alike, however many there are
	}
	if m.has("gemm has other bits in the second call") {
		if m.calls++; m.calls%2 == 0 && c.Len() > 0 && c.Contiguous() {
			c.Float32s()[0] *= 1 + 0x1p-23
		}
	}
}

func (m *mutant) Dropout(dst, x *tensor.Tensor, p float32, seed, stream uint64) {
	if m.has("dropout ignores streams") {
		stream = 0
	}
	m.CPU.Dropout(dst, x, p, seed, stream)
}

func (m *mutant) LayerNormBackward(dx, dgamma, dbeta, dy, x, gamma, mean, rstd *tensor.Tensor, accumulate [3]bool) {
	if m.has("layernormbackward never adds") {
		accumulate[1] = false
	}
	m.CPU.LayerNormBackward(dx, dgamma, dbeta, dy, x, gamma, mean, rstd, accumulate)
}

func (m *mutant) Gather(dst, table, rows *tensor.Tensor, scale float32, accumulate bool) {
	if m.has("gather takes any row") && rows.Len() == 1 {
		rows = tensor.FromSlice(m, []int32{0}, 1)
	}
	m.CPU.Gather(dst, table, rows, scale, accumulate)
}

func (m *mutant) CumSum(dst, x *tensor.Tensor, axis int, reverse, accumulate bool) {
	m.CPU.CumSum(dst, x, axis, reverse && !m.has("cumsum never reverse"), accumulate)
}

func (m *mutant) GatherAlong(dst, x, index *tensor.Tensor, axis int, accumulate bool) {
	m.CPU.GatherAlong(dst, x, index, axis, accumulate && !m.has("gatheralong never adds"))
}

func (m *mutant) ScatterAlong(dst, src, index *tensor.Tensor, axis int, accumulate bool) {
	m.CPU.ScatterAlong(dst, src, index, axis, accumulate || m.has("scatteralong always adds"))
}

func (m *mutant) CopyInts(dst, x *tensor.Tensor) {
	m.CPU.CopyInts(dst, x)
	if m.has("copyints forgets the last") && dst.DType() == tensor.Int32 {
		dst.Int32s()[dst.Len()-1] = 0
	}
}

func (m *mutant) ArgReduce(dst *tensor.Tensor, op tensor.ReduceOp, x *tensor.Tensor) {
	if m.has("argreduce is of the greatest") {
		op = tensor.ReduceMax
	}
	m.CPU.ArgReduce(dst, op, x)
}

func (m *mutant) Attention(out, lse, q, k, v, bias *tensor.Tensor, o *tensor.AttentionOptions) {
	changed := *o
	if m.has("attention is never causal") {
		changed.Causal, changed.Window = false, 0
	}
	if m.has("attention has no window") {
		changed.Window = 0
	}
	m.CPU.Attention(out, lse, q, k, v, bias, &changed)
}

func (m *mutant) AttentionBackward(
	dq, dk, dv, dbias, dout, out, lse, q, k, v, bias *tensor.Tensor, o *tensor.AttentionOptions, accumulate [4]bool,
) {
	m.CPU.AttentionBackward(dq, dk, dv, dbias, dout, out, lse, q, k, v, bias, o, accumulate)
	if m.has("attentionbackward writes beside dk") && dk != nil {
		s, offset := dk.Storage()
		s.F32[offset-1] = 1
	}
}

func (m *mutant) AttentionRows(out, mass, q, k, v *tensor.Tensor, o *tensor.AttentionRowsOptions) {
	changed := *o
	if m.has("attentionrows ignores the bias") {
		changed.Bias = nil
	}
	if m.has("attentionrows sees all segments") {
		changed.Seen = nil
		for range len(o.Seen) / 2 {
			changed.Seen = append(changed.Seen, 0, int32(len(o.Offsets)-1))
		}
		mass = nil
	}
	m.CPU.AttentionRows(out, mass, q, k, v, &changed)
}

func (m *mutant) NormalizeBackward(dx, dy, y, norm *tensor.Tensor) {
	m.CPU.NormalizeBackward(dx, dy, y, norm)
	if m.has("normalizebackward adds twice") {
		m.CPU.NormalizeBackward(dx, dy, y, norm)
	}
}

func (m *mutant) CrossEntropy(
	loss, nll, dhidden, dtable, hidden, table, targets, logits *tensor.Tensor, smoothing, scale float32,
) {
	m.CPU.CrossEntropy(loss, nll, dhidden, dtable, hidden, table, targets, logits, smoothing, scale)
	if m.has("crossentropy scales the losses of rows") {
		m.CPU.Scale(nll, scale, nll)
	}
}

func (m *mutant) CrossEntropyRows(
	losses, counts, logits, targets, weight *tensor.Tensor, smoothing float32, ignore int32,
) {
	m.CPU.CrossEntropyRows(losses, counts, logits, targets, weight, smoothing, ignore)
	if m.has("crossentropyrows counts ignored rows") {
		m.CPU.Fill(counts, 1)
	}
}

func (m *mutant) AdamW(p, g, mean, v *tensor.Tensor, o tensor.AdamWOptions) {
	if m.has("adamw corrects no bias") {
		o.Step = 1 << 20
	}
	m.CPU.AdamW(p, g, mean, v, o)
}

func (m *mutant) SumSquares(x *tensor.Tensor) float64 {
	if m.has("sumsquares in float32") {
		return float64(float32(m.CPU.SumSquares(x)))
	}
	return m.CPU.SumSquares(x)
}

// The suite finds each fault; TestCPU shows that it finds none in a backend without.
func TestSuiteFindsFaults(t *testing.T) {
	for _, c := range []struct {
		fault string
		test  func(s *suite)
	}{
		{"addrows always adds", (*suite).sums},
		{"gemm reads what it overwrites", (*suite).gemm},
		{"gemm drops the bias", (*suite).gemm},
		{"gemm sums batches once", (*suite).gemmBatches},
		{"gemm has other bits in the second call", (*suite).gemm},
		{"dropout ignores streams", (*suite).dropout},
		{"layernormbackward never adds", (*suite).layerNorm},
		{"gather takes any row", (*suite).gather},
		{"cumsum never reverse", (*suite).along},
		{"gatheralong never adds", (*suite).along},
		{"scatteralong always adds", (*suite).along},
		{"copyints forgets the last", (*suite).along},
		{"argreduce is of the greatest", (*suite).order},
		{"attention is never causal", (*suite).attention},
		{"attention has no window", (*suite).attention},
		{"attentionbackward writes beside dk", (*suite).attentionGradients},
		{"gemm is never rowwise", (*suite).gemmRowwise},
		{"attentionrows ignores the bias", (*suite).attentionRows},
		{"attentionrows sees all segments", (*suite).attentionRows},
		{"normalizebackward adds twice", (*suite).normalize},
		{"crossentropy scales the losses of rows", (*suite).crossEntropy},
		{"crossentropyrows counts ignored rows", (*suite).crossEntropyRows},
		{"adamw corrects no bias", (*suite).adamW},
		{"sumsquares in float32", (*suite).sums},
		{"layernormbackward never adds", (*suite).training},
	} {
		r := &recorder{TB: t}
		m := &mutant{CPU: tensor.NewCPU(1), fault: c.fault}
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.test(&suite{TB: r, b: m, tol: Float32, rng: rand.New(rand.NewPCG(1, 2))})
		}()
		<-done
		m.Close()
		if !r.failed {
			t.Errorf("no error for %q", c.fault)
		}
	}
}
