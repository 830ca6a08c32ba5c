package tensor

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// hugePage is the size of a large page of memory on the processors that
// matter. Elsewhere the advice is rounded to the system's pages.
const hugePage = 2 << 20

// adviseHugePages asks the system to back memory with large pages, of which the
// processor finds the places much faster: matrices of megabytes have more small
// pages than its table of translations has entries. It is only advice; memory
// that was touched before stays as it is.
func adviseHugePages(x []float32) {
	at := uintptr(unsafe.Pointer(unsafe.SliceData(x)))
	skip := (hugePage - at%hugePage) % hugePage
	bytes := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x))
	if uintptr(len(bytes)) < skip+hugePage {
		return
	}
	bytes = bytes[skip:]
	_ = unix.Madvise(bytes[:len(bytes)/hugePage*hugePage], unix.MADV_HUGEPAGE)
}
