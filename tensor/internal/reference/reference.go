// Package reference has the specifications of the operations of package tensor, in
// float64 and as plain as possible. Matrices are row-major.
package reference

import (
	"math"

	"github.com/marge-go/marge/asm"
)

// Each returns f of each element.
func Each(x []float64, f func(float64) float64) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = f(v)
	}
	return y
}

// Zip returns f of each pair of elements.
func Zip(x, y []float64, f func(a, b float64) float64) []float64 {
	z := make([]float64, len(x))
	for i := range x {
		z[i] = f(x[i], y[i])
	}
	return z
}

// Plus returns a + b.
func Plus(a, b float64) float64 { return a + b }

// GELU is x*Phi(x).
func GELU(x float64) float64 { return 0.5 * x * math.Erfc(-x/math.Sqrt2) }

// MatMul returns a [m, k] times b [k, n].
func MatMul(a, b []float64, m, k, n int) []float64 {
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

// Linear returns x W^T + b for x [n, in], W [out, in] and b [out] or nil.
func Linear(x, w, b []float64, n, in, out int) []float64 {
	y := make([]float64, n*out)
	for i := range n {
		for j := range out {
			if b != nil {
				y[i*out+j] = b[j]
			}
			for p := range in {
				y[i*out+j] += x[i*in+p] * w[j*in+p]
			}
		}
	}
	return y
}

// LayerNorm normalises rows of d elements.
func LayerNorm(x, gamma, beta []float64, d int, eps float64) []float64 {
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

// Gather returns scale times the rows of table that ids names, of d elements.
func Gather(table []float64, ids []int32, d int, scale float64) []float64 {
	var y []float64
	for _, id := range ids {
		y = append(y, Each(table[int(id)*d:(int(id)+1)*d], func(a float64) float64 { return scale * a })...)
	}
	return y
}

// SegmentMean returns the means of segments of rows of d elements.
func SegmentMean(x []float64, offsets []int32, d int) []float64 {
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

// LinearMax returns the greatest values of the columns of x w^T in each segment,
// for rows of k elements, and the first rows that have them, or -1.
func LinearMax(x, w []float64, offsets []int32, k int) (y []float64, rows []int32) {
	d := len(w) / k
	y, rows = make([]float64, (len(offsets)-1)*d), make([]int32, (len(offsets)-1)*d)
	for s := range len(offsets) - 1 {
		for j := range d {
			rows[s*d+j] = -1
			for i := int(offsets[s]); i < int(offsets[s+1]); i++ {
				v := 0.0
				for l := range k {
					v += x[i*k+l] * w[j*k+l]
				}
				if i == int(offsets[s]) || v > y[s*d+j] {
					y[s*d+j], rows[s*d+j] = v, int32(i)
				}
			}
		}
	}
	return y, rows
}

// Normalize returns rows of d elements divided by their norms, zero rows as they are.
func Normalize(x []float64, d int) []float64 {
	var y []float64
	for r := 0; r < len(x); r += d {
		sum := 0.0
		for _, v := range x[r : r+d] {
			sum += v * v
		}
		norm := math.Sqrt(sum)
		if norm == 0 {
			norm = 1
		}
		y = append(y, Each(x[r:r+d], func(a float64) float64 { return a / norm })...)
	}
	return y
}

// DropoutMask returns the factors of the elements counter, counter+1, ... of the
// dropout of a seed.
func DropoutMask(n int, p float32, seed, counter uint64) []float64 {
	mask := make([]float32, n)
	for i := range mask {
		mask[i] = 1
	}
	asm.Dropout(mask, mask, p, seed, counter)
	factors := make([]float64, n)
	for i, f := range mask {
		factors[i] = float64(f)
	}
	return factors
}

// CrossEntropy returns scale times the sum of the label-smoothed losses of rows of d elements, and the losses.
func CrossEntropy(
	hidden, table []float64, targets []int32, d int, smoothing, scale float64,
) (loss float64, nll []float64) {
	v := len(table) / d
	logits := Linear(hidden, table, nil, len(targets), d, v)
	for i, target := range targets {
		row := logits[i*v : (i+1)*v]
		sum, mean := 0.0, 0.0
		for _, l := range row {
			sum += math.Exp(l)
			mean += l / float64(v)
		}
		lse := math.Log(sum)
		nll = append(nll, (1-smoothing)*(lse-row[target])+smoothing*(lse-mean))
		loss += scale * nll[i]
	}
	return loss, nll
}

// AttentionOptions are those of package tensor.
type AttentionOptions struct {
	Heads, KeyHeads    int // of queries; of keys and values, 0 standing for as many
	QOffsets, KOffsets []int32
	KLengths           []int32 // nil: all rows of the segments
	Causal             bool
	Window             int
	Scale, Dropout     float64
	// The dropout of a weight has the counter Counter + (head*queries + query)*keys + key, where key counts from
	// the beginning of the segment unless there is a bias.
	Seed, Counter uint64
}

// Attention returns multi-head attention of q [m, d] to k and v [n, KeyHeads*d/Heads];
// bias is nil or [query segments, key segments].
func Attention(q, k, v, bias []float64, d int, o AttentionOptions) []float64 {
	keyHeads := o.KeyHeads
	if keyHeads == 0 {
		keyHeads = o.Heads
	}
	w := d / o.Heads
	kd := keyHeads * w
	rows, keys := len(q)/d, len(k)/kd
	out := make([]float64, len(q))
	segments := len(o.KOffsets) - 1
	for h := range o.Heads {
		shift := (h*keyHeads/o.Heads - h) * w // from the columns of q to those of k and v
		for s := range len(o.QOffsets) - 1 {
			lo, hi := int(o.QOffsets[s]), int(o.QOffsets[s+1])
			for i := lo; i < hi; i++ {
				weights := make([]float64, keys)
				sum := 0.0
				for t := range segments {
					from, to := int(o.KOffsets[t]), int(o.KOffsets[t+1])
					if o.KLengths != nil {
						to = from + int(o.KLengths[t])
					}
					if bias == nil && t != s {
						continue
					}
					if o.Causal { // the last query sees all keys
						to = min(to, to-(hi-1-i))
					}
					if o.Window > 0 {
						from = max(from, to-o.Window)
					}
					for j := from; j < to; j++ {
						score := 0.0
						for c := h * w; c < (h+1)*w; c++ {
							score += q[i*d+c] * k[j*kd+shift+c]
						}
						score *= o.Scale
						if bias != nil {
							score += bias[s*segments+t]
						}
						weights[j] = math.Exp(score)
						sum += weights[j]
					}
				}
				if sum == 0 {
					continue
				}
				if o.Dropout > 0 {
					first := 0
					if bias == nil {
						first = int(o.KOffsets[s])
					}
					mask := DropoutMask(keys-first, float32(o.Dropout), o.Seed, o.Counter+uint64(h*rows+i)*uint64(keys))
					for j := first; j < keys; j++ {
						weights[j] *= mask[j-first]
					}
				}
				for j, weight := range weights {
					for c := h * w; weight != 0 && c < (h+1)*w; c++ {
						out[i*d+c] += weight / sum * v[j*kd+shift+c]
					}
				}
			}
		}
	}
	return out
}
