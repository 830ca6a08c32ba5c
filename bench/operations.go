package bench

import (
	"cmp"
	"slices"
	"time"

	"github.com/marge-go/marge/tensor"
)

// Operation is a kind of operation in a training step: how often it ran, how
// long it took, and what it had to do.
type Operation struct {
	Name    string
	Calls   float64 // a step
	Seconds float64
	Flops   float64 // of matrix products, as StepFlops counts them
	Bytes   float64 // of every operand, once read and once written
}

// Floor returns the least time that the operation takes on a machine that does
// so many floating-point operations, and moves so many bytes, a second. An
// operation whose operands the caches still hold can take less.
func (o *Operation) Floor(flops, bytes float64) float64 { return max(o.Flops/flops, o.Bytes/bytes) }

// StepOperations measures for about the given time what the training steps of
// a workload consist of. It returns the operations, the longest first, and the
// seconds of a whole step, which are a little more than those of its
// operations.
func StepOperations(w *Workload, threads int, seconds float64) (list []Operation, step float64, err error) {
	b := &operations{CPU: tensor.NewCPU(threads), known: map[string]*Operation{}}
	defer b.Close()
	run, err := startStep(&w.Spec, b)
	if err != nil {
		return nil, 0, err
	}
	run() // the first step takes memory from the system, which the second still may
	run()
	clear(b.known)
	start, steps := time.Now(), 0.0
	for steps == 0 || time.Since(start).Seconds() < seconds {
		run()
		steps++
	}
	step = time.Since(start).Seconds() / steps
	for _, o := range b.known {
		list = append(list, Operation{o.Name, o.Calls / steps, o.Seconds / steps, o.Flops / steps, o.Bytes / steps})
	}
	slices.SortFunc(list, func(a, b Operation) int { return cmp.Compare(b.Seconds, a.Seconds) })
	return list, step, nil
}

// operations is the processor as a backend that keeps account of what a
// training step runs.
type operations struct {
	*tensor.CPU
	known map[string]*Operation
}

// took enters a call that began at the given time. Bytes are those of operands,
// one for each time that it is read or written; nil ones do not count.
func (b *operations) took(name string, begin time.Time, flops float64, operands ...*tensor.Tensor) {
	seconds := time.Since(begin).Seconds()
	o := b.known[name]
	if o == nil {
		o = &Operation{Name: name}
		b.known[name] = o
	}
	o.Calls++
	o.Seconds += seconds
	o.Flops += flops
	for _, t := range operands {
		if t != nil {
			o.Bytes += 4 * float64(t.Len())
		}
	}
}

// when returns t where it is needed.
func when(needed bool, t *tensor.Tensor) *tensor.Tensor {
	if needed {
		return t
	}
	return nil
}

func (b *operations) Fill(dst *tensor.Tensor, value float32) {
	begin := time.Now()
	b.CPU.Fill(dst, value)
	b.took("fill", begin, 0, dst)
}

func (b *operations) Add(dst, x, y *tensor.Tensor) {
	begin := time.Now()
	b.CPU.Add(dst, x, y)
	b.took("sum", begin, 0, dst, x, y)
}

func (b *operations) Axpy(alpha float32, x, y *tensor.Tensor) {
	begin := time.Now()
	b.CPU.Axpy(alpha, x, y)
	b.took("sum", begin, 0, x, y, y)
}

func (b *operations) Map(dst *tensor.Tensor, e *tensor.Expr, in []*tensor.Tensor, accumulate bool) {
	begin := time.Now()
	b.CPU.Map(dst, e, in, accumulate)
	b.took("element-wise: "+e.Name(), begin, 0, append(slices.Clone(in), dst, when(accumulate, dst))...)
}

func (b *operations) Reduce(dst *tensor.Tensor, op tensor.ReduceOp, x *tensor.Tensor, accumulate bool) {
	begin := time.Now()
	b.CPU.Reduce(dst, op, x, accumulate)
	b.took("reductions", begin, 0, dst, x, when(accumulate, dst))
}

func (b *operations) Scale(dst *tensor.Tensor, alpha float32, x *tensor.Tensor) {
	begin := time.Now()
	b.CPU.Scale(dst, alpha, x)
	b.took("sum", begin, 0, dst, x)
}

func (b *operations) AddRows(dst, x *tensor.Tensor, accumulate bool) {
	begin := time.Now()
	b.CPU.AddRows(dst, x, accumulate)
	b.took("gradient of biases", begin, 0, x)
}

func (b *operations) SumSquares(x *tensor.Tensor) float64 {
	begin := time.Now()
	s := b.CPU.SumSquares(x)
	b.took("norm of the gradient", begin, 0, x)
	return s
}

func (b *operations) Gemm(c, x, y *tensor.Tensor, o tensor.GemmOptions) {
	begin := time.Now()
	b.CPU.Gemm(c, x, y, o)
	name, inner := "products, forward", x.Dim(1)
	switch {
	case o.TransA:
		name, inner = "products, gradients of weights", x.Dim(0)
	case !o.TransB:
		name = "products, gradients of inputs"
	}
	b.took(name, begin, 2*float64(c.Len())*float64(inner), c, x, y, when(o.Beta != 0, c), o.PreActivation)
}

func (b *operations) GELU(dst, x *tensor.Tensor) {
	begin := time.Now()
	b.CPU.GELU(dst, x)
	b.took("GELU", begin, 0, dst, x)
}

func (b *operations) GELUBackward(dx, dy, x *tensor.Tensor, accumulate bool) {
	begin := time.Now()
	b.CPU.GELUBackward(dx, dy, x, accumulate)
	b.took("gradient of GELU", begin, 0, dx, dy, x, when(accumulate, dx))
}

