package index

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/internal/ceil"
	"github.com/marge-go/marge/marge/internal/parallel"
	"github.com/marge-go/marge/marge/vectors"
)

// CenteredLinks is [Links] for sparse rows of unit length, from which the mean of
// all rows of the same language is subtracted, and which are then scaled to unit
// length: documents are not linked by what all documents of their language have
// in common, such as its most frequent words. The rest of a row that is less
// than 0.01 long is taken as zero. The means are those of [vectors.Means], whose
// integer sums make them exact.
//
// The time grows with the number of columns that two rows share, on average,
// not with the number of all columns.
//
// Errors are those of Links; values must be from -2 to 2.
func CenteredLinks(ctx context.Context, run asm.Runner, v *Sparse, items []Item, opt LinkOptions) ([]Pair, error) {
	if v.Len() != len(items) {
		panic(fmt.Sprintf("index: links: %d rows for %d items", v.Len(), len(items)))
	}
	l := newLinker(items)
	x, err := newCentered(ctx, run, v, l)
	if err != nil {
		return nil, fmt.Errorf("index: links: %w", err)
	}
	l.similarity = x
	return l.links(ctx, run, opt)
}

// minRest is the least length of a row without its language's mean.
const minRest = 0.01

// centered computes the inner products of centered rows without making them,
// as they are not sparse. With x the row of an item, m the mean of its language
// k and s the scale that brings x - m to unit length, that of items i and j is
//
//	s_i s_j (x_i - m_i)(x_j - m_j) = s_i x_i s_j x_j + s_i c_j[k_i] - s_j u_i[k_j]
//
// where u_i[k] = s_i x_i m_k and c_j[k] = s_j m_k m_j - u_j[k]. Rows are in the
// order of the linker.
type centered struct {
	rows  Sparse      // s x
	scale []float32   // s
	lang  []int       // k, from 0
	u     [][]float32 // of each row, for each language
	c     [][]float32 // of each language, for each row

	// The rows once more, by blocks of blockColumns and by column: what row r
	// of block b has in column t is one of the entries from start[b][t] to
	// start[b][t+1]; it is that of row b*blockColumns + entryRow.
	start      [][]int32
	entryRow   [][]uint16
	entryValue [][]float32
}

func newCentered(ctx context.Context, run asm.Runner, v *Sparse, l *linker) (*centered, error) {
	n := len(l.order)
	x := &centered{
		rows:  Sparse{Dim: v.Dim, Start: make([]int, 1, n+1)},
		scale: make([]float32, n), lang: make([]int, n), u: make([][]float32, n),
	}
	for r, item := range l.order {
		if r%4096 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		columns, values := v.Row(int(item))
		x.rows.Columns = append(x.rows.Columns, columns...)
		x.rows.Values = append(x.rows.Values, values...)
		x.rows.Start = append(x.rows.Start, len(x.rows.Columns))
	}
	means, err := x.means(ctx, l)
	if err != nil {
		return nil, err
	}
	products := make([][]float64, len(means))
	for k, a := range means {
		products[k] = make([]float64, len(means))
		for j, b := range means {
			for t := range a {
				products[k][j] += a[t] * b[t]
			}
		}
		x.c = append(x.c, make([]float32, n))
	}
	blocks := ceil.Div(n, blockColumns)
	x.start, x.entryRow, x.entryValue = make([][]int32, blocks), make([][]uint16, blocks), make([][]float32, blocks)
	err = parallel.Run(ctx, run, blocks, func(b int) {
		for r := b * blockColumns; r < min((b+1)*blockColumns, n); r++ {
			x.center(r, means, products)
		}
		x.transpose(b)
	})
	return x, err
}

// means returns the mean of each language's rows, and sets the languages.
func (x *centered) means(ctx context.Context, l *linker) ([][]float64, error) {
	number := map[int]int{}
	for r, item := range l.order {
		lang := l.items[item].Lang
		k, ok := number[lang]
		if !ok {
			k = len(number)
			number[lang] = k
		}
		x.lang[r] = k
	}
	sums := vectors.NewMeans(len(number), max(x.rows.Dim, 1))
	for r, lang := range x.lang {
		if r%4096 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		columns, values := x.rows.Row(r)
		if err := sums.AddSparse(columns, values, lang); err != nil {
			return nil, fmt.Errorf("item %d: %w", l.order[r], err)
		}
	}
	means := make([][]float64, len(number))
	for k := range means {
		means[k] = sums.Mean(k)
	}
	return means, nil
}

// center sets what a row needs, and scales it.
func (x *centered) center(r int, means [][]float64, products [][]float64) {
	columns, values := x.rows.Row(r)
	k := x.lang[r]
	dots := make([]float64, len(means))
	for j, mean := range means {
		for i, t := range columns {
			dots[j] += float64(values[i]) * mean[t]
		}
	}
	scale := 0.0
	if rest := math.Sqrt(asm.SumSquares(values) - 2*dots[k] + products[k][k]); rest >= minRest {
		scale = 1 / rest
	}
	x.scale[r] = float32(scale)
	x.u[r] = make([]float32, len(means))
	for j, dot := range dots {
		x.u[r][j] = float32(scale * dot)
		x.c[j][r] = float32(scale * (products[j][k] - dot))
	}
	asm.Scale(values, float32(scale), values)
}

// transpose sorts the values of a block of rows by column.
func (x *centered) transpose(b int) {
	first, end := b*blockColumns, min((b+1)*blockColumns, len(x.lang))
	columns := x.rows.Columns[x.rows.Start[first]:x.rows.Start[end]]
	start := make([]int32, x.rows.Dim+1)
	for _, t := range columns {
		start[t+1]++
	}
	for t := range x.rows.Dim {
		start[t+1] += start[t]
	}
	next := slices.Clone(start)
	rows, all := make([]uint16, len(columns)), make([]float32, len(columns))
	for r := first; r < end; r++ {
		columns, values := x.rows.Row(r)
		for i, t := range columns {
			rows[next[t]], all[next[t]] = uint16(r-first), values[i]
			next[t]++
		}
	}
	x.start[b], x.entryRow[b], x.entryValue[b] = start, rows, all
}

func (x *centered) block(w *linkThread, r0, r1, c0, c1 int) {
	n := c1 - c0
	for r := r0; r < r1; r++ {
		scores := w.scores[(r-r0)*n : (r-r0+1)*n]
		asm.Scale(scores, x.scale[r], x.c[x.lang[r]][c0:c1])
		for from := c0; from < c1; {
			to := from + 1
			for to < c1 && x.lang[to] == x.lang[from] {
				to++
			}
			asm.Axpy(-x.u[r][x.lang[from]], x.scale[from:to], scores[from-c0:to-c0])
			from = to
		}
		x.addProducts(scores, r, c0/blockColumns)
	}
}

// addProducts adds the inner products of row r with the rows of a block.
func (x *centered) addProducts(scores []float32, r, block int) {
	start, entryRow, entryValue := x.start[block], x.entryRow[block], x.entryValue[block]
	columns, values := x.rows.Row(r)
	for i, t := range columns {
		value := values[i]
		rows := entryRow[start[t]:start[t+1]]
		others := entryValue[start[t]:start[t+1]]
		for e, row := range rows {
			scores[row] += value * others[e]
		}
	}
}
