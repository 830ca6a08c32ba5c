//go:build amd64 && !purego

package asm

import "github.com/klauspost/cpuid/v2"

// hasVNNI tells whether the processor multiplies vectors of int8.
var hasVNNI = cpuid.CPU.Supports(cpuid.AVX512VNNI)

// The tiles of int8Kernel; blocks is at least 1.

//go:noescape
func int8Tile8x32avx512vnni(c []float32, ldc int, a []uint8, lda int, b []int8, blocks int,
	scales []float32, sums []int32, bias, rowScales []float32)

//go:noescape
func int8Tile4x32avx512vnni(c []float32, ldc int, a []uint8, lda int, b []int8, blocks int,
	scales []float32, sums []int32, bias, rowScales []float32)

//go:noescape
func int8Tile2x32avx512vnni(c []float32, ldc int, a []uint8, lda int, b []int8, blocks int,
	scales []float32, sums []int32, bias, rowScales []float32)

//go:noescape
func int8Tile1x32avx512vnni(c []float32, ldc int, a []uint8, lda int, b []int8, blocks int,
	scales []float32, sums []int32, bias, rowScales []float32)

//go:noescape
func int8Tile2x16avx2(c []float32, ldc int, a []uint8, lda int, b []int8, blocks int,
	scales []float32, sums []int32, bias, rowScales []float32)

//go:noescape
func int8Tile1x16avx2(c []float32, ldc int, a []uint8, lda int, b []int8, blocks int,
	scales []float32, sums []int32, bias, rowScales []float32)

// absMaxAVX2 is absMaxGeneric for a positive multiple of 8 values.
//
//go:noescape
func absMaxAVX2(x []float32) uint32

// int8RoundAVX2 is int8RoundGeneric for a positive multiple of 32 values.
//
//go:noescape
func int8RoundAVX2(q []uint8, x []float32, factor float32)

// dequantizeAVX2 is dequantizeGeneric for a positive multiple of 8 values.
//
//go:noescape
func dequantizeAVX2(dst []float32, q []int8, scale float32)

var (
	int8VNNI = []int8Kernel{
		{8, 32, int8Tile8x32avx512vnni}, {4, 32, int8Tile4x32avx512vnni},
		{2, 32, int8Tile2x32avx512vnni}, {1, 32, int8Tile1x32avx512vnni},
	}
	int8AVX2 = []int8Kernel{{2, 16, int8Tile2x16avx2}, {1, 16, int8Tile1x16avx2}}
)

func int8Kernels() []int8Kernel {
	switch {
	case isa == AVX512 && hasVNNI:
		return int8VNNI
	case isa >= AVX2:
		return int8AVX2
	}
	return int8Generic
}

func absMax(x []float32) uint32 {
	n, most := len(x)&^7, uint32(0)
	if isa < AVX2 {
		n = 0
	}
	if n > 0 {
		most = absMaxAVX2(x[:n])
	}
	return max(most, absMaxGeneric(x[n:]))
}

func int8Round(q []uint8, x []float32, factor float32) {
	n := len(x) &^ 31
	if isa < AVX2 {
		n = 0
	}
	if n > 0 {
		int8RoundAVX2(q[:n], x[:n], factor)
	}
	int8RoundGeneric(q[n:], x[n:], factor)
}

func dequantize(dst []float32, q []int8, scale float32) {
	n := len(q) &^ 7
	if isa < AVX2 {
		n = 0
	}
	if n > 0 {
		dequantizeAVX2(dst[:n], q[:n], scale)
	}
	dequantizeGeneric(dst[n:], q[n:], scale)
}