func (b *operations) LayerNorm(y, mean, rstd, x, gamma, beta *tensor.Tensor, eps float32) {
	begin := time.Now()
	b.CPU.LayerNorm(y, mean, rstd, x, gamma, beta, eps)
	b.took("layer norm", begin, 0, y, x)
}

func (b *operations) LayerNormBackward(dx, dgamma, dbeta, dy, x, gamma, mean, rstd *tensor.Tensor, accumulate [3]bool) {
	begin := time.Now()
	b.CPU.LayerNormBackward(dx, dgamma, dbeta, dy, x, gamma, mean, rstd, accumulate)
	b.took("gradient of layer norm", begin, 0, dx, dy, x, when(accumulate[0], dx))
}

func (b *operations) RMSNorm(y, rstd, x, weight *tensor.Tensor, eps float32) {
	begin := time.Now()
	b.CPU.RMSNorm(y, rstd, x, weight, eps)
	b.took("RMS norm", begin, 0, y, x)
}

func (b *operations) RMSNormBackward(dx, dweight, dy, x, weight, rstd *tensor.Tensor, accumulate [2]bool) {
	begin := time.Now()
	b.CPU.RMSNormBackward(dx, dweight, dy, x, weight, rstd, accumulate)
	b.took("gradient of RMS norm", begin, 0, dx, dy, x, when(accumulate[0], dx))
}

func (b *operations) SwiGLU(y, gate, up *tensor.Tensor) {
	begin := time.Now()
	b.CPU.SwiGLU(y, gate, up)
	b.took("SwiGLU", begin, 0, y, gate, up)
}

func (b *operations) SwiGLUBackward(dgate, dup, dy, gate, up *tensor.Tensor) {
	begin := time.Now()
	b.CPU.SwiGLUBackward(dgate, dup, dy, gate, up)
	b.took("gradient of SwiGLU", begin, 0, dgate, dup, dy, gate, up)
}

func (b *operations) Rotate(y, x, cos, sin *tensor.Tensor, back bool) {
	begin := time.Now()
	b.CPU.Rotate(y, x, cos, sin, back)
	b.took("rotary positions", begin, 0, y, x, cos, sin)
}

func (b *operations) Dropout(dst, x *tensor.Tensor, p float32, seed, stream uint64) {
	begin := time.Now()
	b.CPU.Dropout(dst, x, p, seed, stream)
	b.took("dropout", begin, 0, dst, x)
}

func (b *operations) AddDropout(dst, x, y *tensor.Tensor, p float32, seed, stream uint64) {
	begin := time.Now()
	b.CPU.AddDropout(dst, x, y, p, seed, stream)
	b.took("dropout", begin, 0, dst, x, y)
}

func (b *operations) Gather(dst, table, rows *tensor.Tensor, scale float32, accumulate bool) {
	begin := time.Now()
	b.CPU.Gather(dst, table, rows, scale, accumulate)
	b.took("embeddings", begin, 0, dst, dst, when(accumulate, dst))
}

func (b *operations) ScatterAdd(dst, src, rows *tensor.Tensor, scale float32) {
	begin := time.Now()
	b.CPU.ScatterAdd(dst, src, rows, scale)
	b.took("gradient of embeddings", begin, 0, src, src, src)
}

func (b *operations) Attention(out, lse, q, k, v, bias *tensor.Tensor, o *tensor.AttentionOptions) {
	begin := time.Now()
	b.CPU.Attention(out, lse, q, k, v, bias, o)
	b.took("attention", begin, attentionFlops(seen(o, bias), float64(q.Dim(1)))/3, out, q, k, v)
}

func (b *operations) AttentionBackward(dq, dk, dv, dbias, dout, out, lse, q, k, v, bias *tensor.Tensor,
	o *tensor.AttentionOptions, accumulate [4]bool) {
	begin := time.Now()
	b.CPU.AttentionBackward(dq, dk, dv, dbias, dout, out, lse, q, k, v, bias, o, accumulate)
	b.took("gradients of attention", begin, attentionFlops(seen(o, bias), float64(q.Dim(1)))*2/3,
		dq, dk, dv, dout, out, q, k, v, when(accumulate[0], dq), when(accumulate[1], dk), when(accumulate[2], dv))
}

// seen returns the number of pairs of a query and a key that it sees.
func seen(o *tensor.AttentionOptions, bias *tensor.Tensor) (pairs float64) {
	if bias != nil {
		return float64(o.QOffsets[len(o.QOffsets)-1]) * float64(o.KOffsets[len(o.KOffsets)-1])
	}
	for i := range len(o.QOffsets) - 1 {
		n := float64(o.QOffsets[i+1] - o.QOffsets[i])
		if o.Causal {
			pairs += n * (n + 1) / 2
		} else {
			pairs += n * float64(o.KOffsets[i+1]-o.KOffsets[i])
		}
	}
	return pairs
}

func (b *operations) CrossEntropy(loss, nll, dhidden, dtable, hidden, table, targets, logits *tensor.Tensor,
	smoothing, scale float32) {
	begin := time.Now()
	b.CPU.CrossEntropy(loss, nll, dhidden, dtable, hidden, table, targets, logits, smoothing, scale)
	product, products := 2*float64(hidden.Len())*float64(table.Dim(0)), 1.0
	for _, gradient := range []*tensor.Tensor{dhidden, dtable} {
		if gradient != nil {
			products++
		}
	}
	b.took("output, loss and their gradients", begin, product*products, hidden, table, dhidden, dtable)
}

func (b *operations) AdamW(p, g, m, v *tensor.Tensor, o tensor.AdamWOptions) {
	begin := time.Now()
	b.CPU.AdamW(p, g, m, v, o)
	b.took("AdamW", begin, 0, p, g, m, v, p, m, v)
}
