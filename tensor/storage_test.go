package tensor

import (
	"testing"
	"unsafe"
)

// Large operands that are made one after the other differ in their places
// within 256 KiB, whatever the system's own are; see largeStorage.
func TestLargeStoragesLieApart(t *testing.T) {
	c := NewCPU(1)
	defer c.Close()
	const within = 4 * storageStep * storagePlaces
	seen := map[uintptr]bool{}
	for range storagePlaces {
		f := c.NewStorage(Float32, largeStorage).F32
		if len(f) != largeStorage {
			t.Fatalf("%d elements, want %d", len(f), largeStorage)
		}
		place := uintptr(unsafe.Pointer(unsafe.SliceData(f)))
		if place%64 != 0 {
			t.Errorf("storage at %#x does not begin on a cache line", place)
		}
		seen[place%within] = true
	}
	if len(seen) != storagePlaces {
		t.Errorf("%d storages begin at %d places within %d bytes", storagePlaces, len(seen), within)
	}
}
