package guard

import "testing"

func TestAlloc(t *testing.T) {
	for _, n := range []int{1, 7, 1024, 1025, 5000} {
		end, start := Alloc(t, n)
		if len(end) != n || len(start) != n {
			t.Fatalf("Alloc(%d) gave lengths %d and %d", n, len(end), len(start))
		}
		for i := range n {
			end[i], start[i] = 1, 2
		}
		for i := range n {
			if end[i] != 1 || start[i] != 2 {
				t.Fatalf("Alloc(%d): the slices overlap at %d", n, i)
			}
		}
	}
	if end, start := Alloc(t, 0); len(end) != 0 || len(start) != 0 {
		t.Fatal("Alloc(0) is not empty")
	}
}
