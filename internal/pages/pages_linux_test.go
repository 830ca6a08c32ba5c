package pages

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"unsafe"
)

func TestAdvise(t *testing.T) {
	if _, err := os.Stat("/sys/kernel/mm/transparent_hugepage/enabled"); err != nil {
		t.Skipf("the kernel has no transparent huge pages: %v", err)
	}
	for _, n := range []int{1, 1 << 10, Size / 4, Size - 1, Size + 5} {
		data := make([]float32, n)
		Advise(data)
		start := uintptr(unsafe.Pointer(&data[0]))
		page := (start + Size - 1) &^ (Size - 1)
		if page+Size > start+4*uintptr(n) {
			continue // no whole one fits
		}
		if !slices.Contains(flags(t, page), "hg") {
			t.Errorf("%d elements: no huge pages were asked for", n)
		}
	}
}

// flags returns those of the mapping at an address.
func flags(t *testing.T, at uintptr) []string {
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	inside := false
	for line := range strings.Lines(string(maps)) {
		var from, to uintptr
		if n, _ := fmt.Sscanf(line, "%x-%x ", &from, &to); n == 2 {
			inside = from <= at && at < to
		} else if f, ok := strings.CutPrefix(line, "VmFlags:"); ok && inside {
			return strings.Fields(f)
		}
	}
	t.Fatalf("no mapping at %#x", at)
	return nil
}
