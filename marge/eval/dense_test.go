package eval

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/asm"
)

func TestNormalize(t *testing.T) {
	v := []float32{3, 4, 0, 0, 1e-30, 0, 3e30, -4e30}
	Normalize(v, 2)
	for i, want := range []float64{0.6, 0.8, 0, 0, 1, 0, 0.6, -0.8} {
		if math.Abs(float64(v[i])-want) > 0x1p-24 {
			t.Errorf("got %v, at %d want %v", v, i, want)
		}
	}
}

func TestDenseScores(t *testing.T) {
	vectors := []float32{2, 0, 0, 5, 3, 4, 0, 0}
	original := slices.Clone(vectors)
	scores := make([]float32, 6)
	NewDense(asm.Serial, vectors, 2).Against([]int{2, 0, 3})([]int{2, 1}, scores)
	for i, want := range []float64{1, 0.6, 0, 0.8, 0, 0} {
		if math.Abs(float64(scores[i])-want) > 1e-6 {
			t.Errorf("scores %v: at %d want %v", scores, i, want)
		}
	}
	if !slices.Equal(vectors, original) {
		t.Error("NewDense changed the caller's vectors")
	}
}

func TestCenterByLanguage(t *testing.T) {
	vectors := []float32{
		10, 1, // de, mean 10, 3
		7, 7, // en, mean 7, 7
		14, 4, // de
		0.1, 0.2, // fr, three the same
		0.1, 0.2,
		6, 4, // de
		0.1, 0.2,
	}
	CenterByLanguage(vectors, 2, []string{"de", "en", "de", "fr", "fr", "de", "fr"})
	want := []float64{0, -1, 0, 0, 4 / math.Sqrt(17), 1 / math.Sqrt(17), 0, 0, 0, 0, -4 / math.Sqrt(17), 1 / math.Sqrt(17), 0, 0}
	for i := range want {
		if math.Abs(float64(vectors[i])-want[i]) > 1e-7 {
			t.Fatalf("got %v, want %v", vectors, want)
		}
	}
	CenterByLanguage([]float32{}, 2, []int{})
}

func TestDensePanics(t *testing.T) {
	for want, f := range map[string]func(){
		"normalize: 3 values are not rows of dimension 2":          func() { Normalize(make([]float32, 3), 2) },
		"rows of dimension 0":                                      func() { NewDense(asm.Serial, nil, 0) },
		"center by language: 2 vectors, languages of 3":            func() { CenterByLanguage(make([]float32, 4), 2, []int{1, 2, 3}) },
		"tf-idf: n-grams of 4 to 3 characters of the first 0":      func() { NewTFIDF(asm.Serial, nil, TFIDFOptions{MinN: 4, MaxN: 3}) },
		"tf-idf: n-grams of 3 to 5 characters of the first -1":     func() { NewTFIDF(asm.Serial, nil, TFIDFOptions{MaxChars: -1}) },
		"tf-idf: n-grams of 0 to 3 characters of the first 100000": func() { NewTFIDF(asm.Serial, nil, TFIDFOptions{MaxN: 3, MaxChars: 100000}) },
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

func TestSum(t *testing.T) {
	got := Sum([]float32{3, 0, 0, 4, 1, 1, 0, -2, 5, 5, -5, -5}, 2, []int{0, 2, 3, 4, 4, 6})
	want := []float32{0.6, 0.8, float32(math.Sqrt(0.5)), float32(math.Sqrt(0.5)), 0, -1, 0, 0, 0, 0}
	for i := range want {
		if len(got) != len(want) || math.Abs(float64(got[i]-want[i])) > 1e-7 {
			t.Fatalf("sums %v, want %v", got, want)
		}
	}
}
