package vectors

import (
	"context"
	"fmt"
	"math"
	"sync"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/internal/ceil"
	"github.com/marge-go/marge/marge/internal/parallel"
)

// Means holds the sums of vectors by language, from which the mean vector of
// each language follows. The sums are integers, so they are exact: they depend
// neither on the order in which vectors are added nor on how the vectors are
// divided among threads or machines. Several machines add up their Sums and
// Counts element by element, as AddSums does, to get the means of all vectors.
//
// A value x counts as the integer nearest to x * 2^36, ties to even. Values of
// 2^-12 and more are represented exactly, smaller ones with an error of at most
// 2^-37; so a mean is exact to 2^-37. Vectors must have values from -2 to 2, as
// those of unit length do, and a language fewer than 2^26 vectors: then no sum
// overflows.
type Means struct {
	Dim    int
	Sums   []int64 // [languages, Dim], scaled by 2^36
	Counts []int64 // vectors of each language
}

const (
	fractionBits = 36
	fractionUnit = 1 << fractionBits
	maxValue     = 2
	maxCount     = 1<<26 - 1
)

const unitLength = "the values of a vector of unit length are from -1 to 1"

// NewMeans returns the sums of no vectors, for languages numbered from 0.
func NewMeans(languages, dim int) *Means {
	if languages < 0 || dim <= 0 {
		panic(fmt.Sprintf("vectors: means: %d languages, dimension %d", languages, dim))
	}
	return &Means{Dim: dim, Sums: make([]int64, languages*dim), Counts: make([]int64, languages)}
}

// fixed returns x as a multiple of 2^-36.
func fixed(x float32) int64 { return int64(math.RoundToEven(float64(x) * fractionUnit)) }

// inRange tells whether a vector may have the value x: NaN is out of range.
func inRange(x float32) bool { return x >= -maxValue && x <= maxValue }

// AddSparse adds a vector of which only some columns are not zero.
func (m *Means) AddSparse(columns []int32, values []float32, lang int) error {
	for i, x := range values {
		if !inRange(x) {
			return fmt.Errorf("the vector has the value %v in column %d: %s", x, columns[i], unitLength)
		}
	}
	sums := m.Sums[lang*m.Dim : (lang+1)*m.Dim]
	for i, t := range columns {
		sums[t] += fixed(values[i])
	}
	m.Counts[lang]++
	return m.checkCount(lang)
}

// AddSums adds the vectors of a language whose sums and number another Means has.
// It is an error, after which the sums are of no use, if there is no such number of
// vectors or no room for them. It panics unless there is a sum for each of Dim values.
func (m *Means) AddSums(lang int, sums []int64, count int64) error {
	if len(sums) != m.Dim {
		panic(fmt.Sprintf("vectors: means: %d sums, dimension %d", len(sums), m.Dim))
	}
	if count < 0 || count > maxCount {
		return fmt.Errorf("%d vectors of language %d: the sums have room for %d", count, lang, maxCount)
	}
	for j, sum := range sums {
		if most := count * maxValue * fractionUnit; sum < -most || sum > most {
			return fmt.Errorf("the sum of %d vectors of language %d is %v at position %d: %s",
				count, lang, float64(sum)/fractionUnit, j, unitLength)
		}
	}
	for j, sum := range sums {
		m.Sums[lang*m.Dim+j] += sum
	}
	m.Counts[lang] += count
	return m.checkCount(lang)
}

// Mean returns the mean vector of a language. It is zero without vectors.
func (m *Means) Mean(lang int) []float64 {
	mean := make([]float64, m.Dim)
	for j, sum := range m.Sums[lang*m.Dim : (lang+1)*m.Dim] {
		mean[j] = float64(sum) / float64(max(m.Counts[lang], 1)) / fractionUnit
	}
	return mean
}

func (m *Means) checkCount(lang int) error {
	if m.Counts[lang] > maxCount {
		return fmt.Errorf("language %d has %d vectors: the sums have room for %d", lang, m.Counts[lang], maxCount)
	}
	return nil
}

// blockRows is the number of rows that a thread adds or centres at a time.
const blockRows = 1024

