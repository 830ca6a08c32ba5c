package vectors

import "fmt"

// Margin is how the cosine of two documents is compared with the cosines of
// their nearest neighbours (Artetxe and Schwenk 2019, arXiv:1811.01136, section
// 3): a document that is near to everything translates nothing.
type Margin string

const (
	// MarginRatio divides the cosine by the mean cosine of both documents with
	// their nearest neighbours. Where that mean is not positive, the score is 0.
	MarginRatio Margin = "ratio"
	// MarginDistance subtracts that mean from the cosine.
	MarginDistance Margin = "distance"
	// MarginNone is the plain cosine, "absolute" in the paper.
	MarginNone Margin = "none"
)

// Validate returns an error that lists the margins if m is none of them. The
// empty margin is left to the caller's default.
func (m Margin) Validate() error {
	switch m {
	case "", MarginRatio, MarginDistance, MarginNone:
		return nil
	}
	return fmt.Errorf("no margin %q: have %q, %q and %q", string(m), MarginNone, MarginDistance, MarginRatio)
}

// MarginScore returns the score of two documents by a margin, from their cosine
// and the mean cosines of each with its own nearest neighbours.
func MarginScore[T float32 | float64](m Margin, cosine, meanA, meanB T) T {
	mean := (meanA + meanB) / 2
	switch {
	case m == MarginDistance:
		return cosine - mean
	case m != MarginRatio:
		return cosine
	case mean > 0:
		return cosine / mean
	}
	return 0
}
