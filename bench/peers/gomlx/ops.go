package main

import (
	"github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"
)

// operation returns an operation of bench/ops.go and its inputs, or nil if there is
// none.
func operation(s *spec) (f func(in []*graph.Node) []*graph.Node, in []any) {
	m, n := s.M, s.N
	one := func(f func(x *graph.Node) *graph.Node, shape ...int) (func(in []*graph.Node) []*graph.Node, []any) {
		return func(in []*graph.Node) []*graph.Node { return []*graph.Node{f(in[0])} }, []any{filled(shape...)}
	}
	two := func(f func(x, y *graph.Node) *graph.Node, shape ...int) (func(in []*graph.Node) []*graph.Node, []any) {
		g := func(in []*graph.Node) []*graph.Node { return []*graph.Node{f(in[0], in[1])} }
		return g, []any{filled(m, n), filled(shape...)}
	}
	along := func(f func(x *graph.Node, axes ...int) *graph.Node, axis int) (func(in []*graph.Node) []*graph.Node, []any) {
		return one(func(x *graph.Node) *graph.Node { return f(x, axis) }, m, n)
	}
	permuted := func(axes []int, shape ...int) (func(in []*graph.Node) []*graph.Node, []any) {
		return one(func(x *graph.Node) *graph.Node { return graph.TransposeAllAxes(x, axes...) }, shape...)
	}
	switch s.Kind {
	case "sub":
		return two(graph.Sub, m, n)
	case "mul":
		return two(graph.Mul, m, n)
	case "div":
		return two(graph.Div, m, n)
	case "maximum":
		return two(graph.Max, m, n)
	case "where":
		mask := make([]bool, m*n)
		tensors.MustConstFlatData(filled(m, n), func(x []float32) {
			for i, v := range x {
				mask[i] = v > 0
			}
		})
		f = func(in []*graph.Node) []*graph.Node { return []*graph.Node{graph.Where(in[0], in[1], in[2])} }
		return f, []any{tensors.FromFlatDataAndDimensions(mask, m, n), filled(m, n), filled(m, n)}
	case "mul_row":
		return two(graph.Mul, 1, n)
	case "mul_column":
		return two(graph.Mul, m, 1)
	case "mul_transposed":
		return two(func(x, y *graph.Node) *graph.Node { return graph.Mul(x, graph.Transpose(y, 0, 1)) }, n, m)
	case "neg":
		return one(graph.Neg, m, n)
	case "abs":
		return one(graph.Abs, m, n)
	case "sqrt":
		return one(graph.Sqrt, m, n)
	case "exp":
		return one(graph.Exp, m, n)
	case "log":
		return one(graph.Log, m, n)
	case "tanh":
		return one(graph.Tanh, m, n)
	case "sin":
		return one(graph.Sin, m, n)
	case "relu":
		return one(func(x *graph.Node) *graph.Node { return graph.MaxScalar(x, 0) }, m, n)
	case "sigmoid":
		return one(graph.Sigmoid, m, n)
	case "sum":
		return one(graph.ReduceAllSum, m, n)
	case "sum_rows":
		return along(graph.ReduceSum, 1)
	case "sum_columns":
		return along(graph.ReduceSum, 0)
	case "max_rows":
		return along(graph.ReduceMax, 1)
	case "max_columns":
		return along(graph.ReduceMax, 0)
	case "sum_inner":
		return one(func(x *graph.Node) *graph.Node { return graph.ReduceSum(x, 1) }, m*n/16, 16)
	case "softmax":
		return along(graph.Softmax, 1)
	case "softmax_columns":
		return along(graph.Softmax, 0)
	case "transpose":
		return permuted([]int{1, 0}, m, n)
	case "permute_heads":
		return permuted([]int{0, 2, 1, 3}, m/512, 512, 16, n/16)
	case "permute_images":
		return permuted([]int{0, 2, 3, 1}, m/64, 64, 32, n/32)
	}
	return nil, nil
}

// matMul returns a product of bench/matmul.go and its factors, or nil if there is
// none.
func matMul(s *spec) (f func(in []*graph.Node) []*graph.Node, in []any) {
	const heads = 8
	b, m, n, k := s.Batch, s.M, s.N, s.K
	equation := ""
	switch s.Kind {
	case "scores":
		equation, in = "bmhk,bnhk->bhmn", []any{filled(b, m, heads, k), filled(b, n, heads, k)}
	case "scores_fused":
		f = func(in []*graph.Node) []*graph.Node {
			part := func(i int) *graph.Node { return graph.Squeeze(graph.SliceAxis(in[0], 2, graph.AxisElem(i)), 2) }
			return []*graph.Node{graph.Einsum("bmhk,bnhk->bhmn", part(0), part(1))}
		}
		return f, []any{filled(b, n, 3, heads, k)}
	case "values":
		equation, in = "bhmk,bkhn->bhmn", []any{filled(b, heads, m, k), filled(b, k, heads, n)}
	case "transposed_a":
		equation, in = "bkm,bkn->bmn", []any{filled(b, k, m), filled(b, k, n)}
	case "transposed_both":
		equation, in = "bkm,bnk->bmn", []any{filled(b, k, m), filled(b, n, k)}
	case "shared":
		equation, in = "bmk,kn->bmn", []any{filled(b, m, k), filled(k, n)}
	case "broadcast":
		equation, in = "bmk,hkn->bhmn", []any{filled(b, m, k), filled(heads, k, n)}
	case "batch", "vectors":
		equation, in = "bmk,bkn->bmn", []any{filled(b, m, k), filled(b, k, n)}
	default:
		return nil, nil
	}
	return func(in []*graph.Node) []*graph.Node { return []*graph.Node{graph.Einsum(equation, in[0], in[1])} }, in
}
