package backendtest

import (
	"fmt"

	"github.com/marge-go/marge/tensor"
	"github.com/marge-go/marge/tensor/internal/reference"
)

// attentionCase is attention in heads of some width.
type attentionCase struct {
	heads, width int
	keyHeads     int     // of keys and values; 0: heads
	q, k         []int32 // offsets
	lengths      []int32 // of the key segments
	causal       bool
	window       int
	bias         []float64 // nil: segment by segment
	dropout      float32
}

func (c attentionCase) String() string {
	return fmt.Sprintf("%d heads of %d, %d of keys, queries %v, keys %v (%v), causal %v, window %d, bias %v, dropout %v",
		c.heads, c.width, c.keyHeads, c.q, c.k, c.lengths, c.causal, c.window, c.bias, c.dropout)
}

// keyWidth returns the width of rows of keys and values.
func (c *attentionCase) keyWidth() int {
	if c.keyHeads == 0 {
		return c.heads * c.width
	}
	return c.keyHeads * c.width
}

func (c *attentionCase) options() (tensor.AttentionOptions, reference.AttentionOptions) {
	const scale, seed, stream = 0.7, 9, 3
	return tensor.AttentionOptions{
			Heads: c.heads, QOffsets: c.q, KOffsets: c.k, KLengths: c.lengths, Causal: c.causal, Window: c.window,
			Scale:   scale,
			Dropout: c.dropout, Seed: seed, Stream: stream,
		}, reference.AttentionOptions{
			Heads: c.heads, KeyHeads: c.keyHeads, QOffsets: c.q, KOffsets: c.k, KLengths: c.lengths, Causal: c.causal,
			Window: c.window, Scale: float64(float32(scale)),
			Dropout: float64(c.dropout), Seed: seed, Counter: stream * dropoutStream,
		}
}

// attentionCases returns the cases; if small, only those with short segments.
func (s *suite) attentionCases(small bool) []attentionCase {
	masked := []float64{0.5, -1, negInf, negInf, negInf, 2}
	docs := [][2][]int32{
		{{0, 1, 6, 10}, {0, 1, 6, 10}},
		{{0, 3, 3}, {0, 0, 4}},
		{{0, 0}, {0, 0}},
		{{0, 4, 4}, {0, 2, 5}},
	}
	if !small {
		docs = append(docs, [2][]int32{{0, 65, 66, 300}, {0, 65, 66, 300}})
	}
	var cases []attentionCase
	for _, size := range [][2]int{{1, 1}, {2, 3}, {2, 32}, {3, 64}, {1, 40}} {
		if small && size[1] > 3 {
			continue
		}
		c := attentionCase{heads: size[0], width: size[1]}
		for _, o := range docs {
			c.q, c.k, c.bias = o[0], o[1], nil
			for _, c.causal = range []bool{false, o[0][len(o[0])-1] == o[1][len(o[1])-1]} {
				for _, c.dropout = range []float32{0, 0.3} {
					cases = append(cases, c)
				}
			}
		}
		// New queries to the keys of a past, which has room for more.
		for _, o := range []struct{ q, k, lengths []int32 }{
			{[]int32{0, 1, 3, 3}, []int32{0, 4, 9, 12}, []int32{4, 3, 2}},
			{[]int32{0, 0, 2}, []int32{0, 3, 7}, nil},
			{[]int32{0, 1, 2}, []int32{0, 0, 5}, []int32{0, 0}},
			{[]int32{0, 3, 4}, []int32{0, 400, 800}, []int32{300, 129}},
		} {
			if small && rowsOf(o.k) > 12 {
				continue
			}
			c.q, c.k, c.lengths = o.q, o.k, o.lengths
			for _, c.causal = range []bool{false, len(o.lengths) == 0 || o.lengths[0] > 0} {
				for _, c.dropout = range []float32{0, 0.3} {
					cases = append(cases, c)
				}
			}
		}
		c.lengths, c.causal, c.dropout = nil, false, 0
		for _, o := range [][2][]int32{
			{{0, 1, 6, 10}, {0, 3, 5}}, {{0, 0, 4, 4}, {0, 0, 5}}, {{0, 2, 3, 4}, {0, 0, 0}}, {{0, 0, 0, 0}, {0, 2, 3}},
		} {
			c.q, c.k = o[0], o[1]
			for _, c.bias = range [][]float64{make([]float64, 6), masked} {
				for _, c.dropout = range []float32{0, 0.3} {
					cases = append(cases, c)
				}
			}
		}
	}
	return append(cases, s.groupedCases(small)...)
}

