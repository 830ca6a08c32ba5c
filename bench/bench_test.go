package bench

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"testing"

	"github.com/marge-go/marge/tensor"
)

func BenchmarkGEMM(b *testing.B)      { section(b, "gemm") }
func BenchmarkVector(b *testing.B)    { section(b, "vector") }
func BenchmarkAttention(b *testing.B) { section(b, "attention") }
func BenchmarkStep(b *testing.B)      { section(b, "step") }
func BenchmarkOps(b *testing.B)       { section(b, "ops") }
func BenchmarkTopK(b *testing.B)      { section(b, "topk") }
func BenchmarkMatMul(b *testing.B)    { section(b, "matmul") }
func BenchmarkLanguage(b *testing.B)  { section(b, "gpt") }
func BenchmarkBF16(b *testing.B)      { section(b, "bf16") }

var ceiling, bandwidth = cached(Ceiling), cached(Bandwidth)

// section runs the workloads of a section on one and two threads, and on devices. What takes
// long or much memory (Paper's step, a million vectors) runs only if
// MARGE_BENCH_LONG is set.
func section(b *testing.B, name string) {
	for _, w := range Workloads(name) {
		if w.Long && w.Op != "gemm" && os.Getenv("MARGE_BENCH_LONG") == "" {
			continue
		}
		for threads := 1; threads <= min(2, runtime.GOMAXPROCS(0)); threads++ {
			b.Run(fmt.Sprintf("%s/threads=%d", w.Name, threads), func(b *testing.B) { timed(b, &w, threads) })
		}
		if w.Op == "gemm" {
			b.Run(w.Name+"/gonum", func(b *testing.B) {
				run := w.Gonum(runtime.GOMAXPROCS(0))
				for b.Loop() {
					run()
				}
				b.ReportMetric(w.Flops*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
		}
	}
	if len(openDevices()) == 0 {
		return
	}
	for _, w := range DeviceWorkloads(name) {
		if w.Kind == "paper" && os.Getenv("MARGE_BENCH_LONG") == "" {
			continue
		}
		for _, d := range openDevices() {
			b.Run(w.Name+"/backend="+d.name, func(b *testing.B) { timedOn(b, &w, d.backend) })
		}
	}
}

// device is a backend other than the processor, and its name in that of a benchmark.
type device struct {
	name    string
	backend tensor.Backend
}

// openDevices opens the devices that there are, once. A file for each kind replaces it.
var openDevices = func() []device { return nil }

// timedOn times a workload on a device, which runs behind the host.
func timedOn(b *testing.B, w *Workload, on tensor.Backend) {
	run, err := w.StartOn(on)
	if err != nil {
		b.Fatal(err)
	}
	run() // the first compiles kernels and takes memory
	run()
	Wait(on)
	ahead := 16
	if w.Op == "step" {
		ahead = 1 // it waits for the norm of the gradients
	}
	for b.Loop() {
		for range ahead {
			run()
		}
		Wait(on)
	}
	seconds := b.Elapsed().Seconds() / float64(b.N*ahead)
	b.ReportMetric(seconds*1e9, "ns/op")
	reportRates(b, w, seconds)
}

// reportRates reports what a workload does in a second.
func reportRates(b *testing.B, w *Workload, seconds float64) {
	if w.Flops > 0 {
		b.ReportMetric(w.Flops/seconds/1e9, "GFLOP/s")
	}
	if w.Bytes > 0 {
		b.ReportMetric(w.Bytes/seconds/1e9, "GB/s")
	}
	if w.Tokens > 0 {
		b.ReportMetric(float64(w.Tokens)/seconds, "target-tokens/s")
	}
}

func timed(b *testing.B, w *Workload, threads int) {
	debug.FreeOSMemory()
	reset := ResetPeak()
	run, stop, err := w.Start(threads)
	if err != nil {
		b.Fatal(err)
	}
	defer stop()
	// The first step takes memory from the system, which the second still may.
	run()
	run()
	b.ReportAllocs()
	for b.Loop() {
		run()
	}
	seconds := b.Elapsed().Seconds() / float64(b.N)
	reportRates(b, w, seconds)
	if w.Flops > 0 {
		b.ReportMetric(w.Flops/seconds/ceiling(threads), "ceiling")
	}
	if w.Bytes > 0 {
		b.ReportMetric(w.Bytes/seconds/bandwidth(threads), "bandwidth")
	}
	if _, peak := ResidentMB(); reset == nil && (w.Op == "step" || w.Op == "attention") {
		b.ReportMetric(peak, "peak-MB")
	}
}
