//go:build amd64 && !purego

package asm

// isaFlags are the flags of /proc/cpuinfo that an instruction set stands for.
var isaFlags = map[ISA][]string{
	AVX2:   {"avx2", "fma", "f16c"},
	AVX512: {"avx2", "fma", "f16c", "avx512f", "avx512cd", "avx512bw", "avx512dq", "avx512vl"},
}
