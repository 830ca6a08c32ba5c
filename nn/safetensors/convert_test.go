package safetensors

import (
	"math"
	"path/filepath"
	"slices"
	"testing"
)

// Values of types that float32 does not have are what PyTorch makes of them.
func TestConversions(t *testing.T) {
	f := open(t, filepath.Join("testdata", "types.safetensors"))
	same := func(a, b float32) bool {
		return math.Float32bits(a) == math.Float32bits(b) || a != a && b != b
	}
	for name, n := range map[DType]int{F8E4M3: 256, F8E5M2: 256, Bool: 3, F64: 6} {
		want, err := f.Float32s(string(name) + ".float32")
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.Float32s(string(name))
		if err != nil || len(got) != n || !slices.EqualFunc(got, want, same) {
			t.Errorf("%s: %v, %v, want %v", name, got, err, want)
		}
		copied := make([]float32, n)
		if err := f.CopyFloat32s(copied, string(name)); err != nil || !slices.EqualFunc(copied, want, same) {
			t.Errorf("%s: copied %v, %v, want %v", name, copied, err, want)
		}
	}
}
