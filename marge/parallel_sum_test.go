package marge

import (
	"fmt"
	"testing"

	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/nn/dist"
	"github.com/marge-go/marge/nn/dist/disttest"
	"github.com/marge-go/marge/tensor"
	"github.com/marge-go/marge/tensor/backendtest"
)

// Gradients are added over ranks as they are on one, also of parameters that are
// larger than what is exchanged at a time, and that only some ranks have.
func TestSumOverRanks(t *testing.T) {
	const bucketValues = 1000
	lengths := []int{7, bucketValues, 3, bucketValues - 2, 5}
	gradient := func(rank, parameter, i int) float32 {
		return float32((i*7919+parameter*31+rank*17)%1000003) / float32(i%13+1)
	}
	has := func(rank, parameter int) bool { return parameter != 4 && (parameter != 2 || rank == 1) }
	errs := disttest.Run(2, dist.Options{}, nil, func(g *dist.Group) error {
		cpu := tensor.NewCPU(1)
		defer cpu.Close()
		b := tensor.Backend(cpu)
		if g.Rank() == 1 {
			b = backendtest.Opaque(cpu) // one whose memory the host cannot see
		}
		l := &loop{o: &loopOptions{Group: g}}
		for i, n := range lengths {
			l.params = append(l.params, nn.Parameter{Name: fmt.Sprint(i), Tensor: nn.NewParameter(b, n)})
			if has(g.Rank(), i) {
				grad := make([]float32, n)
				for j := range grad {
					grad[j] = gradient(g.Rank(), i, j)
				}
				l.params[i].Grad().SetFloat32s(grad)
			}
		}
		anywhere, err := l.shareFigures()
		if err != nil {
			return err
		}
		if err := l.sumOverRanks(anywhere, bucketValues); err != nil {
			return err
		}
		for i, p := range l.params {
			if p.HasGrad() != (i != 4) {
				t.Errorf("rank %d: parameter %d has a gradient: %t", g.Rank(), i, p.HasGrad())
				continue
			}
			if i == 4 {
				continue
			}
			for j, got := range valuesOf(p.Grad()) {
				want := float32(0)
				for rank := range 2 {
					if has(rank, i) {
						want += gradient(rank, i, j)
					}
				}
				if got != want {
					t.Errorf("rank %d: gradient %d of parameter %d is %v, want %v", g.Rank(), j, i, got, want)
					break
				}
			}
		}
		return nil
	})
	if err := disttest.FirstError(errs); err != nil {
		t.Error(err)
	}
}
