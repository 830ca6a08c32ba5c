//go:build cuda

package gpu

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/tensor"
)

// attentionResults computes attention and its gradients on any backend, from the same numbers.
func attentionResults(b tensor.Backend, qs, ks, bias []float32, o tensor.AttentionOptions) [][]float32 {
	rows, keys := int(o.QOffsets[len(o.QOffsets)-1]), int(o.KOffsets[len(o.KOffsets)-1])
	d, e := len(qs)/rows, len(ks)/keys
	q, k := tensor.FromSlice(b, qs, rows, d), tensor.FromSlice(b, ks, keys, e)
	v, dout := tensor.FromSlice(b, normals(keys*e, 3), keys, e), tensor.FromSlice(b, normals(rows*d, 4), rows, d)
	result := func(shape ...int) *tensor.Tensor {
		x := tensor.New(b, tensor.Float32, shape...)
		b.Fill(x, float32(math.NaN()))
		return x
	}
	out, lse := result(rows, d), result(o.Heads, rows)
	results := []*tensor.Tensor{out, result(rows, d), result(keys, e), result(keys, e)}
	var biases, dbias *tensor.Tensor
	if bias != nil {
		biases = tensor.FromSlice(b, bias, len(o.QOffsets)-1, len(o.KOffsets)-1)
		dbias = result(biases.Shape()...)
		results = append(results, dbias)
	}
	b.Attention(out, lse, q, k, v, biases, &o)
	b.AttentionBackward(results[1], results[2], results[3], dbias, dout, out, lse, q, k, v, biases, &o, [4]bool{})
	var all [][]float32
	for _, r := range results {
		all = append(all, values(r))
	}
	return all
}

// Heads of all kernels agree with the processor, over several tiles of queries and keys.
func TestAttentionKernels(t *testing.T) {
	b, err := New(Options{})
	low, errLow := New(Options{Precision: TF32})
	if err != nil || errLow != nil {
		t.Fatal(err, errLow)
	}
	defer b.Close()
	defer low.Close()
	cpu := tensor.NewCPU(1)
	defer cpu.Close()
	inf := float32(math.Inf(-1))
	for _, c := range []struct {
		width int
		bias  []float32
		o     tensor.AttentionOptions
	}{
		{32, nil, tensor.AttentionOptions{QOffsets: []int32{0, 70, 72}, KOffsets: []int32{0, 70, 75}, Causal: true}},
		{64, nil, tensor.AttentionOptions{QOffsets: []int32{0, 3, 68}, KOffsets: []int32{0, 66, 136}, Dropout: 0.2}},
		{64, []float32{0.1, -1, 2, 0.5, inf, 0}, tensor.AttentionOptions{
			QOffsets: []int32{0, 5, 70}, KOffsets: []int32{0, 67, 67, 80},
		}},
		{128, []float32{0.1, -1, inf, 0.5}, tensor.AttentionOptions{
			QOffsets: []int32{0, 0, 20}, KOffsets: []int32{0, 35, 40}, Dropout: 0.1,
		}},
		{128, nil, tensor.AttentionOptions{QOffsets: []int32{0, 34}, KOffsets: []int32{0, 70}, Causal: true, Window: 9}},
		{32, nil, tensor.AttentionOptions{
			Heads: 4, QOffsets: []int32{0, 3, 40}, KOffsets: []int32{0, 40, 150}, KLengths: []int32{33, 100}, Causal: true,
		}},
		{64, nil, tensor.AttentionOptions{
			Heads: 4, QOffsets: []int32{0, 2, 70}, KOffsets: []int32{0, 80, 180}, KLengths: []int32{70, 90}, Causal: true,
			Window: 20, Dropout: 0.1,
		}},
		{64, []float32{0.1, -1, 2, 0.5, inf, 0.3, 0, 1}, tensor.AttentionOptions{ // tiles of one segment and of several
			Heads: 4, QOffsets: []int32{0, 70, 140}, KOffsets: []int32{0, 70, 134, 140, 210}, Dropout: 0.2,
		}},
		{32, []float32{1, 2}, tensor.AttentionOptions{
			QOffsets: []int32{0, 130}, KOffsets: []int32{0, 64, 130}, Causal: true,
		}},
		{32, nil, tensor.AttentionOptions{QOffsets: []int32{0, 40}, KOffsets: []int32{0, 70}, Scale: -0.2}},
		{64, []float32{1, inf}, tensor.AttentionOptions{QOffsets: []int32{0, 40}, KOffsets: []int32{0, 33, 70}, Scale: -0.1}},
		{130, []float32{0.1, -1, inf, 0.5}, tensor.AttentionOptions{
			QOffsets: []int32{0, 33, 35}, KOffsets: []int32{0, 30, 40},
		}},
	} {
		c.o.Heads = max(c.o.Heads, 2) // of keys there are always two
		c.o.Seed, c.o.Stream = 5, 7
		if c.o.Scale == 0 {
			c.o.Scale = float32(1 / math.Sqrt(float64(c.width)))
		}
		rows, keys := int(c.o.QOffsets[len(c.o.QOffsets)-1]), int(c.o.KOffsets[len(c.o.KOffsets)-1])
		q, k := normals(rows*c.o.Heads*c.width, 1), normals(keys*2*c.width, 2)
		want := attentionResults(cpu, q, k, c.bias, c.o)
		for _, g := range []struct {
			b    *Backend
			most float64
		}{{b, 3e-6}, {low, 2e-3}} {
			compareAttention(t, fmt.Sprintf("%v, width %d, %+v", g.b.precision, c.width, c.o),
				attentionResults(g.b, q, k, c.bias, c.o), want, g.most)
		}
	}
}

