// Package bench has benchmarks that put the parts of marge side by side with
// others: gonum here, PyTorch in the folder peers.
//
//	go test ./bench -run '^$' -bench .
//
// The metric ceiling is a rate as a share of the fused multiply-adds that the
// instruction set in use can do on as many threads, measured in the same run.
package bench
