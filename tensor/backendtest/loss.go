package backendtest

import (
	"fmt"
	"math"
	"slices"

	"github.com/marge-go/marge/tensor"
	"github.com/marge-go/marge/tensor/internal/reference"
)

var negInf = math.Inf(-1)

func (s *suite) crossEntropy() {
	for _, c := range []struct{ n, d, v, block int }{
		{0, 4, 5, 1}, {1, 1, 1, 1}, {1, 3, 2, 1}, {5, 8, 17, 5}, {7, 16, 33, 3}, {40, 12, 130, 16},
	} {
		for _, smoothing := range []float64{0, 0.1} {
			scale := 0.25
			hidden, hidden64 := s.random(c.n, c.d)
			table, table64 := s.random(c.v, c.d)
			ids := make([]int32, c.n)
			for i := range ids {
				ids[i] = int32(s.rng.IntN(c.v))
			}
			targets := s.ints(ids...)
			loss, nll := reference.CrossEntropy(hidden64, table64, ids, c.d, float64(float32(smoothing)), scale)
			dhidden, dtable := crossEntropyGradients(hidden64, table64, ids, c.d, float64(float32(smoothing)), scale)
			for _, wanted := range []int{2, 1, 0} { // gradients
				outputs := []output{
					{shape: []int{1}, want: []float64{loss}, tol: s.tol.Gemm, size: scale},
					{shape: []int{c.n}, want: nll, tol: s.tol.Gemm, size: 1},
					{shape: []int{c.n, c.d}, want: dhidden, tol: s.tol.Gemm, nil: wanted < 1, size: scale * length(table64)},
					{shape: []int{c.v, c.d}, want: dtable, tol: s.tol.Gemm, nil: wanted < 2, size: scale * length(hidden64)},
				}
				name := fmt.Sprintf("%d rows of %d, %d classes, blocks of %d, smoothing %v, %d gradients",
					c.n, c.d, c.v, c.block, smoothing, wanted)
				s.check(name, outputs, func(out []*tensor.Tensor) {
					logits := tensor.New(s.b, tensor.Float32, c.block, c.v)
					s.b.Fill(logits, nan)
					s.b.CrossEntropy(out[0], out[1], out[2], out[3], hidden, table, targets, logits,
						float32(smoothing), float32(scale))
				})
			}
		}
	}
}

// crossEntropyGradients returns the gradients of reference.CrossEntropy: softmax
// minus target, times the other factor.
func crossEntropyGradients(
	hidden, table []float64, targets []int32, d int, smoothing, scale float64,
) (dhidden, dtable []float64) {
	n, v := len(targets), len(table)/d
	g := reference.Linear(hidden, table, nil, n, d, v)
	for i, target := range targets {
		row := g[i*v : (i+1)*v]
		sum := 0.0
		for j, l := range row {
			row[j] = math.Exp(l)
			sum += row[j]
		}
		for j := range row {
			row[j] = scale * (row[j]/sum - smoothing/float64(v))
		}
		row[target] -= scale * (1 - smoothing)
	}
	return reference.MatMul(g, table, n, v, d), reference.MatMul(transposed(g, n, v), hidden, v, n, d)
}

func (s *suite) crossEntropyRows() {
	const ignore = -7
	for _, size := range [][2]int{{0, 3}, {1, 1}, {4, 2}, {9, 17}, {70, 300}} {
		n, v := size[0], size[1]
		logits, logits64 := s.wideRandom(n, v)
		weight, weight64 := s.random(v)
		ids := make([]int32, n)
		for i := range ids {
			if ids[i] = int32(s.rng.IntN(v)); i%4 == 3 {
				ids[i] = ignore
			}
		}
		targets := s.ints(ids...)
		dlosses, dlosses64 := s.random(n)
		for _, smoothing := range []float64{0, 0.3, 1} {
			for _, weighted := range []bool{false, true} {
				w, w64 := weight, weight64
				if !weighted {
					w, w64 = nil, reference.Each(weight64, func(float64) float64 { return 1 })
				}
				losses, counts, gradients := crossEntropyRows(logits64, w64, dlosses64, ids, ignore, float64(float32(smoothing)))
				name := fmt.Sprintf("%dx%d logits, smoothing %v, weighted %v", n, v, smoothing, weighted)
				s.check(name, []output{
					{shape: []int{n}, want: losses, tol: s.tol.Other, size: length(w64)}, {shape: []int{n}, want: counts},
				}, func(out []*tensor.Tensor) {
					s.b.CrossEntropyRows(out[0], out[1], logits, targets, w, float32(smoothing), ignore)
				})
				for _, accumulate := range []bool{false, true} {
					o := output{shape: size[:], want: gradients, tol: s.tol.Other, strided: true, accumulate: accumulate}
					o.size = length(dlosses64) * length(w64)
					s.check(name+", backward", []output{o}, func(out []*tensor.Tensor) {
						s.b.CrossEntropyRowsBackward(
							out[0], dlosses, logits, targets, w, float32(smoothing), ignore, accumulate)
					})
				}
			}
		}
		if n > 0 {
			bad := slices.Clone(ids)
			bad[0] = int32(v)
			s.mustPanic("a target behind the last", func() {
				s.b.CrossEntropyRows(tensor.New(s.b, tensor.Float32, n), tensor.New(s.b, tensor.Float32, n), logits,
					s.ints(bad...), nil, 0, ignore)
			})
		}
	}
}

