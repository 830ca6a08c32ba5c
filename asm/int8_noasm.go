//go:build !amd64 || purego

package asm

func int8Kernels() []int8Kernel { return int8Generic }

func absMax(x []float32) uint32 { return absMaxGeneric(x) }

func int8Round(q []uint8, x []float32, factor float32) { int8RoundGeneric(q, x, factor) }

func dequantize(dst []float32, q []int8, scale float32) { dequantizeGeneric(dst, q, scale) }
