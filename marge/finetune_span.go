package marge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/marge-go/marge/marge/tokenizer"
	"github.com/marge-go/marge/tensor"
)

// SpanExtraction is the task to find the answer to a question in a context.
// Question and, after an </s>, context go to the encoder and to the decoder, and
// a head scores every token of the context as the beginning and as the end of the
// answer, by the decoder's last states.
//
// A context that is longer than the model takes is read in windows of which each
// begins in the middle of the one before. Where a window does not hold the answer,
// the head says so.
type SpanExtraction struct {
	Train, Dev []Question // the first of a question's answers is learnt
}

func (SpanExtraction) name() string     { return "span extraction" }
func (SpanExtraction) chosenBy() string { return "f1" }

func (s SpanExtraction) read(ctx context.Context, m *Model) (*taskData, error) {
	r, err := newReader(m)
	if err != nil {
		return nil, err
	}
	where := func(q *Question) string { return q.Where }
	data, err := readAll(ctx, s.Train, s.Dev, where, func(q *Question) ([]example, bool, error) {
		windows, offsets, cut, err := r.question(q)
		if err != nil {
			return nil, false, err
		}
		if len(q.Answers) == 0 {
			return nil, false, errors.New("there is no answer")
		}
		for i := range q.Answers {
			if _, _, err := q.bytes(i); err != nil {
				return nil, false, err
			}
		}
		lo, hi, _ := q.bytes(0)
		// The tokens that the answer has a part in.
		first, _ := slices.BinarySearch(offsets[1:], lo+1)
		last, _ := slices.BinarySearch(offsets, hi)
		for i := range windows {
			w := &windows[i]
			if end := w.window + len(w.target) - w.context; first >= w.window && last <= end {
				w.wanted = [2]int32{int32(first - w.window + 1), int32(last - w.window)}
			}
		}
		return windows, cut, nil
	})
	if err != nil {
		return nil, err
	}
	var answers [][]Answer
	for _, q := range s.Dev {
		answers = append(answers, q.Answers)
	}
	data.more = answers
	return data, nil
}

// bytes returns where answer i lies in the context, in bytes.
func (q *Question) bytes(i int) (lo, hi int, err error) {
	a := q.Answers[i]
	if strings.TrimSpace(a.Text) == "" {
		return 0, 0, fmt.Errorf("answer %d is empty", i)
	}
	at := 0
	for lo = range q.Context {
		if at == a.Start {
			break
		}
		at++
	}
	if at != a.Start || !strings.HasPrefix(q.Context[lo:], a.Text) {
		return 0, 0, fmt.Errorf("answer %d, %q, is not in the context at character %d", i, a.Text, a.Start)
	}
	return lo, lo + len(a.Text), nil
}

// question returns the windows of a question's context, and the places of all
// tokens of the context, in bytes. A question that takes more than half of the room
// is cut.
func (r *reader) question(q *Question) (windows []example, offsets []int, cut bool, err error) {
	fail := func(err error) ([]example, []int, bool, error) { return nil, nil, false, err }
	language, err := r.language(q.Lang)
	if err != nil {
		return fail(err)
	}
	question, err := r.text("the question", q.Question)
	if err != nil {
		return fail(err)
	}
	if strings.TrimSpace(q.Context) == "" {
		return fail(errors.New("the context is empty"))
	}
	context, offsets := r.m.Tokenizer.EncodeOffsets(q.Context)
	room := r.room() - 1 // </s> between the two
	if cut = len(question) > room/2; cut {
		question = question[:room/2]
	}
	size := room - len(question)
	if size < 1 {
		return fail(fmt.Errorf("the model has %d positions, too few for a question and a context",
			r.m.Config.MaxPositionEmbeddings))
	}
	for lo := 0; ; lo += max(size/2, 1) {
		hi := min(lo+size, len(context))
		text := slices.Concat(question, []int32{tokenizer.EOS}, context[lo:hi])
		windows = append(windows, example{
			source: text, target: text, language: language, context: len(question) + 1, window: lo,
		})
		if hi == len(context) {
			return windows, offsets, cut, nil
		}
	}
}

// answered reports whether a head should say something of an example: not of a
// window without the answer.
func (e *example) answered() bool { return e.context == 0 || e.wanted[0] > 0 }

func (SpanExtraction) config(c Config, data *taskData) Config {
	var lengths []int
	for _, e := range data.train {
		if e.answered() {
			lengths = append(lengths, int(e.wanted[1]-e.wanted[0])+1)
		}
	}
	slices.Sort(lengths)
	c.AnswerTokens = max(c.AnswerTokens, lengths[(len(lengths)*99-1)/100])
	return c
}

func (SpanExtraction) objective(m *Model, smoothing float32) objective { return &spans{m, smoothing} }

// spans is the objective of a SpanExtraction: the cross-entropies of the first and
// of the last token of the answers.
type spans struct {
	m         *Model
	smoothing float32
}

func (s *spans) loss(tp *tensor.Tape, b *Batch) batchLoss {
	return headLoss(b, spanLoss(tp, s.m.spanScores(tp, b), b.examples, s.smoothing), 2*len(b.examples))
}

func spanLoss(tp *tensor.Tape, scores headScores, examples []example, smoothing float32) *tensor.Tensor {
	o := tensor.CrossEntropyOptions{Smoothing: smoothing, Reduction: tensor.ReductionSum}
	var losses []*tensor.Tensor
	for i, e := range examples {
		columns := tp.Transpose(tp.Rows(scores.Tensor, int(scores.offsets[i]), int(scores.offsets[i+1])), 0, 1)
		losses = append(losses, tp.CrossEntropyLoss(columns, tp.Ints(e.wanted[:]), o))
	}
	return tp.Sum(tp.Stack(0, losses...), false)
}

