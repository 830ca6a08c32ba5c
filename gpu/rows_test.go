//go:build cuda

package gpu

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/marge-go/marge/tensor"
)

// placed returns a tensor whose first element has an address that is a multiple of 16 bytes, or lies a few elements
// behind one.
func placed(b tensor.Backend, data []float32, behind int, shape ...int) *tensor.Tensor {
	whole := tensor.FromSlice(b, append(make([]float32, behind), data...), behind+len(data), 1)
	tape := tensor.NewTape(b)
	return tape.Reshape(tape.Rows(whole, behind, behind+len(data)), shape...)
}

// Kernels read four elements at once where addresses allow it, and the bits of what they make are the same elsewhere.
// Rows have more columns than threads hold, and than a block has threads for.
func TestRowsAnywhere(t *testing.T) {
	b := open(t)
	for _, shape := range [][2]int{{3, 8}, {9, 132}, {2, 1300}, {3, 2100}, {2, 17000}, {2, 17001}} {
		n, d := shape[0], shape[1]
		x, y, gamma, beta := random(1, n*d), random(2, n*d), random(3, d), random(4, d)
		all := func(b tensor.Backend, behind int) (results [][]float32) {
			at := func(data []float32, shape ...int) *tensor.Tensor { return placed(b, data, behind, shape...) }
			empty := func(shape ...int) *tensor.Tensor {
				n := 1
				for _, size := range shape {
					n *= size
				}
				return at(make([]float32, n), shape...)
			}
			xs, ys, scale := at(x, n, d), at(y, n, d), at(gamma, d)
			sum := at(beta, d)
			b.AddRows(sum, xs, true)
			normal, mean, rstd := empty(n, d), empty(n), empty(n)
			b.LayerNorm(normal, mean, rstd, xs, scale, at(beta, d), 1e-5)
			dx, dgamma, dbeta := at(y, n, d), empty(d), at(gamma, d)
			b.LayerNormBackward(dx, dgamma, dbeta, dx, xs, scale, mean, rstd, [3]bool{false, false, true})
			more := at(x, n, d)
			b.LayerNormBackward(more, nil, nil, ys, xs, scale, mean, rstd, [3]bool{true, false, false})
			for _, r := range []*tensor.Tensor{sum, normal, mean, rstd, dx, dgamma, dbeta, more} {
				results = append(results, values(r))
			}
			return results
		}
		name := fmt.Sprint("rows of ", shape)
		like(t, name, b, 2e-6, func(b tensor.Backend) [][]float32 { return all(b, 0) })
		want := all(b, 0)
		for i, got := range all(b, 1) {
			if !slices.Equal(got, want[i]) {
				t.Errorf("%s, not aligned: result %d differs", name, i)
			}
		}
	}
}

// Gradients of a norm's parameters are sums of groups of rows; either may be the only one.
func TestLayerNormManyRows(t *testing.T) {
	b := open(t)
	const n, d = 5000, 4
	x, dy, gamma := random(6, n*d), random(7, n*d), []float32{1, 2, -1, 0.5}
	for _, wanted := range []int{1, 2, 3} {
		like(t, fmt.Sprint("gradients ", wanted), b, 1e-5, func(b tensor.Backend) [][]float32 {
			xs, scale := tensor.FromSlice(b, x, n, d), tensor.FromSlice(b, gamma, d)
			y := tensor.New(b, tensor.Float32, n, d)
			mean, rstd := tensor.New(b, tensor.Float32, n), tensor.New(b, tensor.Float32, n)
			b.LayerNorm(y, mean, rstd, xs, scale, scale, 1e-5)
			sums := [2]*tensor.Tensor{tensor.FromSlice(b, gamma, d), tensor.FromSlice(b, gamma, d)}
			outputs := sums
			for i := range outputs {
				if wanted>>i&1 == 0 {
					outputs[i] = nil
				}
			}
			b.LayerNormBackward(nil, outputs[0], outputs[1], tensor.FromSlice(b, dy, n, d), xs, scale, mean, rstd,
				[3]bool{false, true, false})
			return [][]float32{values(sums[0]), values(sums[1])}
		})
	}
}

