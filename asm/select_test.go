package asm

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/asm/internal/guard"
)

// refAbove is Above by definition, in float64.
func refAbove(x, t []float32) []uint64 {
	bits := make([]uint64, (len(x)+63)/64)
	for i, v := range x {
		threshold := float64(t[0])
		if len(t) == len(x) {
			threshold = float64(t[i])
		}
		if float64(v) > threshold || math.IsNaN(float64(v)) || math.IsNaN(threshold) {
			bits[i/64] |= 1 << (i % 64)
		}
	}
	return bits
}

// scoresOf returns values of which many are equal, infinite, signed zeros or NaN.
func scoresOf(rng *rand.Rand, x []float32) []float32 {
	for i := range x {
		x[i] = float32(rng.IntN(5) - 2)
		switch rng.IntN(8) {
		case 0:
			x[i] = float32(math.Inf(rng.IntN(2)*2 - 1))
		case 1:
			x[i] = float32(math.Copysign(0, -1))
		case 2:
			x[i] = float32(math.NaN())
		case 3:
			x[i] = math.Float32frombits(rng.Uint32())
		}
	}
	return x
}

func checkAbove(t *testing.T, bits []uint64, x, thresholds []float32) {
	t.Helper()
	for i := range bits {
		bits[i] = 0xaaaaaaaaaaaaaaaa
	}
	Above(bits, x, thresholds)
	if want := refAbove(x, thresholds); !slices.Equal(bits, want) {
		t.Fatalf("%v: %d values, %d thresholds: got %x, want %x", Current(), len(x), len(thresholds), bits, want)
	}
}

func TestAbove(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(31, 32))
		for n := range 200 {
			x, each := scoresOf(rng, make([]float32, n)), scoresOf(rng, make([]float32, n))
			bits := make([]uint64, (n+63)/64)
			for _, one := range scoresOf(rng, make([]float32, 4)) {
				checkAbove(t, bits, x, []float32{one})
			}
			if n > 0 {
				checkAbove(t, bits, x, each)
				checkAbove(t, bits, x, x)
			}
		}
	})
}

func TestAboveGuardPages(t *testing.T) {
	forEachISA(t, func(t *testing.T) {
		rng := rand.New(rand.NewPCG(33, 34))
		for _, n := range []int{1, 7, 15, 16, 17, 31, 33, 63, 64, 65, 100, 512} {
			xEnd, xStart := guard.Alloc(t, n)
			tEnd, tStart := guard.Alloc(t, n)
			oneEnd, _ := guard.Alloc(t, 1)
			bits := make([]uint64, (n+63)/64+2)
			inner := bits[1 : len(bits)-1]
			for _, x := range [][]float32{xEnd, xStart} {
				for _, thresholds := range [][]float32{tEnd, tStart, oneEnd} {
					bits[0], bits[len(bits)-1] = 1, 2
					checkAbove(t, inner, scoresOf(rng, x), scoresOf(rng, thresholds))
					if bits[0] != 1 || bits[len(bits)-1] != 2 {
						t.Fatalf("%d values: a word beside the bits was written", n)
					}
				}
			}
		}
	})
}

func TestAbovePanics(t *testing.T) {
	few := make([]uint64, 1)
	for want, f := range map[string]func(){
		"bits has 1 words, want 2 for 65 values":            func() { Above(few, make([]float32, 65), make([]float32, 1)) },
		"2 thresholds for 3 values, want one or as many":    func() { Above(few, make([]float32, 3), make([]float32, 2)) },
		"bits has 1 words, want 0 for 0 values":             func() { Above(few, nil, make([]float32, 1)) },
		"above: 0 thresholds for 3 values, want one or as ": func() { Above(few, make([]float32, 3), nil) },
	} {
		func() {
			defer func() {
				if msg := fmt.Sprint(recover()); !strings.Contains(msg, want) {
					t.Errorf("panicked with %q, want %q in it", msg, want)
				}
			}()
			f()
		}()
	}
}

// Any bits: the comparison is that of the definition.
func FuzzAbove(f *testing.F) {
	seedFloats(f, func(data []byte) { f.Add(data, float32(0.5)) })
	f.Fuzz(func(t *testing.T, data []byte, one float32) {
		x := floatsOf(data)
		bits := make([]uint64, (len(x)+63)/64)
		each := slices.Clone(x)
		slices.Reverse(each)
		forEachISA(t, func(t *testing.T) {
			checkAbove(t, bits, x, []float32{one})
			if len(x) > 0 {
				checkAbove(t, bits, x, each)
			}
		})
	})
}

func BenchmarkAbove(b *testing.B) {
	const n = 512
	x := randomFloats(rand.New(rand.NewPCG(35, 36)), n)
	bits := make([]uint64, n/64)
	benchmarkEachISA(b, func(b *testing.B) {
		for _, thresholds := range []int{1, n} {
			b.Run(fmt.Sprintf("thresholds=%d", thresholds), func(b *testing.B) {
				t := make([]float32, thresholds)
				b.SetBytes(4 * n)
				for b.Loop() {
					Above(bits, x, t)
				}
			})
		}
	})
}
