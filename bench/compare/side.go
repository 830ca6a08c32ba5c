package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/marge-go/marge/bench"
)

// request and answer are what the processes that are compared exchange, as
// lines of JSON. See peers/serve.py.
type request struct {
	Spec    bench.Spec `json:"spec"`
	Threads int        `json:"threads"`
	Seconds float64    `json:"seconds"`
}

type answer struct {
	Name    string  `json:"name,omitempty"`
	Error   string  `json:"error,omitempty"`
	Seconds float64 `json:"seconds"` // median of the calls
	Peak    float64 `json:"peak_mb"` // most memory of the process so far
	Base    float64 `json:"base_mb"` // memory before the first workload
	Allocs  float64 `json:"allocs"`  // Go heap allocations of a call
}

// side is one of those that are compared: a program that takes requests.
type side struct {
	column string // heading in tables
	args   []string
	env    []string
	takes  func(w *bench.Workload, threads int) bool
	pause  time.Duration // until its threads sleep

	name    string        // as the program calls itself
	problem string        // why it cannot be started
	used    time.Duration // processor time of its programs that have ended
	cmd     *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Scanner
}

// sides returns ours first, and the peers.
func sides(dir, python string) ([]*side, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	serve := filepath.Join(dir, "peers", "serve.py")
	ops := func(names ...string) func(*bench.Workload, int) bool {
		return func(w *bench.Workload, _ int) bool { return slices.Contains(names, w.Op) && w.Precision == "" }
	}
	// The C library otherwise gives every large block back to the system, and
	// PyTorch spends most of its time on page faults.
	// Bound threads do not get in each other's way.
	keep := []string{"OMP_PROC_BIND=close", "MALLOC_MMAP_MAX_=0", "MALLOC_TRIM_THRESHOLD_=1000000000000",
		"MALLOC_TOP_PAD_=67108864"}
	notTopK := func(w *bench.Workload, _ int) bool { return w.Op != "topk" && w.Op != "generate" }
	const pause = 50 * time.Millisecond // threads of OpenBLAS and of OpenMP look for work for some 20 ms
	language := func(w *bench.Workload) bool { return w.Kind == "gpt" || w.Kind == "lstm" }
	// Compiling takes a minute.
	compiled := func(w *bench.Workload, threads int) bool {
		return w.Op == "step" && w.Kind != "tiny" && (threads == 2 || language(w)) && w.Precision == ""
	}
	// The operations on the largest tensors take it seconds, and show nothing new; a step of the GPT takes it more than
	// six minutes and 18 GB.
	gomlx := func(w *bench.Workload, _ int) bool {
		return w.Op == "ops" && w.M*w.N <= 1<<24 || w.Op == "matmul" || w.Op == "step" && w.Kind == "lstm"
	}
	// Keeping memory may take more of it.
	lean := func(w *bench.Workload, threads int) bool {
		return (w.Op == "step" && threads == 2 || w.Op == "attention" && threads == 1) && w.Precision == ""
	}
	generate := func(w *bench.Workload, _ int) bool { return w.Op == "generate" } // in both precisions
	list := []*side{
		{column: "marge", args: []string{self, "-serve", "marge"}, takes: func(*bench.Workload, int) bool { return true }},
		{column: "gonum", args: []string{self, "-serve", "gonum"},
			takes: func(w *bench.Workload, _ int) bool { return w.InGonum() }},
		{column: "OpenBLAS, Debian", args: []string{python, serve, "openblas", "libopenblas.so.0"}, takes: ops("gemm"),
			pause: pause},
		{column: "OpenBLAS, newest", args: []string{python, serve, "openblas", "scipy_openblas32"}, takes: ops("gemm"),
			pause: pause},
		{column: "PyTorch", args: []string{python, serve, "torch"}, env: keep, takes: notTopK, pause: pause},
		{column: "PyTorch, default malloc", args: []string{python, serve, "torch"}, takes: lean, pause: pause},
		{column: "torch.compile", args: []string{python, serve, "compile"}, env: keep, takes: compiled, pause: pause},
		{column: "CTranslate2", args: []string{python, serve, "ctranslate2"}, takes: generate, pause: pause},
		{column: "faiss", args: []string{python, serve, "faiss"}, takes: ops("topk"), pause: pause},
		{column: "gomlx", takes: gomlx},
	}
	last := list[len(list)-1]
	program, err := buildGomlx(dir)
	if err != nil {
		last.problem = err.Error()
	}
	last.args = []string{program}
	return list, nil
}

// buildGomlx returns the program of gomlx's side, which is a module of its own. It
// needs gomlx from the module proxy once.
func buildGomlx(dir string) (program string, err error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	program = filepath.Join(cache, "marge-gomlx")
	cmd := exec.Command("go", "build", "-o", program, ".")
	cmd.Dir = filepath.Join(dir, "peers", "gomlx")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("gomlx: build in %s: %w: %s", cmd.Dir, err, strings.TrimSpace(string(out)))
	}
	return program, nil
}

