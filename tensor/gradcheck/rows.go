package gradcheck

import (
	"math"

	"github.com/marge-go/marge/tensor"
)

func (backend) LayerNorm(y, mean, rstd, x, gamma, beta *tensor.Tensor, eps float32) {
	in, out, g, b, means, rstds := matrixOf(x), matrixOf(y), values(gamma), values(beta), values(mean), values(rstd)
	n := float64(in.cols)
	for i := range in.rows {
		m, variance := 0.0, 0.0
		for _, v := range in.row(i) {
			m += v / n
		}
		for _, v := range in.row(i) {
			variance += (v - m) * (v - m) / n
		}
		r := 1 / math.Sqrt(variance+float64(eps))
		means[i], rstds[i] = m, r
		for j, v := range in.row(i) {
			out.row(i)[j] = (v-m)*r*g[j] + b[j]
		}
	}
}

func (backend) LayerNormBackward(
	dx, dgamma, dbeta, dy, x, gamma, mean, rstd *tensor.Tensor, accumulate [3]bool,
) {
	in, dout, din := matrixOf(x), matrixOf(dy), matrixOf(dx)
	g, means, rstds, dg, db := values(gamma), values(mean), values(rstd), values(dgamma), values(dbeta)
	if !accumulate[1] {
		clear(dg)
	}
	if !accumulate[2] {
		clear(db)
	}
	din.clear(accumulate[0])
	n := float64(in.cols)
	for i := range in.rows {
		sum, product := 0.0, 0.0 // of d, the gradient by the normalised row, and of d times that row
		normal := func(j int) float64 { return (in.row(i)[j] - means[i]) * rstds[i] }
		for j, d := range dout.row(i) {
			sum += d * g[j] / n
			product += d * g[j] * normal(j) / n
			if dg != nil {
				dg[j] += d * normal(j)
			}
			if db != nil {
				db[j] += d
			}
		}
		if din == nil {
			continue
		}
		for j, d := range dout.row(i) {
			din.row(i)[j] += rstds[i] * (d*g[j] - sum - normal(j)*product)
		}
	}
}

func (backend) Gather(dst, table, rows *tensor.Tensor, scale float32, accumulate bool) {
	to, from := matrixOf(dst), matrixOf(table)
	to.clear(accumulate)
	for i, id := range ids(rows) {
		add(to.row(i), float64(scale), from.row(int(id)))
	}
}

func (backend) ScatterAdd(dst, src, rows *tensor.Tensor, scale float32) {
	to, from := matrixOf(dst), matrixOf(src)
	for i, id := range ids(rows) {
		add(to.row(int(id)), float64(scale), from.row(i))
	}
}

func (backend) SegmentMean(dst, x *tensor.Tensor, offsets []int32) {
	to, from := matrixOf(dst), matrixOf(x)
	to.clear(false)
	for s := range to.rows {
		for i := offsets[s]; i < offsets[s+1]; i++ {
			add(to.row(s), 1/float64(offsets[s+1]-offsets[s]), from.row(int(i)))
		}
	}
}

func (backend) SegmentMeanBackward(dx, dy *tensor.Tensor, offsets []int32) {
	to, from := matrixOf(dx), matrixOf(dy)
	for s := range from.rows {
		for i := offsets[s]; i < offsets[s+1]; i++ {
			add(to.row(int(i)), 1/float64(offsets[s+1]-offsets[s]), from.row(s))
		}
	}
}

func (b backend) LinearMax(dst, rows, products, x, w *tensor.Tensor, offsets []int32) {
	b.Gemm(products, x, w, tensor.GemmOptions{TransB: true, Alpha: 1})
	out, which, all := matrixOf(dst), ids(rows), matrixOf(products)
	out.clear(false)
	for s := range out.rows {
		for j := range out.cols {
			best := -1
			for i := int(offsets[s]); i < int(offsets[s+1]); i++ {
				if v := all.row(i)[j]; best < 0 || v > out.row(s)[j] {
					best, out.row(s)[j] = i, v
				}
			}
			which[s*out.cols+j] = int32(best)
		}
	}
}

func (backend) LinearMaxBackward(dx, dw, dy, x, w, rows *tensor.Tensor) {
	dout, which, in, weight, din, dweight := matrixOf(dy), ids(rows), matrixOf(x), matrixOf(w), matrixOf(dx), matrixOf(dw)
	for s := range dout.rows {
		for j, d := range dout.row(s) {
			i := int(which[s*dout.cols+j])
			if i < 0 {
				continue
			}
			if din != nil {
				add(din.row(i), d, weight.row(j))
			}
			if dweight != nil {
				add(dweight.row(j), d, in.row(i))
			}
		}
	}
}

func (backend) Normalize(y, norm, x *tensor.Tensor) {
	out, norms, in := matrixOf(y), values(norm), matrixOf(x)
	out.clear(false)
	for i := range in.rows {
		norms[i] = math.Sqrt(dot(in.row(i), in.row(i)))
		if norms[i] > 0 {
			add(out.row(i), 1/norms[i], in.row(i))
		}
	}
}

func (backend) NormalizeBackward(dx, dy, y, norm *tensor.Tensor) {
	din, dout, out, norms := matrixOf(dx), matrixOf(dy), matrixOf(y), values(norm)
	for i := range out.rows {
		if norms[i] > 0 {
			add(din.row(i), 1/norms[i], dout.row(i))
			add(din.row(i), -dot(out.row(i), dout.row(i))/norms[i], out.row(i))
		}
	}
}
