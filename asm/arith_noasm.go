//go:build !amd64 || purego

package asm

func add(dst, a, b []float32)                         { addGeneric(dst, a, b) }
func sub(dst, a, b []float32)                         { subGeneric(dst, a, b) }
func mul(dst, a, b []float32)                         { mulGeneric(dst, a, b) }
func div(dst, a, b []float32)                         { divGeneric(dst, a, b) }
func maximum(dst, a, b []float32)                     { maximumGeneric(dst, a, b) }
func minimum(dst, a, b []float32)                     { minimumGeneric(dst, a, b) }
func less(dst, a, b []float32)                        { lessGeneric(dst, a, b) }
func equal(dst, a, b []float32)                       { equalGeneric(dst, a, b) }
func where(dst, mask, a, b []float32)                 { whereGeneric(dst, mask, a, b) }
func abs(dst, x []float32)                            { absGeneric(dst, x) }
func sqrt(dst, x []float32)                           { sqrtGeneric(dst, x) }
func scale(dst []float32, alpha float32, x []float32) { scaleGeneric(dst, alpha, x) }
func affine(dst []float32, alpha float32, x []float32, beta float32) {
	affineGeneric(dst, alpha, x, beta)
}
func clamp(dst, x []float32, lo, hi float32) { clampGeneric(dst, x, lo, hi) }

func addStream(dst, a, b []float32)                         { addGeneric(dst, a, b) }
func subStream(dst, a, b []float32)                         { subGeneric(dst, a, b) }
func mulStream(dst, a, b []float32)                         { mulGeneric(dst, a, b) }
func divStream(dst, a, b []float32)                         { divGeneric(dst, a, b) }
func maximumStream(dst, a, b []float32)                     { maximumGeneric(dst, a, b) }
func minimumStream(dst, a, b []float32)                     { minimumGeneric(dst, a, b) }
func lessStream(dst, a, b []float32)                        { lessGeneric(dst, a, b) }
func equalStream(dst, a, b []float32)                       { equalGeneric(dst, a, b) }
func whereStream(dst, mask, a, b []float32)                 { whereGeneric(dst, mask, a, b) }
func absStream(dst, x []float32)                            { absGeneric(dst, x) }
func sqrtStream(dst, x []float32)                           { sqrtGeneric(dst, x) }
func scaleStream(dst []float32, alpha float32, x []float32) { scaleGeneric(dst, alpha, x) }
func affineStream(dst []float32, alpha float32, x []float32, beta float32) {
	affineGeneric(dst, alpha, x, beta)
}
func clampStream(dst, x []float32, lo, hi float32) { clampGeneric(dst, x, lo, hi) }

func log(dst, x []float32)   { logGeneric(dst, x) }
func log1p(dst, x []float32) { log1pGeneric(dst, x) }
func sin(dst, x []float32)   { sinGeneric(dst, x) }
func cos(dst, x []float32)   { cosGeneric(dst, x) }
