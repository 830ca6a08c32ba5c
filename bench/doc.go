// Package bench has the workloads that the speed of marge is judged by, and
// benchmarks of them:
//
//	go test ./bench -run '^$' -bench .
//
// With the tag cuda, those of products, vectors, attention and steps run on a card,
// too. bench/gpu has what times them beside PyTorch there.
//
// The command compare times the same workloads beside gonum, gomlx, OpenBLAS,
// PyTorch and faiss, and writes RESULTS.md.
//
// The metric ceiling is a rate as a share of the fused multiply-adds that the
// instruction set in use can do on as many threads, and bandwidth one of the
// bytes a second that a copy moves, both measured in the same run.
package bench