// Softmax of rows that are longer than threads hold, and not aligned.
func TestSoftmaxAnywhere(t *testing.T) {
	b := open(t)
	for _, cols := range []int{36, 700, 17000, 17001} {
		x, slope := random(7, 2*cols), random(8, 2*cols)
		all := func(behind int) [][]float32 {
			xs := placed(b, x, behind, 2, cols)
			b.SoftmaxRows(xs, xs)
			dx := placed(b, slope, behind, 2, cols)
			b.SoftmaxRowsBackward(dx, placed(b, slope, behind, 2, cols), xs, true)
			return [][]float32{values(xs), values(dx)}
		}
		want := all(0)
		for row := range 2 {
			sum := 0.0
			for _, v := range x[row*cols : (row+1)*cols] {
				sum += math.Exp(float64(v))
			}
			dot := 0.0
			for i := row * cols; i < (row+1)*cols; i++ {
				p := math.Exp(float64(x[i])) / sum
				dot += p * float64(slope[i])
				if math.Abs(float64(want[0][i])-p) > 1e-6*p {
					t.Fatalf("%d columns: element %d is %v, want %v", cols, i, want[0][i], p)
				}
			}
			for i := row * cols; i < (row+1)*cols; i++ {
				v := float64(slope[i]) + math.Exp(float64(x[i]))/sum*(float64(slope[i])-dot)
				if math.Abs(float64(want[1][i])-v) > 1e-6 {
					t.Fatalf("%d columns: slope %d is %v, want %v", cols, i, want[1][i], v)
				}
			}
		}
		for i, got := range all(3) {
			if !slices.Equal(got, want[i]) {
				t.Errorf("%d columns, not aligned: result %d differs", cols, i)
			}
		}
	}
}

// The loss of rows that several blocks share, where parts are -Inf, or have the target, NaN or +Inf.
func TestCrossEntropyParts(t *testing.T) {
	b := open(t)
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	const n = 5
	for _, classes := range []int{logitPart + 4, 2*logitPart + 101} {
		logits := random(9, n*classes)
		for i := range logits {
			logits[i] *= 3
		}
		for i := range logitPart {
			logits[classes+i] = -inf // the first part of row 1
		}
		logits[2*classes+logitPart+1] = 60 // a sure class of row 2
		logits[3*classes+3], logits[4*classes+logitPart+2] = nan, inf
		targets := []int32{5, int32(classes) - 1, logitPart + 1, 7, 0}
		weights := random(10, classes)
		for i := range weights {
			weights[i] = float32(math.Abs(float64(weights[i])))
		}
		for _, smoothing := range []float32{0, 0.25} {
			for row := range n { // by itself, so that the tolerance is that of the row
				if row == 1 && smoothing > 0 { // an infinite loss, of which the processor makes NaN
					continue
				}
				own := logits[row*classes : (row+1)*classes]
				name := fmt.Sprintf("%d classes, smoothing %v, row %d", classes, smoothing, row)
				for _, weighted := range []bool{false, true} {
					like(t, fmt.Sprintf("%s, weighted %v", name, weighted), b, 1e-6, func(b tensor.Backend) [][]float32 {
						x, target := tensor.FromSlice(b, own, 1, classes), tensor.FromSlice(b, targets[row:row+1], 1)
						var weight *tensor.Tensor
						if weighted {
							weight = tensor.FromSlice(b, weights, classes)
						}
						loss, count := tensor.New(b, tensor.Float32, 1), tensor.New(b, tensor.Float32, 1)
						b.CrossEntropyRows(loss, count, x, target, weight, smoothing, -1)
						dloss, dx := tensor.FromSlice(b, []float32{0.7}, 1), tensor.FromSlice(b, weights, 1, classes)
						b.CrossEntropyRowsBackward(dx, dloss, x, target, weight, smoothing, -1, true)
						return [][]float32{values(loss), values(count), values(dx)}
					})
				}
				like(t, name+", of a table", b, 2e-6, func(b tensor.Backend) [][]float32 {
					one, table := tensor.FromSlice(b, []float32{1}, 1, 1), tensor.FromSlice(b, own, classes, 1)
					target := tensor.FromSlice(b, targets[row:row+1], 1)
					work := tensor.New(b, tensor.Float32, 1, classes)
					loss, nll := tensor.New(b, tensor.Float32, 1), tensor.New(b, tensor.Float32, 1)
					dtable, dhidden := tensor.New(b, tensor.Float32, classes, 1), tensor.New(b, tensor.Float32, 1, 1)
					b.CrossEntropy(loss, nll, nil, nil, one, table, target, work, smoothing, 0.5)
					results := [][]float32{values(loss), values(nll)}
					b.CrossEntropy(loss, nll, dhidden, dtable, one, table, target, work, smoothing, 0.5)
					return append(results, values(loss), values(nll), values(dtable))
				})
			}
		}
	}
}

