package eval

import (
	"context"
	"iter"
	"strings"
	"unicode/utf8"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/marge/index"
	"github.com/marge-go/marge/marge/internal/parallel"
)

// numberFeatures returns the features of each text, with repetitions, numbered
// in the order in which they first occur, and how many there are. cut yields
// the features of a text.
func numberFeatures(
	ctx context.Context, texts []string, cut func(text string) iter.Seq[string],
) (docs [][]int32, n int, err error) {
	ids := map[string]int32{}
	docs = make([][]int32, len(texts))
	for i, text := range texts {
		if err := ctx.Err(); err != nil {
			return nil, 0, err
		}
		for f := range cut(text) {
			id, ok := ids[f]
			if !ok {
				id = int32(len(ids))
				ids[strings.Clone(f)] = id
			}
			docs[i] = append(docs[i], id)
		}
	}
	return docs, len(ids), nil
}

// normalizeText returns the first maxChars characters of a text (all, if that
// is 0), in lower case and with single spaces for white space.
func normalizeText(text string, maxChars int) string {
	if maxChars > 0 {
		n := 0
		for i := range text {
			if n++; n > maxChars {
				text = text[:i]
				break
			}
		}
	}
	var b strings.Builder
	space := false
	for _, r := range lower(text) {
		if !isSpace(r) {
			b.WriteRune(r)
		} else if !space {
			b.WriteByte(' ')
		}
		space = isSpace(r)
	}
	return b.String()
}

// ngrams yields the substrings of minN to maxN characters, with repetitions.
func ngrams(text string, minN, maxN int) iter.Seq[string] {
	return func(yield func(string) bool) {
		for start := 0; start < len(text); {
			end := start
			for n := 1; n <= maxN && end < len(text); n++ {
				_, size := utf8.DecodeRuneInString(text[end:])
				end += size
				if n >= minN && !yield(text[start:end]) {
					return
				}
			}
			_, size := utf8.DecodeRuneInString(text[start:])
			start += size
		}
	}
}

// posting is a candidate that has a feature.
type posting struct {
	candidate int32
	weight    float32
}

// against returns a function that scores queries by the inner product of their
// rows with the rows of candidates, from which it makes lists of postings.
func against(run asm.Runner, queries, docs *index.Sparse, candidates []int) ScoreFunc {
	// Postings of feature f are postings[starts[f]:starts[f+1]].
	starts := make([]int, docs.Dim+2)
	for _, c := range candidates {
		columns, _ := docs.Row(c)
		for _, f := range columns {
			starts[f+2]++
		}
	}
	for i := 1; i < len(starts); i++ {
		starts[i] += starts[i-1]
	}
	postings := make([]posting, starts[len(starts)-1])
	for j, c := range candidates {
		columns, values := docs.Row(c)
		for i, f := range columns {
			postings[starts[f+1]] = posting{int32(j), values[i]}
			starts[f+1]++
		}
	}
	return func(ctx context.Context, which []int, dst []float32) error {
		return parallel.Run(ctx, run, len(which), func(q int) {
			row := dst[q*len(candidates) : (q+1)*len(candidates)]
			clear(row)
			columns, values := queries.Row(which[q])
			for i, f := range columns {
				for _, p := range postings[starts[f]:starts[f+1]] {
					row[p.candidate] += values[i] * p.weight
				}
			}
		})
	}
}
