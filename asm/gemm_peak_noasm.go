//go:build !amd64 || purego

package asm

func fmaPeak(iters int) (flopsPerRound float64) { return fmaPeakGeneric(iters) }
