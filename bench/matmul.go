package bench

import (
	"fmt"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/marge-go/marge/tensor"
)

// matMulHeads is the number of heads, or of matrices that a batch is broadcast to.
const matMulHeads = 8

// matMulWorkloads returns products of batches and of views as attention and
// programs make them, see startMatMul.
func matMulWorkloads() []Workload {
	var list []Workload
	for _, p := range []struct {
		kind  string
		sizes [][4]int // batch, m, n, k
	}{
		{"scores", [][4]int{{128, 16, 16, 64}, {32, 64, 64, 64}, {8, 256, 256, 64}, {2, 1024, 1024, 64}}},
		{"scores_fused", [][4]int{{32, 64, 64, 64}, {8, 256, 256, 64}}},
		{"values", [][4]int{{128, 16, 64, 16}, {32, 64, 64, 64}, {8, 256, 64, 256}, {2, 1024, 64, 1024}}},
		{"transposed_a", [][4]int{{1, 64, 64, 256}, {1, 1024, 1024, 2048}, {64, 64, 64, 256}, {8, 512, 512, 512}}},
		{"transposed_both", [][4]int{{1, 512, 512, 512}, {64, 64, 64, 64}}},
		{"shared", [][4]int{{64, 8, 64, 64}, {16, 32, 512, 512}, {8, 256, 1024, 1024}}},
		{"broadcast", [][4]int{{32, 8, 16, 64}, {16, 16, 64, 64}, {4, 128, 512, 64}, {2, 512, 512, 512}}},
		{"batch", [][4]int{
			{16384, 4, 4, 4}, {4096, 8, 8, 8}, {1024, 16, 16, 16}, {256, 32, 32, 32}, {64, 128, 128, 128}, {4, 1024, 1024, 1024},
		}},
		{"vectors", [][4]int{{1024, 64, 1, 64}, {64, 512, 1, 512}}},
	} {
		for _, s := range p.sizes {
			factor := 1.0
			if views[p.kind].heads {
				factor = matMulHeads
			}
			flops := 2 * factor * float64(s[0]) * float64(s[1]) * float64(s[2]) * float64(s[3])
			list = append(list, Workload{
				Spec: Spec{"matmul", p.kind, s[1], s[2], s[3], s[0], ""}, Group: p.kind, Quick: true,
				Name: fmt.Sprintf("%s/%dx%dx%dx%d", p.kind, s[0], s[1], s[2], s[3]), Flops: flops,
			})
		}
	}
	return list
}

// view is how a factor [batch, heads, rows, columns] lies in memory: the distances
// between the elements of each dimension, 0 where it is broadcast.
type view [4]int

// views are those of the factors a [M, K] and b [K, N] of a kind of product, and
// whether there are heads; without, their distance has no meaning.
var views = map[string]struct {
	heads bool
	a, b  func(m, n, k int) view
}{
	// Queries [batch, M, heads, K] times keys [batch, N, heads, K] as linear layers
	// leave them.
	"scores": {true, func(m, _, k int) view { return view{m * matMulHeads * k, k, matMulHeads * k, 1} },
		func(_, n, k int) view { return view{n * matMulHeads * k, k, 1, matMulHeads * k} }},
	// The same where one layer leaves queries, keys and values, [batch, N, 3, heads, K].
	"scores_fused": {true, func(m, _, k int) view { return view{m * 3 * matMulHeads * k, k, 3 * matMulHeads * k, 1} },
		func(_, n, k int) view { return view{n * 3 * matMulHeads * k, k, 1, 3 * matMulHeads * k} }},
	// Weights [batch, heads, M, K] times values [batch, K, heads, N].
	"values": {true, func(m, _, k int) view { return view{matMulHeads * m * k, m * k, k, 1} },
		func(_, n, k int) view { return view{k * matMulHeads * n, n, matMulHeads * n, 1} }},
	// A stored [batch, K, M].
	"transposed_a": {false, func(m, _, k int) view { return view{m * k, 0, 1, m} },
		func(_, n, k int) view { return view{n * k, 0, n, 1} }},
	// And B stored [batch, N, K].
	"transposed_both": {false, func(m, _, k int) view { return view{m * k, 0, 1, m} },
		func(_, n, k int) view { return view{n * k, 0, 1, k} }},
	// One B [K, N] for the batch.
	"shared": {false, func(m, _, k int) view { return view{m * k, 0, k, 1} },
		func(_, n, _ int) view { return view{0, 0, n, 1} }},
	// A [batch, 1, M, K] times B [heads, K, N].
	"broadcast": {true, func(m, _, k int) view { return view{m * k, 0, k, 1} },
		func(_, n, k int) view { return view{0, n * k, n, 1} }},
	"batch": {false, func(m, _, k int) view { return view{m * k, 0, k, 1} },
		func(_, n, k int) view { return view{n * k, 0, n, 1} }},
	// Matrices times vectors, [batch, M, K] times [batch, K, 1].
	"vectors": {false, func(m, _, k int) view { return view{m * k, 0, k, 1} },
		func(_, n, k int) view { return view{n * k, 0, n, 1} }},
}

