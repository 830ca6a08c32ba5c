package bench

import (
	"fmt"
	"testing"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/tensor"
)

// shapes are M, N, K of C = A B^T: cubes, and the projections, feed-forwards
// and output of Small.
var shapes = [][3]int{
	{128, 128, 128}, {256, 256, 256}, {512, 512, 512}, {1024, 1024, 1024}, {2048, 2048, 2048},
	{512, 256, 256}, {512, 1024, 256}, {512, 256, 1024}, {512, 16000, 256},
	{1, 1024, 256}, {8, 1024, 256},
}

func BenchmarkGEMM(b *testing.B) {
	for _, s := range shapes {
		m, n, k := s[0], s[1], s[2]
		x, w, y := filled(m*k), filled(n*k), make([]float32, m*n)
		for _, threads := range []int{1, 2} {
			pool := tensor.NewPool(threads)
			g := asm.GemmArgs{TransB: true, M: m, N: n, K: k, Alpha: 1, A: x, LDA: k, B: w, LDB: k, C: y, LDC: n}
			b.Run(fmt.Sprintf("%dx%dx%d/threads=%d", m, n, k, threads), func(b *testing.B) {
				for b.Loop() {
					asm.Gemm(pool, &g)
				}
				report(b, 2*float64(m)*float64(n)*float64(k), threads)
			})
			pool.Close()
		}
		b.Run(fmt.Sprintf("%dx%dx%d/gonum", m, n, k), func(b *testing.B) {
			for b.Loop() {
				blas32.Gemm(blas.NoTrans, blas.Trans, 1, general(m, k, x), general(n, k, w), 0, general(m, n, y))
			}
			b.ReportMetric(2*float64(m)*float64(n)*float64(k)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
	}
}

func general(rows, cols int, data []float32) blas32.General {
	return blas32.General{Rows: rows, Cols: cols, Stride: cols, Data: data}
}

func filled(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(i%13) - 6
	}
	return x
}

// peakTask keeps all threads at multiply-adds.
type peakTask struct{ flops float64 }

func (p *peakTask) Do(part int) {
	flops := asm.FMAPeak(1 << 20)
	if part == 0 {
		p.flops = flops
	}
}

// report sets the rate of a benchmark whose iterations have the given number
// of floating-point operations, and its share of the ceiling.
func report(b *testing.B, flops float64, threads int) {
	rate := flops * float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(rate/1e9, "GFLOP/s")
	b.ReportMetric(rate/ceiling(threads), "ceiling")
}
