package task

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/eval"
)

// The labels of PAWS-X.
const (
	Different  = "0"
	Paraphrase = "1"
)

// ReadParaphrases reads pairs of sentences of PAWS-X (Yang et al. 2019), which
// are in a language, a BCP 47 tag: lines of id, sentence1, sentence2 and label
// between tabulators, below a line with these names, of which the last may be
// noisy_label. A sentence between quotation marks with all others doubled is
// without them, as the published files have it; other quotation marks belong to
// the sentence. Pairs of which a sentence is blank or NS, which is how a
// translation that failed is marked, are skipped and counted. Another label than 0
// and 1 is an error, as are another number of columns and a file without a pair.
func ReadParaphrases(path, lang string) (pairs []marge.Labeled, skipped int, err error) {
	if err := canonical(&lang); err != nil {
		return nil, 0, err
	}
	err = corpus.ReadLines(path, func(number int, line string) error {
		columns := strings.Split(line, "\t")
		switch {
		case len(columns) != 4:
			return lineError(path, number, "%d columns, want id, sentence1, sentence2 and label", len(columns))
		case number == 1:
			if !slices.Equal(columns[:3], []string{"id", "sentence1", "sentence2"}) ||
				columns[3] != "label" && columns[3] != "noisy_label" {
				return lineError(path, number, "the columns are %q, want id, sentence1, sentence2 and label", columns)
			}
			return nil
		}
		text, other, label := unquote(columns[1]), unquote(columns[2]), columns[3]
		if label != Different && label != Paraphrase {
			return lineError(path, number, "the label is %q, want %s or %s", label, Different, Paraphrase)
		}
		if unavailable(text) || unavailable(other) {
			skipped++
			return nil
		}
		pairs = append(pairs, marge.Labeled{Text: text, Other: other, Lang: lang, Label: label, Where: place(path, number)})
		return nil
	})
	if err != nil {
		return nil, 0, err
	}
	if len(pairs) == 0 {
		return nil, 0, fmt.Errorf("task: %s has no pair of sentences", path)
	}
	return pairs, skipped, nil
}

func unavailable(sentence string) bool {
	s := strings.TrimSpace(sentence)
	return s == "" || s == "NS"
}

// unquote takes off the quotation marks of a field that has them.
func unquote(field string) string {
	if len(field) < 2 || field[0] != '"' || field[len(field)-1] != '"' {
		return field
	}
	inner := field[1 : len(field)-1]
	if strings.Contains(strings.ReplaceAll(inner, `""`, ""), `"`) {
		return field
	}
	return strings.ReplaceAll(inner, `""`, `"`)
}

// AccuracyScore is the result of [Accuracy].
type AccuracyScore struct {
	N        int            `json:"n"`
	Accuracy float64        `json:"accuracy"` // 0 to 1
	Interval *eval.Interval `json:"interval,omitempty"`
}

// String returns the accuracy in percent.
func (a AccuracyScore) String() string {
	if a.Interval == nil {
		return fmt.Sprintf("%.1f%%", 100*a.Accuracy)
	}
	return fmt.Sprintf("%.1f%% [%.1f, %.1f]", 100*a.Accuracy, 100*a.Interval.Low, 100*a.Interval.High)
}

// Accuracy is the share of labels that are right. It has an interval if boot is
// not nil. It is an error if there are none, or not one for each pair.
func Accuracy(
	ctx context.Context, pairs []marge.Labeled, labels []string, boot *eval.Bootstrap,
) (*AccuracyScore, error) {
	if len(labels) != len(pairs) {
		return nil, fmt.Errorf("task: %d pairs, %d labels", len(pairs), len(labels))
	}
	if len(pairs) == 0 {
		return nil, &eval.NotEvaluatedError{What: "accuracy", Reason: "there are no pairs"}
	}
	right := make([]float64, len(pairs))
	score := &AccuracyScore{N: len(pairs)}
	for i, p := range pairs {
		if labels[i] == p.Label {
			right[i] = 1
		}
		score.Accuracy += right[i]
	}
	score.Accuracy /= float64(len(pairs))
	if boot != nil {
		interval, err := boot.Mean(ctx, right)
		if err != nil {
			return nil, err
		}
		score.Interval = &interval
	}
	return score, nil
}

// Majority returns the label that most of the pairs have; of several, the first
// in the order of the alphabet. Without pairs it is empty.
func Majority(pairs []marge.Labeled) string {
	counts := map[string]int{}
	for _, p := range pairs {
		counts[p.Label]++
	}
	best := ""
	for _, label := range slices.Sorted(maps.Keys(counts)) {
		if counts[label] > counts[best] {
			best = label
		}
	}
	return best
}

// WordOverlap is a classifier that calls two texts a paraphrase if enough of
// their words are the same.
type WordOverlap struct {
	// Threshold is the least overlap of a paraphrase: words that both texts
	// have, divided by those that one of them has.
	Threshold float64
}

// NewWordOverlap chooses the threshold that is right for the most of some
// pairs, of which each is labelled [Paraphrase] or [Different]; of several, the
// greatest. It is an error if there are none.
func NewWordOverlap(pairs []marge.Labeled) (*WordOverlap, error) {
	if len(pairs) == 0 {
		return nil, errors.New("task: word overlap: there are no pairs")
	}
	type scored struct {
		overlap float64
		gain    int // of calling the pair a paraphrase
	}
	list := make([]scored, len(pairs))
	for i, p := range pairs {
		list[i] = scored{overlap(p), -1}
		switch p.Label {
		case Paraphrase:
			list[i].gain = 1
		case Different:
		default:
			return nil, fmt.Errorf("task: word overlap: the label of pair %d is %q, want %s or %s", i, p.Label, Different,
				Paraphrase)
		}
	}
	slices.SortFunc(list, func(a, b scored) int { return cmp.Compare(b.overlap, a.overlap) })
	w := &WordOverlap{Threshold: 2} // nothing is a paraphrase
	gain, best := 0, 0
	for i, s := range list {
		gain += s.gain
		if last := i+1 == len(list) || list[i+1].overlap < s.overlap; last && gain > best {
			best, w.Threshold = gain, s.overlap
		}
	}
	return w, nil
}

// Labels returns a label for each pair.
func (w *WordOverlap) Labels(pairs []marge.Labeled) []string {
	labels := make([]string, len(pairs))
	for i, p := range pairs {
		labels[i] = Different
		if overlap(p) >= w.Threshold {
			labels[i] = Paraphrase
		}
	}
	return labels
}

// overlap is the Jaccard index of the words of two texts.
func overlap(p marge.Labeled) float64 {
	a, b := wordSet(p.Text), wordSet(p.Other)
	common := shared(a, b)
	return float64(common) / float64(max(len(a)+len(b)-common, 1))
}

func wordSet(text string) map[string]bool {
	set := map[string]bool{}
	for _, w := range eval.Words(text) {
		set[w] = true
	}
	return set
}

// shared counts the words that two sets have in common.
func shared(a, b map[string]bool) int {
	n := 0
	for w := range a {
		if b[w] {
			n++
		}
	}
	return n
}
