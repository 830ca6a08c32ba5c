package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/bench"
	"github.com/marge-go/marge/internal/osfile"
)

const ours = "marge"

// unit is what the rate of a section counts.
type unit struct {
	name   string
	amount func(w *bench.Workload) float64
	limit  string // what the rate is also told as a share of
	format string // of the limit in the heading
	most   func(threads int) float64
	// whole makes one limit of those of the rounds. Two threads that find
	// themselves on one core reach half of the ceiling, and nothing reaches more.
	whole func(limits []float64) float64
}

func unitOf(section string) unit {
	switch section {
	case "vector", "ops":
		return unit{"GB/s", func(w *bench.Workload) float64 { return w.Bytes / 1e9 }, "of copy", "copy %.0f GB/s",
			bench.Bandwidth, median}
	case "generate":
		return unit{"tokens/s", func(w *bench.Workload) float64 { return float64(w.Tokens) }, "of ceiling",
			"ceiling %.0f GFLOP/s", bench.Ceiling, slices.Max[[]float64]}
	case "step", "gpt":
		return unit{"target tokens/s", func(w *bench.Workload) float64 { return float64(w.Tokens) }, "of ceiling",
			"ceiling %.0f GFLOP/s", bench.Ceiling, slices.Max[[]float64]}
	}
	most := bench.Ceiling
	if section == "bf16" && asm.BF16() { // also of what is in float32
		most = bench.DotCeiling
	}
	return unit{"GFLOP/s", func(w *bench.Workload) float64 { return w.Flops / 1e9 }, "of ceiling",
		"ceiling %.0f GFLOP/s", most, slices.Max[[]float64]}
}

// ratio returns how many times as fast as a peer, or as the best of all, we
// were, or 0 if there is none.
func (r *row) ratio(column string) float64 {
	best := math.Inf(1)
	for name, f := range r.figures {
		if name != ours && (column == "" || name == column) {
			best = min(best, f.seconds)
		}
	}
	if math.IsInf(best, 1) || r.figures[ours].seconds == 0 {
		return 0
	}
	return best / r.figures[ours].seconds
}

// render returns a section of the results.
func render(section string, rows []row, all []*side, others float64) string {
	var b strings.Builder
	u := unitOf(section)
	fmt.Fprintf(&b, "## %s, %s, %s\n\n%s.", section, isa(), bench.Machine(),
		time.Now().UTC().Format("2006-01-02 15:04 UTC"))
	for threads := 1; threads <= 2; threads++ {
		var limits []float64
		for _, r := range rows {
			if r.threads == threads {
				limits = append(limits, r.limit/1e9)
			}
		}
		if len(limits) > 0 {
			fmt.Fprintf(&b, " Threads %d: "+u.format+" (%.0f to %.0f).", threads, median(limits), slices.Min(limits),
				slices.Max(limits))
		}
	}
	fmt.Fprintf(&b, " Other programs took %.0f%% of one core meanwhile.\n\n", 100*others)
	var columns []string
	for _, s := range all {
		if slices.ContainsFunc(rows, func(r row) bool { return r.figures[s.column].seconds > 0 }) {
			columns = append(columns, s.column)
			if s.name != "" && s.column != s.name {
				fmt.Fprintf(&b, "- %s: %s\n", s.column, s.name)
			}
		} else if s.problem != "" {
			fmt.Fprintf(&b, "- %s: not measured: %s\n", s.column, s.problem)
		}
	}
	b.WriteString("\n| workload | threads | " + u.name + ": " + strings.Join(columns,
		" | ") + " | marge: " + u.limit + " | marge / best peer | handover, ns |\n")
	b.WriteString("| --- | " + strings.Repeat("---: | ", len(columns)+4) + "\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %d |", strings.TrimSpace(r.Name+" "+r.Label), r.threads)
		for _, c := range columns {
			if f := r.figures[c]; f.seconds > 0 {
				fmt.Fprintf(&b, " %s |", short(u.amount(&r.Workload)/f.seconds))
			} else {
				b.WriteString(" |")
			}
		}
		fmt.Fprintf(&b, " %.2f | %s |", r.share(section), number(r.ratio("")))
		if r.threads > 1 {
			fmt.Fprintf(&b, " %.0f", 1e9*r.handover)
		}
		b.WriteString(" |\n")
	}
	steps := section == "step" || section == "gpt"
	if steps || section == "attention" {
		memory(&b, rows, columns)
	}
	means(&b, rows)
	goals(&b, section, rows)
	if steps {
		operations(&b, rows, min(2, runtime.GOMAXPROCS(0)))
	}
	return b.String()
}

// share is our rate as a share of the ceiling or of the bandwidth.
func (r *row) share(section string) float64 {
	amount := r.Flops
	if section == "vector" || section == "ops" {
		amount = r.Bytes
	}
	return amount / r.figures[ours].seconds / r.limit
}

