package bench

import (
	"fmt"

	"github.com/marge-go/marge/tensor"
)

// Spec tells what to compute, in the form that peers receive as JSON.
type Spec struct {
	// Op is gemm, attention, step, topk, ops, generate, matmul or a vector operation: softmax,
	// layernorm, layernorm_backward, gelu, gelu_backward, cross_entropy, adamw,
	// embedding_gradient.
	Op string `json:"op"`
	// Kind is the transposition of a gemm (nt: B is stored N x K; nn; tn: A is
	// stored K x M), self, causal or biased for attention, the size of the model
	// for a step, or gpt or lstm, the operation of ops, and what matmul multiplies.
	Kind string `json:"kind,omitempty"`
	// M, N, K and Batch are the sizes of a gemm. A vector operation has M rows
	// of N values (an embedding gradient adds M rows to a table of K rows).
	// Attention has Batch documents of N tokens, in M heads of K columns. A step
	// has M evidence and M target documents of N tokens, that of a language model M
	// sequences of N tokens. A search has M vectors of N values, Batch queries and
	// finds K. A generation makes outputs of K tokens from M documents of N, with
	// Batch beams.
	M     int `json:"m"`
	N     int `json:"n"`
	K     int `json:"k"`
	Batch int `json:"batch"`
	// Precision is bf16 for products of bfloat16 values in a gemm or a step, int8 for a
	// generation by a model of int8 matrices, else "".
	Precision string `json:"precision,omitempty"`
}

// Workload is something to time.
type Workload struct {
	Spec
	Name  string  // as in the benchmark's name
	Group string  // workloads of one section that are summed up together
	Label string  // what it is in a model, if anything
	Flops float64 // floating-point operations
	Bytes float64 // fewest bytes that must move between processor and memory
	// Tokens is the number of target tokens of a training step, or of generated ones.
	Tokens int
	// Quick marks what a short comparison has, Long what only a long one has.
	Quick, Long bool
}

// Sections are the names that Workloads takes.
var Sections = []string{"gemm", "vector", "attention", "step", "topk", "ops", "matmul", "gpt", "generate", "bf16"}

// Workloads returns the workloads of a section.
func Workloads(section string) []Workload {
	switch section {
	case "gemm":
		return gemmWorkloads()
	case "vector":
		return vectorWorkloads()
	case "attention":
		return attentionWorkloads()
	case "step":
		return stepWorkloads()
	case "topk":
		return topKWorkloads()
	case "ops":
		return opsWorkloads()
	case "generate":
		return generateWorkloads()
	case "matmul":
		return matMulWorkloads()
	case "gpt":
		return languageWorkloads()
	case "bf16":
		return bf16Workloads()
	}
	panic(fmt.Sprintf("bench: no section %q", section))
}

// Start prepares a workload on the given number of threads. Calling run
// computes it once.
func (w *Workload) Start(threads int) (run, stop func(), err error) {
	switch w.Op {
	case "gemm":
		run, stop = startGEMM(&w.Spec, threads)
	case "attention":
		cpu := tensor.NewCPU(threads)
		return startAttention(&w.Spec, cpu), func() { cpu.Close() }, nil
	case "step":
		o := tensor.CPUOptions{Threads: threads, Slow: true}
		if w.Precision == bf16 {
			o.Precision = tensor.BFloat16
		}
		cpu, err := tensor.NewCPUWith(o)
		if err != nil {
			return nil, nil, err
		}
		run, err = startStep(&w.Spec, cpu)
		return run, func() { cpu.Close() }, err
	case "generate":
		cpu := tensor.NewCPU(threads)
		run, err = startGenerate(&w.Spec, cpu)
		return run, func() { cpu.Close() }, err
	case "topk":
		run, stop = startTopK(&w.Spec, threads)
	case "ops":
		run, stop = startOps(&w.Spec, threads)
	case "matmul":
		run, stop = startMatMul(&w.Spec, threads)
	default:
		run, stop = startVector(&w.Spec, threads)
	}
	return run, stop, nil
}
