package eval

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// ChrFOptions are the settings of [ChrF]. The zero value is the default of
// sacrebleu; with a WordOrder of 2 the score is known as chrF++.
type ChrFOptions struct {
	CharOrder int // longest n-gram of characters; 0 stands for 6
	WordOrder int // longest n-gram of words; 0 counts none
	// Beta is how much more recall weighs than precision; 0 stands for 2.
	Beta       int
	Lowercase  bool
	Whitespace bool // count spaces as characters
	// EpsSmoothing averages F over the orders, as the program of the metric's
	// author does, rather than precision and recall over the orders that both
	// texts are long enough for.
	EpsSmoothing bool
	// Bootstrap, if not nil, adds an interval over sentences.
	Bootstrap *Bootstrap
}

// ChrFScore is the result of [ChrF].
type ChrFScore struct {
	Score     float64 `json:"score"` // 0 to 100
	Signature string  `json:"signature"`
	// Interval is nil without [ChrFOptions.Bootstrap].
	Interval *Interval `json:"interval,omitempty"`
}

// String returns the score with its signature.
func (s ChrFScore) String() string {
	return fmt.Sprintf("chrF %s (%s)", withInterval("%.1f", s.Score, s.Interval), s.Signature)
}

// ChrF compares outputs, one a line, with their references by n-grams of
// characters, and of words if asked to (Popović 2015, 2017). It is the score
// of the corpus, equal to sacrebleu's: n-grams are counted against the
// reference that is best for the sentence, then summed.
//
// references[i] has those of outputs[i]. Errors are those of [BLEU].
func ChrF(ctx context.Context, outputs []string, references [][]string, opt ChrFOptions) (*ChrFScore, error) {
	if opt.CharOrder == 0 {
		opt.CharOrder = 6
	}
	if opt.Beta == 0 {
		opt.Beta = 2
	}
	if opt.CharOrder < 0 || opt.WordOrder < 0 || opt.Beta < 0 {
		return nil, fmt.Errorf("eval: chrf: %d characters, %d words, beta %d", opt.CharOrder, opt.WordOrder, opt.Beta)
	}
	if err := checkReferences(outputs, references); err != nil {
		return nil, fmt.Errorf("eval: chrf: %w", err)
	}
	segments := make([][]chrfCounts, len(outputs))
	all := make([]chrfCounts, opt.CharOrder+opt.WordOrder)
	for i, output := range outputs {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("eval: chrf: %w", err)
		}
		segments[i] = opt.segment(output, references[i])
		addCounts(all, segments[i], 1)
	}
	score := &ChrFScore{
		Score: opt.score(all),
		Signature: fmt.Sprintf("nrefs:%s|%scase:%s|eff:%s|nc:%d|nw:%d|space:%s|version:%s", referenceCount(references),
			opt.Bootstrap.signature(), caseName(opt.Lowercase), yesNo(!opt.EpsSmoothing),
			opt.CharOrder, opt.WordOrder, yesNo(opt.Whitespace), signatureVersion),
	}
	if opt.Bootstrap != nil {
		ci, err := opt.Bootstrap.statistic(ctx, len(segments), func(weights []int32) float64 {
			clear(all)
			for i, w := range weights {
				addCounts(all, segments[i], int(w))
			}
			return opt.score(all)
		})
		if err != nil {
			return nil, fmt.Errorf("eval: chrf: %w", err)
		}
		score.Interval = &ci
	}
	return score, nil
}

// chrfCounts are the numbers of n-grams of one order.
type chrfCounts struct{ output, reference, match int }

func addCounts(sum, counts []chrfCounts, times int) {
	if times == 0 {
		return
	}
	for n, c := range counts {
		sum[n].output += times * c.output
		sum[n].reference += times * c.reference
		sum[n].match += times * c.match
	}
}

// segment counts the n-grams of an output and of the reference with the
// highest score.
func (o *ChrFOptions) segment(output string, references []string) []chrfCounts {
	out := o.ngrams(output)
	var best []chrfCounts
	bestScore := 0.0
	for _, reference := range references {
		counts := make([]chrfCounts, len(out))
		for n, ref := range o.ngrams(reference) {
			c := &counts[n]
			for _, count := range ref {
				c.reference += count
			}
			if c.reference == 0 {
				continue
			}
			for gram, count := range out[n] {
				c.output += count
				c.match += min(count, ref[gram])
			}
		}
		if score := o.score(counts); best == nil || score > bestScore {
			best, bestScore = counts, score
		}
	}
	return best
}

// ngrams counts n-grams of characters by order, then those of words.
func (o *ChrFOptions) ngrams(text string) []map[string]int {
	if o.Lowercase {
		text = lower(text)
	}
	fields := strings.FieldsFunc(text, isSpace)
	if !o.Whitespace {
		text = strings.Join(fields, "")
	}
	chars := charUnits(text)
	var counts []map[string]int
	for n := range o.CharOrder {
		counts = append(counts, chars.ngrams(n+1))
	}
	if o.WordOrder > 0 {
		words := wordUnits(cutPunctuation(fields))
		for n := range o.WordOrder {
			counts = append(counts, words.ngrams(n+1))
		}
	}
	return counts
}

// charUnits are the characters of a text.
func charUnits(text string) units {
	u := units{text: text}
	for i := range text {
		u.start = append(u.start, i)
	}
	if len(text) > 0 {
		u.end = append(slices.Clone(u.start[1:]), len(text))
	}
	return u
}

// cutPunctuation cuts one punctuation character of ASCII off the end of each
// word or, if there is none, off its beginning.
func cutPunctuation(fields []string) []string {
	const punctuation = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
	words := make([]string, 0, len(fields))
	for _, w := range fields {
		last := len(w) - 1
		switch {
		case utf8.RuneCountInString(w) == 1:
			words = append(words, w)
		case strings.IndexByte(punctuation, w[last]) >= 0:
			words = append(words, w[:last], w[last:])
		case strings.IndexByte(punctuation, w[0]) >= 0:
			words = append(words, w[:1], w[1:])
		default:
			words = append(words, w)
		}
	}
	return words
}

// score computes chrF from counts.
func (o *ChrFOptions) score(counts []chrfCounts) float64 {
	const eps = 1e-16
	factor := float64(o.Beta * o.Beta)
	sum, precision, recall, orders := 0.0, 0.0, 0.0, 0
	for _, c := range counts {
		p, r := eps, eps
		if c.output > 0 {
			p = float64(c.match) / float64(c.output)
		}
		if c.reference > 0 {
			r = float64(c.match) / float64(c.reference)
		}
		if d := factor*p + r; d > 0 {
			sum += (1 + factor) * p * r / d
		} else {
			sum += eps
		}
		if c.output > 0 && c.reference > 0 {
			precision += p
			recall += r
			orders++
		}
	}
	if o.EpsSmoothing {
		return 100 * sum / float64(len(counts))
	}
	if orders == 0 || precision+recall == 0 {
		return 0
	}
	precision /= float64(orders)
	recall /= float64(orders)
	return 100 * (1 + factor) * precision * recall / (factor*precision + recall)
}
