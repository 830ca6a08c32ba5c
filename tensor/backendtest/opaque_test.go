package backendtest

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/marge-go/marge/tensor"
)

// Training has the same bits as on the CPU, and nothing waits for the device
// between forward and backward.
func TestOpaqueTrainsAsTheCPU(t *testing.T) {
	cpu := tensor.NewCPU(2)
	losses, gradients, params := newToy(cpu).run(cpu, 4, func() {})
	b := Opaque(tensor.NewCPU(1))
	defer b.Close()
	m := newToy(b)
	b.ResetCounts()
	calls := 0
	l, g, p := m.run(b, 4, func() {
		calls++
		if n := b.Counts().Downloads; n != int64((calls-1)/2*2) { // a norm and a loss for each step before
			t.Errorf("%d downloads after %d passes forward or backward", n, calls)
		}
	})
	if !reflect.DeepEqual(losses, l) || !reflect.DeepEqual(gradients, g) || !reflect.DeepEqual(params, p) {
		t.Errorf("losses %v, want %v; gradients or parameters may differ, too", l, losses)
	}
	if calls != 8 {
		t.Errorf("%d passes", calls)
	}
	if c := b.Counts(); c.Uploads != 4*3 || c.Launches == 0 { // ids, positions and targets
		t.Errorf("%+v, want 3 uploads a step", c)
	}
}

func TestOpaqueHidesItsMemory(t *testing.T) {
	b := Opaque(tensor.NewCPU(1))
	defer b.Close()
	x := tensor.FromSlice(b, []float32{1, 2}, 2)
	defer func() {
		if v, _ := recover().(string); !strings.Contains(v, "backend opaque") {
			t.Errorf("panic %q", v)
		}
	}()
	x.Float32s()
}

// A failure of the device becomes an error that names it and the operation.
func TestOpaqueFails(t *testing.T) {
	b := Opaque(tensor.NewCPU(1))
	defer b.Close()
	m := newToy(b)
	lost := errors.New("the device was lost")
	for _, op := range []string{
		"newstorage", "upload", "gemm", "attentionbackward", "adamwall", "sumsquaresall", "download",
	} {
		b.Fail = func(name string) error {
			if name == op {
				return lost
			}
			return nil
		}
		err := func() (err error) {
			defer tensor.Recover(&err)
			m.run(b, 1, func() {})
			return nil
		}()
		if !errors.Is(err, lost) || !strings.Contains(err.Error(), "backend opaque: "+op) {
			t.Errorf("%s: error %v", op, err)
		}
	}
	b.Fail = nil
	m.run(b, 1, func() {})
}