// Rows that many others are added to get them in groups, and groups of these.
func TestScatterAddOfMany(t *testing.T) {
	b := open(t)
	for _, d := range []int{3, 132} {
		for _, n := range []int{0, 1, scatterChain + 1, 40 * scatterChain} {
			const rows = 5
			ids := make([]int32, n)
			for i := range ids {
				if i%7 == 3 {
					ids[i] = int32(i/7) % rows
				} else {
					ids[i] = 2
				}
			}
			x, before := random(11, n*d), random(12, rows*d)
			for _, scale := range []float32{1, -0.5} {
				want := make([]float64, rows*d)
				for i, v := range before {
					want[i] = float64(v)
				}
				for i, v := range x {
					want[int(ids[i/d])*d+i%d] += float64(scale) * float64(v)
				}
				dst := tensor.FromSlice(b, before, rows, d)
				b.ScatterAdd(dst, tensor.FromSlice(b, x, n, d), tensor.FromSlice(b, ids, n), scale)
				for i, got := range values(dst) {
					if math.Abs(float64(got)-want[i]) > 2e-5 {
						t.Fatalf("%d rows of %d, times %v: element %d is %v, want %v", n, d, scale, i, got, want[i])
					}
				}
			}
		}
	}
}

// Row numbers are sorted by digits, equal ones in their order.
func TestSortRows(t *testing.T) {
	for _, most := range []int{1, 2, 2000, 2048, 2049, 1 << 20, math.MaxInt32} {
		rows := make([]int32, 3000)
		for i := range rows {
			rows[i] = int32(uint64(i) * 2654435761 % 77777777777 % uint64(most))
		}
		rows[17] = int32(most - 1)
		ids, order := sortRows(rows)
		for i, at := range order {
			if ids[i] != rows[at] {
				t.Fatalf("below %d: place %d has row %d, want that of %d, %d", most, i, ids[i], at, rows[at])
			}
			if i > 0 && (ids[i-1] > ids[i] || ids[i-1] == ids[i] && order[i-1] >= at) {
				t.Fatalf("below %d: %d at %d is behind %d at %d", most, ids[i], at, ids[i-1], order[i-1])
			}
		}
	}
}

// A row of more parts than a warp has lanes.
func TestCrossEntropyManyParts(t *testing.T) {
	b := open(t)
	const classes = 33*logitPart + 5
	logits := random(13, classes)
	like(t, "loss", b, 1e-6, func(b tensor.Backend) [][]float32 {
		x, target := tensor.FromSlice(b, logits, 1, classes), tensor.FromSlice(b, []int32{classes - 1}, 1)
		loss, count := tensor.New(b, tensor.Float32, 1), tensor.New(b, tensor.Float32, 1)
		b.CrossEntropyRows(loss, count, x, target, nil, 0.1, -1)
		return [][]float32{values(loss), values(count)}
	})
}
