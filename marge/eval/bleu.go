package eval

import (
	"context"
	"fmt"
	"math"
	"strings"
)

// Smoothing is what BLEU does about n-gram orders without a match, by the name
// that sacrebleu has for it (Chen and Cherry 2014).
type Smoothing string

const (
	// SmoothExp halves the precision for each further order without a match:
	// method 3, that of mteval-v13a.
	SmoothExp Smoothing = "exp"
	// SmoothFloor takes a small number of matches for none: method 1.
	SmoothFloor Smoothing = "floor"
	// SmoothAddK adds a number to matches and n-grams of the orders above 1:
	// method 2.
	SmoothAddK Smoothing = "add-k"
	// SmoothNone does nothing: the score is 0.
	SmoothNone Smoothing = "none"
)

// signatureVersion ends signatures: the version of sacrebleu that the scores
// were found equal to, and that it was not sacrebleu that computed them.
const signatureVersion = "2.6.0+marge"

// BLEUOptions are the settings of [BLEU]. The zero value is the default of
// sacrebleu.
type BLEUOptions struct {
	Tokenizer BLEUTokenizer // "" stands for 13a
	Smoothing Smoothing     // "" stands for exp
	// SmoothValue is the number of [SmoothFloor] (0 stands for 0.1) and of
	// [SmoothAddK] (0 stands for 1).
	SmoothValue float64
	// MaxOrder is the longest n-gram; 0 stands for 4.
	MaxOrder int
	// EffectiveOrder leaves out the orders that the output is too short for.
	// Scores of single sentences need it.
	EffectiveOrder bool
	Lowercase      bool
	// Bootstrap, if not nil, adds an interval over sentences.
	Bootstrap *Bootstrap
}

// BLEUScore is the result of [BLEU].
type BLEUScore struct {
	Score      float64   `json:"score"`      // 0 to 100
	Counts     []int     `json:"counts"`     // n-grams that match, by order
	Totals     []int     `json:"totals"`     // n-grams of the output, by order
	Precisions []float64 `json:"precisions"` // in percent, smoothed, by order
	// BrevityPenalty is 1 if the output is as long as the references.
	BrevityPenalty float64 `json:"brevity_penalty"`
	OutputLen      int     `json:"output_len"`    // words
	ReferenceLen   int     `json:"reference_len"` // words of the reference nearest in length
	Signature      string  `json:"signature"`
	// Interval is nil without [BLEUOptions.Bootstrap].
	Interval *Interval `json:"interval,omitempty"`
}

// BLEU compares outputs, one a line, with their references, at least one for
// each (Papineni et al. 2002). It is the score of the corpus, equal to
// sacrebleu's (Post 2018); for that of a sentence, give it one with
// EffectiveOrder.
//
// references[i] has those of outputs[i]. An error says which line has none or
// which option is not valid, is a [NotEvaluatedError] if there are no outputs, or
// is the context's.
func BLEU(ctx context.Context, outputs []string, references [][]string, opt BLEUOptions) (*BLEUScore, error) {
	if err := opt.setDefaults(); err != nil {
		return nil, fmt.Errorf("eval: bleu: %w", err)
	}
	if err := checkReferences(outputs, references); err != nil {
		return nil, fmt.Errorf("eval: bleu: %w", err)
	}
	segments := make([]bleuStats, len(outputs))
	all := newBLEUStats(opt.MaxOrder)
	for i, output := range outputs {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("eval: bleu: %w", err)
		}
		segments[i] = opt.segment(output, references[i])
		all.add(&segments[i], 1)
	}
	score := opt.score(&all)
	score.Signature = fmt.Sprintf("nrefs:%s|%scase:%s|eff:%s|tok:%s|smooth:%s|version:%s", referenceCount(references),
		opt.Bootstrap.signature(), caseName(opt.Lowercase), yesNo(opt.EffectiveOrder),
		opt.Tokenizer, opt.smoothName(), signatureVersion)
	if opt.Bootstrap != nil {
		ci, err := opt.Bootstrap.statistic(ctx, len(segments), func(weights []int32) float64 {
			all := newBLEUStats(opt.MaxOrder)
			for i, w := range weights {
				all.add(&segments[i], int(w))
			}
			return opt.score(&all).Score
		})
		if err != nil {
			return nil, fmt.Errorf("eval: bleu: %w", err)
		}
		score.Interval = &ci
	}
	return score, nil
}

// String returns the score as sacrebleu prints it, with its signature.
func (s BLEUScore) String() string {
	return fmt.Sprintf("BLEU %s (%s)", withInterval("%.1f", s.Score, s.Interval), s.Signature)
}

func (o *BLEUOptions) setDefaults() error {
	if o.Tokenizer == "" {
		o.Tokenizer = Tokenizer13a
	}
	if !o.Tokenizer.known() {
		return fmt.Errorf("no tokenizer is called %q", o.Tokenizer)
	}
	if o.MaxOrder == 0 {
		o.MaxOrder = 4
	}
	if o.MaxOrder < 0 {
		return fmt.Errorf("n-grams of up to %d words", o.MaxOrder)
	}
	if !(o.SmoothValue >= 0) || math.IsInf(o.SmoothValue, 1) {
		return fmt.Errorf("smoothing by %v", o.SmoothValue)
	}
	switch o.Smoothing {
	case "":
		o.Smoothing = SmoothExp
	case SmoothExp, SmoothNone:
	case SmoothFloor:
		if o.SmoothValue == 0 {
			o.SmoothValue = 0.1
		}
	case SmoothAddK:
		if o.SmoothValue == 0 {
			o.SmoothValue = 1
		}
	default:
		return fmt.Errorf("no smoothing is called %q", o.Smoothing)
	}
	return nil
}