// Add adds rows to the sums of their languages. It returns an error that names
// the first row with a value that is not from -2 to 2, such as one that is not
// finite, or the context's error. After an error the sums are of no use. Add
// panics if langs does not have a language for each row.
func (m *Means) Add(ctx context.Context, run asm.Runner, rows []float32, langs []int) error {
	m.check("add", rows, langs)
	var mu sync.Mutex
	bad := -1 // first value out of range
	err := parallel.Run(ctx, run, blocks(len(langs)), func(block int) {
		from, to := bounds(block, len(langs))
		part := NewMeans(len(m.Counts), m.Dim)
		at := -1
		for i := from; i < to && at < 0; i++ {
			at = part.addRow(rows, i, langs[i])
		}
		mu.Lock()
		defer mu.Unlock()
		if at >= 0 && (bad < 0 || at < bad) {
			bad = at
		}
		for i, n := range part.Counts {
			if n == 0 {
				continue
			}
			m.Counts[i] += n
			for j, sum := range part.Sums[i*m.Dim : (i+1)*m.Dim] {
				m.Sums[i*m.Dim+j] += sum
			}
		}
	})
	if err != nil {
		return err
	}
	if bad >= 0 {
		return fmt.Errorf("vector %d has the value %v at position %d: %s", bad/m.Dim, rows[bad], bad%m.Dim, unitLength)
	}
	for lang := range m.Counts {
		if err := m.checkCount(lang); err != nil {
			return err
		}
	}
	return nil
}

// addRow adds row i, or returns the position of a value that is out of range.
func (m *Means) addRow(rows []float32, i, lang int) int {
	row, sums := rows[i*m.Dim:(i+1)*m.Dim], m.Sums[lang*m.Dim:(lang+1)*m.Dim]
	for j, x := range row {
		if !inRange(x) {
			return i*m.Dim + j
		}
		sums[j] += fixed(x)
	}
	m.Counts[lang]++
	return -1
}

// Center subtracts the mean of its language from each row and scales the rest
// to unit length, in place. Rows must be among those that were added, on this
// machine or another. A row that equals the mean becomes zero. The only error
// is the context's, after which some rows are centred and others are not.
// Center panics if langs does not have a language for each row.
func (m *Means) Center(ctx context.Context, run asm.Runner, rows []float32, langs []int) error {
	m.check("center", rows, langs)
	// A mean is whole + part units, so that no difference overflows and that of
	// equal numbers is exactly 0.
	whole, part := make([]int64, len(m.Sums)), make([]float64, len(m.Sums))
	for i, sum := range m.Sums {
		n := max(m.Counts[i/m.Dim], 1)
		whole[i], part[i] = sum/n, float64(sum%n)/float64(n)
	}
	return parallel.Run(ctx, run, blocks(len(langs)), func(block int) {
		from, to := bounds(block, len(langs))
		for i := from; i < to; i++ {
			row, mean := rows[i*m.Dim:(i+1)*m.Dim], langs[i]*m.Dim
			whole, part := whole[mean:mean+m.Dim], part[mean:mean+m.Dim]
			for j, x := range row {
				row[j] = float32((float64(fixed(x)-whole[j]) - part[j]) / fractionUnit)
			}
			normalizeRow(row)
		}
	})
}

func (m *Means) check(what string, rows []float32, langs []int) {
	if len(rows) != len(langs)*m.Dim {
		panic(fmt.Sprintf("vectors: %s: %d values for %d rows of dimension %d", what, len(rows), len(langs), m.Dim))
	}
	for i, lang := range langs {
		if lang < 0 || lang >= len(m.Counts) {
			panic(fmt.Sprintf("vectors: %s: row %d has language %d of %d", what, i, lang, len(m.Counts)))
		}
	}
}

func blocks(rows int) int { return ceil.Div(rows, blockRows) }

func bounds(block, rows int) (from, to int) {
	return block * blockRows, min((block+1)*blockRows, rows)
}

// CenterByLanguage subtracts the mean of all rows of the same language from
// each row and scales the rest to unit length, in place. This removes what
// tells languages apart, which in an untrained encoder outweighs what tells
// topics apart. A row that equals its language's mean becomes zero.
//
// langs has the language of each row; tags of languages must be in canonical
// form, since equal values are one language. Rows must be of unit length: see [Means]
// for the range and for the error of the means, whose integer sums make the
// result independent of order and threads. The errors are those of [Means.Add]
// and leave the rows unchanged, unless the context is cancelled. It panics if
// sizes disagree.
func CenterByLanguage[L comparable](ctx context.Context, run asm.Runner, rows []float32, dim int, langs []L) error {
	checkRows("center by language", rows, dim)
	if len(rows) != len(langs)*dim {
		panic(fmt.Sprintf("vectors: center by language: %d vectors, languages of %d", len(rows)/dim, len(langs)))
	}
	numbers := map[L]int{}
	numbered := make([]int, len(langs))
	for i, lang := range langs {
		n, ok := numbers[lang]
		if !ok {
			n = len(numbers)
			numbers[lang] = n
		}
		numbered[i] = n
	}
	m := NewMeans(len(numbers), dim)
	if err := m.Add(ctx, run, rows, numbered); err != nil {
		return fmt.Errorf("center by language: %w", err)
	}
	if err := m.Center(ctx, run, rows, numbered); err != nil {
		return fmt.Errorf("center by language: %w", err)
	}
	return nil
}
