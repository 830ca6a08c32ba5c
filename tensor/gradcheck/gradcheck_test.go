package gradcheck

import (
	"strings"
	"testing"

	"github.com/marge-go/marge/tensor"
	"github.com/marge-go/marge/tensor/backendtest"
)

// rounding is the backend, but for AddDropout, which rounds the dropped numbers to
// float32 before it adds them: the suite wants the bits of that.
type rounding struct{ backend }

func (b rounding) AddDropout(dst, x, y *tensor.Tensor, p float32, seed, stream uint64) {
	dropped := tensor.New(b, tensor.Float32, x.Shape()...)
	b.Dropout(dropped, y, p, seed, stream)
	for i, v := range values(dropped) {
		values(dropped)[i] = float64(float32(v))
	}
	b.Add(dst, x, dropped)
}

// The backend is one like any other, only more exact.
func TestBackend(t *testing.T) {
	backendtest.Run(t, func() (tensor.Backend, error) { return rounding{}, nil }, backendtest.Float32)
}

func TestCheckOperations(t *testing.T) {
	cpu := tensor.NewCPU(1)
	defer cpu.Close()
	docs := []int32{0, 2, 3, 5}
	ids := tensor.FromSlice(cpu, []int32{3, 0, 3, 1, 2}, 5)
	for _, c := range []struct {
		name   string
		f      Function
		shapes [][]int
	}{
		{"elements", func(tp *tensor.Tape, in []*tensor.Tensor) *tensor.Tensor {
			return tp.Mul(tp.Sin(in[0]), tp.Softplus(tp.SiLU(tp.Erf(tp.Sub(in[0], in[1])))))
		}, [][]int{{2, 3}, {3}}},
		{"positive", func(tp *tensor.Tape, in []*tensor.Tensor) *tensor.Tensor {
			x := tp.Add(tp.Abs(in[0]), tp.Exp(in[1]))
			return tp.Add(tp.Log(x), tp.Pow(x, tp.Rsqrt(x)))
		}, [][]int{{2, 3}, {}}},
		{"reductions", func(tp *tensor.Tape, in []*tensor.Tensor) *tensor.Tensor {
			x := in[0]
			return tp.Concat(0, tp.Max(x, false, 1), tp.Variance(x, 1, false, 1), tp.LogSumExp(x, false, 1),
				tp.Norm(x, false, 1))
		}, [][]int{{3, 4}}},
		{"softmax of a view", func(tp *tensor.Tape, in []*tensor.Tensor) *tensor.Tensor {
			return tp.Softmax(tp.Transpose(in[0], 0, 1), 0)
		}, [][]int{{3, 4}}},
		{"linear", func(tp *tensor.Tape, in []*tensor.Tensor) *tensor.Tensor {
			return tp.Linear(in[0], in[1], in[2])
		}, [][]int{{2, 3, 4}, {5, 4}, {5}}},
		{"feedforward", func(tp *tensor.Tape, in []*tensor.Tensor) *tensor.Tensor {
			return tp.LinearGELU(tp.FeedForward(in[0], in[1], in[2], in[3], in[4]), in[1], nil)
		}, [][]int{{3, 4}, {6, 4}, {6}, {4, 6}, {4}}},
		{"matmul", func(tp *tensor.Tape, in []*tensor.Tensor) *tensor.Tensor {
			return tp.MatMul(tp.MatMul(in[0], in[1], false), in[2], true)
		}, [][]int{{2, 3}, {3, 4}, {2, 4}}},
		{"batched matmul", func(tp *tensor.Tape, in []*tensor.Tensor) *tensor.Tensor {
			return tp.MatMul(in[0], tp.Transpose(in[1], 1, 2), true)
		}, [][]int{{2, 1, 3, 4}, {3, 4, 2}}},
		{"indexing", func(tp *tensor.Tape, in []*tensor.Tensor) *tensor.Tensor {
			x := tp.IndexAdd(in[0], 0, in[1], tp.Tanh(in[2]))
			values, _ := tp.TopK(tp.CumSum(tp.IndexSelect(x, 0, in[1]), 0), 2)
			return values
		}, [][]int{{4, 3}, nil, {5, 3}}},
		{"loss from logits", func(tp *tensor.Tape, in []*tensor.Tensor) *tensor.Tensor {
			return tp.CrossEntropyLoss(in[0], in[1], tensor.CrossEntropyOptions{Smoothing: 0.1})
		}, [][]int{{5, 4}, nil}},
		{"layernorm", func(tp *tensor.Tape, in []*tensor.Tensor) *tensor.Tensor {
			return tp.GELU(tp.LayerNorm(in[0], in[1], in[2], 1e-5))
		}, [][]int{{3, 4}, {4}, {4}}},
		{"dropout", func(tp *tensor.Tape, in []*tensor.Tensor) *tensor.Tensor {
			return tp.AddDropout(tp.Dropout(in[0], 0.3), tp.Scale(2, in[0]), 0.5)
		}, [][]int{{5, 4}}},
		{"rows", func(tp *tensor.Tape, in []*tensor.Tensor) *tensor.Tensor {
			x := tp.AddGather(tp.Gather(in[0], in[1], 2), tp.Normalize(in[0]), in[1], 0.5)
			return tp.MulScalar(tp.Concat(0, tp.SegmentMean(x, docs), tp.LinearMax(x, in[2], docs)), tp.Dot(in[2], in[2]))
		}, [][]int{{4, 3}, nil, {3, 3}}},
		{"attention", func(tp *tensor.Tape, in []*tensor.Tensor) *tensor.Tensor {
			return tp.Attention(in[0], in[1], in[2], nil, tensor.AttentionOptions{
				Heads: 2, QOffsets: docs, KOffsets: docs, Causal: true, Scale: 0.7, Dropout: 0.3,
			})
		}, [][]int{{5, 4}, {5, 4}, {5, 4}}},
		{"attention with bias", func(tp *tensor.Tape, in []*tensor.Tensor) *tensor.Tensor {
			return tp.Attention(in[0], in[1], in[2], in[3], tensor.AttentionOptions{
				Heads: 2, QOffsets: []int32{0, 3, 4}, KOffsets: docs, Scale: 0.7, Dropout: 0.3,
			})
		}, [][]int{{4, 4}, {5, 4}, {5, 4}, {2, 3}}},
		{"crossentropy", func(tp *tensor.Tape, in []*tensor.Tensor) *tensor.Tensor {
			loss, _ := tp.CrossEntropy(in[0], in[2], in[1], 0.1, 0.5)
			return tp.Exp(loss)
		}, [][]int{{5, 4}, nil, {6, 4}}},
		{"checkpoint", func(tp *tensor.Tape, in []*tensor.Tensor) *tensor.Tensor {
			return tp.Checkpoint(func(tp *tensor.Tape, in []*tensor.Tensor) *tensor.Tensor {
				return tp.Dropout(tp.Mul(in[0], in[0]), 0.5)
			}, in[0])
		}, [][]int{{8}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var in []*tensor.Tensor
			for i, shape := range c.shapes {
				if shape == nil {
					in = append(in, ids)
				} else {
					in = append(in, tensor.Randn(cpu, uint64(i+1), shape...))
				}
			}
			Check(t, c.f, in...)
		})
	}
}

