//go:build !amd64 || purego

package asm

func sub(dst, a, b []float32)         { subGeneric(dst, a, b) }
func div(dst, a, b []float32)         { divGeneric(dst, a, b) }
func maximum(dst, a, b []float32)     { maximumGeneric(dst, a, b) }
func minimum(dst, a, b []float32)     { minimumGeneric(dst, a, b) }
func less(dst, a, b []float32)        { lessGeneric(dst, a, b) }
func equal(dst, a, b []float32)       { equalGeneric(dst, a, b) }
func where(dst, mask, a, b []float32) { whereGeneric(dst, mask, a, b) }
func abs(dst, x []float32)            { absGeneric(dst, x) }
func sqrt(dst, x []float32)           { sqrtGeneric(dst, x) }
func log(dst, x []float32)            { logGeneric(dst, x) }
func log1p(dst, x []float32)          { log1pGeneric(dst, x) }
func sin(dst, x []float32)            { sinGeneric(dst, x) }
func cos(dst, x []float32)            { cosGeneric(dst, x) }
