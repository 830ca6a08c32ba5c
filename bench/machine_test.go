package bench

import (
	"math"
	"runtime"
	"testing"
)

func TestHandover(t *testing.T) {
	if runtime.GOMAXPROCS(0) < 2 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	}
	if seconds := Handover(); !(seconds > 0) || math.IsInf(seconds, 0) {
		t.Errorf("a cache line takes %v s", seconds)
	}
}
