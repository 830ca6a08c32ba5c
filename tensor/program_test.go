package tensor

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// A program is a random sequence of operations on a tape. It runs twice: with
// operations in place, Recompute, Forget and Compress, and with plain ones that keep
// everything.
// Both must compute the same.
type program struct {
	b      *CPU
	tp     *Tape
	params []*Tensor
}

const programRows, programWidth, programVocab = 6, 8, 11

// The parameters of a program.
const (
	pX = iota
	pX2
	pW
	pB
	pGamma
	pBeta
	pW1
	pB1
	pW2
	pB2
	pTable
	pScalar
)

func newProgram(threads int) *program {
	b := NewCPU(threads)
	p := &program{b: b, tp: NewTape(b)}
	p.tp.Poison()
	p.tp.New(1 << 16) // what is used again is poisoned
	const n, d = programRows, programWidth
	rng := rand.New(rand.NewPCG(5, 5))
	for _, shape := range [][]int{
		{n, d}, {n, d}, {d, d}, {d}, {d}, {d}, {2 * d, d}, {2 * d}, {d, 2 * d}, {d}, {programVocab, d}, {1},
	} {
		t := New(p.b, Float32, shape...)
		for i := range t.Float32s() {
			t.Float32s()[i] = float32(0.4 * rng.NormFloat64())
		}
		p.params = append(p.params, t)
	}
	return p
}

// node is a value of a program.
type node struct {
	t            *Tensor
	norm, viewed bool // it is a result of LayerNorm; views were taken
	gone         bool // an operation in place, Recompute, Forget or Compress took it
}

// run runs the program of a seed, and returns its loss and gradients; log, if not nil, is told the operations.
func (p *program) run(seed uint64, mode Mode, saving bool, log *[]string) (loss float64, grads [][]float32) {
	rng := rand.New(rand.NewPCG(seed, 77))
	for i, q := range p.params {
		q.ZeroGrad()
		q.SetRequiresGrad(i == pTable || rng.IntN(4) > 0) // others are frozen
	}
	tp := p.tp
	tp.Reset(mode, seed)
	rows := tp.Gather(p.params[pTable], tp.Ints([]int32{0, 3, 3, 9, 1, 0}), 1.5)
	nodes := []*node{{t: p.params[pX]}, {t: p.params[pX2]}, {t: rows}}
	add := func(n *node, format string, args ...int) {
		if log != nil {
			*log = append(*log, fmt.Sprintf("%d = ", len(nodes))+fmt.Sprint(format, args))
		}
		nodes = append(nodes, n)
	}
	pick := func() (int, *node) {
		for {
			if i := rng.IntN(len(nodes)); !nodes[i].gone {
				return i, nodes[i]
			}
		}
	}
	// pickTwo returns a value that an operation in place may take, and another one.
	pickTwo := func() (i int, a *node, j int, b *node) {
		i, a = pick()
		j, b = pick()
		a.gone = i > 1 // parameters are not taken
		return i, a, j, b
	}
	for range 4 + rng.IntN(25) {
		switch rng.IntN(16) {
		case 0, 1:
			i, a := pick()
			add(&node{t: tp.Linear(a.t, p.params[pW], p.params[pB])}, "linear", i)
		case 2, 3:
			i, a := pick()
			add(&node{t: tp.LayerNorm(a.t, p.params[pGamma], p.params[pBeta], 1e-5), norm: true}, "layernorm", i)
		case 4:
			i, a := pick()
			add(&node{t: tp.GELU(a.t)}, "gelu", i)
		case 5:
			i, a, j, b := pickTwo()
			if saving {
				add(&node{t: tp.AddInto(a.t, b.t)}, "addinto", i, j)
			} else {
				add(&node{t: tp.Add(a.t, b.t)}, "add", i, j)
			}
		case 6:
			i, a, j, b := pickTwo()
			if saving {
				add(&node{t: tp.AddDropout(b.t, a.t, 0.3)}, "adddropout", j, i)
			} else {
				add(&node{t: tp.Add(b.t, tp.Dropout(a.t, 0.3))}, "add dropout", j, i)
			}
		case 7:
			i, a, j, b := pickTwo()
			rows := tp.Ints([]int32{5, 5, 0, 1, 2, 5})
			if saving {
				add(&node{t: tp.AddGather(a.t, b.t, rows, 0.5)}, "addgather", i, j)
			} else {
				add(&node{t: tp.Add(a.t, tp.Gather(b.t, rows, 0.5))}, "add gather", i, j)
			}
		case 8, 9:
			if i, a := pick(); a.norm && !a.viewed {
				if log != nil {
					*log = append(*log, fmt.Sprint("recompute ", i))
				}
				if saving {
					tp.Recompute(a.t)
				}
				a.gone = true
			}
		case 10:
			i, a := pick()
			add(&node{t: tp.FeedForward(a.t, p.params[pW1], p.params[pB1], p.params[pW2], p.params[pB2])}, "feedforward", i)
		case 11:
			i, q := pick()
			j, k := pick()
			l, v := pick()
			docs := []int32{0, 2, programRows}
			add(&node{t: tp.Attention(q.t, k.t, v.t, nil, AttentionOptions{
				Heads: 2, QOffsets: docs, KOffsets: docs, Causal: rng.IntN(2) == 0, Scale: 0.5, Dropout: 0.2,
			})}, "attention", i, j, l)
		case 12:
			i, a := pick()
			a.viewed = true
			view := tp.Columns(tp.Rows(a.t, 0, programRows), 0, programWidth)
			add(&node{t: view, viewed: true}, "rows and columns", i)
		case 13:
			i, a := pick()
			if rng.IntN(2) == 0 {
				add(&node{t: tp.MulScalar(a.t, p.params[pScalar])}, "mulscalar", i)
			} else {
				add(&node{t: tp.Dropout(a.t, 0.1)}, "dropout", i)
			}
		case 14, 15:
			i, a := pick()
			forget, name := tp.Forget, "forget "
			if rng.IntN(2) == 0 {
				forget, name = tp.Compress, "compress "
			}
			if i < 2 { // parameters stay
				continue
			}
			if log != nil {
				*log = append(*log, fmt.Sprint(name, i))
			}
			if saving {
				forget(a.t)
			}
			a.gone = true
		}
	}
	cross := func() *Tensor {
		_, a := pick()
		h := tp.Linear(a.t, p.params[pW], nil)
		loss, _ := tp.CrossEntropy(h, p.params[pTable], tp.Ints([]int32{1, 2, 3, 4, 5, 10}), 0.1, 0.3)
		return loss
	}
	total := cross()
	for range rng.IntN(3) {
		total = tp.Add(total, cross())
	}
	loss = float64(total.Float32s()[0])
	if mode == Inference {
		return loss, nil
	}
	tp.Backward(total)
	for _, q := range p.params {
		if q.RequiresGrad() {
			grads = append(grads, slices.Clone(q.Grad().Float32s()))
		}
	}
	return loss, grads
}

