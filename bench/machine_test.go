package bench

import (
	"runtime"
	"testing"
)

// Two threads with a core each hand a line over; with one core there is nothing
// to measure, and the measurement ends.
func TestHandover(t *testing.T) {
	seconds := Handover()
	if runtime.GOMAXPROCS(0) < 2 || runtime.NumCPU() < 2 {
		if seconds != 0 {
			t.Errorf("on one core a cache line takes %v s, want 0", seconds)
		}
		return
	}
	for tries := 0; seconds == 0 && tries < 10; tries++ { // other programs have the cores
		seconds = Handover()
	}
	if seconds == 0 {
		t.Skip("two threads never had a core each")
	}
	if !(seconds > 0 && seconds < 1) {
		t.Errorf("a cache line takes %v s", seconds)
	}
}

func TestHandoverOfOneThread(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	if seconds := Handover(); seconds != 0 {
		t.Errorf("one thread hands a cache line over in %v s, want 0", seconds)
	}
}