// power returns a function whose backward pass is right or wrong by an element.
func power(wrong bool) Function {
	return func(tp *tensor.Tape, in []*tensor.Tensor) *tensor.Tensor {
		return tp.Apply(func(tp *tensor.Tape, in []*tensor.Tensor) (*tensor.Tensor, func(*tensor.Tensor) []*tensor.Tensor) {
			return tp.Mul(in[0], in[0]), func(dout *tensor.Tensor) []*tensor.Tensor {
				g := tp.Scale(2, tp.Mul(dout, in[0]))
				if wrong {
					g = tp.Concat(0, tp.Slice(g, 0, 0, 3), tp.Scale(1.0001, tp.Slice(g, 0, 3, 4)))
				}
				return []*tensor.Tensor{g}
			}
		}, in...)
	}
}

func TestCheckFindsFaults(t *testing.T) {
	cpu := tensor.NewCPU(1)
	defer cpu.Close()
	x := tensor.Randn(cpu, 1, 4)
	Check(t, power(false), x)
	for _, c := range []struct {
		name, want string
		f          Function
	}{
		{"wrong by a ten-thousandth", "gradcheck: input 0, float32[4]: the gradient of element 3 is ", power(true)},
		{"no gradient", "gradcheck: the result depends on no input",
			func(tp *tensor.Tape, in []*tensor.Tensor) *tensor.Tensor { return tp.Detach(in[0]) }},
		{"a part without gradient", "gradcheck: input 0, float32[4]: the gradient of element 0 is ",
			func(tp *tensor.Tape, in []*tensor.Tensor) *tensor.Tensor { return tp.Mul(in[0], tp.Detach(in[0])) }},
	} {
		if err := check(c.f, []*tensor.Tensor{x}); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s...", c.name, err, c.want)
		}
	}
	defer func() {
		const want = "gradcheck: float32[4] is on backend cpu: pass it to the function as an input"
		if got := recover(); got != want {
			t.Errorf("panic %v, want %s", got, want)
		}
	}()
	check(func(tp *tensor.Tape, in []*tensor.Tensor) *tensor.Tensor { return tp.Mul(in[0], x) }, []*tensor.Tensor{x})
}
