package bench

import (
	"math"
	"runtime"
	"testing"

	"github.com/marge-go/marge/tensor"
)

// TestMatMul compares the products of views with those that gonum computes of the
// same numbers by their distances.
func TestMatMul(t *testing.T) {
	c := tensor.NewCPU(2)
	defer c.Close()
	for kind := range views {
		s := Spec{"matmul", kind, 6, 5, 7, 3, ""}
		if kind == "vectors" {
			s.N = 1
		}
		if kind == "scores_fused" {
			s.M = s.N // tokens attend to each other
		}
		got := matMul(&s, c)(tensor.NewTape(c)).Float32s()
		want, run := gonumMatMul(&s)
		run()
		if len(got) != len(want) {
			t.Errorf("%s: %d numbers, gonum has %d", kind, len(got), len(want))
			continue
		}
		for i := range want {
			if math.Abs(float64(got[i]-want[i])) > 1e-5 {
				t.Errorf("%s: number %d is %v, gonum has %v", kind, i, got[i], want[i])
				break
			}
		}
	}
}

// TestGonum runs every kind of operation that gonum has.
func TestGonum(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0)) // Gonum sets it
	kinds := map[string]bool{}
	for _, w := range Workloads("ops") {
		if w.InGonum() {
			w.M, kinds[w.Kind] = 16, true
			w.Gonum(2)()
		}
	}
	if len(kinds) != len(gonumKinds) {
		t.Errorf("gonum runs %v, want %v", kinds, gonumKinds)
	}
}
