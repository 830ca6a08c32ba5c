// Compare times the workloads of package bench on marge and on others that do
// the same, in turns, and writes the medians and their ratios to a table.
//
//	go run ./bench/compare                          everything, an hour and more
//	go run ./bench/compare -quick                   a few workloads of each section
//	go run ./bench/compare -only gemm,step          these sections; the others keep their old figures
//	go run ./bench/compare -only gemm -match 1024   some workloads, printed only
//
// MARGE_ISA=avx2 holds the others to AVX2 as well. OpenBLAS, PyTorch and faiss
// come from a Python virtual environment that is made when it does not exist,
// gomlx from the Go module proxy; see the README in bench/peers. Run it in the root of the repository, on a
// machine that does nothing else.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/bench"
)

func main() {
	if err := compare(); err != nil {
		fmt.Fprintf(os.Stderr, "compare: %v\n", err)
		os.Exit(1)
	}
}

func isa() string { return asm.Current().String() }

// options are the flags.
type options struct {
	quick, long bool
	match       *regexp.Regexp
}

func compare() error {
	var o options
	only := flag.String("only", strings.Join(bench.Sections, ","), "sections, separated by commas")
	match := flag.String("match", "", "only workloads whose names match this regular expression; the tables are "+
		"printed and the file is left alone")
	flag.BoolVar(&o.quick, "quick", false, "only a few workloads of each section, in fewer rounds; prints as -match does")
	flag.BoolVar(&o.long, "long", false, "also what takes minutes and up to 20 GiB of memory: a step of Paper, a "+
		"million vectors")
	dir := flag.String("bench", "bench", "the folder of package bench")
	out := flag.String("out", "", "the file to write (default RESULTS.md in that folder)")
	venv := flag.String("venv", "", "the virtual environment of the peers, made if it does not exist (default in "+
		"the user's cache)")
	serveAs := flag.String("serve", "", "answer requests as this side; for use by this program")
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	if *serveAs != "" {
		return serve(*serveAs)
	}
	var err error
	if o.match, err = regexp.Compile(*match); err != nil {
		return fmt.Errorf("-match: %w", err)
	}
	names := strings.Split(*only, ",")
	for _, name := range names {
		if !slices.Contains(bench.Sections, name) {
			return fmt.Errorf("-only: no section %q, there are %s", name, strings.Join(bench.Sections, ", "))
		}
	}
	if *out == "" {
		*out = filepath.Join(*dir, "RESULTS.md")
	}
	python, err := environment(*dir, *venv)
	if err != nil {
		return err
	}
	all, err := sides(*dir, python)
	if err != nil {
		return err
	}
	if slices.Contains(names, "generate") {
		models, err := os.MkdirTemp("", "marge-generate-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(models)
		if err := bench.SaveGenerateModels(models); err != nil {
			return err
		}
		os.Setenv("MARGE_GENERATE", models) // for the peers
	}
	for _, name := range names {
		start := time.Now()
		text := measureSection(name, all, &o)
		fmt.Fprintf(os.Stderr, "%s: %.0f s\n", name, time.Since(start).Seconds())
		if o.quick || *match != "" {
			fmt.Println(text)
			continue
		}
		if err := replaceSection(*out, text); err != nil {
			return err
		}
	}
	return nil
}

// environment returns the Python of the peers' virtual environment.
func environment(dir, venv string) (python string, err error) {
	if venv == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", err
		}
		venv = filepath.Join(cache, "marge-peers")
	}
	python = filepath.Join(venv, "bin", "python")
	if _, err := os.Stat(python); err == nil {
		return python, nil
	}
	fmt.Fprintf(os.Stderr, "making the virtual environment %s\n", venv)
	cmd := exec.Command(filepath.Join(dir, "peers", "setup.sh"), venv)
	cmd.Stdout, cmd.Stderr = os.Stderr, os.Stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("virtual environment %s: %w", venv, err)
	}
	return python, nil
}

// figure is what one side did in one workload.
type figure struct {
	seconds            float64
	peak, base, allocs float64
}

// row is a workload on a number of threads.
type row struct {
	bench.Workload
	threads int
	figures map[string]figure // by column
	limit   float64           // what the processor could do, see unit
	// handover is what a cache line took from one thread to another, the median
	// of the rounds.
	handover float64
}

