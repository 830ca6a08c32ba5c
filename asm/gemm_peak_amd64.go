//go:build amd64 && !purego

package asm

// fmaPeakAVX2 does 12 independent multiply-adds of 8 lanes a round; iters is
// at least 1.
//
//go:noescape
func fmaPeakAVX2(iters int)

// fmaPeakAVX512 does 24 independent multiply-adds of 16 lanes a round; iters
// is at least 1.
//
//go:noescape
func fmaPeakAVX512(iters int)

// fmaPeak runs iters rounds and returns the operations of one.
func fmaPeak(iters int) (flopsPerRound float64) {
	switch isa {
	case AVX512:
		fmaPeakAVX512(iters)
		return 2 * 24 * 16
	case AVX2:
		fmaPeakAVX2(iters)
		return 2 * 12 * 8
	}
	return fmaPeakGeneric(iters)
}
