//go:build !amd64 || purego

package asm

func gemmKernelsOf(ISA) *gemmKernels { return &gemmGeneric }

func gemmCacheSizes() (l2, l3 int) { return 1 << 20, 8 << 20 }
