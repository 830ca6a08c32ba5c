package bench

import (
	"fmt"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/tensor"
)

// gemmWorkloads returns cubes, products of a few rows as in generation, the
// linear layers of the models forward and backward, and the products of
// attention heads.
func gemmWorkloads() []Workload {
	var list []Workload
	known := map[string]bool{} // a model's product may be one of another, or a cube
	add := func(group, label, kind string, batch, m, n, k int, quick, long bool) {
		name := fmt.Sprintf("%dx%dx%d", m, n, k)
		if batch > 1 {
			name = fmt.Sprintf("%dx%s", batch, name)
		}
		if kind != "nt" {
			name += kind
		}
		if known[name] {
			return
		}
		known[name] = true
		list = append(list, Workload{
			Spec: Spec{"gemm", kind, m, n, k, batch, ""}, Name: name, Group: group, Label: label,
			Flops: 2 * float64(batch) * float64(m) * float64(n) * float64(k), Quick: quick, Long: long,
		})
	}
	for _, n := range []int{128, 256, 512, 1024, 2048} {
		add("cubes", "", "nt", 1, n, n, n, n >= 512, false)
	}
	for _, m := range []int{1, 4, 8} {
		for _, s := range [][2]int{{1024, 1024}, {4096, 1024}, {1024, 4096}, {16000, 256}, {32000, 512}} {
			add("few rows", "", "nt", 1, m, s[0], s[1], s[0] == 4096, false)
		}
	}
	for _, size := range []string{"small", "base", "paper"} {
		c := marge.Presets()[size]
		for _, tokens := range []int{128, 512, 2048} {
			quick := tokens == 512 && size != "paper"
			layer := func(label string, out, in int, long bool) {
				add(size, label+" forward", "nt", 1, tokens, out, in, quick, long)
				add(size, label+" input gradient", "nn", 1, tokens, in, out, quick, long)
				add(size, label+" weight gradient", "tn", 1, out, in, tokens, quick, long)
			}
			long := size == "base" && tokens == 128 || size == "paper" && tokens != 512
			layer("projection", c.DModel, c.DModel, long)
			for _, ffn := range []int{c.EncoderFFNDim, c.DecoderFFNDim} {
				layer("fc1", ffn, c.DModel, long)
				layer("fc2", c.DModel, ffn, long)
			}
			layer("output", c.VocabSize, c.DModel, size == "base" && long || size == "paper" && tokens > 128)
		}
	}
	for _, n := range []int{64, 128, 256, 512, 1024} {
		add("attention", "scores", "nt", 8, n, n, 64, n == 256, false)
		add("attention", "values", "nn", 8, n, 64, n, n == 256, false)
		add("attention", "key and value gradients", "tn", 8, n, 64, n, n == 256, false)
	}
	return list
}

func startGEMM(s *Spec, threads int) (run, stop func()) {
	pool := tensor.NewPool(threads)
	g := &asm.GemmArgs{
		TransA: s.Kind == "tn", TransB: s.Kind == "nt", M: s.M, N: s.N, K: s.K, Alpha: 1,
		A: filled(s.Batch * s.M * s.K), LDA: s.K, B: filled(s.Batch * s.N * s.K), LDB: s.N, C: zeros(s.Batch * s.M * s.N),
		LDC:   s.N,
		Batch: s.Batch, StrideA: s.M * s.K, StrideB: s.N * s.K, StrideC: s.M * s.N, BF16: s.Precision == bf16,
	}
	if g.TransA {
		g.LDA = s.M
	}
	if g.TransB {
		g.LDB = s.K
	}
	return func() { asm.Gemm(pool, g) }, pool.Close
}

// gonumGemm prepares a gemm for gonum.
func gonumGemm(s *Spec) (run func()) {
	a, b, c := filled(s.Batch*s.M*s.K), filled(s.Batch*s.N*s.K), zeros(s.Batch*s.M*s.N)
	transA, transB, ra, ca, rb, cb := blas.NoTrans, blas.NoTrans, s.M, s.K, s.K, s.N
	if s.Kind == "tn" {
		transA, ra, ca = blas.Trans, s.K, s.M
	}
	if s.Kind == "nt" {
		transB, rb, cb = blas.Trans, s.N, s.K
	}
	return func() {
		for i := range s.Batch {
			blas32.Gemm(transA, transB, 1,
				blas32.General{Rows: ra, Cols: ca, Stride: ca, Data: a[i*s.M*s.K:]},
				blas32.General{Rows: rb, Cols: cb, Stride: cb, Data: b[i*s.N*s.K:]}, 0,
				blas32.General{Rows: s.M, Cols: s.N, Stride: s.N, Data: c[i*s.M*s.N:]})
		}
	}
}
