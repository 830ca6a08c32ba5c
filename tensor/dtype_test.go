package tensor

import "testing"

func TestDTypeSize(t *testing.T) {
	for d, want := range map[DType]int{Float32: 4, Int32: 4, BFloat16: 2, Int8: 1} {
		if got := d.Size(); got != want {
			t.Errorf("%v: %d bytes, want %d", d, got, want)
		}
	}
}
