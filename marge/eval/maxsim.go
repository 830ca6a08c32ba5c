package eval

import (
	"context"
	"fmt"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/marge/internal/parallel"
)

// MaxSim scores documents of several vectors, such as those of their chunks. A
// vector of one document is compared with the one of the other that it is
// nearest to, by the cosine, as in ColBERT (arXiv:2004.12832, section 3.2); the
// score is the mean over the vectors of the first document plus that over those
// of the second, halved.
type MaxSim struct {
	run     asm.Runner
	dim     int
	vectors []float32 // of unit length
	offsets []int     // of the documents' vectors
}

// NewMaxSim returns a scorer for documents of which document i has the vectors
// offsets[i] to offsets[i+1], at least one, rows of dim values. They are copied
// and scaled to unit length.
func NewMaxSim(run asm.Runner, vectors []float32, dim int, offsets []int) *MaxSim {
	unit := unitCopy(vectors, dim)
	ok := len(offsets) > 0 && offsets[0] == 0 && offsets[len(offsets)-1] == len(vectors)/dim
	for i := 1; ok && i < len(offsets); i++ {
		ok = offsets[i-1] < offsets[i]
	}
	if !ok {
		panic(fmt.Sprintf("eval: max sim: offsets do not rise from 0 to %d with every document", len(vectors)/dim))
	}
	return &MaxSim{run: run, dim: dim, vectors: unit, offsets: offsets}
}

// maxSimRows is about the number of vectors of queries that are compared with
// those of all candidates at a time.
const maxSimRows = 256

// Against implements [Scorer].
func (s *MaxSim) Against(candidates []int) ScoreFunc {
	columns, columnOffsets := s.rows(candidates)
	n := columnOffsets[len(candidates)]
	return func(ctx context.Context, queries []int, dst []float32) error {
		for len(queries) > 0 {
			block, rows := 1, s.offsets[queries[0]+1]-s.offsets[queries[0]]
			for block < len(queries) && rows < maxSimRows {
				rows += s.offsets[queries[block]+1] - s.offsets[queries[block]]
				block++
			}
			vectors, offsets := s.rows(queries[:block])
			cosines := make([]float32, offsets[block]*n)
			asm.Gemm(s.run, &asm.GemmArgs{
				TransB: true, M: offsets[block], N: n, K: s.dim,
				Alpha: 1, A: vectors, LDA: s.dim, B: columns, LDB: s.dim,
				C: cosines, LDC: n,
			})
			err := parallel.Run(ctx, s.run, block, func(q int) {
				row := cosines[offsets[q]*n : offsets[q+1]*n]
				for c := range candidates {
					dst[q*len(candidates)+c] = maxSim(row, n, columnOffsets[c], columnOffsets[c+1])
				}
			})
			if err != nil {
				return err
			}
			queries, dst = queries[block:], dst[block*len(candidates):]
		}
		return ctx.Err()
	}
}

// maxSim returns the score of a query and a candidate. cosines has a row of n
// for each vector of the query, in which those with the candidate's vectors are
// columns [from, to).
func maxSim(cosines []float32, n, from, to int) float32 {
	rows := len(cosines) / n
	byRow, byColumn := 0.0, 0.0
	for r := range rows {
		best := cosines[r*n+from]
		for _, x := range cosines[r*n+from+1 : r*n+to] {
			best = max(best, x)
		}
		byRow += float64(best)
	}
	for c := from; c < to; c++ {
		best := cosines[c]
		for r := 1; r < rows; r++ {
			best = max(best, cosines[r*n+c])
		}
		byColumn += float64(best)
	}
	return float32((byRow/float64(rows) + byColumn/float64(to-from)) / 2)
}

// rows returns the vectors of documents, one after the other, and their
// offsets.
func (s *MaxSim) rows(docs []int) (vectors []float32, offsets []int) {
	offsets = []int{0}
	for _, i := range docs {
		vectors = append(vectors, s.vectors[s.offsets[i]*s.dim:s.offsets[i+1]*s.dim]...)
		offsets = append(offsets, len(vectors)/s.dim)
	}
	return vectors, offsets
}
