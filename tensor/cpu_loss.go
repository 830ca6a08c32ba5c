package tensor

import (
	"fmt"

	"github.com/marge-go/marge/asm"
)

// lossArgs are the operands of a cross-entropy of logits.
type lossArgs struct {
	c              *CPU
	logits, grads  []float32
	ld, ldg, width int
	targets        []int32
	losses, counts []float32
	weight         []float32 // nil: 1
	total          float64   // of weight
	smoothing      float32
	ignore         int32
	accumulate     bool
}

var lossSpans spans[lossArgs]

func (c *CPU) lossArgs(logits, targets, weight *Tensor, smoothing float32, ignore int32) lossArgs {
	a := lossArgs{c: c, width: logits.shape[1], targets: targets.Int32s(), smoothing: smoothing, ignore: ignore}
	a.logits, a.ld = matrix(logits)
	for i, t := range a.targets {
		if t != ignore && (t < 0 || int(t) >= a.width) {
			panic(fmt.Sprintf("cross-entropy: target %d of %d classes, at position %d", t, a.width, i))
		}
	}
	if weight != nil {
		a.weight = weight.Float32s()
		a.total = asm.Sum(a.weight)
	}
	return a
}

// CrossEntropyRows implements Backend.
func (c *CPU) CrossEntropyRows(losses, counts, logits, targets, weight *Tensor, smoothing float32, ignore int32) {
	c.pool.mustBeOpen()
	a := c.lossArgs(logits, targets, weight, smoothing, ignore)
	a.losses, a.counts = losses.Float32s(), counts.Float32s()
	lossSpans.run(c.pool, len(a.targets), rowGrain(a.width), a, crossEntropyRows)
}

func crossEntropyRows(a *lossArgs, lo, hi int) {
	for i := lo; i < hi; i++ {
		target := a.targets[i]
		if target == a.ignore {
			a.losses[i], a.counts[i] = 0, 0
			continue
		}
		logits := a.logits[i*a.ld:][:a.width]
		if a.weight == nil {
			a.losses[i], a.counts[i] = asm.CrossEntropy(logits, int(target), a.smoothing), 1
			continue
		}
		nll := float64(asm.CrossEntropy(logits, int(target), 0))
		own, loss := a.weight[target], 0.0
		if a.smoothing < 1 {
			loss = float64((1 - float64(a.smoothing)) * float64(own) * nll)
		}
		if a.smoothing > 0 {
			sum := float64(a.total * nll) // of weight*nll
			for c, w := range a.weight {
				sum += float64(float64(w) * (float64(logits[target]) - float64(logits[c])))
			}
			loss += float64(float64(a.smoothing) / float64(a.width) * sum)
		}
		a.losses[i], a.counts[i] = float32(loss), own
	}
}

// CrossEntropyRowsBackward implements Backend.
func (c *CPU) CrossEntropyRowsBackward(
	dlogits, dlosses, logits, targets, weight *Tensor, smoothing float32, ignore int32, accumulate bool,
) {
	c.pool.mustBeOpen()
	a := c.lossArgs(logits, targets, weight, smoothing, ignore)
	a.grads, a.ldg = matrix(dlogits)
	a.losses, a.accumulate = dlosses.Float32s(), accumulate
	lossSpans.run(c.pool, len(a.targets), rowGrain(a.width), a, crossEntropyRowsGradient)
}

func crossEntropyRowsGradient(a *lossArgs, lo, hi int) {
	var added *scratch
	if a.accumulate {
		added = a.c.scratch.get(a.width)
		defer a.c.scratch.put(added)
	}
	for i := lo; i < hi; i++ {
		grads, target := a.grads[i*a.ldg:][:a.width], a.targets[i]
		if target == a.ignore {
			if !a.accumulate {
				clear(grads)
			}
			continue
		}
		row := grads
		if a.accumulate {
			row = added.data
		}
		copy(row, a.logits[i*a.ld:][:a.width])
		a.rowGradient(row, int(target), a.losses[i])
		if a.accumulate {
			asm.Add(grads, grads, row)
		}
	}
}

// rowGradient replaces logits by the gradient of their loss, times scale. With
// weights w it is that of the target's loss for all of the weight there is, less what
// the target has too much and the classes have by smoothing:
//
//	all*(p[c] - [c == target]) + (all - (1-s)*w[target])*[c == target] - s/classes*w[c]
//	all = (1-s)*w[target] + s/classes * (sum of w)
func (a *lossArgs) rowGradient(logits []float32, target int, scale float32) {
	if a.weight == nil {
		asm.CrossEntropyGradient(logits, target, a.smoothing, scale)
		return
	}
	s := float64(a.smoothing)
	uniform := float64(s/float64(a.width)) * float64(scale)
	all := float64((1-s)*float64(a.weight[target])*float64(scale)) + float64(uniform*a.total)
	asm.CrossEntropyGradient(logits, target, 0, float32(all))
	if s == 0 {
		return
	}
	logits[target] += float32(uniform * a.total)
	for c, w := range a.weight {
		logits[c] -= float32(uniform * float64(w))
	}
}
