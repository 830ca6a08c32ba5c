//go:build cuda

package gpu

import (
	"testing"

	"github.com/marge-go/marge/tensor"
)

// What a tape makes of the operations, and their gradients, are those of the host.
func TestTape(t *testing.T) {
	b := open(t)
	like(t, "tape", b, 2e-6, func(b tensor.Backend) [][]float32 {
		parameter := func(seed uint64, shape ...int) *tensor.Tensor {
			n := 1
			for _, size := range shape {
				n *= size
			}
			p := tensor.FromSlice(b, random(seed, n), shape...)
			p.SetRequiresGrad(true)
			return p
		}
		x, weight, table := parameter(1, 6, 8), parameter(2, 8), parameter(3, 5, 8)
		tp := tensor.NewTape(b)
		tp.Reset(tensor.Training, 1)
		var terms [][]float32
		total := tp.Sum(tp.Mul(weight, weight), false)
		add := func(y *tensor.Tensor) {
			terms = append(terms, values(tp.Contiguous(y)))
			total = tp.Add(total, tp.Sum(tp.Mul(y, y), false))
		}
		columns := tp.Transpose(x, 0, 1)
		add(tp.Softmax(x, 1))
		add(tp.Softmax(columns, 1))
		add(tp.LogSoftmax(x, 0))
		add(tp.LogSumExp(columns, true, 1))
		add(tp.Variance(x, 1, false, 0))
		add(tp.Max(x, false, 0, 1))
		add(tp.IndexSelect(table, 0, tp.Ints([]int32{4, 0, 4, 1})))
		add(tp.TakeAlongDim(x, 1, tp.ArgMax(x, 1, true)))
		top, places := tp.TopK(columns, 3)
		add(top)
		add(tp.ToFloat(places))
		add(tp.ScatterAdd(columns, 1, places, tp.Slice(columns, 1, 0, 3)))
		add(tp.CumSum(columns, 0))
		add(tp.Where(tp.Less(x, weight), x, tp.Exp(x)))
		add(tp.Clamp(x, -0.5, 0.7))
		add(tp.Pad(tp.Repeat(x, 2, 1), 1, 1, 2, 0.5))
		add(tp.Tril(x, -1))
		add(tp.RMSNorm(x, weight, 1e-5))
		add(tp.SwiGLU(x, tp.Mul(x, weight)))
		angles := tp.Floats(random(4, 6*2), 6, 2)
		add(tp.Rotate(x, tp.Cos(angles), tp.Sin(angles), false))
		add(tp.CrossEntropyLoss(x, tp.Ints([]int32{1, 7, 0, 3, -100, 5}), tensor.CrossEntropyOptions{}))
		tp.Backward(total)
		return append(terms, values(total), values(x.Grad()), values(weight.Grad()), values(table.Grad()))
	})
}
