package optim

import (
	"slices"
	"testing"

	"github.com/marge-go/marge/internal/isatest"
	"github.com/marge-go/marge/tensor"
)

// All parts together are what one optimiser makes, bit for bit, however elements are
// dealt out, and with settings, counts and moments of the whole parameters.
func TestAdamWPart(t *testing.T) {
	isatest.Each(t, func(t *testing.T) {
		groups := []Group{{Names: []string{"vector"}, Rate: 0.5, WeightDecay: 0.3}, {Names: []string{"scalar"}, Frozen: true}}
		whole := parameters(1)
		for _, parts := range []int{1, 2, 3, 40} {
			params := parameters(1)
			for i, p := range whole {
				p.SetFloat32s(params[i].Float32s())
			}
			want := NewAdamW(whole, groups...)
			var opts []*AdamWPart
			for part := range parts {
				lengths := make([]int, len(params))
				for i, p := range params {
					for j := range p.Len() {
						lengths[i] += count(owner(j, parts) == part)
					}
				}
				opts = append(opts, NewAdamWPart(params, lengths, groups...))
			}
			for step := range 5 {
				setGradients(whole, step)
				setGradients(params, step)
				skipped := step % 3 // the parameter of this number has no gradient
				whole[skipped].ZeroGrad()
				want.Step(0.1, 0.7)
				for part, o := range opts {
					p, g := make([]*tensor.Tensor, len(params)), make([]*tensor.Tensor, len(params))
					for i, x := range params {
						p[i] = tensor.FromSlice(x.Backend(), deal(x.Float32s(), parts, part), len(o.m[i].Float32s()))
						if i != skipped {
							g[i] = tensor.FromSlice(x.Backend(), deal(x.Grad().Float32s(), parts, part), p[i].Len())
						}
					}
					o.Step(0.1, 0.7, p, g)
					for i, x := range params {
						collect(x.Float32s(), p[i].Float32s(), parts, part)
					}
				}
			}
			for i, p := range whole {
				m, v := make([]float32, p.Len()), make([]float32, p.Len())
				for part, o := range opts {
					collect(m, o.m[i].Float32s(), parts, part)
					collect(v, o.v[i].Float32s(), parts, part)
					if o.Steps()[i] != want.Steps()[i] {
						t.Errorf("part %d of %d counts %d updates of %s, want %d", part, parts, o.Steps()[i], p.Name, want.Steps()[i])
					}
				}
				if !slices.Equal(params[i].Float32s(), p.Float32s()) || !slices.Equal(m, want.m[i].Float32s()) ||
					!slices.Equal(v, want.v[i].Float32s()) {
					t.Errorf("%d parts make another %s, or its moments", parts, p.Name)
				}
			}
		}
	})
}

// owner deals out elements, more of them to the first part.
func owner(j, parts int) int { return max(0, j*7%(parts+1)-1) }

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

// deal returns the elements of a part.
func deal(x []float32, parts, part int) (own []float32) {
	for j, v := range x {
		if owner(j, parts) == part {
			own = append(own, v)
		}
	}
	return own
}

// collect puts the elements of a part where they belong.
func collect(x, own []float32, parts, part int) {
	for j := range x {
		if owner(j, parts) == part {
			x[j], own = own[0], own[1:]
		}
	}
}
