// Package guard gives tests slices whose neighbouring memory must not be
// touched.
package guard

import (
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Alloc returns two zeroed slices of n values. The byte after end and the byte
// before start lie in pages without access: a kernel that reads or writes one
// value too far crashes the test with a fault at that address. The memory is
// released when the test ends.
func Alloc(t testing.TB, n int) (end, start []float32) {
	t.Helper()
	page := os.Getpagesize()
	size := max((4*n+page-1)/page, 1) * page
	// The mapping: guard page, pages of start, guard page, pages of end, guard page.
	mem, err := unix.Mmap(-1, 0, 2*size+3*page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatalf("guard: map %d bytes: %v", 2*size+3*page, err)
	}
	t.Cleanup(func() {
		if err := unix.Munmap(mem); err != nil {
			t.Errorf("guard: unmap: %v", err)
		}
	})
	for _, at := range []int{0, page + size, 2*page + 2*size} {
		if err := unix.Mprotect(mem[at:at+page], unix.PROT_NONE); err != nil {
			t.Fatalf("guard: protect: %v", err)
		}
	}
	floats := func(at int) []float32 {
		return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(mem[at:]))), n)
	}
	return floats(2*page + 2*size - 4*n), floats(page)
}