func (o *BLEUOptions) smoothName() string {
	if o.Smoothing == SmoothFloor || o.Smoothing == SmoothAddK {
		return fmt.Sprintf("%s[%.2f]", o.Smoothing, o.SmoothValue)
	}
	return string(o.Smoothing)
}

// bleuStats are sums over sentences.
type bleuStats struct {
	counts, totals          []int
	outputLen, referenceLen int
}

func newBLEUStats(orders int) bleuStats {
	return bleuStats{counts: make([]int, orders), totals: make([]int, orders)}
}

func (s *bleuStats) add(other *bleuStats, times int) {
	if times == 0 {
		return
	}
	for n := range s.counts {
		s.counts[n] += times * other.counts[n]
		s.totals[n] += times * other.totals[n]
	}
	s.outputLen += times * other.outputLen
	s.referenceLen += times * other.referenceLen
}

// segment counts the n-grams of one output. A match counts at most as often as
// in the reference that has it most.
func (o *BLEUOptions) segment(output string, references []string) bleuStats {
	words := func(text string) units {
		if o.Lowercase {
			text = lower(text)
		}
		return wordUnits(o.Tokenizer.split(text))
	}
	out := words(output)
	refs := make([]units, len(references))
	s := newBLEUStats(o.MaxOrder)
	s.outputLen = out.len()
	for i, reference := range references {
		refs[i] = words(reference)
		was, is := abs(s.referenceLen-s.outputLen), abs(refs[i].len()-s.outputLen)
		if i == 0 || is < was || is == was && refs[i].len() < s.referenceLen {
			s.referenceLen = refs[i].len()
		}
	}
	for n := range o.MaxOrder {
		most := refs[0].ngrams(n + 1)
		for _, ref := range refs[1:] {
			for gram, count := range ref.ngrams(n + 1) {
				most[gram] = max(most[gram], count)
			}
		}
		for gram, count := range out.ngrams(n + 1) {
			s.totals[n] += count
			s.counts[n] += min(count, most[gram])
		}
	}
	return s
}

func abs(n int) int { return max(n, -n) }

// score computes BLEU from counts.
func (o *BLEUOptions) score(s *bleuStats) *BLEUScore {
	score := &BLEUScore{
		Counts: s.counts, Totals: s.totals, Precisions: make([]float64, o.MaxOrder),
		BrevityPenalty: 1, OutputLen: s.outputLen, ReferenceLen: s.referenceLen,
	}
	if s.outputLen == 0 && s.referenceLen > 0 {
		score.BrevityPenalty = 0
	} else if s.outputLen < s.referenceLen {
		score.BrevityPenalty = math.Exp(1 - float64(s.referenceLen)/float64(s.outputLen))
	}
	matches := 0
	for _, count := range s.counts {
		matches += count
	}
	if matches == 0 {
		return score
	}
	halving := 1.0
	orders := o.MaxOrder
	for n := range o.MaxOrder {
		count, total := float64(s.counts[n]), float64(s.totals[n])
		if o.Smoothing == SmoothAddK && n > 0 {
			count += o.SmoothValue
			total += o.SmoothValue
		}
		if total == 0 {
			break
		}
		if o.EffectiveOrder {
			orders = n + 1
		}
		switch {
		case count > 0:
			score.Precisions[n] = 100 * count / total
		case o.Smoothing == SmoothExp:
			halving *= 2
			score.Precisions[n] = 100 / (halving * total)
		case o.Smoothing == SmoothFloor:
			score.Precisions[n] = 100 * o.SmoothValue / total
		}
	}
	sum := 0.0
	for _, p := range score.Precisions[:orders] {
		sum += math.Log(p)
	}
	score.Score = score.BrevityPenalty * math.Exp(sum/float64(orders))
	return score
}

// units are the words or characters of a text. N-grams are parts of it.
type units struct {
	text       string
	start, end []int
}

func (u *units) len() int { return len(u.start) }

// wordUnits joins words, which have no spaces in them, with spaces.
func wordUnits(words []string) units {
	u := units{text: strings.Join(words, " ")}
	at := 0
	for _, w := range words {
		u.start, u.end = append(u.start, at), append(u.end, at+len(w))
		at += len(w) + 1
	}
	return u
}

// ngrams counts the n-grams.
func (u *units) ngrams(n int) map[string]int {
	counts := make(map[string]int, max(0, u.len()-n+1))
	for i := 0; i+n <= u.len(); i++ {
		counts[u.text[u.start[i]:u.end[i+n-1]]]++
	}
	return counts
}

// checkReferences checks that every output has references.
func checkReferences(outputs []string, references [][]string) error {
	if len(outputs) == 0 {
		return &NotEvaluatedError{"generation", "there are no outputs to score"}
	}
	if len(references) != len(outputs) {
		return fmt.Errorf("%d outputs, references of %d", len(outputs), len(references))
	}
	for i, refs := range references {
		if len(refs) == 0 {
			return fmt.Errorf("output %d has no reference", i)
		}
	}
	return nil
}

// referenceCount returns how many references every output has, or "var".
func referenceCount(references [][]string) string {
	for _, refs := range references {
		if len(refs) != len(references[0]) {
			return "var"
		}
	}
	return fmt.Sprint(len(references[0]))
}

func caseName(lowercase bool) string {
	if lowercase {
		return "lc"
	}
	return "mixed"
}

func yesNo(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// signature is the part of a score's signature that tells of the interval.
func (b *Bootstrap) signature() string {
	if b == nil {
		return ""
	}
	return fmt.Sprintf("bs:%d|seed:%d|", b.folds(), b.Seed)
}