func (s SpanExtraction) measure(ctx context.Context, m *Model, dev []example) (map[string]float64, error) {
	scores, err := m.headScores(ctx, dev, m.spanScores)
	if err != nil {
		return nil, err
	}
	loss, exact, f1 := 0.0, 0.0, 0.0
	windows := float64(len(dev))
	for len(dev) > 0 {
		q := &s.Dev[dev[0].record]
		n := 0
		for n < len(dev) && dev[n].record == dev[0].record {
			first, last := spanProbabilities(scores[n])
			loss -= (logOf(first[dev[n].wanted[0]]) + logOf(last[dev[n].wanted[1]])) / 2
			n++
		}
		_, offsets := m.Tokenizer.EncodeOffsets(q.Context)
		e, f := q.compare(bestSpan(q.Context, offsets, dev[:n], scores[:n], m.Config.AnswerTokens).Answer)
		exact, f1 = exact+e, f1+f
		dev, scores = dev[n:], scores[n:]
	}
	questions := float64(len(s.Dev))
	return map[string]float64{lossName: loss / windows, "exact_match": exact / questions, "f1": f1 / questions}, nil
}

// compare returns how well an answer matches the best of those that count as
// right: 1 if its text is equal, and the F1 of its characters, by place.
func (q *Question) compare(a Answer) (exact, f1 float64) {
	n := utf8.RuneCountInString(a.Text)
	for _, right := range q.Answers {
		if right.Text == a.Text {
			return 1, 1
		}
		length := utf8.RuneCountInString(right.Text)
		common := min(a.Start+n, right.Start+length) - max(a.Start, right.Start)
		f1 = max(f1, 2*float64(common)/float64(n+length))
	}
	return 0, f1
}

// ScoredAnswer is an answer that a model has found.
type ScoredAnswer struct {
	Answer
	// Score is the probability that the head gives to the answer: of its first
	// token times that of its last, in the window where this is highest.
	Score float64
}

// Answer finds the answer to each question in its context, as the model has learnt
// it by [FineTune] for a [SpanExtraction]. Answers and ID of the questions are not
// used. It is an error if the model has no head for it.
func (m *Model) Answer(ctx context.Context, questions ...Question) (answers []ScoredAnswer, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("answer: %w", err)
		}
	}()
	if m.heads.span == nil {
		return nil, errNoSpans
	}
	r, err := newReader(m)
	if err != nil {
		return nil, err
	}
	var all []example
	var places [][]int
	ends := []int{0}
	for i := range questions {
		windows, offsets, _, err := r.question(&questions[i])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", recordName("question", i, questions[i].Where), err)
		}
		all, places = append(all, windows...), append(places, offsets)
		ends = append(ends, len(all))
	}
	scores, err := m.headScores(ctx, all, m.spanScores)
	if err != nil {
		return nil, err
	}
	for i, q := range questions {
		lo, hi := ends[i], ends[i+1]
		answers = append(answers, bestSpan(q.Context, places[i], all[lo:hi], scores[lo:hi], m.Config.AnswerTokens))
	}
	return answers, nil
}

// bestSpan returns the most probable answer of at most longest tokens in the
// windows of a context, of which offsets has the places of all tokens.
func bestSpan(context string, offsets []int, windows []example, scores [][]float32, longest int) ScoredAnswer {
	best, from, to := -1.0, 0, 0
	for i, w := range windows {
		first, last := spanProbabilities(scores[i])
		for start := 1; start < len(first); start++ {
			if first[start] <= best || blank(context, offsets, w.window+start-1) {
				continue
			}
			for end := start; end < min(start+longest, len(last)); end++ {
				if p := first[start] * last[end]; p > best {
					best, from, to = p, w.window+start-1, w.window+end-1
				}
			}
		}
	}
	lo, hi := wholeCharacters(context, offsets[from], offsets[to+1])
	text := strings.TrimLeftFunc(context[lo:hi], unicode.IsSpace)
	start := utf8.RuneCountInString(context[:hi-len(text)])
	return ScoredAnswer{Answer{strings.TrimRightFunc(text, unicode.IsSpace), start}, max(best, 0)}
}

// blank reports whether a token of a context has a part in white space alone: then
// no answer begins with it.
func blank(context string, offsets []int, token int) bool {
	lo, hi := wholeCharacters(context, offsets[token], offsets[token+1])
	return strings.TrimSpace(context[lo:hi]) == ""
}

// wholeCharacters widens a part of a text to the characters that it has a part in.
func wholeCharacters(text string, lo, hi int) (int, int) {
	for lo > 0 && !utf8.RuneStart(text[lo]) {
		lo--
	}
	for hi < len(text) && !utf8.RuneStart(text[hi]) {
		hi++
	}
	return lo, hi
}

// spanProbabilities returns the probabilities that an answer begins and ends with
// each token, the first being that for none. scores has two for each token.
func spanProbabilities(scores []float32) (first, last []float64) {
	columns := [2][]float32{}
	for i, score := range scores {
		columns[i%2] = append(columns[i%2], score)
	}
	return softmax(columns[0]), softmax(columns[1])
}

// softmax returns the probabilities that scores stand for.
func softmax(scores []float32) []float64 {
	highest := float64(slices.Max(scores))
	sum, p := 0.0, make([]float64, len(scores))
	for i, s := range scores {
		p[i] = math.Exp(float64(s) - highest)
		sum += p[i]
	}
	for i := range p {
		p[i] /= sum
	}
	return p
}

// logOf returns the logarithm of a probability, of the least that there is if it
// is 0, so that losses stay finite.
func logOf(p float64) float64 { return math.Log(cmp.Or(p, math.SmallestNonzeroFloat64)) }
