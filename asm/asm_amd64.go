//go:build amd64 && !purego

package asm

import "github.com/klauspost/cpuid/v2"

func supported() []ISA {
	isas := []ISA{Generic}
	if cpuid.CPU.Supports(cpuid.AVX2, cpuid.FMA3, cpuid.F16C) {
		isas = append(isas, AVX2)
		// cpuid reports AVX-512 only where the operating system saves ZMM state.
		if cpuid.CPU.Supports(cpuid.AVX512F, cpuid.AVX512CD, cpuid.AVX512BW, cpuid.AVX512DQ, cpuid.AVX512VL) {
			isas = append(isas, AVX512)
		}
	}
	return isas
}
