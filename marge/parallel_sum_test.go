package marge

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/nn/dist"
	"github.com/marge-go/marge/nn/dist/disttest"
	"github.com/marge-go/marge/nn/optim"
	"github.com/marge-go/marge/tensor"
	"github.com/marge-go/marge/tensor/backendtest"
)

// linearObjective has given gradients, of which some batches have none for some
// parameters.
type linearObjective struct{ params []nn.Parameter }

func (o *linearObjective) loss(tp *tensor.Tape, b *Batch) batchLoss {
	number := int(b.Languages[0])
	loss := tp.Scale(1, tp.Dot(o.params[0].Tensor, o.params[0].Tensor))
	for i, p := range o.params {
		if i == unusedParameter || i > 1 && (number+i)%3 == 0 {
			continue
		}
		g := make([]float32, p.Len())
		for j := range g {
			g[j] = float32((j*7919+i*31+number*17)%1000003) / float32(j%13+1)
		}
		loss = tp.Add(loss, tp.Dot(p.Tensor, tp.Floats(g, p.Len())))
	}
	return batchLoss{sum: loss, reported: loss, weight: 1}
}

const unusedParameter = 4

// updates makes some updates of parameters of several sizes.
func updates(g *dist.Group, b tensor.Backend, replicas int, short bool) (*loop, []string, error) {
	o := &loopOptions{
		Group: g, Replicas: replicas, Accumulate: 2, BFloat16Gradients: short,
		Groups: []optim.Group{{Names: []string{"2"}, Frozen: true}, {Names: []string{"3"}, Rate: 3}},
	}
	var params []nn.Parameter
	for i, n := range []int{7, 5*blockValues + 3, 3, 2 * blockValues, 5, blockValues, 1, blockValues - 1} {
		p := nn.Parameter{Name: fmt.Sprint(i), Tensor: nn.NewParameter(b, n)}
		nn.Constant(p.Tensor, float32(i)/8)
		params = append(params, p)
	}
	l := newLoop(&Model{backend: b}, params, o)
	l.tape.Poison()
	if l.ranks != nil {
		l.ranks.setBuckets(2*blockValues + 9)
	}
	gradients, gradNorm, step := l.gradients, l.gradNorm, l.optimize
	if l.ranks != nil {
		gradients, gradNorm, step = l.ranks.gradients, l.ranks.gradNorm, l.ranks.optimize
	}
	var told []string
	for update := range 4 {
		var batches []*Batch
		for i := range 2*replicas - update { // at the end of a pass some replicas have fewer
			batches = append(batches, &Batch{Languages: []int32{int32(update + i)}})
		}
		l.figures = make([]batchFigures, len(batches))
		if err := gradients(context.Background(), &linearObjective{params}, batches); err != nil {
			return nil, nil, err
		}
		norm, err := gradNorm()
		if err != nil {
			return nil, nil, err
		}
		told = append(told, fmt.Sprintf("%x %+v", math.Float64bits(norm), l.figures))
		if err := step(0.01, float32(1/norm)); err != nil {
			return nil, nil, err
		}
		l.step++
	}
	return l, told, nil
}

// Updates on several ranks are those on one, bit for bit: also of parameters that are
// larger than what is exchanged at a time or smaller than what a rank has, that only
// some batches have a gradient of, that are frozen, and where the host does not see the
// memory.
func TestRanksUpdate(t *testing.T) {
	for _, c := range []struct{ ranks, replicas int }{{2, 4}, {3, 3}, {4, 4}} {
		for _, short := range []bool{false, true} {
			cpu := tensor.NewCPU(1)
			defer cpu.Close()
			want, toldThen, err := updates(nil, cpu, c.replicas, short)
			if err != nil {
				t.Fatal(err)
			}
			errs := disttest.Run(c.ranks, dist.Options{}, nil, func(g *dist.Group) error {
				cpu := tensor.NewCPU(1)
				defer cpu.Close()
				b := tensor.Backend(cpu)
				if g.Rank() == 1 {
					b = backendtest.Opaque(cpu)
				}
				l, told, err := updates(g, b, c.replicas, short)
				if err != nil {
					return err
				}
				if !slices.Equal(told, toldThen) {
					t.Errorf("%+v: rank %d: norms and figures\n%v, want\n%v", c, g.Rank(), told, toldThen)
				}
				for i, p := range l.params {
					if !slices.Equal(valuesOf(p.Tensor), valuesOf(want.params[i].Tensor)) {
						t.Errorf("%+v, bfloat16 %t: rank %d has another parameter %d", c, short, g.Rank(), i)
					}
				}
				if !slices.Equal(l.opt.Steps(), want.opt.Steps()) {
					t.Errorf("%+v: rank %d counts updates %v, want %v", c, g.Rank(), l.opt.Steps(), want.opt.Steps())
				}
				for i, moment := range l.opt.State() {
					whole := want.opt.State()[i]
					part := moment.Tensor
					if part.Len() >= whole.Len() && whole.Len() > blockValues {
						t.Errorf("%s has %d of %d elements on a rank", whole.Name, part.Len(), whole.Len())
					}
					own := tensor.New(part.Backend(), tensor.Float32, part.Len())
					l.ranks.takeOwn(paramOf(i), own, valuesOf(whole.Tensor))
					if !slices.Equal(valuesOf(own), valuesOf(part)) {
						t.Errorf("%+v: rank %d has another part of %s", c, g.Rank(), whole.Name)
					}
				}
				return nil
			})
			if err := disttest.FirstError(errs); err != nil {
				t.Error(err)
			}
		}
	}
}
