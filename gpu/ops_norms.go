//go:build cuda

package gpu

import (
	"github.com/marge-go/marge/internal/ceil"
	"github.com/marge-go/marge/tensor"
)

// LayerNorm implements tensor.Backend.
func (b *Backend) LayerNorm(y, mean, rstd, x, gamma, beta *tensor.Tensor, eps float32) {
	defer b.enter("LayerNorm")()
	n, d := x.Dim(0), x.Dim(1)
	b.launch("layer_norm", perRow(n), 256, 0, b.dense(y), b.dense(mean), b.dense(rstd),
		b.dense(x), b.dense(gamma), b.dense(beta), n, int32(d), eps)
}

const (
	normThreads = 512 // of a block of layer_norm_backward at most, each of which has four columns
	normRows    = 8   // rows of such a block at least
)

// LayerNormBackward implements tensor.Backend. A kernel reads all once; what it finds for dgamma and dbeta in groups of
// rows is added up by another one.
func (b *Backend) LayerNormBackward(dx, dgamma, dbeta, dy, x, gamma, mean, rstd *tensor.Tensor, accumulate [3]bool) {
	defer b.enter("LayerNormBackward")()
	n, d := x.Dim(0), x.Dim(1)
	slabs := max(1, ceil.Div(d, 4*normThreads))
	threads := ceil.Div(ceil.Div(d, 4*slabs), 32) * 32
	var known devptr
	if slabs > 1 && dx != nil {
		known = b.scratch(8 * n)
		b.launch("layer_norm_slopes", perRow(n), 256, 0,
			known, b.dense(dy), b.dense(x), b.dense(gamma), b.dense(mean), b.dense(rstd), n, int32(d))
	}
	height := max(normRows, ceil.Div(n, max(1, min(cardThreads/(threads*slabs), sumGroups))))
	groups := max(1, ceil.Div(n, height)) // without rows the sums are zeros
	gammas, betas := b.dense(dgamma), b.dense(dbeta)
	flags := flag(accumulate[0]) | flag(accumulate[1])<<1 | flag(accumulate[2])<<2
	sums := groups > 1 && (dgamma != nil || dbeta != nil)
	if sums {
		size := 4 * groups * d
		scratch := b.scratch(2 * size)
		flags &= 1
		if dgamma != nil {
			gammas = scratch
		}
		if dbeta != nil {
			betas = scratch + devptr(size)
		}
	}
	b.launch("layer_norm_backward", [3]int{groups, slabs, 1}, threads, 0, b.dense(dx), gammas, betas, b.dense(dy),
		b.dense(x), b.dense(gamma), b.dense(mean), b.dense(rstd), known, n, int32(d), height, flags)
	switch {
	case !sums:
	case dgamma == nil:
		b.addFewRows(b.dense(dbeta), 0, betas, groups, d, d, flag(accumulate[2]))
	default:
		b.addFewRows(b.dense(dgamma), b.dense(dbeta), gammas, groups, d, d,
			flag(accumulate[1])|flag(accumulate[2])<<1)
	}
}

// Normalize implements tensor.Backend.
func (b *Backend) Normalize(y, norm, x *tensor.Tensor) {
	defer b.enter("Normalize")()
	n, d := x.Dim(0), x.Dim(1)
	b.launch("normalize", perRow(n), 256, 0, b.dense(y), b.dense(norm), b.dense(x), n, int32(d))
}

// NormalizeBackward implements tensor.Backend.
func (b *Backend) NormalizeBackward(dx, dy, y, norm *tensor.Tensor) {
	defer b.enter("NormalizeBackward")()
	n, d := dx.Dim(0), dx.Dim(1)
	b.launch("normalize_backward", perRow(n), 256, 0,
		b.dense(dx), b.dense(dy), b.dense(y), b.dense(norm), n, int32(d))
}
