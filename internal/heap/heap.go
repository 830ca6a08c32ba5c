// Package heap has binary heaps of values. container/heap boxes every element.
package heap

// Ordered is an element of a heap.
type Ordered[T any] interface {
	Before(T) bool // whether the receiver leaves the heap first
}

// A Heap holds its first element at index 0. The zero value is an empty heap.
type Heap[T Ordered[T]] []T

// Init makes a heap of elements in any order.
func (h Heap[T]) Init() {
	for i := len(h)/2 - 1; i >= 0; i-- {
		h.down(i, h[i])
	}
}

// Push adds an element.
func (h *Heap[T]) Push(x T) {
	*h = append(*h, x)
	s := *h
	i := len(s) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if !x.Before(s[parent]) {
			break
		}
		s[i] = s[parent]
		i = parent
	}
	s[i] = x
}

// Pop removes and returns the first element of a heap that is not empty.
func (h *Heap[T]) Pop() T {
	s := *h
	first, last := s[0], s[len(s)-1]
	*h = s[:len(s)-1]
	if len(*h) > 0 {
		h.down(0, last)
	}
	return first
}

// ReplaceFirst puts x in the place of the first element of a heap that is not
// empty. It is Pop and Push in one.
func (h Heap[T]) ReplaceFirst(x T) { h.down(0, x) }

// down puts x at i or below it, where the heap has a gap at i.
func (h Heap[T]) down(i int, x T) {
	for {
		child := 2*i + 1
		if child >= len(h) {
			break
		}
		if child+1 < len(h) && h[child+1].Before(h[child]) {
			child++
		}
		if !h[child].Before(x) {
			break
		}
		h[i] = h[child]
		i = child
	}
	h[i] = x
}
