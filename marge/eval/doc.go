// Package eval measures how well documents find their translations: P@1, P@5
// and mean reciprocal rank for every ordered pair of languages, for dense
// vectors and for a TF-IDF baseline.
package eval
