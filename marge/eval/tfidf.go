package eval

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/marge-go/marge/asm"
)

// TFIDFOptions sets which features documents are compared by.
type TFIDFOptions struct {
	// MinN and MaxN are the shortest and longest n-grams, in characters. If
	// both are zero, they are 3 and 5.
	MinN, MaxN int
	// MaxChars is how many characters of a document are used, from its
	// beginning; 0 uses all.
	MaxChars int
}

// TFIDF scores documents by the cosine of their TF-IDF vectors over character
// n-grams. Text is lower-cased and white space reduced to single spaces;
// n-grams run across words. A feature that occurs c times in a document and in
// df of n documents weighs (1 + ln c) * (ln((1+n)/(1+df)) + 1), and vectors are
// brought to unit length.
type TFIDF struct {
	run      asm.Runner
	features int
	docs     [][]feature
}

// feature is a non-zero value of a document's vector.
type feature struct {
	id     int32
	weight float32
}

// NewTFIDF returns a scorer for documents with the given texts, which also are
// those that document frequencies are counted in.
func NewTFIDF(run asm.Runner, texts []string, opt TFIDFOptions) *TFIDF {
	if opt.MinN == 0 && opt.MaxN == 0 {
		opt.MinN, opt.MaxN = 3, 5
	}
	if opt.MinN < 1 || opt.MaxN < opt.MinN || opt.MaxChars < 0 {
		panic(fmt.Sprintf("eval: tf-idf: n-grams of %d to %d characters of the first %d", opt.MinN, opt.MaxN, opt.MaxChars))
	}
	t := &TFIDF{run: run, docs: make([][]feature, len(texts))}
	ids := map[string]int32{}
	var df []int32
	var grams []int32 // of one document, with repetitions
	for i, text := range texts {
		grams = grams[:0]
		for gram := range ngrams(normalizeText(text, opt.MaxChars), opt.MinN, opt.MaxN) {
			id, ok := ids[gram]
			if !ok {
				id = int32(len(ids))
				ids[gram] = id
				df = append(df, 0)
			}
			grams = append(grams, id)
		}
		slices.Sort(grams)
		doc := make([]feature, 0, len(slices.Compact(slices.Clone(grams))))
		for start, end := 0, 0; start < len(grams); start = end {
			for end = start; end < len(grams) && grams[end] == grams[start]; end++ {
			}
			df[grams[start]]++
			doc = append(doc, feature{grams[start], float32(1 + math.Log(float64(end-start)))})
		}
		t.docs[i] = doc
	}
	t.features = len(ids)
	idf := make([]float64, len(df))
	for id, n := range df {
		idf[id] = math.Log(float64(1+len(texts))/float64(1+n)) + 1
	}
	for _, doc := range t.docs {
		sum := 0.0
		for _, f := range doc {
			w := float64(f.weight) * idf[f.id]
			sum += w * w
		}
		for i, f := range doc {
			doc[i].weight = float32(float64(f.weight) * idf[f.id] / math.Sqrt(sum))
		}
	}
	return t
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
func ngrams(text string, minN, maxN int) func(yield func(string) bool) {
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

// Against implements [Scorer].
func (t *TFIDF) Against(candidates []int) func(queries []int, dst []float32) {
	// Postings of feature f are postings[starts[f]:starts[f+1]].
	starts := make([]int, t.features+2)
	for _, c := range candidates {
		for _, f := range t.docs[c] {
			starts[f.id+2]++
		}
	}
	for i := 1; i < len(starts); i++ {
		starts[i] += starts[i-1]
	}
	postings := make([]posting, starts[len(starts)-1])
	for j, c := range candidates {
		for _, f := range t.docs[c] {
			postings[starts[f.id+1]] = posting{int32(j), f.weight}
			starts[f.id+1]++
		}
	}
	return func(queries []int, dst []float32) {
		t.run.Run(len(queries), &tfidfScores{t.docs, starts, postings, queries, dst, len(candidates)})
	}
}

// tfidfScores is the task of scoring queries; a part is a query.
type tfidfScores struct {
	docs       [][]feature
	starts     []int
	postings   []posting
	queries    []int
	dst        []float32
	candidates int
}

func (s *tfidfScores) Do(part int) {
	row := s.dst[part*s.candidates : (part+1)*s.candidates]
	clear(row)
	for _, f := range s.docs[s.queries[part]] {
		for _, p := range s.postings[s.starts[f.id]:s.starts[f.id+1]] {
			row[p.candidate] += f.weight * p.weight
		}
	}
}
