package eval

import (
	"iter"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/marge-go/marge/asm"
)

// feature is a non-zero value of a document's vector.
type feature struct {
	id     int32
	weight float32
}

// countFeatures returns how often each feature occurs in each text, in order
// of ids, and in how many texts each feature occurs. cut yields the features
// of a text, with repetitions.
func countFeatures(texts []string, cut func(text string) iter.Seq[string]) (docs [][]feature, df []int32) {
	docs = make([][]feature, len(texts))
	ids := map[string]int32{}
	var found []int32 // of one document, with repetitions
	for i, text := range texts {
		found = found[:0]
		for f := range cut(text) {
			id, ok := ids[f]
			if !ok {
				id = int32(len(ids))
				ids[strings.Clone(f)] = id
				df = append(df, 0)
			}
			found = append(found, id)
		}
		slices.Sort(found)
		doc := make([]feature, 0, len(slices.Compact(slices.Clone(found))))
		for start, end := 0, 0; start < len(found); start = end {
			for end = start; end < len(found) && found[end] == found[start]; end++ {
			}
			df[found[start]]++
			doc = append(doc, feature{found[start], float32(end - start)})
		}
		docs[i] = doc
	}
	return docs, df
}

// normalizeText returns the first maxChars characters of a text (all, if that
// is 0), in lower case and with single spaces for white space.
func normalizeText(text string, maxChars int) string {
	var b strings.Builder
	space := false
	n := 0
	for _, r := range text {
		if n++; maxChars > 0 && n > maxChars {
			break
		}
		if unicode.IsSpace(r) {
			if !space {
				b.WriteByte(' ')
			}
			space = true
			continue
		}
		space = false
		b.WriteRune(unicode.ToLower(r))
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

// against returns a function that scores queries by the sum, over the features
// that they have in common with a candidate, of the product of both weights.
func against(run asm.Runner, features int, queries, docs [][]feature, candidates []int) func(queries []int, dst []float32) {
	// Postings of feature f are postings[starts[f]:starts[f+1]].
	starts := make([]int, features+2)
	for _, c := range candidates {
		for _, f := range docs[c] {
			starts[f.id+2]++
		}
	}
	for i := 1; i < len(starts); i++ {
		starts[i] += starts[i-1]
	}
	postings := make([]posting, starts[len(starts)-1])
	for j, c := range candidates {
		for _, f := range docs[c] {
			postings[starts[f.id+1]] = posting{int32(j), f.weight}
			starts[f.id+1]++
		}
	}
	return func(which []int, dst []float32) {
		run.Run(len(which), &sparseScores{queries, starts, postings, which, dst, len(candidates)})
	}
}

// sparseScores is the task of scoring queries; a part is a query.
type sparseScores struct {
	queries    [][]feature
	starts     []int
	postings   []posting
	which      []int
	dst        []float32
	candidates int
}

func (s *sparseScores) Do(part int) {
	row := s.dst[part*s.candidates : (part+1)*s.candidates]
	clear(row)
	for _, f := range s.queries[s.which[part]] {
		for _, p := range s.postings[s.starts[f.id]:s.starts[f.id+1]] {
			row[p.candidate] += f.weight * p.weight
		}
	}
}
