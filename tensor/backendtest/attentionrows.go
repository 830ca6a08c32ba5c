package backendtest

import (
	"fmt"
	"math"

	"github.com/marge-go/marge/tensor"
)

// attentionRows tests attention to listed rows: of several lists, which have rows in
// common, in any order and twice, of segments that are empty, masked or seen by
// several queries, and of heads that share keys.
func (s *suite) attentionRows() {
	const keys = 11
	for _, size := range [][3]int{{1, 1, 1}, {2, 2, 16}, {3, 1, 8}, {4, 2, 40}, {2, 2, 64}} {
		heads, kvHeads, width := size[0], size[1], size[2]
		for _, o := range []tensor.AttentionRowsOptions{
			{Rows: []int32{3, 1, 10, 1, 0}, Offsets: []int32{0, 2, 2, 5}, Seen: []int32{0, 1, 1, 2, 2, 3, 0, 3, 1, 1}},
			{
				Rows: []int32{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}, Offsets: []int32{0, 3, 4, 10, 11},
				Seen: []int32{0, 2, 0, 2, 2, 4, 3, 4}, Bias: []float32{0.5, -2, 1, float32(negInf)},
			},
			{Offsets: []int32{0}, Seen: []int32{0, 0, 0, 0}},
			{Offsets: []int32{0}},
		} {
			o.Heads, o.KVHeads, o.Scale = heads, kvHeads, 0.3
			queries := len(o.Seen) / 2
			q, q64 := s.wideRandom(queries, heads*width)
			k, k64 := s.wideRandom(keys, kvHeads*width)
			v, v64 := s.wideRandom(keys, kvHeads*width)
			out, mass, seen := attendRows(q64, k64, v64, width, &o)
			for _, wantMass := range []bool{true, false} {
				outputs := []output{
					{shape: []int{queries, heads * width}, want: out, tol: s.tol.Attention, size: 1, strided: true},
					{shape: []int{heads, seen}, want: mass, tol: s.tol.Attention, size: 1, nil: !wantMass},
				}
				name := fmt.Sprintf("attention to rows, %d heads of %d, %d of keys, %+v", heads, width, kvHeads, o)
				s.check(name, outputs, func(out []*tensor.Tensor) { s.b.AttentionRows(out[0], out[1], q, k, v, &o) })
			}
			tp := tensor.NewTape(s.b)
			for i := range queries { // alone
				whole := tensor.New(s.b, tensor.Float32, queries, heads*width)
				alone := tensor.New(s.b, tensor.Float32, 1, heads*width)
				s.b.AttentionRows(whole, nil, q, k, v, &o)
				one := o
				one.Seen = o.Seen[2*i : 2*i+2]
				s.b.AttentionRows(alone, nil, tp.Rows(q, i, i+1), k, v, &one)
				if !equalBits(download(alone), download(whole)[i*heads*width:][:heads*width]) {
					s.Errorf("attention to rows: query %d of %+v has other bits alone", i, o)
				}
			}
		}
	}
}

// attendRows is AttentionRows in float64.
func attendRows(q, k, v []float64, width int, o *tensor.AttentionRowsOptions) (out, mass []float64, seen int) {
	queries := len(o.Seen) / 2
	for i := range queries {
		seen += int(o.Seen[2*i+1] - o.Seen[2*i])
	}
	out, mass = make([]float64, len(q)), make([]float64, o.Heads*seen)
	at := 0
	for i := range queries {
		for h := range o.Heads {
			qrow := q[(i*o.Heads+h)*width:][:width]
			column := h / (o.Heads / o.KVHeads) * width
			row := func(x []float64, t int32) []float64 { return x[int(o.Rows[t])*o.KVHeads*width+column:][:width] }
			weights, sum := map[int32]float64{}, 0.0
			for s := o.Seen[2*i]; s < o.Seen[2*i+1]; s++ {
				for t := o.Offsets[s]; t < o.Offsets[s+1]; t++ {
					score := 0.0
					for c, x := range row(k, t) {
						score += qrow[c] * x
					}
					score *= float64(o.Scale)
					if o.Bias != nil {
						score += float64(o.Bias[s])
					}
					weights[t] = math.Exp(score)
					sum += weights[t]
				}
			}
			for s := o.Seen[2*i]; s < o.Seen[2*i+1] && sum > 0; s++ {
				for t := o.Offsets[s]; t < o.Offsets[s+1]; t++ {
					for c, x := range row(v, t) {
						out[(i*o.Heads+h)*width+c] += weights[t] / sum * x
					}
					mass[h*seen+at+int(s-o.Seen[2*i])] += weights[t] / sum
				}
			}
		}
		at += int(o.Seen[2*i+1] - o.Seen[2*i])
	}
	return out, mass, seen
}
