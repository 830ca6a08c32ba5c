package vectors

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

func TestNormalize(t *testing.T) {
	v := []float32{3, 4, 0, 0, 1e-30, 0, 3e30, -4e30, 0x1p-149, 0}
	Normalize(v, 2)
	for i, want := range []float64{0.6, 0.8, 0, 0, 1, 0, 0.6, -0.8, 1, 0} {
		if math.Abs(float64(v[i])-want) > 0x1p-24 {
			t.Errorf("got %v, at %d want %v", v, i, want)
		}
	}
}

func TestSum(t *testing.T) {
	got := Sum([]float32{3, 0, 0, 4, 1, 1, 0, -2, 5, 5, -5, -5}, 2, []int{0, 2, 3, 4, 4, 6})
	want := []float32{0.6, 0.8, float32(math.Sqrt(0.5)), float32(math.Sqrt(0.5)), 0, -1, 0, 0, 0, 0}
	for i := range want {
		if len(got) != len(want) || math.Abs(float64(got[i]-want[i])) > 1e-7 {
			t.Fatalf("sums %v, want %v", got, want)
		}
	}
}

func TestCheckFinite(t *testing.T) {
	if err := CheckFinite([]float32{0, math.MaxFloat32, -math.MaxFloat32, 1}, 2); err != nil {
		t.Error(err)
	}
	for want, x := range map[string]float64{"NaN": math.NaN(), "+Inf": math.Inf(1), "-Inf": math.Inf(-1)} {
		err := CheckFinite([]float32{0, 0, 0, 0, 0, float32(x), float32(x)}[:6], 3)
		if err == nil || err.Error() != fmt.Sprintf("vector 1 has the value %s at position 2", want) {
			t.Errorf("%v: error %v", x, err)
		}
	}
}

func TestMargin(t *testing.T) {
	for _, c := range []struct {
		margin                    Margin
		cosine, meanA, meanB, out float64
	}{
		{MarginNone, 0.5, 0.2, 0.6, 0.5}, {"", 0.5, 0.2, 0.6, 0.5},
		{MarginDistance, 0.5, 0.25, 0.75, 0}, {MarginDistance, 0.5, -0.5, 0, 0.75},
		{MarginRatio, 0.5, 0.25, 0.75, 1}, {MarginRatio, 0.5, -0.25, 0.25, 0}, {MarginRatio, -0.5, -1, -1, 0},
	} {
		if got := MarginScore(c.margin, c.cosine, c.meanA, c.meanB); got != c.out {
			t.Errorf("%+v: score %v", c, got)
		}
		if err := c.margin.Validate(); err != nil {
			t.Error(err)
		}
	}
	if err := Margin("rato").Validate(); err == nil || !strings.Contains(err.Error(), `"rato"`) {
		t.Errorf("a margin that does not exist: error %v", err)
	}
}

func TestPanics(t *testing.T) {
	for want, f := range map[string]func(){
		"normalize: 3 values are not rows of dimension 2": func() { Normalize(make([]float32, 3), 2) },
		"rows of dimension 0":                             func() { Sum(nil, 0, []int{0}) },
		"check: 3 values are not rows of dimension 2":     func() { CheckFinite(make([]float32, 3), 2) },
		"means: -1 languages":                             func() { NewMeans(-1, 2) },
		"row 0 has language 1 of 1": func() {
			NewMeans(1, 2).Add(t.Context(), nil, make([]float32, 2), []int{1})
		},
		"add: 3 values for 2 rows of dimension 2": func() {
			NewMeans(1, 2).Add(t.Context(), nil, make([]float32, 3), []int{0, 0})
		},
		"center: 2 values for 0 rows of dimension 2": func() {
			NewMeans(1, 2).Center(t.Context(), nil, make([]float32, 2), nil)
		},
		"center by language: 2 vectors, languages of 3": func() {
			CenterByLanguage(t.Context(), nil, make([]float32, 4), 2, []string{"a", "b", "c"})
		},
	} {
		func() {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.Contains(got, want) {
					t.Errorf("panic %q, want one with %q", got, want)
				}
			}()
			f()
		}()
	}
}
