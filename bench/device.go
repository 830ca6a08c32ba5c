package bench

import (
	"fmt"

	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/tensor"
)

// DeviceWorkloads returns the workloads of a section that StartOn can start. Steps
// are larger than those for a processor.
func DeviceWorkloads(section string) (list []Workload) {
	switch section {
	case "gemm", "attention":
		return Workloads(section)
	case "vector":
		copied := Workload{Spec: Spec{"copy", "", 16384, 1024, 0, 1, ""}, Name: "copy/16384x1024", Bytes: 8 * 16384 * 1024}
		return append(Workloads(section), copied)
	case "step":
		for _, s := range []struct {
			size         string
			docs, tokens int
		}{{"small", 32, 128}, {"base", 16, 256}, {"paper", 4, 512}} {
			list = append(list, Workload{
				Spec:  Spec{"step", s.size, s.docs, s.tokens, 0, 1, ""},
				Name:  fmt.Sprintf("%s/%dx%d", s.size, s.docs, s.tokens),
				Flops: StepFlops(marge.Presets()[s.size], s.docs, s.tokens), Tokens: s.docs * (s.tokens - 1),
			})
		}
	}
	return list
}

// StartOn prepares a workload on a backend. Calling run begins to compute it once;
// it is done when Wait returns.
func (w *Workload) StartOn(b tensor.Backend) (run func(), err error) {
	defer tensor.Recover(&err)
	switch w.Op {
	case "gemm":
		return startGEMMOn(&w.Spec, b), nil
	case "attention":
		return startAttention(&w.Spec, b), nil
	case "step":
		return startStep(&w.Spec, b)
	}
	return startVectorOn(&w.Spec, b), nil
}

// Wait returns when a backend has done all that was begun.
func Wait(b tensor.Backend) { tensor.New(b, tensor.Float32, 1).Item() }

// A product takes turns with so many bytes of operands, more than the caches of a
// card hold, but at most with so many sets of them.
const (
	rotatedBytes = 128 << 20
	rotatedSets  = 16
)

// startGEMMOn multiplies other matrices each time.
func startGEMMOn(s *Spec, b tensor.Backend) (run func()) {
	shape := func(transposed bool, rows, cols int) []int {
		if transposed {
			rows, cols = cols, rows
		}
		if s.Batch > 1 {
			return []int{s.Batch, rows, cols}
		}
		return []int{rows, cols}
	}
	o := tensor.GemmOptions{TransA: s.Kind == "tn", TransB: s.Kind == "nt", Alpha: 1}
	type product struct{ c, x, y *tensor.Tensor }
	var products []product
	x, y := filled(s.Batch*s.M*s.K), filled(s.Batch*s.K*s.N)
	for bytes := 0; bytes < rotatedBytes && len(products) < rotatedSets; {
		p := product{
			tensor.New(b, tensor.Float32, shape(false, s.M, s.N)...),
			tensor.FromSlice(b, x, shape(o.TransA, s.M, s.K)...), tensor.FromSlice(b, y, shape(o.TransB, s.K, s.N)...),
		}
		bytes += 4 * (p.c.Len() + p.x.Len() + p.y.Len())
		products = append(products, p)
	}
	i := 0
	return func() {
		p := products[i%len(products)]
		i++
		b.Gemm(p.c, p.x, p.y, o)
	}
}