// size returns the number of elements of a factor [batch, heads, rows, columns], or
// more where its memory has those of others.
func (v *view) size(batch, heads, rows, columns int) int {
	return (batch-1)*v[0] + (heads-1)*v[1] + (rows-1)*v[2] + (columns-1)*v[3] + 1
}

func startMatMul(s *Spec, threads int) (run, stop func()) {
	c := tensor.NewCPU(threads)
	multiply := matMul(s, c)
	tp := tensor.NewTape(c)
	return func() {
		tp.Reset(tensor.Inference, 0)
		multiply(tp)
	}, func() { c.Close() }
}

// matMul returns what makes the views of a product, and multiplies.
func matMul(s *Spec, b tensor.Backend) func(tp *tensor.Tape) *tensor.Tensor {
	const heads = matMulHeads
	batch, m, n, k := s.Batch, s.M, s.N, s.K
	of := func(shape ...int) *tensor.Tensor {
		size := 1
		for _, d := range shape {
			size *= d
		}
		return tensor.FromSlice(b, filled(size), shape...)
	}
	product := func(x, y *tensor.Tensor) func(tp *tensor.Tape) *tensor.Tensor {
		return func(tp *tensor.Tape) *tensor.Tensor { return tp.MatMul(x, y, false) }
	}
	switch s.Kind {
	case "scores":
		q, keys := of(batch, m, heads, k), of(batch, n, heads, k)
		return func(tp *tensor.Tape) *tensor.Tensor {
			return tp.MatMul(tp.Permute(q, 0, 2, 1, 3), tp.Permute(keys, 0, 2, 3, 1), false)
		}
	case "scores_fused":
		x := of(batch, n, 3, heads, k)
		return func(tp *tensor.Tape) *tensor.Tensor {
			part := func(i int) *tensor.Tensor { return tp.Squeeze(tp.Slice(x, 2, i, i+1), 2) }
			return tp.MatMul(tp.Permute(part(0), 0, 2, 1, 3), tp.Permute(part(1), 0, 2, 3, 1), false)
		}
	case "values":
		weights, v := of(batch, heads, m, k), of(batch, k, heads, n)
		return func(tp *tensor.Tape) *tensor.Tensor { return tp.MatMul(weights, tp.Permute(v, 0, 2, 1, 3), false) }
	case "transposed_a":
		x, y := of(batch, k, m), of(batch, k, n)
		return func(tp *tensor.Tape) *tensor.Tensor { return tp.MatMul(tp.Transpose(x, 1, 2), y, false) }
	case "transposed_both":
		x, y := of(batch, k, m), of(batch, n, k)
		return func(tp *tensor.Tape) *tensor.Tensor {
			return tp.MatMul(tp.Transpose(x, 1, 2), tp.Transpose(y, 1, 2), false)
		}
	case "shared":
		return product(of(batch, m, k), of(k, n))
	case "broadcast":
		return product(of(batch, 1, m, k), of(heads, k, n))
	case "batch", "vectors":
		return product(of(batch, m, k), of(batch, k, n))
	}
	panic("bench: no product " + s.Kind)
}

// gonumMatMul prepares the product for gonum, matrix by matrix.
func gonumMatMul(s *Spec) (c []float32, run func()) {
	batch, m, n, k, heads := s.Batch, s.M, s.N, s.K, 1
	kind := views[s.Kind]
	if kind.heads {
		heads = matMulHeads
	}
	va, vb := kind.a(m, n, k), kind.b(m, n, k)
	a, b := filled(va.size(batch, heads, m, k)), filled(vb.size(batch, heads, k, n))
	if s.Kind == "scores_fused" {
		a = filled(batch * n * 3 * heads * k)
		b = a[heads*k:]
	}
	c = zeros(batch * heads * m * n)
	factor := func(data []float32, v view, rows, columns int) (blas.Transpose, blas32.General) {
		if v[3] != 1 {
			return blas.Trans, blas32.General{Rows: columns, Cols: rows, Stride: v[3], Data: data}
		}
		return blas.NoTrans, blas32.General{Rows: rows, Cols: columns, Stride: v[2], Data: data}
	}
	return c, func() {
		for i := range batch {
			for j := range heads {
				transA, x := factor(a[i*va[0]+j*va[1]:], va, m, k)
				transB, y := factor(b[i*vb[0]+j*vb[1]:], vb, k, n)
				blas32.Gemm(transA, transB, 1, x, y, 0,
					blas32.General{Rows: m, Cols: n, Stride: n, Data: c[(i*heads+j)*m*n:]})
			}
		}
	}
}