// check compares the two runs of a seed, and reports whether its numbers are of a size that can be compared.
func (p *program) check(t *testing.T, seed uint64, mode Mode) bool {
	var log []string
	defer func() {
		if t.Failed() {
			t.Logf("seed %d, mode %d: %q", seed, mode, log)
		}
	}()
	want, wantGrads := p.run(seed, mode, false, nil)
	got, gotGrads := p.run(seed, mode, true, &log)
	if !(math.Abs(want) < 1e6) {
		return false
	}
	if !(math.Abs(got-want) <= 1e-5*(1+math.Abs(want))) {
		t.Fatalf("loss %v, want %v", got, want)
	}
	for i := range wantGrads {
		compare(t, fmt.Sprintf("gradient %d", i), gotGrads[i], widen(wantGrads[i]), 1e-3)
	}
	return true
}

func TestPrograms(t *testing.T) {
	p := newProgram(2)
	defer p.b.Close()
	seeds, compared := 500, 0
	if testing.Short() {
		seeds = 50
	}
	for seed := range seeds {
		for _, mode := range []Mode{Training, Gradient, Inference} {
			if p.check(t, uint64(seed), mode) {
				compared++
			}
		}
	}
	if compared < seeds*3*9/10 {
		t.Errorf("only %d of %d programs were compared", compared, seeds*3)
	}
}

func FuzzPrograms(f *testing.F) {
	p := newProgram(1)
	defer p.b.Close()
	for mode := range 3 {
		f.Add(uint64(1), uint8(mode))
	}
	f.Fuzz(func(t *testing.T, seed uint64, mode uint8) { p.check(t, seed, Mode(mode%3)) })
}
