package tensor

import (
	"math"

	"github.com/marge-go/marge/asm"
)

// The specifications of the operations, in float64, as plainly as can be.

func each(x []float64, f func(float64) float64) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = f(v)
	}
	return y
}

func zip(x, y []float64, f func(a, b float64) float64) []float64 {
	z := make([]float64, len(x))
	for i := range x {
		z[i] = f(x[i], y[i])
	}
	return z
}

func geluRef(x float64) float64 { return 0.5 * x * math.Erfc(-x/math.Sqrt2) }

func matMulRef(a, b []float64, m, k, n int) []float64 {
	c := make([]float64, m*n)
	for i := range m {
		for j := range n {
			for p := range k {
				c[i*n+j] += a[i*k+p] * b[p*n+j]
			}
		}
	}
	return c
}

func linearRef(x, w, b []float64, n, in, out int) []float64 {
	y := make([]float64, n*out)
	for i := range n {
		for j := range out {
			y[i*out+j] = b[j]
			for p := range in {
				y[i*out+j] += x[i*in+p] * w[j*in+p]
			}
		}
	}
	return y
}

func layerNormRef(x, gamma, beta []float64, d int, eps float64) []float64 {
	y := make([]float64, len(x))
	for r := 0; r < len(x); r += d {
		mean, variance := 0.0, 0.0
		for _, v := range x[r : r+d] {
			mean += v / float64(d)
		}
		for _, v := range x[r : r+d] {
			variance += (v - mean) * (v - mean) / float64(d)
		}
		for j, v := range x[r : r+d] {
			y[r+j] = (v-mean)/math.Sqrt(variance+eps)*gamma[j] + beta[j]
		}
	}
	return y
}

func gatherRef(table []float64, ids []int32, d int, scale float64) []float64 {
	var y []float64
	for _, id := range ids {
		y = append(y, each(table[int(id)*d:(int(id)+1)*d], func(a float64) float64 { return scale * a })...)
	}
	return y
}

func segmentMeanRef(x []float64, offsets []int32, d int) []float64 {
	y := make([]float64, (len(offsets)-1)*d)
	for s := range len(offsets) - 1 {
		n := float64(offsets[s+1] - offsets[s])
		for i := int(offsets[s]); i < int(offsets[s+1]); i++ {
			for j := range d {
				y[s*d+j] += x[i*d+j] / n
			}
		}
	}
	return y
}

func linearMaxRef(x, w []float64, offsets []int32, k int) []float64 {
	d := len(w) / k
	y := make([]float64, (len(offsets)-1)*d)
	for s := range len(offsets) - 1 {
		for i := int(offsets[s]); i < int(offsets[s+1]); i++ {
			for j := range d {
				v := 0.0
				for l := range k {
					v += x[i*k+l] * w[j*k+l]
				}
				if i == int(offsets[s]) || v > y[s*d+j] {
					y[s*d+j] = v
				}
			}
		}
	}
	return y
}

func normalizeRef(x []float64, d int) []float64 {
	var y []float64
	for r := 0; r < len(x); r += d {
		sum := 0.0
		for _, v := range x[r : r+d] {
			sum += v * v
		}
		y = append(y, each(x[r:r+d], func(a float64) float64 { return a / math.Sqrt(sum) })...)
	}
	return y
}

// dropoutMask returns the factors of the elements offset, offset+1, ... of a
// dropout stream.
func dropoutMask(n int, p float32, stream, offset uint64) []float64 {
	ones := make([]float32, n)
	for i := range ones {
		ones[i] = 1
	}
	asm.Dropout(ones, ones, p, testSeed, stream<<streamShift+offset)
	return widen(ones)
}

func crossEntropyRef(hidden, table []float64, targets []int32, d, v int, smoothing, scale float64) float64 {
	logits := linearRef(hidden, table, make([]float64, v), len(targets), d, v)
	total := 0.0
	for i, target := range targets {
		row := logits[i*v : (i+1)*v]
		sum, mean := 0.0, 0.0
		for _, l := range row {
			sum += math.Exp(l)
			mean += l / float64(v)
		}
		lse := math.Log(sum)
		total += (1-smoothing)*(lse-row[target]) + smoothing*(lse-mean)
	}
	return scale * total
}

func attentionRef(q, k, v, bias []float64, d int, o AttentionOptions) []float64 {
	rows, keys := len(q)/d, len(k)/d
	w := d / o.Heads
	out := make([]float64, len(q))
	nk := len(o.KOffsets) - 1
	for h := range o.Heads {
		for s := range len(o.QOffsets) - 1 {
			for i := int(o.QOffsets[s]); i < int(o.QOffsets[s+1]); i++ {
				weights := make([]float64, keys)
				sum := 0.0
				first := 0
				for t := range nk {
					for j := int(o.KOffsets[t]); j < int(o.KOffsets[t+1]); j++ {
						if bias == nil && (t != s || o.Causal && j-int(o.KOffsets[t]) > i-int(o.QOffsets[s])) {
							continue
						}
						score := 0.0
						for c := h * w; c < (h+1)*w; c++ {
							score += q[i*d+c] * k[j*d+c]
						}
						score *= float64(o.Scale)
						if bias != nil {
							score += bias[s*nk+t]
						}
						weights[j] = math.Exp(score)
						sum += weights[j]
					}
				}
				if sum == 0 {
					continue
				}
				if o.Dropout > 0 {
					if bias == nil {
						first = int(o.KOffsets[s])
					}
					mask := dropoutMask(keys-first, o.Dropout, 1, uint64(h*rows+i)*uint64(keys))
					for j := first; j < keys; j++ {
						weights[j] *= mask[j-first]
					}
				}
				for j := range keys {
					for c := h * w; c < (h+1)*w; c++ {
						out[i*d+c] += weights[j] / sum * v[j*d+c]
					}
				}
			}
		}
	}
	return out
}
