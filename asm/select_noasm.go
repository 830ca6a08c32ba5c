//go:build !amd64 || purego

package asm

func above(bits []uint64, x, t []float32) { aboveGeneric(bits, x, t) }