// crossEntropyRows returns losses, weights of the targets, and gradients.
func crossEntropyRows(
	logits, weight, dlosses []float64, targets []int32, ignore int32, smoothing float64,
) (losses, counts, gradients []float64) {
	v := len(weight)
	losses, counts, gradients = make([]float64, len(targets)), make([]float64, len(targets)), make([]float64, len(logits))
	for i, target := range targets {
		if target == ignore {
			continue
		}
		row := logits[i*v : (i+1)*v]
		sum := 0.0
		for _, l := range row {
			sum += math.Exp(l)
		}
		counts[i] = weight[target]
		for c, w := range weight {
			share := smoothing / float64(v) * w // of the loss of class c
			if c == int(target) {
				share += (1 - smoothing) * w
			}
			losses[i] += share * (math.Log(sum) - row[c])
			for j, l := range row {
				gradients[i*v+j] += dlosses[i] * share * math.Exp(l) / sum
			}
			gradients[i*v+c] -= dlosses[i] * share
		}
	}
	return losses, counts, gradients
}

func (s *suite) adamW() {
	for _, n := range lengths {
		for _, step := range []int{1, 2, 1000} {
			o := tensor.AdamWOptions{
				LR: 0.01, Beta1: 0.9, Beta2: 0.98, Eps: 1e-6, WeightDecay: 0.1, Step: step, GradScale: 0.5,
			}
			p, m, v, g := s.values(n), s.values(n), s.values(n), s.values(n)
			wantP, wantM, wantV := widen(p), widen(m), make([]float64, n)
			beta1, beta2 := float64(o.Beta1), float64(o.Beta2)
			for i := range n {
				v[i] *= v[i]
				gi := float64(g[i]) * float64(o.GradScale)
				wantM[i] = beta1*wantM[i] + (1-beta1)*gi
				wantV[i] = beta2*float64(v[i]) + (1-beta2)*gi*gi
				wantP[i] -= float64(o.LR) * (float64(o.WeightDecay)*wantP[i] + wantM[i]/(1-math.Pow(beta1, float64(step)))/
					(math.Sqrt(wantV[i]/(1-math.Pow(beta2, float64(step))))+float64(o.Eps)))
			}
			shape := []int{n}
			outputs := []output{
				{shape: shape, want: wantP, tol: s.tol.Other}, {shape: shape, want: wantM, tol: s.tol.Other},
				{shape: shape, want: wantV, tol: s.tol.Other},
			}
			gradient := s.tensor(g, n)
			for name, update := range map[string]func(p, m, v *tensor.Tensor){
				"adamw": func(p, m, v *tensor.Tensor) { s.b.AdamW(p, gradient, m, v, o) },
				"adamwall": func(p, m, v *tensor.Tensor) {
					tensor.AdamWAll([]tensor.AdamWCall{{P: p, G: gradient, M: m, V: v, Options: o}})
				},
			} {
				s.check(fmt.Sprintf("%s of %d, step %d", name, n, step), outputs, func(out []*tensor.Tensor) {
					for i, values := range [][]float32{p, m, v} {
						out[i].SetFloat32s(values)
					}
					update(out[0], out[1], out[2])
				})
			}
		}
	}
}

// training makes some updates of a toy model, twice, and compares them with those
// of tensor.CPU.
func (s *suite) training() {
	cpu := tensor.NewCPU(1)
	defer cpu.Close()
	const steps = 3
	wantLosses, wantGradients, wantParams := newToy(cpu).run(cpu, steps, func() {})
	losses, gradients, params := newToy(s.b).run(s.b, steps, func() {})
	s.compare("losses", losses, output{want: widen(wantLosses), tol: s.tol.Loss}, nil)
	names := newToy(cpu).names
	for i, name := range names {
		gradient := output{want: widen(wantGradients[i]), tol: s.tol.Parameters, size: 1e-3}
		s.compare("gradient of "+name, gradients[i], gradient, nil)
		s.compare(name, params[i], output{want: widen(wantParams[i]), tol: s.tol.Parameters}, nil)
	}
	again, _, paramsAgain := newToy(s.b).run(s.b, steps, func() {})
	if !equalBits(again, losses) {
		s.Errorf("losses %v, then %v", losses, again)
	}
	for i, name := range names {
		if !equalBits(params[i], paramsAgain[i]) {
			s.Errorf("%s differs in a second training", name)
		}
	}
}