// start runs the program, unless it runs already or cannot.
func (s *side) start() error {
	if s.cmd != nil {
		return nil
	}
	if s.problem != "" {
		return fmt.Errorf("%s: %s", s.column, s.problem)
	}
	s.cmd = exec.Command(s.args[0], s.args[1:]...)
	s.cmd.Stderr = os.Stderr
	s.cmd.Env = append(peerEnvironment(), s.env...)
	var err error
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		return err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	s.out = bufio.NewScanner(out)
	if err = s.cmd.Start(); err == nil {
		var hello answer
		if hello, err = s.read(); err == nil {
			s.name = hello.Name
			return nil
		}
	}
	s.problem = err.Error()
	s.stop()
	return fmt.Errorf("%s: %w", s.column, err)
}

func (s *side) read() (a answer, err error) {
	if !s.out.Scan() {
		return a, fmt.Errorf("the program ended")
	}
	if err := json.Unmarshal(s.out.Bytes(), &a); err != nil {
		return a, fmt.Errorf("answer %q: %w", s.out.Text(), err)
	}
	if a.Error != "" {
		return a, fmt.Errorf("%s", a.Error)
	}
	return a, nil
}

// measure has the program compute a workload for some time.
func (s *side) measure(w *bench.Workload, threads int, seconds float64) (a answer, err error) {
	if err := s.start(); err != nil {
		return a, err
	}
	line, err := json.Marshal(request{w.Spec, threads, seconds})
	if err != nil {
		return a, err
	}
	if _, err = s.in.Write(append(line, '\n')); err == nil {
		a, err = s.read()
	}
	if err != nil {
		s.stop() // what failed may have left anything behind
		return a, fmt.Errorf("%s: %s, %d threads: %w", s.column, w.Name, threads, err)
	}
	return a, nil
}

// stop ends the program.
func (s *side) stop() {
	if s.cmd == nil {
		return
	}
	s.in.Close()
	if s.cmd.Process != nil {
		s.cmd.Wait()
		s.used += s.cmd.ProcessState.UserTime() + s.cmd.ProcessState.SystemTime()
	}
	s.cmd = nil
}

// serve is what start runs for our side and for gonum.
func serve(name string) error {
	base, _ := bench.ResidentMB()
	answers := json.NewEncoder(os.Stdout)
	if err := answers.Encode(answer{Name: name}); err != nil {
		return err
	}
	var last request
	var run func()
	stop := func() {}
	requests := json.NewDecoder(os.Stdin)
	for {
		var r request
		if err := requests.Decode(&r); err == io.EOF {
			return nil
		} else if err != nil {
			return fmt.Errorf("request: %w", err)
		}
		if r.Spec != last.Spec || r.Threads != last.Threads {
			stop()
			last, run, stop = r, nil, func() {}
			runtime.GC()
			w := bench.Workload{Spec: r.Spec}
			if name == "gonum" {
				run = w.Gonum(r.Threads)
			} else {
				var err error
				if run, stop, err = w.Start(r.Threads); err != nil {
					return err
				}
			}
			least, warm := 3, 300*time.Millisecond
			if r.Spec.Op == "gemm" || r.Spec.Op == "matmul" {
				least, warm = 1, 20*time.Millisecond
			}
			begin := time.Now()
			for i := 0; i < 10 && (i < least || time.Since(begin) < warm); i++ {
				run()
			}
		}
		if r.Threads > 1 && r.Spec.Op != "step" {
			timed(run, r.Seconds/2) // threads wake up
		}
		a := timed(run, r.Seconds)
		a.Base = base
		_, a.Peak = bench.ResidentMB()
		if err := answers.Encode(a); err != nil {
			return err
		}
	}
}

// timed calls run until the time is over.
func timed(run func(), seconds float64) answer {
	var before, after runtime.MemStats
	var times []float64
	times = slices.Grow(times, 1<<12)
	runtime.ReadMemStats(&before)
	for total := 0.0; total < seconds; {
		start := time.Now()
		run()
		t := time.Since(start).Seconds()
		times, total = append(times, t), total+t
	}
	runtime.ReadMemStats(&after)
	return answer{Seconds: median(times), Allocs: float64(after.Mallocs-before.Mallocs) / float64(len(times))}
}

func median(x []float64) float64 {
	x = slices.Clone(x)
	slices.Sort(x)
	return (x[len(x)/2] + x[(len(x)-1)/2]) / 2
}

// peerEnvironment returns the environment of this program less what keeps
// OpenBLAS from choosing its kernels, and, where marge is held to AVX2, with
// what holds the others to it.
func peerEnvironment() []string {
	env := slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "OPENBLAS_") })
	if isa() == "avx2" {
		env = append(env, "OPENBLAS_CORETYPE=Haswell", "MKL_ENABLE_INSTRUCTIONS=AVX2", "ONEDNN_MAX_CPU_ISA=AVX2",
			"ATEN_CPU_CAPABILITY=avx2", "FAISS_OPT_LEVEL=avx2")
	}
	return env
}
