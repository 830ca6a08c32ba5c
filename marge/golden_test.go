package marge_test

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/nn/safetensors"
	"github.com/marge-go/marge/tensor"
)

// goldenBound bounds the error of the loss and of f relative to their norm, and
// of each gradient relative to its own. The files were computed in float64.
// In float32 some hundred operations one after the other round by up to 6e-8
// each, on the way to the loss and back to a gradient: 6e-6 where all of it
// adds up, and a little more in gradients whose terms cancel. Generic Go, AVX2
// and AVX-512 are off by 3e-6 at most.
const goldenBound = 1e-5

// TestGolden compares loss, f and every gradient with those of an independent
// implementation in PyTorch, bench/peers/golden.py, for every way to form g.
func TestGolden(t *testing.T) {
	dir := filepath.Join("testdata", "golden")
	data, err := os.ReadFile(filepath.Join(dir, "batch.json"))
	if err != nil {
		t.Fatal(err)
	}
	var b marge.Batch
	if err := json.Unmarshal(data, &b); err != nil {
		t.Fatal(err)
	}
	for _, pooling := range []string{marge.PoolFirst, marge.PoolMean, marge.PoolMax} {
		t.Run(pooling, func(t *testing.T) {
			m, err := marge.Load(filepath.Join(dir, pooling))
			if err != nil {
				t.Fatal(err)
			}
			if got := m.Config.RetrievalPooling; got != pooling {
				t.Fatalf("the model pools by %q", got)
			}
			if err := b.Validate(&m.Config); err != nil {
				t.Fatal(err)
			}
			want, err := safetensors.Open(filepath.Join(dir, pooling, "reference.safetensors"))
			if err != nil {
				t.Fatal(err)
			}
			defer want.Close()

			tp := tensor.NewTape(m.Backend())
			tp.Reset(tensor.Gradient, 0)
			out := m.Forward(tp, &b, 0)
			tp.Backward(out.Loss)
			got := map[string]*tensor.Tensor{"loss": out.Loss, "f": out.Relevance}
			for _, p := range m.Parameters() {
				got["grad."+p.Name] = p.Grad()
			}
			compareWithGolden(t, got, want)
		})
	}
}

// TestGoldenUnmasking does the same for the loss of hidden tokens, of documents
// alone and of pairs. It depends on none of the decoder's parameters and none that
// end g.
func TestGoldenUnmasking(t *testing.T) {
	dir := filepath.Join("testdata", "golden")
	data, err := os.ReadFile(filepath.Join(dir, "unmasking.json"))
	if err != nil {
		t.Fatal(err)
	}
	var b struct {
		Documents [][]int32
		Second    []int
		Masked    [][][2]int32
	}
	if err := json.Unmarshal(data, &b); err != nil {
		t.Fatal(err)
	}
	m, err := marge.Load(filepath.Join(dir, "first"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := safetensors.Open(filepath.Join(dir, "first", "unmasking.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	defer want.Close()
	tp := tensor.NewTape(m.Backend())
	tp.Reset(tensor.Gradient, 0)
	loss := marge.UnmaskingLoss(tp, m, b.Documents, b.Second, b.Masked)
	tp.Backward(loss)
	got := map[string]*tensor.Tensor{"loss": loss}
	for _, p := range m.Parameters() {
		if p.HasGrad() {
			got["grad."+p.Name] = p.Grad()
		}
	}
	compareWithGolden(t, got, want)
}

// compareWithGolden compares losses and gradients with all those of a file.
func compareWithGolden(t *testing.T, got map[string]*tensor.Tensor, want *safetensors.File) {
	t.Helper()
	if len(got) != len(want.Names()) {
		t.Errorf("%d tensors, want %d", len(got), len(want.Names()))
	}
	for name, x := range got {
		// A softmax does not see what all scores share: the gradient of a
		// key's bias is zero but for rounding, that of a query's is not.
		scale := name
		if strings.HasSuffix(name, "k_proj.bias") {
			scale = strings.Replace(name, "k_proj", "q_proj", 1)
		}
		size := norm(golden(t, want, scale))
		if off := distance(hostValues(x), golden(t, want, name)); !(off <= goldenBound*size) {
			t.Errorf("%s is off by %.2g of its norm", name, off/size)
		}
	}
}

func golden(t *testing.T, f *safetensors.File, name string) []float32 {
	t.Helper()
	values, err := f.Float32s(name)
	if err != nil {
		t.Fatal(err)
	}
	return values
}

func hostValues(x *tensor.Tensor) []float32 {
	values := make([]float32, x.Len())
	x.CopyTo(values)
	return values
}

// distance returns the Euclidean distance of two vectors, infinity if their lengths differ.
func distance(a, b []float32) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	sum := 0.0
	for i := range a {
		d := float64(a[i]) - float64(b[i])
		sum += d * d
	}
	return math.Sqrt(sum)
}

func norm(a []float32) float64 { return distance(a, make([]float32, len(a))) }
