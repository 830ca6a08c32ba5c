package main

import (
	"fmt"
	"strings"
)

// goals writes what the section is to reach and what it did.
func goals(b *strings.Builder, section string, rows []row) {
	b.WriteString("\n| goal | reached |\n| --- | --- |\n")
	// goal writes the least of some figures, and how many of them are enough.
	goal := func(what string, want float64, values []float64) {
		mean, least, n := geometric(values)
		if n == 0 {
			return
		}
		enough := 0
		for _, v := range values {
			if v >= want {
				enough++
			}
		}
		fmt.Fprintf(b, "| %s >= %.2f | %d of %d; least %.2f, geometric mean %.2f |\n", what, want, enough, n, least, mean)
	}
	share := func(r *row) float64 { return r.share(section) }
	switch section {
	case "gemm":
		goal("share of ceiling, cubes of 512 and more, one thread", 0.92, pick(rows, func(r *row) float64 {
			if r.Group != "cubes" || r.M < 512 || r.threads != 1 {
				return 0
			}
			return share(r)
		}))
		goal("ratio to the best peer, every shape", 1, pick(rows, func(r *row) float64 { return r.ratio("") }))
		mean, _, n := geometric(pick(rows, func(r *row) float64 { return r.ratio("") }))
		if n > 0 {
			fmt.Fprintf(b, "| geometric mean of these >= 1.15 | %.2f |\n", mean)
		}
		goal("two threads / one", 1.9, scaling(rows))
	case "vector":
		for threads := 1; threads <= 2; threads++ {
			goal(fmt.Sprintf("share of copy bandwidth, threads %d", threads), 0.85, pick(rows, func(r *row) float64 {
				if r.threads != threads {
					return 0
				}
				return share(r)
			}))
		}
	case "ops":
		small := func(r *row) bool { return r.Group == "small" }
		for threads := 1; threads <= 2; threads++ {
			goal(fmt.Sprintf("share of copy bandwidth, threads %d", threads), 0.85, pick(rows, func(r *row) float64 {
				if r.threads != threads || small(r) {
					return 0
				}
				return share(r)
			}))
		}
		ratios := func(want bool) []float64 {
			return pick(rows, func(r *row) float64 {
				if small(r) != want {
					return 0
				}
				return r.ratio("PyTorch")
			})
		}
		goal("ratio to PyTorch", 1, ratios(false))
		if mean, _, n := geometric(ratios(false)); n > 0 {
			fmt.Fprintf(b, "| geometric mean of these >= 1.20 | %.2f |\n", mean)
		}
		goal("ratio to PyTorch on small tensors", 5, ratios(true))
	case "attention":
		goal("ratio to PyTorch", 1.3, pick(rows, func(r *row) float64 { return r.ratio("PyTorch") }))
	case "step":
		for _, r := range rows {
			eager := 1.5
			if r.Name == "tiny" {
				eager = 2.5
			}
			name := fmt.Sprintf("%s, threads %d: ", r.Name, r.threads)
			goal(name+"ratio to PyTorch", eager, []float64{r.ratio("PyTorch")})
			goal(name+"ratio to PyTorch, default malloc", eager, []float64{r.ratio("PyTorch, default malloc")})
			goal(name+"ratio to torch.compile", 1.2, []float64{r.ratio("torch.compile")})
			goal(name+"share of ceiling", 0.75, []float64{share(&r)})
			if ratio, _ := r.memoryRatio(); ratio > 0 {
				fmt.Fprintf(b, "| %speak memory / PyTorch <= 0.60 | %.2f |\n", name, ratio)
			}
			fmt.Fprintf(b, "| %sGo heap allocations < 100 | %.0f |\n", name, r.figures[ours].allocs)
		}
		goal("two threads / one", 1.8, scaling(rows))
	case "bf16":
		rounded := func(r *row) bool { return r.Precision != "" }
		goal("share of the instruction's ceiling, cubes, one thread", 0.85, pick(rows, func(r *row) float64 {
			if !rounded(r) || r.M != r.N || r.N != r.K || r.threads != 1 {
				return 0
			}
			return share(r)
		}))
		goal("ratio to PyTorch's bfloat16, every shape", 1, pick(rows, func(r *row) float64 {
			if !rounded(r) || r.Op != "gemm" {
				return 0
			}
			return r.ratio("PyTorch")
		}))
		for i, r := range rows {
			if !rounded(&r) || r.Op != "step" {
				continue
			}
			name, ours32 := fmt.Sprintf("%s, threads %d: ", r.Name, r.threads), 0.0
			for _, other := range rows[:i] {
				if !rounded(&other) && other.threads == r.threads && other.Name+" "+r.Precision == r.Name {
					ours32 = other.figures[ours].seconds
				}
			}
			goal(name+"ratio to our float32", map[string]float64{"small": 1.5, "base": 1.7}[r.Kind],
				[]float64{ours32 / r.figures[ours].seconds})
			goal(name+"ratio to PyTorch's autocast", 1.3, []float64{r.ratio("PyTorch")})
		}
	case "generate":
		goal("ratio to CTranslate2", 1.2, pick(rows, func(r *row) float64 { return r.ratio("CTranslate2") }))
	case "gpt":
		for _, r := range rows {
			name := fmt.Sprintf("%s, threads %d: ", r.Name, r.threads)
			goal(name+"ratio to PyTorch", 1.3, []float64{r.ratio("PyTorch")})
			goal(name+"ratio to torch.compile", 1, []float64{r.ratio("torch.compile")})
			if ratio, _ := r.memoryRatio(); ratio > 0 {
				fmt.Fprintf(b, "| %speak memory / PyTorch | %.2f |\n", name, ratio)
			}
			fmt.Fprintf(b, "| %sGo heap allocations | %.0f |\n", name, r.figures[ours].allocs)
		}
		goal("two threads / one", 1.8, scaling(rows))
	case "matmul":
		goal("ratio to the best peer, every shape", 1, pick(rows, func(r *row) float64 { return r.ratio("") }))
	case "topk":
		goal("ratio to faiss", 1, pick(rows, func(r *row) float64 { return r.ratio("faiss") }))
	}
}

// scaling returns how much faster two threads were than one.
func scaling(rows []row) []float64 {
	one := map[string]float64{}
	for _, r := range rows {
		if r.threads == 1 {
			one[r.Name] = r.figures[ours].seconds
		}
	}
	return pick(rows, func(r *row) float64 {
		if r.threads != 2 {
			return 0
		}
		return one[r.Name] / r.figures[ours].seconds
	})
}
