//go:build !amd64 || purego

package asm

func gemmKernelsOf(ISA) *gemmKernels { return &gemmGeneric }

func gemmL2() int { return 256 << 10 }

func gemmL3() int { return 8 << 20 }

func gemmWays() int { return 8 }
