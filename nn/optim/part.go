package optim

import (
	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/tensor"
)

// AdamWPart is AdamW where several processes divide the elements of every parameter:
// each has moments for its part alone, and updates that (Rajbhandari et al. 2020,
// arXiv:1910.02054, section 5.1). As AdamW treats each element on its own, all parts
// together are what one AdamW makes, bit for bit.
type AdamWPart struct {
	AdamW
}

// NewAdamWPart returns an optimiser, with the settings of NewAdamW, of lengths[i]
// elements of parameter i. It panics if a group names no parameter.
func NewAdamWPart(params []nn.Parameter, lengths []int, groups ...Group) *AdamWPart {
	o := &AdamWPart{AdamW{
		Beta1: 0.9, Beta2: 0.98, Eps: 1e-6, WeightDecay: 0.01, parameterSet: newParameters(params, groups),
	}}
	for i, p := range params {
		o.m = append(o.m, tensor.New(p.Backend(), tensor.Float32, lengths[i]))
		o.v = append(o.v, tensor.New(p.Backend(), tensor.Float32, lengths[i]))
	}
	return o
}

// Step updates p[i], the part of parameter i, with g[i], that of its gradient, times
// gradScale, at learning rate lr. Where g[i] is nil the parameter has no gradient, and
// the update is not counted; that must not differ between parts.
func (o *AdamWPart) Step(lr float64, gradScale float32, p, g []*tensor.Tensor) {
	o.step(lr, gradScale, func(i int) (*tensor.Tensor, *tensor.Tensor) { return p[i], g[i] })
}
