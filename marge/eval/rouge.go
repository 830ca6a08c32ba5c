package eval

import (
	"context"
	"fmt"
	"strings"
)

// ROUGEOptions are the settings of [ROUGE]. The zero value is the default of
// the rouge-score package.
type ROUGEOptions struct {
	// Stemmer compares the stems of words of more than three letters a to z or
	// digits, by the algorithm of Porter for English.
	Stemmer bool
	// Words cuts text into words. Nil stands for runs of the letters a to z and
	// digits in lower case, as in rouge-score, which ignores other scripts; for
	// those use [Words].
	Words func(text string) []string
	// Bootstrap, if not nil, adds intervals of F1 over outputs.
	Bootstrap *Bootstrap
}

// ROUGEMeasure is a mean over outputs, each from 0 to 1.
type ROUGEMeasure struct {
	Precision float64 `json:"precision"`
	Recall    float64 `json:"recall"`
	F1        float64 `json:"f1"`
	// Interval is that of F1, nil without [ROUGEOptions.Bootstrap].
	Interval *Interval `json:"interval,omitempty"`
}

// ROUGEScore is the result of [ROUGE].
type ROUGEScore struct {
	ROUGE1 ROUGEMeasure `json:"rouge1"` // words
	ROUGE2 ROUGEMeasure `json:"rouge2"` // pairs of words
	// ROUGEL is the longest common subsequence of the texts, ROUGELsum the
	// union of those of their sentences, which end at newlines.
	ROUGEL    ROUGEMeasure `json:"rougeL"`
	ROUGELsum ROUGEMeasure `json:"rougeLsum"`
}

// String returns F1, precision and recall on one line.
func (m ROUGEMeasure) String() string {
	return fmt.Sprintf("F1 %s (precision %.3f, recall %.3f)",
		withInterval("%.3f", m.F1, m.Interval), m.Precision, m.Recall)
}

// String returns F1 of the four measures on one line.
func (s ROUGEScore) String() string {
	f1 := func(m ROUGEMeasure) string { return withInterval("%.3f", m.F1, m.Interval) }
	return fmt.Sprintf("ROUGE-1 %s, ROUGE-2 %s, ROUGE-L %s, ROUGE-Lsum %s",
		f1(s.ROUGE1), f1(s.ROUGE2), f1(s.ROUGEL), f1(s.ROUGELsum))
}

// ROUGE compares outputs with their references, at least one for each (Lin
// 2004). For each measure an output counts with the reference that gives it
// the highest F1. Scores equal those of Google's rouge-score package.
//
// references[i] has those of outputs[i]. Errors are those of [BLEU].
func ROUGE(ctx context.Context, outputs []string, references [][]string, opt ROUGEOptions) (*ROUGEScore, error) {
	if err := checkReferences(outputs, references); err != nil {
		return nil, fmt.Errorf("eval: rouge: %w", err)
	}
	var score ROUGEScore
	measures := [...]*ROUGEMeasure{&score.ROUGE1, &score.ROUGE2, &score.ROUGEL, &score.ROUGELsum}
	var f1 [len(measures)][]float64
	for i, output := range outputs {
		var best [len(measures)]ROUGEMeasure
		for j, reference := range references[i] {
			if err := ctx.Err(); err != nil {
				return nil, fmt.Errorf("eval: rouge: %w", err)
			}
			for k, m := range opt.compare(output, reference) {
				if j == 0 || m.F1 > best[k].F1 {
					best[k] = m
				}
			}
		}
		for k, m := range best {
			measures[k].Precision += m.Precision
			measures[k].Recall += m.Recall
			measures[k].F1 += m.F1
			f1[k] = append(f1[k], m.F1)
		}
	}
	for k, m := range measures {
		n := float64(len(outputs))
		m.Precision, m.Recall, m.F1 = m.Precision/n, m.Recall/n, m.F1/n
		if opt.Bootstrap != nil {
			ci, err := opt.Bootstrap.Mean(ctx, f1[k])
			if err != nil {
				return nil, fmt.Errorf("eval: rouge: %w", err)
			}
			m.Interval = &ci
		}
	}
	return &score, nil
}

