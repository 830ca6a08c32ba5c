package main

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gomlx/gomlx/backends"
	"github.com/gomlx/gomlx/pkg/core/dtypes"
	. "github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"
)

// Sizes of the models of bench/gpt.go.
const (
	vocabulary                = 4096
	layers, width             = 6, 384
	heads, hidden             = 6, 1024
	lstmLayers, lstmWidth     = 2, 512
	rate, beta1, beta2        = 1e-4, 0.9, 0.98
	epsilon, decay, clip, eps = 1e-6, 0.01, 1, 1e-5
)

// model is a language model: its parameters but the table of the embedding and that
// of the scores, and what becomes of tokens [sequences, tokens, 1] before the scores,
// [sequences, tokens, width]. It takes the parameters one by one.
type model struct {
	width  int
	shapes [][]int
	hidden func(embed, ids *Node, next func() *Node) *Node
}

func gpt() *model {
	m := &model{width: width}
	for range layers {
		m.shapes = append(m.shapes, []int{width}, []int{width, width}, []int{width, width}, []int{width, width},
			[]int{width, width}, []int{width}, []int{hidden, width}, []int{hidden, width}, []int{width, hidden})
	}
	m.shapes = append(m.shapes, []int{width})
	m.hidden = func(embed, ids *Node, next func() *Node) *Node {
		dims := ids.Shape().Dimensions
		b, t := dims[0], dims[1]
		x := Gather(embed, ids)
		cos, sin, swap := rotary(x.Graph(), t)
		for range layers {
			h := rmsNorm(x, next())
			split := func(x *Node) *Node { return Reshape(x, b, t, heads, width/heads) }
			q, k, v := split(linear(h, next())), split(linear(h, next())), split(linear(h, next()))
			rotate := func(x *Node) *Node { return Add(Mul(x, cos), Mul(Einsum("bthi,ji->bthj", x, swap), sin)) }
			q, k = rotate(q), rotate(k)
			scores := MulScalar(Einsum("bmhk,bnhk->bhmn", q, k), 1/math.Sqrt(width/heads))
			seen := BroadcastPrefix(LowerTriangular(x.Graph(), t), b, heads)
			scores = Where(seen, scores, MulScalar(OnesLike(scores), -1e30))
			h = Reshape(Einsum("bhmn,bnhk->bmhk", Softmax(scores, -1), v), b, t, width)
			x = Add(x, linear(h, next()))
			h = rmsNorm(x, next())
			gate, up := linear(h, next()), linear(h, next())
			x = Add(x, linear(Mul(Mul(gate, Sigmoid(gate)), up), next()))
		}
		return rmsNorm(x, next())
	}
	return m
}

// lstm takes its inputs step by step and has a matrix for each gate: the backend
// has no gradient of slices.
func lstm() *model {
	const d = lstmWidth
	m := &model{width: d}
	for range lstmLayers {
		for range 4 {
			m.shapes = append(m.shapes, []int{d, d}, []int{d, d}, []int{d}, []int{d})
		}
	}
	m.hidden = func(embed, ids *Node, next func() *Node) *Node {
		dims := ids.Shape().Dimensions
		b, t := dims[0], dims[1]
		var x []*Node
		for i := range t {
			x = append(x, Gather(embed, Reshape(SliceAxis(ids, 1, AxisElem(i)), b, 1)))
		}
		for range lstmLayers {
			var weightIH, weightHH, bias [4]*Node
			for g := range bias {
				weightIH[g], weightHH[g] = next(), next()
				bias[g] = Reshape(Add(next(), next()), 1, d)
			}
			var h, c *Node
			for i := range x {
				gate := func(g int) *Node {
					sum := Add(linear(x[i], weightIH[g]), bias[g])
					if h != nil {
						sum = Add(sum, linear(h, weightHH[g]))
					}
					return sum
				}
				cell := Mul(Sigmoid(gate(0)), Tanh(gate(2)))
				if c != nil {
					cell = Add(cell, Mul(Sigmoid(gate(1)), c))
				}
				h, c = Mul(Sigmoid(gate(3)), Tanh(cell)), cell
				x[i] = h
			}
		}
		return Stack(x, 1)
	}
	return m
}

// linear returns x w^T for x [..., in] and w [out, in].
func linear(x, w *Node) *Node {
	dims := x.Shape().Dimensions
	in, out := dims[len(dims)-1], w.Shape().Dimensions[0]
	y := Einsum("nk,mk->nm", Reshape(x, -1, in), w)
	return Reshape(y, append(append([]int{}, dims[:len(dims)-1]...), out)...)
}

func rmsNorm(x, weight *Node) *Node {
	mean := ReduceAndKeep(Mul(x, x), ReduceMean, -1)
	return Mul(Div(x, Sqrt(AddScalar(mean, eps))), Reshape(weight, 1, 1, width))
}