// groupedCases returns cases of heads that share keys, and of windows.
func (s *suite) groupedCases(small bool) []attentionCase {
	var cases []attentionCase
	for _, size := range [][3]int{{2, 1, 3}, {4, 2, 2}, {6, 3, 32}, {4, 1, 40}, {2, 2, 16}} {
		if small && size[2] > 3 {
			continue
		}
		for _, dropout := range []float32{0, 0.3} {
			c := attentionCase{heads: size[0], keyHeads: size[1], width: size[2], dropout: dropout}
			c.q, c.k, c.bias = []int32{0, 1, 6, 10}, []int32{0, 3, 5}, []float64{0.5, -1, negInf, negInf, negInf, 2}
			cases = append(cases, c)
			c.bias = nil
			for _, o := range []struct{ q, k, lengths []int32 }{
				{[]int32{0, 1, 6, 10}, []int32{0, 1, 6, 10}, nil},
				{[]int32{0, 1, 3, 3}, []int32{0, 4, 9, 12}, []int32{4, 3, 2}},
				{[]int32{0, 1, 2}, []int32{0, 9, 12}, []int32{8, 1}}, // single queries, as in generation
				{[]int32{0, 65, 66, 260}, []int32{0, 65, 66, 260}, nil},
				{[]int32{0, 3, 4}, []int32{0, 400, 800}, []int32{300, 129}},
			} {
				if small && rowsOf(o.k) > 12 {
					continue
				}
				c.q, c.k, c.lengths, c.causal, c.window = o.q, o.k, o.lengths, false, 0
				cases = append(cases, c)
				c.causal = true
				for _, c.window = range []int{0, 1, 3, 70} {
					cases = append(cases, c)
				}
			}
		}
	}
	return cases
}

func (s *suite) attention() {
	for _, c := range s.attentionCases(false) {
		d, m := c.heads*c.width, rowsOf(c.q)
		q, q64 := s.wideRandom(m, d) // as columns of a projection to all three
		k, k64 := s.keys(&c)
		v, v64 := s.keys(&c)
		bias := s.bias(&c)
		o, ref := c.options()
		lse := tensor.New(s.b, tensor.Float32, c.heads, m)
		want := output{
			shape: []int{m, d}, want: reference.Attention(q64, k64, v64, c.bias, d, ref), tol: s.tol.Attention, size: 1,
			strided: true,
		}
		s.check(c.String(), []output{want}, func(out []*tensor.Tensor) { s.b.Attention(out[0], lse, q, k, v, bias, &o) })
	}
}

// keys draws keys or values. The room for more holds NaN.
func (s *suite) keys(c *attentionCase) (*tensor.Tensor, []float64) {
	d := c.keyWidth()
	values := s.values(rowsOf(c.k) * d)
	for i, n := range c.lengths {
		for j := int(c.k[i]+n) * d; j < int(c.k[i+1])*d; j++ {
			values[j] = nan
		}
	}
	x, _ := s.wide(rowsOf(c.k), d, values)
	return x, widen(values)
}

func (s *suite) bias(c *attentionCase) *tensor.Tensor {
	if c.bias == nil {
		return nil
	}
	values := make([]float32, len(c.bias))
	for i, v := range c.bias {
		values[i] = float32(v)
	}
	return s.tensor(values, len(c.q)-1, len(c.k)-1)
}

func (s *suite) attentionGradients() {
	for _, c := range s.attentionCases(true) {
		d, kd, m, n := c.heads*c.width, c.keyWidth(), rowsOf(c.q), rowsOf(c.k)
		q, q64 := s.wideRandom(m, d)
		k, k64 := s.keys(&c)
		v, v64 := s.keys(&c)
		dout, dout64 := s.wideRandom(m, d)
		bias := s.bias(&c)
		o, ref := c.options()
		out, lse := tensor.New(s.b, tensor.Float32, m, d), tensor.New(s.b, tensor.Float32, c.heads, m)
		s.b.Attention(out, lse, q, k, v, bias, &o)
		forward := func() []float64 { return reference.Attention(q64, k64, v64, c.bias, d, ref) }
		gradients := make([][]float64, 4)
		for i, x := range [][]float64{q64, k64, v64, c.bias} {
			gradients[i] = derivatives(x, dout64, forward)
		}
		for i, b := range c.bias {
			if b == negInf {
				gradients[3][i] = 0
			}
		}
		shapes := [][]int{{m, d}, {n, kd}, {n, kd}, {len(c.q) - 1, len(c.k) - 1}}
		for _, wanted := range []int{0, 1, 2, 4, 8, 7, 15} {
			for _, accumulate := range [][4]bool{{}, {true, true, true, true}, {false, true, false, true}} {
				outputs := make([]output, 4)
				for i := range outputs {
					outputs[i] = output{
						shape: shapes[i], want: gradients[i], tol: s.tol.AttentionGradients, accumulate: accumulate[i],
						strided: i < 3, nil: wanted>>i&1 != 0 || i == 3 && bias == nil, size: length(dout64),
					}
				}
				s.check(fmt.Sprint(c, ", backward ", wanted, accumulate), outputs, func(g []*tensor.Tensor) {
					s.b.AttentionBackward(g[0], g[1], g[2], g[3], dout, out, lse, q, k, v, bias, &o, accumulate)
				})
			}
		}
	}
}