func short(x float64) string {
	if x < 100 {
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.0f", x)
}

func number(x float64) string {
	if x == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f", x)
}

// memory writes the table of peak memory.
func memory(b *strings.Builder, rows []row, columns []string) {
	b.WriteString("\nPeak memory of the process in MB, and how much of it came after start-up (with the libraries " +
		"loaded):\n\n")
	b.WriteString("| workload | threads | " + strings.Join(columns,
		" | ") + " | marge / least PyTorch | after start-up |\n")
	b.WriteString("| --- | " + strings.Repeat("---: | ", len(columns)+3) + "\n")
	for _, r := range rows {
		if r.Op == "attention" && r.threads > 1 {
			continue // in the processes of one thread
		}
		fmt.Fprintf(b, "| %s | %d |", r.Name, r.threads)
		for _, c := range columns {
			if f := r.figures[c]; f.seconds > 0 {
				fmt.Fprintf(b, " %.0f (%.0f) |", f.peak, f.peak-f.base)
			} else {
				b.WriteString(" |")
			}
		}
		whole, after := r.memoryRatio()
		fmt.Fprintf(b, " %s | %s |\n", number(whole), number(after))
	}
}

// memoryRatio returns our peak memory as a share of the least of PyTorch, and
// the same of what came after start-up, or zeros.
func (r *row) memoryRatio() (whole, after float64) {
	var least figure
	for name, f := range r.figures {
		if (name == "torch.compile" || strings.HasPrefix(name, "PyTorch")) && f.peak > 0 && (least.peak == 0 || f.peak < least.peak) {
			least = f
		}
	}
	if least.peak == 0 {
		return 0, 0
	}
	m := r.figures[ours]
	return m.peak / least.peak, (m.peak - m.base) / (least.peak - least.base)
}

// geometric returns the geometric mean and the least of the positive ones of
// some numbers, or zeros.
func geometric(x []float64) (mean, least float64, n int) {
	least = math.Inf(1)
	for _, v := range x {
		if v > 0 {
			mean, least, n = mean+math.Log(v), min(least, v), n+1
		}
	}
	if n == 0 {
		return 0, 0, 0
	}
	return math.Exp(mean / float64(n)), least, n
}

// means writes how the groups of workloads compare with the best peer.
func means(b *strings.Builder, rows []row) {
	var groups []string
	for _, r := range rows {
		if !slices.Contains(groups, r.Group) {
			groups = append(groups, r.Group)
		}
	}
	b.WriteString("\n| marge / best peer | threads | workloads | geometric mean | least | below 1 |\n| --- | ---: " +
		"| ---: | ---: | ---: | ---: |\n")
	line := func(name string, threads int, ratios []float64) {
		mean, least, n := geometric(ratios)
		behind := 0
		for _, v := range ratios {
			if v > 0 && v < 1 {
				behind++
			}
		}
		if n > 0 {
			fmt.Fprintf(b, "| %s | %d | %d | %.2f | %.2f | %d |\n", name, threads, n, mean, least, behind)
		}
	}
	for threads := 1; threads <= 2; threads++ {
		var all []float64
		for _, g := range groups {
			x := pick(rows, func(r *row) float64 {
				if r.Group != g || r.threads != threads {
					return 0
				}
				return r.ratio("")
			})
			all = append(all, x...)
			line(g, threads, x)
		}
		if len(groups) > 1 {
			line("all", threads, all)
		}
	}
}

func pick(rows []row, f func(r *row) float64) []float64 {
	var x []float64
	for i := range rows {
		x = append(x, f(&rows[i]))
	}
	return x
}

const title = `# Results

Written by the command in the folder compare; see its documentation. For each workload the sides took turns, each in a
process of its own that had computed the workload three to ten times before; figures are medians of the medians of the
rounds: three (vector and topk: five), and up to four times as many while for any side their median is more than 1.04 times
the shortest: where another machine has a part of the core, a call takes 1.4 times as long. A side that takes more than five
seconds for a call has one turn. But in vector, a round waited up
to five seconds while the processor was below 0.8 of its best in the section. "ceiling" is the
rate of fused multiply-adds in registers, "copy" that of a copy between arrays of 64 MiB, both measured before every round
with the same instruction set and threads: for each workload the median of the copies, the best of the ceilings; in the
heading their median with the least and the greatest. PyTorch runs with a C library that
keeps freed memory (MALLOC_MMAP_MAX_=0 and no trimming), since it is much slower without, unless the heading says default
malloc. gonum's single operations are in float64, of which the bytes are counted as if they were float32, but for neg, and
write to memory that exists. "handover" is what a cache line takes from one thread to another, the median of the rounds: where it is long the two
cores have no third-level cache in common, and what short tasks gain by a second thread is less. Sections are measured one by one,
each on the processor and with the instruction set in its heading; older ones do not tell of the handover, and those before
2026-11-26 09:00 took up to thrice as many rounds while a median was more than 1.1 times the shortest.
`

// replaceSection writes a section to the file in place of the one with the same
// heading, or in the order of the headings.
func replaceSection(path, text string) error {
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	parts := []string{strings.TrimSpace(text)}
	for i, p := range strings.Split(string(data), "\n## ") {
		if i > 0 && heading(p) != heading(strings.TrimPrefix(text, "## ")) {
			parts = append(parts, "## "+strings.TrimSpace(p))
		}
	}
	slices.SortFunc(parts, func(a, b string) int {
		order := func(p string) int {
			name, _, _ := strings.Cut(strings.TrimPrefix(heading(p), "## "), ",")
			return slices.Index(bench.Sections, name)
		}
		if d := order(a) - order(b); d != 0 {
			return d
		}
		return strings.Compare(heading(b), heading(a)) // avx512 before avx2
	})
	return osfile.WriteFile(path, []byte(title+"\n"+strings.Join(parts, "\n\n")+"\n"))
}

func heading(part string) string {
	line, _, _ := strings.Cut(part, "\n")
	return line
}
