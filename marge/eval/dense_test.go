package eval

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/asm"
)

func TestDenseScores(t *testing.T) {
	vectors := []float32{2, 0, 0, 5, 3, 4, 0, 0}
	original := slices.Clone(vectors)
	scores := make([]float32, 6)
	score(t, NewDense(asm.Serial, vectors, 2), []int{2, 0, 3}, []int{2, 1}, scores)
	for i, want := range []float64{1, 0.6, 0, 0.8, 0, 0} {
		if math.Abs(float64(scores[i])-want) > 1e-6 {
			t.Errorf("scores %v: at %d want %v", scores, i, want)
		}
	}
	if !slices.Equal(vectors, original) {
		t.Error("NewDense changed the caller's vectors")
	}
}

func TestDensePanics(t *testing.T) {
	for want, f := range map[string]func(){
		"rows of dimension 0": func() { NewDense(asm.Serial, nil, 0) },
		"tf-idf: n-grams of 4 to 3 characters of the first 0": func() {
			NewTFIDF(t.Context(), asm.Serial, nil, TFIDFOptions{MinN: 4, MaxN: 3})
		},
		"tf-idf: n-grams of 3 to 5 characters of the first -1": func() {
			NewTFIDF(t.Context(), asm.Serial, nil, TFIDFOptions{MaxChars: -1})
		},
		"tf-idf: n-grams of 0 to 3 characters of the first 100000": func() {
			NewTFIDF(t.Context(), asm.Serial, nil, TFIDFOptions{MaxN: 3, MaxChars: 100000})
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
