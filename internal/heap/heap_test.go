package heap

import (
	"math/rand/v2"
	"slices"
	"testing"
)

type number int

func (n number) Before(m number) bool { return n < m }

// drain pops every element.
func drain(h Heap[number]) []number {
	var out []number
	for len(h) > 0 {
		out = append(out, h.Pop())
	}
	return out
}

func TestHeap(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for n := range 40 {
		var want []number
		for range n {
			want = append(want, number(r.IntN(20)))
		}
		made := slices.Clone(want)
		Heap[number](made).Init()
		var pushed Heap[number]
		for _, x := range want {
			pushed.Push(x)
		}
		// Replacing the first elements by greater ones drops the least.
		replaced := append(Heap[number](nil), make([]number, n)...)
		for i := range replaced {
			replaced[i] = number(i - 100)
		}
		for _, x := range want {
			replaced.ReplaceFirst(x)
		}
		slices.Sort(want)
		for name, h := range map[string]Heap[number]{"Init": made, "Push": pushed, "ReplaceFirst": replaced} {
			if got := drain(h); !slices.Equal(got, want) {
				t.Errorf("%s: %v, want %v", name, got, want)
			}
		}
	}
}
