package eval

import (
	"fmt"
	"math"

	"github.com/marge-go/marge/asm"
)

// Dense scores documents by the cosine of their vectors.
type Dense struct {
	run     asm.Runner
	dim     int
	vectors []float32 // of unit length
}

// NewDense returns a scorer for documents with the given vectors, rows of dim
// values. They are copied and brought to unit length; a vector of zeros has
// the cosine 0 with everything.
func NewDense(run asm.Runner, vectors []float32, dim int) *Dense {
	unit := make([]float32, len(vectors))
	copy(unit, vectors)
	Normalize(unit, dim)
	return &Dense{run: run, dim: dim, vectors: unit}
}

// Against implements [Scorer].
func (d *Dense) Against(candidates []int) func(queries []int, dst []float32) {
	rows := d.rows(candidates)
	return func(queries []int, dst []float32) {
		asm.Gemm(d.run, &asm.GemmArgs{
			TransB: true, M: len(queries), N: len(candidates), K: d.dim,
			Alpha: 1, A: d.rows(queries), LDA: d.dim, B: rows, LDB: d.dim,
			C: dst, LDC: len(candidates),
		})
	}
}

func (d *Dense) rows(docs []int) []float32 {
	rows := make([]float32, 0, len(docs)*d.dim)
	for _, i := range docs {
		rows = append(rows, d.vectors[i*d.dim:(i+1)*d.dim]...)
	}
	return rows
}

// Normalize brings vectors, rows of dim values, to unit length in place. Rows
// of zeros stay as they are.
func Normalize(vectors []float32, dim int) {
	checkRows("normalize", vectors, dim)
	for ; len(vectors) > 0; vectors = vectors[dim:] {
		row := vectors[:dim]
		sum := 0.0
		for _, x := range row {
			sum += float64(x) * float64(x)
		}
		if sum == 0 {
			continue
		}
		scale := 1 / math.Sqrt(sum)
		for i, x := range row {
			row[i] = float32(float64(x) * scale)
		}
	}
}

// Sum returns, for each document, the sum of its vectors, scaled to unit
// length: those of document i are the rows offsets[i] to offsets[i+1] of dim
// values.
func Sum(vectors []float32, dim int, offsets []int) []float32 {
	checkRows("sum", vectors, dim)
	sums := make([]float32, (len(offsets)-1)*dim)
	row := make([]float64, dim)
	for i := range len(offsets) - 1 {
		clear(row)
		for at, x := range vectors[offsets[i]*dim : offsets[i+1]*dim] {
			row[at%dim] += float64(x)
		}
		for j, x := range row {
			sums[i*dim+j] = float32(x)
		}
	}
	Normalize(sums, dim)
	return sums
}

// CenterByLanguage takes the mean of a language's vectors off each of them and
// brings the rest to unit length, in place. It removes what tells languages
// apart, which in an untrained encoder outweighs what tells topics apart.
//
// langs has the language of each vector, a row of dim values. A vector that
// equals its language's mean becomes zero.
func CenterByLanguage[L comparable](vectors []float32, dim int, langs []L) {
	checkRows("center by language", vectors, dim)
	if len(vectors) != len(langs)*dim {
		panic(fmt.Sprintf("eval: center by language: %d vectors, languages of %d", len(vectors)/dim, len(langs)))
	}
	type mean struct {
		sum []float64
		n   int
	}
	means := map[L]*mean{}
	for i, lang := range langs {
		m := means[lang]
		if m == nil {
			m = &mean{sum: make([]float64, dim)}
			means[lang] = m
		}
		m.n++
		for j, x := range vectors[i*dim : (i+1)*dim] {
			m.sum[j] += float64(x)
		}
	}
	for i, lang := range langs {
		m := means[lang]
		row := vectors[i*dim : (i+1)*dim]
		for j := range row {
			row[j] = float32(float64(row[j]) - m.sum[j]/float64(m.n))
		}
	}
	Normalize(vectors, dim)
}

func checkRows(what string, vectors []float32, dim int) {
	if dim <= 0 || len(vectors)%dim != 0 {
		panic(fmt.Sprintf("eval: %s: %d values are not rows of dimension %d", what, len(vectors), dim))
	}
}
