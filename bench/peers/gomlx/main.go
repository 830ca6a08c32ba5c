// Gomlx times workloads in gomlx's pure-Go backend, for the command in the folder
// ../../compare, which builds it: as ../serve.py it answers requests, lines of JSON
// on standard input. It is a module of its own, so that the library does not depend
// on gomlx.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gomlx/gomlx/backends/simplego"
	"github.com/gomlx/gomlx/pkg/core/graph"
	"github.com/gomlx/gomlx/pkg/core/tensors"
)

// spec is bench.Spec.
type spec struct {
	Op    string `json:"op"`
	Kind  string `json:"kind"`
	M     int    `json:"m"`
	N     int    `json:"n"`
	K     int    `json:"k"`
	Batch int    `json:"batch"`
}

type request struct {
	Spec    spec    `json:"spec"`
	Threads int     `json:"threads"`
	Seconds float64 `json:"seconds"`
}

type answer struct {
	Name    string  `json:"name,omitempty"`
	Error   string  `json:"error,omitempty"`
	Seconds float64 `json:"seconds"`
	Peak    float64 `json:"peak_mb"`
	Base    float64 `json:"base_mb"`
	Allocs  float64 `json:"allocs"`
}

func main() {
	if err := serve(); err != nil {
		fmt.Fprintf(os.Stderr, "gomlx: %v\n", err)
		os.Exit(1)
	}
}

func serve() error {
	base := memory("VmRSS:")
	answers := json.NewEncoder(os.Stdout)
	var err error
	if os.Stdout, err = os.Open(os.DevNull); err != nil { // the backend prints its options
		return err
	}
	if err := answers.Encode(answer{Name: "gomlx " + version() + ", Go backend"}); err != nil {
		return err
	}
	var last request
	var run func() error
	requests := json.NewDecoder(os.Stdin)
	for {
		var r request
		if err := requests.Decode(&r); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("request: %w", err)
		}
		a, err := measure(&r, &last, &run)
		if err != nil {
			a.Error = err.Error()
		}
		a.Base, a.Peak = base, memory("VmHWM:")
		if err := answers.Encode(a); err != nil {
			return err
		}
	}
}

// longCall is how many seconds a call takes that is timed once, without others to
// warm up: a step of a language model takes a minute.
const longCall = 10

// measure times a request; run is what computes the last one.
func measure(r, last *request, run *func() error) (a answer, err error) {
	if r.Spec != last.Spec || r.Threads != last.Threads {
		*last, *run = request{}, nil
		runtime.GC()
		if *run, err = start(&r.Spec, r.Threads); err != nil {
			return a, err
		}
		begin, least, warm := time.Now(), 3, 300*time.Millisecond
		if r.Spec.Op == "matmul" {
			least, warm = 1, 20*time.Millisecond
		}
		for i := 0; i < 10 && (i < least && time.Since(begin) < 10*time.Second || time.Since(begin) < warm); i++ {
			call := time.Now()
			if err := (*run)(); err != nil {
				return a, err
			}
			if took := time.Since(call).Seconds(); took > longCall {
				a.Seconds = took
				return a, nil
			}
		}
		*last = *r
	}
	var before, after runtime.MemStats
	var times []float64
	runtime.ReadMemStats(&before)
	for total := 0.0; total < r.Seconds; {
		begin := time.Now()
		if err := (*run)(); err != nil {
			return a, err
		}
		times = append(times, time.Since(begin).Seconds())
		total += times[len(times)-1]
	}
	runtime.ReadMemStats(&after)
	slices.Sort(times)
	a.Seconds = (times[len(times)/2] + times[(len(times)-1)/2]) / 2
	a.Allocs = float64(after.Mallocs-before.Mallocs) / float64(len(times))
	return a, nil
}

// start prepares a workload on as many threads. Operations run one after the
// other: of as few workers, operations that run side by side take all, and then
// wait for one to multiply matrices, for ever.
func start(s *spec, threads int) (run func() error, err error) {
	runtime.GOMAXPROCS(threads)
	backend, err := simplego.New("ops_sequential,parallelism=" + strconv.Itoa(threads))
	if err != nil {
		return nil, err
	}
	if s.Op == "step" {
		return startStep(s, backend)
	}
	var f func(in []*graph.Node) []*graph.Node
	var in []any
	if s.Op == "matmul" {
		f, in = matMul(s)
	} else {
		f, in = operation(s)
	}
	if f == nil {
		return nil, fmt.Errorf("no %s %s", s.Op, s.Kind)
	}
	exec, err := graph.NewExec(backend, f)
	if err != nil {
		return nil, err
	}
	repeats := 1
	if s.Op == "ops" {
		repeats = s.Batch
	}
	return func() error {
		for range repeats {
			out, err := exec.Exec(in...)
			if err != nil {
				return err
			}
			for _, t := range out {
				t.FinalizeAll() // its memory is used again
			}
		}
		return nil
	}, nil
}

// filled returns numbers between -1 and 1.
func filled(shape ...int) *tensors.Tensor {
	n := 1
	for _, d := range shape {
		n *= d
	}
	x, state := make([]float32, n), uint32(1)
	for i := range x {
		state = state*1664525 + 1013904223
		x[i] = float32(int32(state)) / (1 << 31)
	}
	return tensors.FromFlatDataAndDimensions(x, shape...)
}

// memory returns a line of the process's status, in MB, or 0 where there is none.
func memory(name string) float64 {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == name {
			kb, _ := strconv.ParseFloat(f[1], 64)
			return kb / 1024
		}
	}
	return 0
}

func version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == "github.com/gomlx/gomlx" {
				return m.Version
			}
		}
	}
	return ""
}
