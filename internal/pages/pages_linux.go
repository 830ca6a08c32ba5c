package pages

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Advise asks the system to back memory with large pages. A matrix of megabytes
// has more small pages than the processor's translation buffer (TLB) has
// entries. It is only advice; memory that was touched before stays as it is.
func Advise(x []float32) {
	at := uintptr(unsafe.Pointer(unsafe.SliceData(x)))
	skip := -at % Size
	if bytes := 4 * uintptr(len(x)); bytes >= skip+Size {
		all := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), bytes)
		_ = unix.Madvise(all[skip:skip+(bytes-skip)/Size*Size], unix.MADV_HUGEPAGE)
	}
}
