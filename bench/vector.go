package bench

import (
	"fmt"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/tensor"
)

// vectorWorkloads returns the operations that memory bounds, on more than the
// caches hold.
func vectorWorkloads() []Workload {
	var list []Workload
	for _, v := range []struct {
		op      string
		m, n, k int
		bytes   int // for each value: those of every operand once read and once written
	}{
		{"softmax", 16384, 1024, 0, 8},
		{"layernorm", 16384, 1024, 0, 8},
		{"layernorm_backward", 16384, 1024, 0, 12},
		{"gelu", 16384, 1024, 0, 8},
		{"gelu_backward", 16384, 1024, 0, 12},
		{"cross_entropy", 64, 250000, 0, 8}, // the loss, and the gradient in place of the logits
		{"adamw", 16384, 1024, 0, 28},
		{"embedding_gradient", 8192, 1024, 32000, 12},
	} {
		list = append(list, Workload{
			Spec: Spec{v.op, "", v.m, v.n, v.k, 1, ""}, Name: fmt.Sprintf("%s/%dx%d", v.op, v.m, v.n), Group: "vector",
			Bytes: float64(v.bytes) * float64(v.m) * float64(v.n), Quick: true,
		})
	}
	return list
}

// rowsTask does something to every row, a few rows a part.
type rowsTask struct {
	rows int
	do   func(row int)
}

const rowsPart = 8

func (t *rowsTask) Do(part int) {
	for i := part * rowsPart; i < min((part+1)*rowsPart, t.rows); i++ {
		t.do(i)
	}
}

// softmaxPart is the number of rows of a part of softmaxTask: 256 KiB of them,
// since a part waits for its stores.
const softmaxPart = 64

// softmaxTask takes the softmax of rows.
type softmaxTask struct {
	y, x []float32
	cols int
	work chan []float32 // of a row, one a thread
}

func (t *softmaxTask) Do(part int) {
	work, n := <-t.work, softmaxPart*t.cols
	asm.SoftmaxStream(t.y[part*n:(part+1)*n], work, t.x[part*n:(part+1)*n], softmaxPart, t.cols, 1)
	t.work <- work
}

func startVector(s *Spec, threads int) (run, stop func()) {
	c := tensor.NewCPU(threads)
	stop = func() { c.Close() }
	switch s.Op {
	case "cross_entropy":
		logits := filled(s.M * s.N)
		t := &rowsTask{s.M, func(i int) { asm.CrossEntropyGradient(logits[i*s.N:(i+1)*s.N], i*s.N/s.M, 0, 1) }}
		return func() { c.Runner().Run((s.M+rowsPart-1)/rowsPart, t) }, stop
	case "softmax":
		t := &softmaxTask{filled(s.M * s.N), filled(s.M * s.N), s.N, make(chan []float32, threads)}
		for range threads {
			t.work <- make([]float32, s.N)
		}
		return func() { c.Runner().Run(s.M/softmaxPart, t) }, stop
	}
	return startVectorOn(s, c), stop
}

// startVectorOn computes vector operations by the methods of a backend.
func startVectorOn(s *Spec, c tensor.Backend) (run func()) {
	matrix := func(rows int) *tensor.Tensor { return tensor.FromSlice(c, filled(rows*s.N), rows, s.N) }
	x := matrix(s.M)
	switch s.Op {
	case "cross_entropy":
		losses, counts, ones := tensor.Zeros(c, s.M), tensor.Zeros(c, s.M), tensor.Ones(c, s.M)
		ids := make([]int32, s.M)
		for i := range ids {
			ids[i] = int32(i * s.N / s.M)
		}
		targets := tensor.FromSlice(c, ids, s.M)
		return func() {
			c.CrossEntropyRows(losses, counts, x, targets, nil, 0, -1)
			c.CrossEntropyRowsBackward(x, ones, x, targets, nil, 0, -1, false)
		}
	case "embedding_gradient":
		table, ids := matrix(s.K), make([]int32, s.M)
		for i := range ids {
			ids[i] = int32(i * 7919 % s.K) // all different, since 7919 is a prime and K > M
		}
		rows := tensor.FromSlice(c, ids, s.M)
		return func() { c.ScatterAdd(table, x, rows, 1) }
	case "softmax":
		tape := tensor.NewTape(c)
		return func() {
			tape.Reset(tensor.Inference, 0)
			tape.Softmax(x, -1)
		}
	}
	y := matrix(s.M)
	switch s.Op {
	case "copy":
		return func() { c.Scale(y, 1, x) }
	case "gelu":
		return func() { c.GELU(y, x) }
	}
	z := matrix(s.M)
	if s.Op == "gelu_backward" {
		return func() { c.GELUBackward(z, y, x, false) }
	}
	if s.Op == "adamw" {
		v := tensor.New(c, tensor.Float32, s.M, s.N)
		o := tensor.AdamWOptions{LR: 1e-4, Beta1: 0.9, Beta2: 0.98, Eps: 1e-6, WeightDecay: 0.01, GradScale: 1}
		return func() { o.Step++; c.AdamW(x, y, z, v, o) }
	}
	vector := func(n int) *tensor.Tensor { return tensor.FromSlice(c, filled(n), n) }
	gamma, beta, mean, rstd := vector(s.N), vector(s.N), vector(s.M), vector(s.M)
	forward := func() { c.LayerNorm(y, mean, rstd, x, gamma, beta, 1e-5) }
	if s.Op == "layernorm" {
		return forward
	}
	forward()
	dgamma, dbeta := vector(s.N), vector(s.N)
	return func() { c.LayerNormBackward(z, dgamma, dbeta, y, x, gamma, mean, rstd, [3]bool{false, true, true}) }
}
