package marge

import (
	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/nn/dist"
	"github.com/marge-go/marge/tensor"
)

// gradientSum adds the gradients of replicas, which come one after the other,
// in a perfect binary tree: ((0+1)+(2+3))+((4+5)+(6+7)). So several machines
// can make parts of the tree, each of neighbouring replicas, and get the same
// bits as one that makes all of it; a running sum could not be split like that.
//
// It works as a binary counter does: level i is empty or has the sum of 2^i
// replicas, and a replica that is added carries.
type gradientSum struct {
	params []nn.Parameter
	short  bool // the gradients of each replica, and each sum, are rounded to bfloat16
	levels []partialSum
	n      int // replicas added
}

// partialSum is a sum of gradients. A parameter that none of the replicas has
// a gradient of has none.
type partialSum struct {
	sums []*tensor.Tensor
	has  []bool
}

// add adds the gradients that the parameters hold, of a replica that others follow.
func (g *gradientSum) add() {
	for _, p := range g.params {
		if p.HasGrad() {
			g.round(p)
		}
	}
	level := 0
	for ; g.n>>level&1 == 1; level++ {
		for i := range g.params {
			g.join(i, &g.levels[level])
		}
	}
	g.keep(level)
	g.n++
}

// finish makes the gradient of parameter i, that of the last replica, the sum of all.
func (g *gradientSum) finish(i int) {
	if p := g.params[i]; p.HasGrad() {
		g.round(p)
	}
	for level := range g.levels {
		if g.n>>level&1 == 1 {
			g.join(i, &g.levels[level])
		}
	}
}

// reset begins the next sum.
func (g *gradientSum) reset() { g.n = 0 }

// join adds that of a sum of earlier replicas to the gradient of parameter i. Where
// only one of the two has a gradient, the other counts as zeros.
func (g *gradientSum) join(i int, earlier *partialSum) {
	p := g.params[i]
	if !earlier.has[i] && !p.HasGrad() {
		return
	}
	if !earlier.has[i] {
		p.Backend().Fill(earlier.sums[i], 0)
	}
	sum := p.Grad()
	p.Backend().Add(sum, earlier.sums[i], sum)
	g.round(p)
}

// round rounds the gradient of a parameter, if gradients are rounded.
func (g *gradientSum) round(p nn.Parameter) {
	if !g.short {
		return
	}
	gradient := nn.Parameter{Tensor: p.Grad()}
	values := gradient.Values()
	dist.RoundBFloat16(values)
	gradient.SetFloat32s(values) // they may be a copy
}

// keep copies the gradients of the parameters to a level.
func (g *gradientSum) keep(level int) {
	if level == len(g.levels) {
		s := partialSum{has: make([]bool, len(g.params))}
		for _, p := range g.params {
			s.sums = append(s.sums, tensor.New(p.Backend(), tensor.Float32, p.Shape()...))
		}
		g.levels = append(g.levels, s)
	}
	s := &g.levels[level]
	for i, p := range g.params {
		if s.has[i] = p.HasGrad(); s.has[i] {
			p.Backend().Scale(s.sums[i], 1, p.Grad())
		}
	}
}
