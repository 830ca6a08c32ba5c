package main

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/gomlx/gomlx/backends"
	"github.com/gomlx/gomlx/pkg/core/dtypes"
	"github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"
)

// Sizes of the LSTM of bench/gpt.go. Its GPT is left out, see bench/compare.
const (
	vocabulary            = 4096
	lstmLayers, lstmWidth = 2, 512
	rate, beta1, beta2    = 1e-4, 0.9, 0.98
	epsilon, decay, clip  = 1e-6, 0.01, 1
)

// model is a language model: its parameters but the table of the embedding and that
// of the scores, and what becomes of tokens [sequences, tokens, 1] before the scores,
// [sequences, tokens, width]. It takes the parameters one by one.
type model struct {
	width  int
	shapes [][]int
	hidden func(embed, ids *graph.Node, next func() *graph.Node) *graph.Node
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
	m.hidden = func(embed, ids *graph.Node, next func() *graph.Node) *graph.Node {
		dims := ids.Shape().Dimensions
		b, t := dims[0], dims[1]
		var x []*graph.Node
		for i := range t {
			x = append(x, graph.Gather(embed, graph.Reshape(graph.SliceAxis(ids, 1, graph.AxisElem(i)), b, 1)))
		}
		for range lstmLayers {
			var weightIH, weightHH, bias [4]*graph.Node
			for g := range bias {
				weightIH[g], weightHH[g] = next(), next()
				bias[g] = graph.Reshape(graph.Add(next(), next()), 1, d)
			}
			var h, c *graph.Node
			for i := range x {
				gate := func(g int) *graph.Node {
					sum := graph.Add(linear(x[i], weightIH[g]), bias[g])
					if h != nil {
						sum = graph.Add(sum, linear(h, weightHH[g]))
					}
					return sum
				}
				cell := graph.Mul(graph.Sigmoid(gate(0)), graph.Tanh(gate(2)))
				if c != nil {
					cell = graph.Add(cell, graph.Mul(graph.Sigmoid(gate(1)), c))
				}
				h, c = graph.Mul(graph.Sigmoid(gate(3)), graph.Tanh(cell)), cell
				x[i] = h
			}
		}
		return graph.Stack(x, 1)
	}
	return m
}

// linear returns x w^T for x [..., in] and w [out, in].
func linear(x, w *graph.Node) *graph.Node {
	dims := x.Shape().Dimensions
	in, out := dims[len(dims)-1], w.Shape().Dimensions[0]
	y := graph.Einsum("nk,mk->nm", graph.Reshape(x, -1, in), w)
	return graph.Reshape(y, append(append([]int{}, dims[:len(dims)-1]...), out)...)
}

// startStep prepares a training step: forward, backward, clipping, AdamW.
func startStep(s *spec, backend backends.Backend) (run func() error, err error) {
	if s.Kind != "lstm" {
		return nil, fmt.Errorf("no model %s", s.Kind)
	}
	m := lstm()
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
			if len(shape) == 2 { // biases are zero
				p[j] = float32(0.02 * rng.NormFloat64())
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
	exec, err := graph.NewExec(backend, func(in []*graph.Node) []*graph.Node {
		return m.step(in[:3*n], in[3*n], in[3*n+1], in[3*n+2])
	})
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
func (m *model) step(state []*graph.Node, ids, targets, count *graph.Node) []*graph.Node {
	n := len(m.shapes)
	params, used := state[:n], 0
	next := func() *graph.Node {
		used++
		return params[used-1]
	}
	h := graph.Reshape(m.hidden(params[n-2], ids, next), -1, m.width)
	logits := graph.LogSoftmax(linear(h, params[n-1]))
	one := graph.OneHot(graph.Reshape(targets, -1), vocabulary, dtypes.Float32)
	loss := graph.Neg(graph.DivScalar(graph.ReduceAllSum(graph.Mul(one, logits)), float64(targets.Shape().Size())))
	gradients := graph.Gradient(loss, params...)
	var squares *graph.Node
	for _, g := range gradients {
		if sum := graph.ReduceAllSum(graph.Mul(g, g)); squares == nil {
			squares = sum
		} else {
			squares = graph.Add(squares, sum)
		}
	}
	scale := graph.MinScalar(graph.MulScalar(graph.Reciprocal(graph.Sqrt(squares)), clip), 1)
	correction := func(beta float64) *graph.Node { // 1/(1 - beta^count)
		return graph.Reciprocal(graph.OneMinus(graph.Exp(graph.MulScalar(count, math.Log(beta)))))
	}
	first, second := correction(beta1), correction(beta2)
	out := make([]*graph.Node, 1+3*n)
	out[0] = loss
	for i, p := range params {
		g := graph.Mul(gradients[i], scale)
		m1 := graph.Add(graph.MulScalar(state[n+i], beta1), graph.MulScalar(g, 1-beta1))
		m2 := graph.Add(graph.MulScalar(state[2*n+i], beta2), graph.MulScalar(graph.Mul(g, g), 1-beta2))
		update := graph.Div(graph.Mul(m1, first), graph.AddScalar(graph.Sqrt(graph.Mul(m2, second)), epsilon))
		if p.Rank() == 2 {
			p = graph.MulScalar(p, 1-rate*decay)
		}
		out[1+i], out[1+n+i], out[1+2*n+i] = graph.Sub(p, graph.MulScalar(update, rate)), m1, m2
	}
	return out
}
