package backendtest

import (
	"math/rand/v2"

	"github.com/marge-go/marge/tensor"
)

// toy is a small Transformer that uses every operation of a tape.
type toy struct {
	params map[string]*tensor.Tensor
	names  []string
}

const (
	toyVocab, toyWidth, toyHeads, toyHidden = 23, 16, 2, 24
	toyDropout                              = 0.1
)

func newToy(b tensor.Backend) *toy {
	m := &toy{params: map[string]*tensor.Tensor{}}
	rng := rand.New(rand.NewPCG(3, 4))
	const d = toyWidth
	for _, p := range []struct {
		name  string
		shape []int
		mean  float64
	}{
		{"table", []int{toyVocab, d}, 0}, {"positions", []int{8, d}, 0}, {"gamma", []int{d}, 1}, {"beta", []int{d}, 0},
		{"q", []int{d, d}, 0}, {"k", []int{d, d}, 0}, {"v", []int{d, d}, 0}, {"out", []int{d, d}, 0}, {"bias", []int{d}, 0},
		{"w1", []int{toyHidden, d}, 0}, {"b1", []int{toyHidden}, 0}, {"w2", []int{d, toyHidden}, 0}, {"b2", []int{d}, 0},
		{"pool", []int{d, d}, 0}, {"scalar", []int{1}, 1},
	} {
		t := tensor.New(b, tensor.Float32, p.shape...)
		values := make([]float32, t.Len())
		for i := range values {
			values[i] = float32(p.mean + 0.3*rng.NormFloat64())
		}
		t.SetFloat32s(values)
		t.SetRequiresGrad(true)
		m.params[p.name], m.names = t, append(m.names, p.name)
	}
	return m
}

// loss records a forward pass.
func (m *toy) loss(tp *tensor.Tape) *tensor.Tensor {
	p := m.params
	ids, positions := tp.Ints([]int32{1, 5, 5, 7, 22, 0, 3, 2, 5}), tp.Ints([]int32{0, 1, 2, 3, 4, 0, 1, 2, 3})
	docs := []int32{0, 5, 9}
	o := tensor.AttentionOptions{
		Heads: toyHeads, QOffsets: docs, KOffsets: docs, Causal: true, Scale: 0.35, Dropout: toyDropout,
	}

	x := tp.AddGather(tp.Gather(p["table"], ids, 4), p["positions"], positions, 1)
	x = tp.Dropout(tp.LayerNorm(x, p["gamma"], p["beta"], 1e-5), toyDropout)
	h := tp.LayerNorm(x, p["gamma"], p["beta"], 1e-5)
	q, k, v := tp.Linear(h, p["q"], p["bias"]), tp.Linear(h, p["k"], nil), tp.Linear(h, p["v"], p["bias"])
	heads := tp.Attention(q, k, v, nil, o)
	y := tp.Linear(heads, p["out"], p["bias"])
	tp.Recompute(h)
	for _, read := range []*tensor.Tensor{q, k, v, heads} {
		tp.Compress(read)
	}
	x = tp.AddDropout(x, y, toyDropout)
	h = tp.LayerNorm(x, p["gamma"], p["beta"], 1e-5)
	y = tp.FeedForward(h, p["w1"], p["b1"], p["w2"], p["b2"])
	tp.Recompute(h)
	x = tp.AddInto(y, x)

	// Each document attends to both, by their relevance.
	g := tp.Normalize(tp.Add(tp.SegmentMean(x, docs), tp.LinearMax(x, p["pool"], docs)))
	relevance := tp.MatMul(tp.Rows(g, 0, 2), g, true)
	bias := tp.MulScalar(relevance, p["scalar"])
	o.Causal = false
	y = tp.Attention(tp.Linear(x, p["q"], nil), tp.Linear(x, p["k"], nil), tp.Linear(x, p["v"], nil), bias, o)
	y = tp.Linear(tp.LinearGELU(y, p["w1"], p["b1"]), p["w2"], nil)
	x = tp.Add(x, tp.GELU(tp.Linear(tp.Columns(tp.Rows(y, 0, 9), 0, toyWidth), p["out"], nil)))

	loss, _ := tp.CrossEntropy(x, p["table"], tp.Ints([]int32{5, 5, 7, 22, 0, 3, 2, 5, 1}), 0.1, 1.0/9)
	return tp.Add(loss, tp.Scale(0.01, tp.Dot(relevance, tp.Detach(relevance))))
}

// run makes some updates. It returns the losses, the last gradients and the
// parameters, and calls between after each forward and each backward pass.
func (m *toy) run(b tensor.Backend, steps int, between func()) (losses []float32, gradients, params [][]float32) {
	tp := tensor.NewTape(b)
	tp.Poison()
	var calls []tensor.AdamWCall
	for i, name := range m.names {
		p := m.params[name]
		o := tensor.AdamWOptions{LR: 0.01, Beta1: 0.9, Beta2: 0.98, Eps: 1e-6, WeightDecay: 0.01 * float32(i%2)}
		calls = append(calls, tensor.AdamWCall{
			P: p, M: tensor.New(b, tensor.Float32, p.Shape()...), V: tensor.New(b, tensor.Float32, p.Shape()...), Options: o,
		})
	}
	for step := range steps {
		tp.Reset(tensor.Training, uint64(step))
		for _, name := range m.names {
			m.params[name].ZeroGrad()
		}
		loss := m.loss(tp)
		between()
		tp.Backward(loss)
		between()
		var grads []*tensor.Tensor
		for i := range calls {
			calls[i].G = calls[i].P.Grad()
			grads = append(grads, calls[i].G)
			calls[i].Options.Step, calls[i].Options.GradScale = step+1, 1
		}
		norm := 0.0
		for _, s := range tensor.SumSquaresAll(grads) {
			norm += s
		}
		for i := range calls {
			calls[i].Options.GradScale = float32(1 / (1 + norm))
		}
		tensor.AdamWAll(calls)
		losses = append(losses, download(loss)...)
	}
	for _, c := range calls {
		gradients, params = append(gradients, download(c.G)), append(params, download(c.P))
	}
	return losses, gradients, params
}

func download(t *tensor.Tensor) []float32 {
	values := make([]float32, t.Len())
	t.CopyTo(values)
	return values
}
