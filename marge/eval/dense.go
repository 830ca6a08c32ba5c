package eval

import (
	"context"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/marge/vectors"
)

// Dense scores documents by the cosine of their vectors.
type Dense struct {
	run     asm.Runner
	dim     int
	vectors []float32 // of unit length
	work    int       // multiplications that are not interrupted
}

// NewDense returns a scorer for documents with the given vectors, rows of dim
// values. They are copied and scaled to unit length; a vector of zeros has the
// cosine 0 with everything.
func NewDense(run asm.Runner, rows []float32, dim int) *Dense {
	return &Dense{run: run, dim: dim, vectors: unitCopy(rows, dim), work: productWork}
}

// unitCopy returns a copy of rows, scaled to unit length.
func unitCopy(rows []float32, dim int) []float32 {
	unit := make([]float32, len(rows))
	copy(unit, rows)
	vectors.Normalize(unit, dim)
	return unit
}

// productWork is the number of multiplications of a product of matrices that
// is not interrupted: less than a tenth of a second on most machines.
const productWork = 1 << 31

// Against implements [Scorer].
func (d *Dense) Against(candidates []int) ScoreFunc {
	rows := d.rows(candidates)
	block := max(1, d.work/(max(1, len(candidates))*d.dim))
	return func(ctx context.Context, queries []int, dst []float32) error {
		for len(queries) > 0 {
			if err := ctx.Err(); err != nil {
				return err
			}
			n := min(block, len(queries))
			asm.Gemm(d.run, &asm.GemmArgs{
				TransB: true, M: n, N: len(candidates), K: d.dim,
				Alpha: 1, A: d.rows(queries[:n]), LDA: d.dim, B: rows, LDB: d.dim,
				C: dst, LDC: len(candidates),
			})
			queries, dst = queries[n:], dst[n*len(candidates):]
		}
		return nil
	}
}

func (d *Dense) rows(docs []int) []float32 {
	rows := make([]float32, 0, len(docs)*d.dim)
	for _, i := range docs {
		rows = append(rows, d.vectors[i*d.dim:(i+1)*d.dim]...)
	}
	return rows
}
