package tensor

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// hugePage is the size of a huge page where ordinary ones have 4 KiB.
const hugePage = 2 << 20

// adviseHugePages asks the system for huge pages behind the part of x that they
// fit in. Rows of large matrices lie on pages of their own: with small ones a
// product looks up thousands of addresses and, where these fall by chance
// on the same lines of the second-level cache, takes up to half as long again.
// It is advice, of no consequence but speed: an error is none.
func adviseHugePages(x []float32) {
	b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))
	from := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) & (hugePage - 1))
	if n := (len(b) - from) &^ (hugePage - 1); n > 0 {
		_ = unix.Madvise(b[from:from+n], unix.MADV_HUGEPAGE)
	}
}
