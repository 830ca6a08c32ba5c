package asm

import (
	"fmt"
	"math"
)

// AdamWParams are the settings of one AdamW step, named after PyTorch's.
type AdamWParams struct {
	LR, Beta1, Beta2, Eps, WeightDecay float32

	Step      int     // number of this step, from 1, for the bias correction
	GradScale float32 // factor for the gradient: 1, or less where it is clipped
}

// AdamW makes one step of Adam with decoupled weight decay (Loshchilov and
// Hutter 2019) on the parameters p with gradient g and moments m and v, in one
// pass, as PyTorch's torch.optim.AdamW does:
//
//	g'    = GradScale*g
//	m     = Beta1*m + (1-Beta1)*g'
//	v     = Beta2*v + (1-Beta2)*g'*g'
//	p    -= LR*WeightDecay*p
//	p    -= LR * m/(1-Beta1**Step) / (sqrt(v/(1-Beta2**Step)) + Eps)
//
// g is not changed.
func AdamW(p, g, m, v []float32, a *AdamWParams) {
	const op = "adamw"
	checkLen(op, "g", len(g), len(p))
	checkLen(op, "m", len(m), len(p))
	checkLen(op, "v", len(v), len(p))
	if a.Step < 1 {
		panic(fmt.Sprintf("%s: step %d, the first is 1", op, a.Step))
	}
	lr, beta1, beta2 := float64(a.LR), float64(a.Beta1), float64(a.Beta2)
	c := adamWCoef{
		gradScale: a.GradScale,
		beta1:     a.Beta1, grad1: float32(1 - beta1),
		beta2: a.Beta2, grad2: float32(1 - beta2),
		decay:    float32(1 - float64(lr*float64(a.WeightDecay))),
		invSqrt2: float32(1 / math.Sqrt(1-math.Pow(beta2, float64(a.Step)))),
		eps:      a.Eps,
		rate:     float32(lr / (1 - math.Pow(beta1, float64(a.Step)))),
	}
	adamW(p, g, m, v, &c)
}

// adamWCoef are the coefficients of the AdamW kernels, which rely on the order of
// the fields.
type adamWCoef struct {
	gradScale, beta1, grad1, beta2, grad2, decay, invSqrt2, eps, rate float32
}
