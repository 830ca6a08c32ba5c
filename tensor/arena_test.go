package tensor

import (
	"math/rand/v2"
	"testing"
)

// Pieces that live at the same time never overlap, and when all are given back
// one piece of all memory in use is left.
func TestArenaPieces(t *testing.T) {
	b := NewCPU(1)
	a := arena{backend: b, dtype: Float32}
	rng := rand.New(rand.NewPCG(1, 1))
	for range 3 {
		type piece struct {
			store *Storage
			at, n int
			mark  float32
		}
		var live []piece
		take := func() {
			p := piece{n: rng.IntN(1 << rng.IntN(19)), mark: rng.Float32()}
			p.store, p.at = a.alloc(p.n)
			for i := range p.n {
				p.store.F32[p.at+i] = p.mark
			}
			live = append(live, p)
		}
		give := func() {
			i := rng.IntN(len(live))
			p := live[i]
			live[i] = live[len(live)-1]
			live = live[:len(live)-1]
			for i, v := range p.store.F32[p.at : p.at+p.n] {
				if v != p.mark {
					t.Fatalf("element %d of a piece of %d was overwritten", i, p.n)
				}
			}
			a.release(p.store, p.at, p.n)
		}
		for range 500 {
			take()
			if rng.IntN(5) < 2 {
				give()
			}
		}
		for len(live) > 0 {
			give()
		}
		if len(a.free) != a.current+1 {
			t.Errorf("%d free pieces in %d chunks in use", len(a.free), a.current+1)
		}
		free := 0
		for _, p := range a.free {
			free += p.n
		}
		used := a.used
		for _, c := range a.chunks[:a.current] {
			used += c.size
		}
		if free != used {
			t.Errorf("%d elements are free, of %d given out", free, used)
		}
		a.reset()
	}
}

// A piece goes where it leaves least, and neighbours become one.
func TestArenaTakesTheSmallestPieceThatFits(t *testing.T) {
	a := arena{backend: NewCPU(1), dtype: Float32}
	sizes := []int{64, 16, 48, 16, 128, 16}
	var at []int
	var store *Storage
	for _, n := range sizes {
		s, o := a.alloc(n)
		store, at = s, append(at, o)
	}
	for i := 0; i < len(sizes); i += 2 {
		a.release(store, at[i], sizes[i])
	}
	if _, o := a.alloc(40); o != at[2] {
		t.Errorf("40 elements at %d, want the piece of 48 at %d", o, at[2])
	}
	a.release(store, at[1], 16)
	if _, o := a.alloc(80); o != at[0] {
		t.Errorf("80 elements at %d, want the two neighbours at %d", o, at[0])
	}
	if _, o := a.alloc(129); o != at[5]+16 {
		t.Errorf("129 elements at %d, want fresh memory at %d", o, at[5]+16)
	}
}
