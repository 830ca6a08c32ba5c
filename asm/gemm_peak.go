package asm

import (
	"fmt"
	"time"
)

// FMAPeak carries out iters rounds of independent multiply-adds in registers,
// with the widest vectors of the instruction set in use, and returns the
// number of floating-point operations that it did. Benchmarks time it to state
// the ceiling of one core beside their own figures.
func FMAPeak(iters int) (flops float64) {
	if iters <= 0 {
		panic(fmt.Sprintf("asm: FMAPeak of %d rounds", iters))
	}
	return float64(iters) * fmaPeak(iters)
}

// DotPeak is FMAPeak for the instruction that multiplies bfloat16 values. It panics
// unless BF16 reports that there is one.
func DotPeak(iters int) (flops float64) {
	if iters <= 0 || !BF16() {
		panic(fmt.Sprintf("asm: DotPeak of %d rounds, instruction set %v", iters, isa))
	}
	return float64(iters) * dotPeak(iters)
}

// DotGain returns how many times as many operations a second the instruction that
// multiplies bfloat16 values does as that for float32, on one core: 2 where both take as
// long, less than 1 where it is slow. It takes about a millisecond to measure that, the
// best of several runs of each. It panics unless BF16 reports that there is one.
func DotGain() float64 {
	const iters, runs = 2000, 16
	rate := func(peak func(int) float64) float64 {
		start := time.Now()
		flops := peak(iters)
		return flops / max(time.Since(start).Seconds(), 1e-9)
	}
	var dot, fma float64
	for range runs { // in turn, so that both meet what else the machine does
		dot, fma = max(dot, rate(DotPeak)), max(fma, rate(FMAPeak))
	}
	return dot / fma
}

// fmaPeakSink keeps the compiler from dropping the portable loop.
var fmaPeakSink float32

// fmaPeakGeneric is the portable version of fmaPeak.
func fmaPeakGeneric(iters int) (flopsPerRound float64) {
	var a, b, c, d, e, f, g, h float32
	x := fmaPeakSink
	for range iters {
		a += float32(x * x)
		b += float32(x * x)
		c += float32(x * x)
		d += float32(x * x)
		e += float32(x * x)
		f += float32(x * x)
		g += float32(x * x)
		h += float32(x * x)
	}
	fmaPeakSink = (a + b + c + d + e + f + g + h) * 0
	return 16
}
