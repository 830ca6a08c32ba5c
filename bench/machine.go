package bench

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/cpuid/v2"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/internal/pages"
	"github.com/marge-go/marge/tensor"
)

// Machine names the processor.
func Machine() string {
	c := cpuid.CPU
	return fmt.Sprintf("%s (family %d, model %d)", strings.TrimSpace(c.BrandName), c.Family, c.Model)
}

// peakTask keeps all threads at multiply-adds.
type peakTask struct{ flops []float64 }

func (p *peakTask) Do(part int) { p.flops[part] = asm.FMAPeak(1 << 19) }

// Ceiling returns the floating-point operations a second that the multiply-adds
// of the instruction set in use do on the given number of threads: the best of
// several measurements.
func Ceiling(threads int) float64 {
	return ceilingOf(threads, func(flops []float64) asm.Task { return &peakTask{flops} })
}

// ceilingOf returns the best rate of some runs of a task, each part of which writes
// down how many operations it did.
func ceilingOf(threads int, task func(flops []float64) asm.Task) (best float64) {
	pool := tensor.NewPool(threads)
	defer pool.Close()
	done := make([]float64, threads)
	for range 20 {
		start := time.Now()
		pool.Run(threads, task(done))
		seconds, flops := time.Since(start).Seconds(), 0.0
		for _, f := range done {
			flops += f
		}
		best = max(best, flops/seconds)
	}
	return best
}

// dotTask is peakTask for products of bfloat16 values.
type dotTask struct{ peakTask }

func (p *dotTask) Do(part int) { p.flops[part] = asm.DotPeak(1 << 19) }

// DotCeiling is Ceiling for products of bfloat16 values, or 0 where there is no
// instruction for them.
func DotCeiling(threads int) float64 {
	if !asm.BF16() {
		return 0
	}
	return ceilingOf(threads, func(flops []float64) asm.Task { return &dotTask{peakTask{flops}} })
}

// copyTask copies in parts of 64 KiB.
type copyTask struct{ dst, src []float32 }

const copyPart = 1 << 14

func (c *copyTask) Do(part int) {
	copy(c.dst[part*copyPart:(part+1)*copyPart], c.src[part*copyPart:])
}

// copied are the operands of Bandwidth, in memory like that of a tensor.
var copied = sync.OnceValue(func() *copyTask {
	operand := func() []float32 {
		return tensor.FromSlice(tensor.NewCPU(1), filled(copySize), copySize).Float32s()
	}
	return &copyTask{operand(), operand()}
})

const copySize = 1 << 24

// Bandwidth returns the bytes a second, read and written, that a copy of 64 MiB
// moves on the given number of threads, which is more than fits in the caches:
// the best of several measurements.
func Bandwidth(threads int) float64 {
	pool := tensor.NewPool(threads)
	defer pool.Close()
	c := copied()
	best := 0.0
	for range 10 {
		start := time.Now()
		pool.Run(copySize/copyPart, c)
		best = max(best, 8*copySize/time.Since(start).Seconds())
	}
	return best
}

// Handover returns the seconds that a cache line takes from one thread to
// another: half of a round trip, the best of several measurements. It tells
// whether two threads have a third-level cache in common, on which short tasks
// depend. Virtual machines claim one and are moved between cores that have and
// cores that have none, from one second to the next. It returns 0 where two
// threads do not get a core each: they would wait for the system, not for a line.
func Handover() float64 {
	if runtime.GOMAXPROCS(0) < 2 || runtime.NumCPU() < 2 {
		return 0
	}
	const trips = 1 << 12
	var line struct {
		_ [64]byte
		n atomic.Int64
		_ [64]byte
	}
	var late atomic.Bool
	giveUp := time.AfterFunc(2*time.Second, func() { late.Store(true) })
	defer giveUp.Stop()
	await := func(turn int64) bool { // false if it is too late
		for spins := 1; line.n.Load() != turn; spins++ {
			if spins%(1<<14) == 0 { // much more than a line takes
				if late.Load() {
					return false
				}
				runtime.Gosched()
			}
		}
		return true
	}
	best := math.Inf(1)
	for range 40 { // long enough for the system to give each thread a core
		line.n.Store(0)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for turn := int64(1); turn < 2*trips && await(turn); turn += 2 {
				line.n.Store(turn + 1)
			}
		}()
		start := time.Now()
		for turn := int64(0); turn < 2*trips; turn += 2 {
			line.n.Store(turn + 1)
			if !await(turn + 2) {
				break
			}
		}
		seconds := time.Since(start).Seconds()
		<-done
		if late.Load() {
			break
		}
		best = min(best, seconds)
	}
	if math.IsInf(best, 1) {
		return 0
	}
	return best / (2 * trips)
}

// cached keeps what was measured for each number of threads.
func cached(measure func(threads int) float64) func(threads int) float64 {
	var mu sync.Mutex
	known := map[int]float64{}
	return func(threads int) float64 {
		mu.Lock()
		defer mu.Unlock()
		if known[threads] == 0 {
			known[threads] = measure(threads)
		}
		return known[threads]
	}
}

// ResidentMB returns the physical memory that the process has, and the most
// that it had since its start or ResetPeak. Where the system does not tell, it
// returns zeros.
func ResidentMB() (now, peak float64) {
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) != 3 {
			continue
		}
		kb, _ := strconv.ParseFloat(f[1], 64)
		switch f[0] {
		case "VmRSS:":
			now = kb / 1024
		case "VmHWM:":
			peak = kb / 1024
		}
	}
	return now, peak
}

// ResetPeak makes ResidentMB forget the peak so far.
func ResetPeak() error { return os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }

// zeros returns n zeros, on large pages where they are many, as numpy gives
// them to OpenBLAS.
func zeros(n int) []float32 {
	x := make([]float32, n)
	pages.Advise(x)
	return x
}

// filled returns n numbers between -1 and 1.
func filled(n int) []float32 {
	x := zeros(n)
	state := uint32(1)
	for i := range x {
		state = state*1664525 + 1013904223
		x[i] = float32(int32(state)) / (1 << 31)
	}
	return x
}
