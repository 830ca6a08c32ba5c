package guard

import (
	"runtime/debug"
	"testing"
	"unsafe"
)

func TestAllocFaults(t *testing.T) {
	end, start := Alloc(t, 100)
	if !faults(&end[99], 1) {
		t.Error("a write after end did not fault")
	}
	if !faults(&start[0], -1) {
		t.Error("a write before start did not fault")
	}
	if faults(&end[99], 0) || faults(&start[0], 0) {
		t.Error("a write inside faulted")
	}
}

// faults says whether a write offset values after base faults.
func faults(base *float32, offset int) (fault bool) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() { fault = recover() != nil }()
	poke(unsafe.Add(unsafe.Pointer(base), 4*offset))
	return false
}

//go:noinline
func poke(p unsafe.Pointer) { *(*float32)(p) = 1 }
