package bench

import (
	"context"
	"fmt"

	"github.com/marge-go/marge/marge/index"
	"github.com/marge-go/marge/tensor"
)

// topKWorkloads returns exact searches. A million vectors take 4 GB.
func topKWorkloads() []Workload {
	var list []Workload
	for _, n := range []int{100_000, 1_000_000} {
		const width, queries, k = 1024, 64, 10
		list = append(list, Workload{
			Spec: Spec{"topk", "", n, width, k, queries, ""}, Name: fmt.Sprintf("%dx%d", n, width), Group: "topk",
			Flops: 2 * float64(n) * width * queries, Quick: n == 100_000, Long: n == 1_000_000,
		})
	}
	return list
}

func startTopK(s *Spec, threads int) (run, stop func()) {
	pool := tensor.NewPool(threads)
	flat := index.NewFlat(s.N)
	vectors := filled((s.M + s.Batch) * s.N)
	if err := flat.Add(vectors[:s.M*s.N]); err != nil {
		panic(err)
	}
	queries := append([]float32(nil), vectors[s.M*s.N:]...)
	search := func() {
		if _, _, err := flat.Search(context.Background(), pool, queries, s.K); err != nil {
			panic(err)
		}
	}
	return search, pool.Close
}
