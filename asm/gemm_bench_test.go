package asm

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"
)

// fmaCeiling returns the measured GFLOP/s of one core: the best of some short runs.
var fmaCeiling = sync.OnceValue(func() float64 {
	best := 0.0
	for range 20 {
		start := time.Now()
		flops := FMAPeak(200_000)
		best = max(best, flops/time.Since(start).Seconds()/1e9)
	}
	return best
})

// workers is a Runner with threads that wait for work, as a program has them.
type workers struct{ jobs []chan func() }

func newWorkers(b *testing.B, n int) *workers {
	w := &workers{jobs: make([]chan func(), n-1)}
	for i := range w.jobs {
		w.jobs[i] = make(chan func())
		go func() {
			for job := range w.jobs[i] {
				job()
			}
		}()
	}
	b.Cleanup(func() {
		for _, jobs := range w.jobs {
			close(jobs)
		}
	})
	return w
}

func (w *workers) Threads() int { return len(w.jobs) + 1 }

func (w *workers) Run(parts int, t Task) {
	var wg sync.WaitGroup
	share := func(i int) {
		for p := i; p < parts; p += w.Threads() {
			t.Do(p)
		}
	}
	for i, jobs := range w.jobs {
		wg.Add(1)
		jobs <- func() { share(i + 1); wg.Done() }
	}
	share(0)
	wg.Wait()
}

func BenchmarkGEMM(b *testing.B) {
	type shape struct {
		m, n, k int
		trans   string
	}
	shapes := []shape{
		{256, 256, 256, "NT"}, {512, 512, 512, "NT"}, {1024, 1024, 1024, "NT"}, {2048, 2048, 2048, "NT"},
		{1024, 1024, 1024, "NN"}, {1024, 1024, 1024, "TN"}, {1024, 1024, 1024, "TT"},
		{512, 256, 1024, "NT"}, {1024, 256, 256, "NT"}, {1024, 256, 256, "NN"}, {256, 256, 1024, "TN"},
		{128, 16000, 256, "NT"}, {16000, 256, 128, "TN"}, {128, 256, 16000, "NN"},
		{1, 1024, 1024, "NT"}, {4, 1024, 1024, "NT"}, {8, 16000, 256, "NT"}, {1, 16000, 256, "NT"},
		{1, 1024, 1024, "NN"}, {8, 1024, 1024, "NN"},
		{16, 1024, 1024, "NT"}, {32, 1024, 1024, "NT"},
		{128, 128, 64, "NT"}, {128, 64, 128, "NN"}, {128, 64, 128, "TN"}, {32, 32, 64, "NT"},
		{32, 64, 32, "NN"}, {1, 128, 64, "NT"}, {1, 64, 128, "NN"},
	}
	for _, s := range shapes {
		for threads := 1; threads <= runtime.GOMAXPROCS(0); threads *= 2 {
			b.Run(fmt.Sprintf("%dx%dx%d/%s/threads=%d", s.m, s.n, s.k, s.trans, threads), func(b *testing.B) {
				var run Runner = Serial
				if threads > 1 {
					run = newWorkers(b, threads)
				}
				c := gemmCase{m: s.m, n: s.n, k: s.k, transA: s.trans[0] == 'T', transB: s.trans[1] == 'T', alpha: 1}
				g := c.args(rand.New(rand.NewPCG(1, 1)), onHeap)
				for b.Loop() {
					Gemm(run, g)
				}
				rate := 2 * float64(s.m) * float64(s.n) * float64(s.k) * float64(b.N) / b.Elapsed().Seconds() / 1e9
				b.ReportMetric(rate, "GFLOP/s")
				b.ReportMetric(rate/fmaCeiling()/float64(threads), "ceiling")
			})
		}
	}
}
