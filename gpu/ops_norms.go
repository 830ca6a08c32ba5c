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

// LayerNormBackward implements tensor.Backend. The sums of the parameters come
// first, as dx can be dy or x.
func (b *Backend) LayerNormBackward(dx, dgamma, dbeta, dy, x, gamma, mean, rstd *tensor.Tensor, accumulate [3]bool) {
	defer b.enter("LayerNormBackward")()
	n, d := x.Dim(0), x.Dim(1)
	if dgamma != nil || dbeta != nil {
		groups := max(ceil.Div(n, rowGroup), 1)
		gammas, betas := b.dense(dgamma), b.dense(dbeta)
		addGamma, addBeta := accumulate[1], accumulate[2]
		if groups > 1 {
			addGamma, addBeta = false, false
			if dgamma != nil {
				gammas = b.scratch(4 * groups * d)
			}
			if dbeta != nil {
				betas = b.scratch(4 * groups * d)
			}
		}
		b.launch("layer_norm_sums", columns(groups, d, 256), 256, 0, gammas, betas,
			b.dense(dy), b.dense(x), b.dense(mean), b.dense(rstd), n, int32(d), flag(addGamma), flag(addBeta))
		if groups > 1 && dgamma != nil {
			b.addRows(b.dense(dgamma), gammas, groups, d, d, accumulate[1])
		}
		if groups > 1 && dbeta != nil {
			b.addRows(b.dense(dbeta), betas, groups, d, d, accumulate[2])
		}
	}
	if dx != nil {
		b.launch("layer_norm_backward", perRow(n), 256, 0, b.dense(dx), b.dense(dy), b.dense(x), b.dense(gamma),
			b.dense(mean), b.dense(rstd), n, int32(d), flag(accumulate[0]))
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