// rotary returns cosines and sines [1, t, 1, columns] of rotary positions, and the
// matrix that exchanges the columns of pairs, the first of which it negates: the
// backend has no gradient of slices.
func rotary(g *Graph, t int) (cos, sin, swap *Node) {
	const columns = width / heads
	const half = columns / 2
	var c, s []float32
	for p := range t {
		for i := range columns {
			y, x := math.Sincos(float64(p) * math.Pow(10000, -float64(i%half)/half))
			c, s = append(c, float32(x)), append(s, float32(y))
		}
	}
	matrix := make([]float32, columns*columns)
	for i := range half {
		matrix[i*columns+i+half], matrix[(i+half)*columns+i] = -1, 1
	}
	constant := func(x []float32, shape ...int) *Node {
		return ConstTensor(g, tensors.FromFlatDataAndDimensions(x, shape...))
	}
	return constant(c, 1, t, 1, columns), constant(s, 1, t, 1, columns), constant(matrix, columns, columns)
}

// startStep prepares a training step: forward, backward, clipping, AdamW.
func startStep(s *spec, backend backends.Backend) (run func() error, err error) {
	var m *model
	switch s.Kind {
	case "gpt":
		m = gpt()
	case "lstm":
		m = lstm()
	default:
		return nil, fmt.Errorf("no model %s", s.Kind)
	}
	m.shapes = append(m.shapes, []int{vocabulary, m.width}, []int{vocabulary, m.width}) // embedding and head
	n := len(m.shapes)
	rng := rand.New(rand.NewPCG(1, 1))
	state := make([]*tensors.Tensor, 3*n) // parameters and their first and second moments
	for i, shape := range m.shapes {
		size := 1
		for _, d := range shape {
			size *= d
		}
		p := make([]float32, size)
		for j := range p {
			switch {
			case len(shape) == 2:
				p[j] = float32(0.02 * rng.NormFloat64())
			case s.Kind == "gpt": // of RMSNorm; the biases of the LSTM are zero
				p[j] = 1
			}
		}
		state[i] = tensors.FromFlatDataAndDimensions(p, shape...)
		state[n+i] = tensors.FromFlatDataAndDimensions(make([]float32, size), shape...)
		state[2*n+i] = tensors.FromFlatDataAndDimensions(make([]float32, size), shape...)
	}
	tokens := func() *tensors.Tensor {
		ids := make([]int32, s.M*s.N)
		for i := range ids {
			ids[i] = rng.Int32N(vocabulary)
		}
		return tensors.FromFlatDataAndDimensions(ids, s.M, s.N, 1)
	}
	ids, targets := tokens(), tokens()
	exec, err := NewExec(backend, func(in []*Node) []*Node { return m.step(in[:3*n], in[3*n], in[3*n+1], in[3*n+2]) })
	if err != nil {
		return nil, err
	}
	step := 0
	return func() error {
		step++
		in := make([]any, 0, 3*n+3)
		for _, t := range state {
			in = append(in, t)
		}
		in = append(in, ids, targets, tensors.FromScalar(float32(step)))
		out, err := exec.Exec(in...)
		if err != nil {
			return err
		}
		loss := tensors.ToScalar[float32](out[0])
		if math.IsNaN(float64(loss)) || step == 1 && math.Abs(float64(loss)-math.Log(vocabulary)) > 0.2 {
			return fmt.Errorf("step %d of %s: loss %v", step, s.Kind, loss)
		}
		for i, t := range state {
			t.FinalizeAll()
			state[i] = out[1+i]
		}
		return nil
	}, nil
}

// step returns the loss, and state after a step.
func (m *model) step(state []*Node, ids, targets, count *Node) []*Node {
	n := len(m.shapes)
	params, used := state[:n], 0
	next := func() *Node {
		used++
		return params[used-1]
	}
	h := Reshape(m.hidden(params[n-2], ids, next), -1, m.width)
	logits := LogSoftmax(linear(h, params[n-1]))
	one := OneHot(Reshape(targets, -1), vocabulary, dtypes.Float32)
	loss := Neg(DivScalar(ReduceAllSum(Mul(one, logits)), float64(targets.Shape().Size())))
	gradients := Gradient(loss, params...)
	var squares *Node
	for _, g := range gradients {
		if sum := ReduceAllSum(Mul(g, g)); squares == nil {
			squares = sum
		} else {
			squares = Add(squares, sum)
		}
	}
	scale := MinScalar(MulScalar(Reciprocal(Sqrt(squares)), clip), 1)
	correction := func(beta float64) *Node { // 1/(1 - beta^count)
		return Reciprocal(OneMinus(Exp(MulScalar(count, math.Log(beta)))))
	}
	first, second := correction(beta1), correction(beta2)
	out := make([]*Node, 1+3*n)
	out[0] = loss
	for i, p := range params {
		g := Mul(gradients[i], scale)
		m1 := Add(MulScalar(state[n+i], beta1), MulScalar(g, 1-beta1))
		m2 := Add(MulScalar(state[2*n+i], beta2), MulScalar(Mul(g, g), 1-beta2))
		update := Div(Mul(m1, first), AddScalar(Sqrt(Mul(m2, second)), epsilon))
		if p.Rank() == 2 {
			p = MulScalar(p, 1-rate*decay)
		}
		out[1+i], out[1+n+i], out[1+2*n+i] = Sub(p, MulScalar(update, rate)), m1, m2
	}
	return out
}