func compareAttention(t *testing.T, name string, got, want [][]float32, most float64) {
	t.Helper()
	for i := range want {
		diff, norm := 0.0, 1e-20
		if i == 4 {
			norm = float64(len(want[0])) // terms of the size of dout cancel in the gradient of a bias
		}
		for j, v := range want[i] {
			diff += math.Pow(float64(got[i][j]-v), 2)
			norm += float64(v) * float64(v)
		}
		if !(diff <= most*most*norm) {
			t.Errorf("%s: result %d: error %.2g", name, i, math.Sqrt(diff/norm))
		}
	}
}

// Of scores of some thousands float32 keeps too little of the logarithm of their sum. These have no error themselves.
func TestAttentionLargeScores(t *testing.T) {
	b := open(t)
	cpu := tensor.NewCPU(1)
	defer cpu.Close()
	for _, width := range []int{9, 32} {
		const rows, keys = 3, 40
		q, k := slices.Repeat([]float32{8}, rows*width), slices.Repeat([]float32{16}, keys*width)
		for i := range keys {
			k[i*width] += float32(i%7) / 8
		}
		for i := range rows {
			q[i*width] *= float32(1 + i)
		}
		o := tensor.AttentionOptions{Heads: 1, QOffsets: []int32{0, rows}, KOffsets: []int32{0, keys}, Scale: 1}
		got, want := attentionResults(b, q, k, nil, o), attentionResults(cpu, q, k, nil, o)
		got[1], want[1] = nil, nil // keys are almost the same, so that the gradient of queries is the error of their sum
		compareAttention(t, fmt.Sprint("width ", width), got, want, 5e-6)
	}
}

// The same weights are dropped as on the processor where the keys of the hash change within a row.
func TestAttentionDropoutAcrossKeys(t *testing.T) {
	b := open(t)
	const rows, keys, counter = 2, 100, 1<<32 - 150
	o := tensor.AttentionOptions{Heads: 1, QOffsets: []int32{0, rows}, KOffsets: []int32{0, keys}, Dropout: 0.5, Seed: 3}
	for _, width := range []int{128, 100} { // of identity matrices: the output is the dropped weights
		identity := make([]float32, keys*width)
		for i := range min(keys, width) {
			identity[i*width+i] = 1
		}
		q, v := tensor.New(b, tensor.Float32, rows, width), tensor.FromSlice(b, identity, keys, width)
		k := tensor.New(b, tensor.Float32, keys, width)
		out, lse := tensor.New(b, tensor.Float32, rows, width), tensor.New(b, tensor.Float32, 1, rows)
		func() {
			defer b.enter("Attention")()
			a := b.newAttention(q, k, v, nil, &o)
			a.settings[7] = uint64(counter)
			b.attend(a, out, lse)
		}()
		want := make([]float32, rows*keys)
		asm.Dropout(want, slices.Repeat([]float32{1}, rows*keys), o.Dropout, o.Seed, counter)
		for i, got := range values(out) {
			row, col := i/width, i%width
			if col < keys && (got != 0) != (want[row*keys+col] != 0) {
				t.Fatalf("width %d: weight (%d, %d) is %v, want %v", width, row, col, got, want[row*keys+col])
			}
		}
	}
}

// A NaN or an infinite number among the keys does not go unnoticed.
func TestAttentionNaN(t *testing.T) {
	b := open(t)
	for _, width := range []int{5, 32} {
		for _, bad := range []float64{math.NaN(), math.Inf(1)} {
			o := tensor.AttentionOptions{Heads: 1, QOffsets: []int32{0, 2}, KOffsets: []int32{0, 3}, Scale: 1}
			x := normals(3*width, 1)
			q, v := tensor.FromSlice(b, x[:2*width], 2, width), tensor.FromSlice(b, x, 3, width)
			x[width] = float32(bad)
			k := tensor.FromSlice(b, x, 3, width)
			out, lse := tensor.New(b, tensor.Float32, 2, width), tensor.New(b, tensor.Float32, 1, 2)
			b.Attention(out, lse, q, k, v, nil, &o)
			if got := fmt.Sprint(values(out)[0]); math.IsNaN(bad) && got != "NaN" {
				t.Errorf("width %d, key %v: %v", width, bad, got)
			}
		}
	}
}
