package dry_test

import (
	"testing"

	"github.com/marge-go/marge/tensor"
	"github.com/marge-go/marge/tensor/dry"
)

// Tensors of any size are counted, and computing with them takes nothing.
func TestBytes(t *testing.T) {
	b := dry.New()
	x := tensor.New(b, tensor.Float32, 1<<20, 1<<20) // 4 TiB
	tensor.New(b, tensor.BFloat16, 10)
	tp := tensor.NewTape(b)
	y := tp.Linear(x, x, nil)
	if got, want := b.Bytes(), int64(4<<40+20+4<<40); got != want {
		t.Errorf("%d bytes, want %d", got, want)
	}
	if v := tp.Dot(tp.Rows(y, 0, 1), tp.Rows(y, 1, 2)).Item(); v != 0 {
		t.Errorf("a result of %v", v)
	}
}
