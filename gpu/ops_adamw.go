//go:build cuda

package gpu

import (
	"fmt"
	"math"

	"github.com/marge-go/marge/internal/ceil"
	"github.com/marge-go/marge/tensor"
)

// adamWPart is the number of elements that a block of adamw.cu updates.
const adamWPart = 2048

// AdamW implements tensor.Backend.
func (b *Backend) AdamW(p, g, m, v *tensor.Tensor, o tensor.AdamWOptions) {
	defer b.enter("AdamW")()
	b.adamW([]tensor.AdamWCall{{P: p, G: g, M: m, V: v, Options: o}})
}

// AdamWAll is tensor.AdamWAll in one kernel.
func (b *Backend) AdamWAll(calls []tensor.AdamWCall) {
	defer b.enter("AdamWAll")()
	b.adamW(calls)
}

func (b *Backend) adamW(calls []tensor.AdamWCall) {
	var updates words64
	blocks := 0
	for _, c := range calls {
		n := c.P.Len()
		updates.add(uint64(b.dense(c.P)), uint64(b.dense(c.G)), uint64(b.dense(c.M)), uint64(b.dense(c.V)),
			uint64(n), uint64(blocks))
		for _, f := range adamWCoefficients(c.Options) {
			updates = append(updates, int32(math.Float32bits(f)))
		}
		updates = append(updates, 0)
		blocks += ceil.Div(n, adamWPart)
	}
	// The coefficients change with every step, so that a table would not be used again.
	data := b.scratch(4 * len(updates))
	b.upload(data, []int32(updates))
	b.launch("adamw", [3]int{blocks, 1, 1}, 256, 0, data, int32(len(calls)))
}

// adamWCoefficients returns what the kernel multiplies by, in the order of its
// struct Update, computed as asm.AdamW does.
func adamWCoefficients(o tensor.AdamWOptions) [9]float32 {
	if o.Step < 1 {
		panic(fmt.Sprintf("adamw: step %d, the first is 1", o.Step))
	}
	lr, beta1, beta2 := float64(o.LR), float64(o.Beta1), float64(o.Beta2)
	return [9]float32{
		o.GradScale,
		o.Beta1, float32(1 - beta1),
		o.Beta2, float32(1 - beta2),
		float32(1 - float64(lr*float64(o.WeightDecay))),
		float32(1 / math.Sqrt(1-math.Pow(beta2, float64(o.Step)))),
		o.Eps,
		float32(lr / (1 - math.Pow(beta1, float64(o.Step)))),
	}
}