// compare measures one output against one reference: ROUGE-1, 2, L and Lsum.
func (o *ROUGEOptions) compare(output, reference string) [4]ROUGEMeasure {
	out, ref := o.words(output), o.words(reference)
	ids := map[string]int32{}
	return [4]ROUGEMeasure{
		overlap(out, ref, 1),
		overlap(out, ref, 2),
		measureOf(longestCommon(numbered(ids, out), numbered(ids, ref), nil), len(out), len(ref)),
		o.summary(output, reference),
	}
}

// words returns the words to compare.
func (o *ROUGEOptions) words(text string) []string {
	var words []string
	if o.Words != nil {
		words = o.Words(text)
	} else {
		words = strings.FieldsFunc(lower(text), notLatin)
	}
	if o.Stemmer {
		for i, w := range words {
			if len(w) > 3 && strings.IndexFunc(w, notLatin) < 0 {
				words[i] = porterStem(w)
			}
		}
	}
	return words
}

// notLatin reports that a character is none of a to z and 0 to 9.
func notLatin(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9')
}

// measureOf makes a measure of the number of hits.
func measureOf(hits, output, reference int) ROUGEMeasure {
	if hits == 0 {
		return ROUGEMeasure{}
	}
	p, r := float64(hits)/float64(output), float64(hits)/float64(reference)
	return ROUGEMeasure{Precision: p, Recall: r, F1: 2 * p * r / (p + r)}
}

// overlap compares the n-grams of words.
func overlap(output, reference []string, n int) ROUGEMeasure {
	out, ref := wordUnits(output), wordUnits(reference)
	hits := 0
	refCounts := ref.ngrams(n)
	for gram, count := range out.ngrams(n) {
		hits += min(count, refCounts[gram])
	}
	return measureOf(hits, out.len()-n+1, ref.len()-n+1)
}

// numbered replaces words by numbers, the same for the same word.
func numbered(ids map[string]int32, words []string) []int32 {
	numbers := make([]int32, len(words))
	for i, w := range words {
		id, ok := ids[w]
		if !ok {
			id = int32(len(ids))
			ids[w] = id
		}
		numbers[i] = id
	}
	return numbers
}

// longestCommon returns the length of the longest common subsequence. left, if
// not nil, is a matrix with a row for each word of a and a column for each of b;
// left[i,j] is set where dropping b's word j is strictly better than dropping
// a's word i.
func longestCommon(a, b []int32, left []bool) int {
	above, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for i, x := range a {
		for j, y := range b {
			if x == y {
				row[j+1] = above[j] + 1
			} else {
				row[j+1] = max(above[j+1], row[j])
			}
			if left != nil {
				left[i*len(b)+j] = row[j] > above[j+1]
			}
		}
		above, row = row, above
	}
	return above[len(b)]
}

// markCommon marks the words of a that are in the longest common subsequence
// with b. Of several, it is the one that rouge-score takes.
func markCommon(a, b []int32, marked []bool) {
	left := make([]bool, len(a)*len(b))
	longestCommon(a, b, left)
	for i, j := len(a)-1, len(b)-1; i >= 0 && j >= 0; {
		switch {
		case a[i] == b[j]:
			marked[i] = true
			i--
			j--
		case left[i*len(b)+j]:
			j--
		default:
			i--
		}
	}
}

// summary is ROUGE-Lsum (Lin 2004, section 3.2): every sentence of the
// reference counts the words that it has in common with any sentence of the
// output, in order; a word counts no more often than it occurs.
func (o *ROUGEOptions) summary(output, reference string) ROUGEMeasure {
	ids := map[string]int32{}
	sentences := func(text string) (s [][]int32, n int) {
		for line := range strings.SplitSeq(text, "\n") {
			if words := numbered(ids, o.words(line)); len(words) > 0 {
				s = append(s, words)
				n += len(words)
			}
		}
		return s, n
	}
	out, outLen := sentences(output)
	ref, refLen := sentences(reference)
	left := make([]int, len(ids)) // occurrences in the output that are not yet hit
	for _, s := range out {
		for _, id := range s {
			left[id]++
		}
	}
	hits := 0
	for _, r := range ref {
		marked := make([]bool, len(r))
		for _, s := range out {
			markCommon(r, s, marked)
		}
		for i, id := range r {
			if marked[i] && left[id] > 0 {
				hits++
				left[id]--
			}
		}
	}
	return measureOf(hits, outLen, refLen)
}
