package probe_test

import (
	"fmt"

	"github.com/marge-go/marge/marge/probe"
)

// A histogram of the relevance of three documents.
func ExampleNewHistogram() {
	h := probe.NewHistogram([]float32{0.5, 0.75, 0.76})
	fmt.Printf("%d documents, mean %.2f\n", h.N, h.Mean)
	for bin, count := range h.Counts {
		if count > 0 {
			low, high := probe.Bounds(bin)
			fmt.Printf("%.2f to %.2f: %d\n", low, high, count)
		}
	}
	// Output:
	// 3 documents, mean 0.67
	// 0.50 to 0.55: 1
	// 0.75 to 0.80: 2
}