// measureSection returns a section of the results.
func measureSection(section string, all []*side, o *options) string {
	rounds, seconds := 5, 0.03
	switch section {
	case "step", "gpt", "generate":
		seconds = 0.5
	case "gemm", "matmul":
		seconds = 0.02
	}
	if o.quick || section != "vector" && section != "topk" && section != "ops" {
		rounds = 3
	}
	var rows []row
	u := unitOf(section)
	if section != "vector" && section != "ops" {
		u.most = patient(u.most)
	}
	l := startLoad(all)
	for _, w := range bench.Workloads(section) {
		if w.Long && !o.long || o.quick && !w.Quick || !o.match.MatchString(w.Name) {
			continue
		}
		for threads := 1; threads <= min(2, runtime.GOMAXPROCS(0)); threads++ {
			if w.Long && w.Op == "step" && threads == 1 {
				continue
			}
			start := time.Now()
			rows = append(rows, measureRow(&w, threads, all, rounds, seconds, u))
			fmt.Fprintf(os.Stderr, "%s %s threads=%d: %.1f s\n", section, w.Name, threads, time.Since(start).Seconds())
			if w.Op == "step" { // which tells memory
				stopAll(all)
			}
		}
		if section == "attention" {
			stopAll(all)
		}
	}
	stopAll(all)
	return render(section, rows, all, l.others())
}

// stopAll ends all programs: memory is told from ones that did nothing else.
func stopAll(all []*side) {
	for _, s := range all {
		s.stop()
	}
}

// slow is how many seconds a call takes of a side that then has one turn only.
const slow = 5

// measureRow lets the sides take turns. The limit is measured in every round, as
// the clock and what other machines leave of the memory change by the minute.
func measureRow(w *bench.Workload, threads int, all []*side, rounds int, seconds float64, u unit) row {
	r := row{Workload: *w, threads: threads, figures: map[string]figure{}}
	var limits, handovers []float64
	begin := func() {
		limits = append(limits, u.most(threads))
		if threads > 1 {
			handovers = append(handovers, bench.Handover())
		}
	}
	times := map[*side][]float64{}
	failed := map[*side]bool{}
	turn := func(s *side) {
		if failed[s] || !s.takes(w, threads) || len(times[s]) > 0 && times[s][0] > slow {
			return
		}
		a, err := s.measure(w, threads, seconds)
		if err != nil {
			failed[s] = true
			fmt.Fprintf(os.Stderr, "compare: %v\n", err)
			return
		}
		if threads > 1 {
			time.Sleep(s.pause)
		}
		times[s] = append(times[s], a.Seconds)
		r.figures[s.column] = figure{median(times[s]), a.Peak, a.Base, a.Allocs}
	}
	if w.Long {
		// Not all of them fit in memory together.
		for _, s := range all {
			begin()
			for range 2 {
				turn(s)
			}
			s.stop()
		}
	} else {
		for i := 0; i < rounds || i < 4*rounds && unsettled(times); i++ {
			begin()
			for _, s := range all {
				turn(s)
			}
		}
	}
	r.limit = u.whole(limits)
	if threads > 1 {
		r.handover = median(handovers)
	}
	for _, s := range all {
		if failed[s] {
			delete(r.figures, s.column)
		}
	}
	return r
}

// patient returns most, which then waits some seconds while the processor is far
// below its best so far: two threads that have one core between them tell
// nothing.
func patient(most func(threads int) float64) func(threads int) float64 {
	best := map[int]float64{}
	return func(threads int) float64 {
		limit := most(threads)
		for tries := 0; tries < 5 && limit < 0.8*best[threads]; tries++ {
			time.Sleep(time.Second)
			limit = most(threads)
		}
		best[threads] = max(best[threads], limit)
		return limit
	}
}

// unsettled tells that for some side most rounds took longer than the best: that
// other machines had a part of the processor in them, or that the system had two
// threads of a side on one core. A core that is shared with another machine for
// a tenth of a second takes 1.4 times as long meanwhile: of a few short rounds
// most may fall into that.
func unsettled(times map[*side][]float64) bool {
	for _, t := range times {
		if median(t) > 1.04*slices.Min(t) {
			return true
		}
	}
	return false
}
