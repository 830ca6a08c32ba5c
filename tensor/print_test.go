package tensor

import (
	"fmt"
	"math"
	"testing"
)

// The strings are what NumPy 2 prints of the same arrays with
// np.set_printoptions(precision=4), but for a whole number without dimensions.
func TestFormat(t *testing.T) {
	b := NewCPU(1)
	defer b.Close()
	inf, nan := float32(math.Inf(1)), float32(math.NaN())
	f := func(shape []int, values ...float32) *Tensor { return FromSlice(b, values, shape...) }
	tp := NewTape(b)
	for _, c := range []struct {
		name string
		t    *Tensor
		want string
	}{
		{"scalar", f(nil, 1.5), "1.5"},
		{"whole number", f(nil, 3), "3."},
		{"none", f([]int{0}), "[]"},
		{"none of two", Zeros(b, 2, 0), "[]"},
		{"trailing zeros", f([]int{3}, 1.5, -2, 0.33333), "[ 1.5    -2.      0.3333]"},
		{"whole numbers", f([]int{3}, 1, 10, 100), "[  1.  10. 100.]"},
		{"matrix", f([]int{2, 2}, 1, 2.25, -3, 4), "[[ 1.    2.25]\n [-3.    4.  ]]"},
		{"rank 3", f([]int{2, 1, 2}, 1, 2, 3, 4), "[[[1. 2.]]\n\n [[3. 4.]]]"},
		{"not finite", f([]int{4}, 1, nan, inf, -inf), "[  1.  nan  inf -inf]"},
		{"small", f([]int{2}, 1e-5, 1.25), "[1.00e-05 1.25e+00]"},
		{"zero beside small", f([]int{3}, 0, 0.00012345, 1), "[0.0000e+00 1.2345e-04 1.0000e+00]"},
		{"not small", f([]int{2}, 1e-4, 0.05), "[0.0001 0.05  ]"},
		{"digits of float32", f([]int{2}, 123456.789, 1234.5), "[123456.79   1234.5 ]"},
		{"NaN alone", f([]int{2}, nan, nan), "[nan nan]"},
		{"NaN and a fraction", f([]int{2}, 1.0/3, nan), "[0.3333    nan]"},
		{"large", f([]int{2}, 1e8, 2e8), "[1.e+08 2.e+08]"},
		{"ratio", f([]int{2}, 0.5, 1000), "[5.e-01 1.e+03]"},
		{"ratio of 1000", f([]int{2}, 0.5, 500), "[  0.5 500. ]"},
		{"ints", FromSlice(b, []int32{1, -20, 300}, 3), "[  1 -20 300]"},
		{"shortened", Arange(b, 0, 1001, 1), "[   0.    1.    2. ...  998.  999. 1000.]"},
		{"not shortened", Zeros(b, 2, 3), "[[0. 0. 0.]\n [0. 0. 0.]]"},
		{"shortened rows", Zeros(b, 1000, 2), "[[0. 0.]\n [0. 0.]\n [0. 0.]\n ...\n [0. 0.]\n [0. 0.]\n [0. 0.]]"},
		{"wide", Arange(b, 0, 30, 1), "[ 0.  1.  2.  3.  4.  5.  6.  7.  8.  9. 10. 11. 12. 13. 14. 15. 16. 17.\n" +
			" 18. 19. 20. 21. 22. 23. 24. 25. 26. 27. 28. 29.]"},
		{"full line", tp.Reshape(Arange(b, 10, 27, 1), 1, 1, 17),
			"[[[10. 11. 12. 13. 14. 15. 16. 17. 18. 19. 20. 21. 22. 23. 24. 25. 26.]]]"},
		{"brackets do not fit", tp.Reshape(Arange(b, 10, 28, 1), 1, 1, 18),
			"[[[10. 11. 12. 13. 14. 15. 16. 17. 18. 19. 20. 21. 22. 23. 24. 25. 26.\n   27.]]]"},
		{"shortened along all", Zeros(b, 7, 2, 72), "[[[0. 0. 0. ... 0. 0. 0.]\n  [0. 0. 0. ... 0. 0. 0.]]\n\n" +
			" [[0. 0. 0. ... 0. 0. 0.]\n  [0. 0. 0. ... 0. 0. 0.]]\n\n" +
			" [[0. 0. 0. ... 0. 0. 0.]\n  [0. 0. 0. ... 0. 0. 0.]]\n\n ...\n\n" +
			" [[0. 0. 0. ... 0. 0. 0.]\n  [0. 0. 0. ... 0. 0. 0.]]\n\n" +
			" [[0. 0. 0. ... 0. 0. 0.]\n  [0. 0. 0. ... 0. 0. 0.]]\n\n" +
			" [[0. 0. 0. ... 0. 0. 0.]\n  [0. 0. 0. ... 0. 0. 0.]]]"},
		{"view", tp.Transpose(f([]int{2, 2}, 1, 2, 3, 4), 0, 1), "[[1. 3.]\n [2. 4.]]"},
		{"view of ints", tp.Squeeze(tp.Slice(FromSlice(b, []int32{1, 2, 3, 4}, 2, 2), 1, 1, 2), 1), "[2 4]"},
	} {
		if got := fmt.Sprintf("%+v", c.t); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, c.want)
		}
	}
	x := f([]int{2}, 1.0/3, 2)
	for format, want := range map[string]string{
		"%v": "float32[2]", "%s": "float32[2]", "%+.2v": "[0.33 2.  ]", "%12v|": "  float32[2]|", "%q": `"float32[2]"`,
	} {
		if got := fmt.Sprintf(format, x); got != want {
			t.Errorf("%s: %s, want %s", format, got, want)
		}
	}
	if got := fmt.Sprintf("%+v", (*Tensor)(nil)); got != "nil" {
		t.Errorf("nil: %s", got)
	}
}
