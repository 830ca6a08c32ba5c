package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/marge-go/marge/bench"
)

// operations writes what the steps of some workloads consist of, and the least
// time that each operation could take.
func operations(b *strings.Builder, rows []row, threads int) {
	for _, r := range rows {
		if r.Long || r.threads != threads {
			continue
		}
		flops, bytes := r.limit, bench.Bandwidth(threads)
		for range 4 {
			bytes = max(bytes, bench.Bandwidth(threads))
		}
		list, step, err := bench.StepOperations(&r.Workload, threads, 3)
		if err != nil {
			fmt.Fprintf(os.Stderr, "compare: operations of %s: %v\n", r.Name, err)
			continue
		}
		fmt.Fprintf(b, "\nWhere the %.1f ms of a step of %s go on %d threads, at %.0f GFLOP/s and %.0f GB/s (the "+
			"floor: whichever takes longer;\n"+
			"what the caches still hold can take less):\n\n", 1e3*step, r.Name, threads, flops/1e9, bytes/1e9)
		b.WriteString("| operation | calls | ms | of the step | GFLOP | MB | floor, ms | floor / time |\n| --- | ---: " +
			"| ---: | ---: | ---: | ---: | ---: | ---: |\n")
		rest, floors := step, 0.0
		for _, o := range list {
			floor := o.Floor(flops, bytes)
			rest, floors = rest-o.Seconds, floors+floor
			fmt.Fprintf(b, "| %s | %.0f | %.2f | %.1f%% | %s | %s | %.2f | %.2f |\n", o.Name, o.Calls, 1e3*o.Seconds,
				100*o.Seconds/step,
				amount(o.Flops/1e9), amount(o.Bytes/1e6), 1e3*floor, floor/o.Seconds)
		}
		fmt.Fprintf(b, "| between operations | | %.2f | %.1f%% | | | | |\n", 1e3*rest, 100*rest/step)
		fmt.Fprintf(b, "| step | | %.2f | | %s | | %.2f | %.2f |\n", 1e3*step, short(r.Flops/1e9), 1e3*floors, floors/step)
	}
}

// amount is short, and empty for nothing.
func amount(x float64) string {
	if x == 0 {
		return ""
	}
	return short(x)
}
