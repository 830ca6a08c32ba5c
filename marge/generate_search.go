package marge

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"unicode/utf8"

	"github.com/marge-go/marge/marge/tokenizer"
)

// hypothesis is a partial or finished output.
type hypothesis struct {
	tokens   []int32   // without </s>
	logProbs []float32 // of the tokens, and of </s> if finished
	sum      float64   // of the logarithms, in nats
	finished bool
	mass     []float64 // sums of the attention to each evidence document over the predictions
	parent   int       // the row of the step before that this continues
}

// score is what hypotheses of different lengths are compared by: the mean of the
// logarithms if the penalty is 1.
func (h *hypothesis) score(penalty float64) float64 {
	return h.sum / math.Pow(float64(max(len(h.logProbs), 1)), penalty)
}

// search is the search for the outputs of one request, on the host.
type search struct {
	TokenRequest
	o       *GenerateOptions
	m       *Model
	number  int // of the request
	draws   []*rand.Rand
	live    []*hypothesis // to go on with: the best first or, if sampled, one for each output not ended
	outputs []int         // of sampling: the numbers of the outputs that live are of
	done    []*hypothesis // of a search: ended, the best first; sampled: nil or the output
	sent    []sent        // to OnToken, of each output
	segment int           // of the first evidence document in a batch
	// attended has, with o.Attention, what the live hypotheses attend to in this step.
	attended [][]float64
}

// sent is what OnToken has been told of an output.
type sent struct{ tokens, bytes int }

func newSearch(m *Model, number int, r TokenRequest, o *GenerateOptions) *search {
	s := &search{TokenRequest: r, o: o, m: m, number: number, sent: make([]sent, o.Return)}
	start := func() *hypothesis {
		h := &hypothesis{}
		if o.Attention {
			h.mass = make([]float64, len(r.Evidence))
		}
		return h
	}
	if o.Temperature == 0 {
		s.live = []*hypothesis{start()}
		return s
	}
	s.done = make([]*hypothesis, o.Return)
	for i := range o.Return {
		s.live, s.outputs = append(s.live, start()), append(s.outputs, i)
		s.draws = append(s.draws, rand.New(rand.NewPCG(o.Seed, uint64(i))))
	}
	return s
}

// candidate is a token that may follow a hypothesis.
type candidate struct {
	token   int32
	logProb float64
}

// forced returns the token that must follow a hypothesis, or -1.
func (s *search) forced(h *hypothesis) int32 {
	if n := len(h.tokens); n < len(s.Prefix) {
		return s.Prefix[n]
	}
	return -1
}

// banned appends the tokens that may not follow a hypothesis, besides those that
// no output has.
func (s *search) banned(list []int32, h *hypothesis) []int32 {
	if len(h.tokens) < s.o.MinTokens {
		list = append(list, tokenizer.EOS)
	}
	n := s.o.NoRepeatNGram
	if n == 0 || len(h.tokens) < n {
		return list
	}
	end := h.tokens[len(h.tokens)-n+1:]
	for i := range len(h.tokens) - n + 1 {
		if slices.Equal(h.tokens[i:i+n-1], end) {
			list = append(list, h.tokens[i+n-1])
		}
	}
	return list
}

// next returns hypothesis row of the live ones with one more token.
func (s *search) next(row int, c candidate) *hypothesis {
	h := s.live[row]
	n := &hypothesis{
		tokens: h.tokens, logProbs: append(slices.Clip(h.logProbs), float32(c.logProb)), sum: h.sum + c.logProb,
		finished: c.token == tokenizer.EOS, parent: row,
	}
	if !n.finished {
		n.tokens = append(slices.Clip(h.tokens), c.token)
	}
	if s.o.Attention {
		n.mass = slices.Clone(h.mass)
		for j, v := range s.attended[row] {
			n.mass[j] += v
		}
	}
	return n
}

// extend adds one token to the live hypotheses, given the likeliest ones for each.
func (s *search) extend(candidates [][]candidate) {
	if s.o.Temperature > 0 {
		s.extendEach(candidates)
	} else {
		s.extendBest(candidates)
	}
}

// extendEach adds the one candidate that was drawn for each live hypothesis.
func (s *search) extendEach(candidates [][]candidate) {
	var live []*hypothesis
	var outputs []int
	for i, h := range s.live {
		if len(candidates[i]) > 0 {
			h = s.next(i, candidates[i][0])
		}
		if len(candidates[i]) == 0 || h.finished || len(h.tokens) == s.o.MaxTokens {
			s.done[s.outputs[i]] = h
		} else {
			live, outputs = append(live, h), append(outputs, s.outputs[i])
		}
	}
	s.live, s.outputs = live, outputs
}

// extendBest keeps the best continuations, as Hugging Face's generate does: of the
// 2*Beams best, those among the first Beams that end are done, and the best Beams of
// the others live on. At the limit all end.
func (s *search) extendBest(candidates [][]candidate) {
	type continuation struct {
		candidate
		row int
		sum float64
	}
	var all []continuation
	for row, list := range candidates {
		for _, c := range list {
			all = append(all, continuation{c, row, s.live[row].sum + c.logProb})
		}
	}
	slices.SortStableFunc(all, func(a, b continuation) int { return cmp.Compare(b.sum, a.sum) })
	if len(all) == 0 { // nothing may follow
		s.done, s.live = append(s.done, s.live...), nil
		s.sortDone()
		return
	}
	beams := s.o.Beams
	var live []*hypothesis
	for rank, c := range all[:min(len(all), 2*beams)] {
		h := s.next(c.row, c.candidate)
		switch {
		case h.finished || len(h.tokens) == s.o.MaxTokens:
			if rank < beams {
				s.done = append(s.done, h)
			}
		case len(live) < beams:
			live = append(live, h)
		}
	}
	s.sortDone()
	s.live = live
	if s.ended() {
		s.live = nil
	}
}

func (s *search) sortDone() {
	slices.SortStableFunc(s.done, func(a, b *hypothesis) int {
		return cmp.Compare(b.score(s.o.LengthPenalty), a.score(s.o.LengthPenalty))
	})
	s.done = s.done[:min(len(s.done), s.o.Beams)]
}

// ended reports whether the live hypotheses are of no use any more.
func (s *search) ended() bool {
	if len(s.done) < s.o.Beams || len(s.live) == 0 {
		return len(s.live) == 0
	}
	worst := s.done[len(s.done)-1].score(s.o.LengthPenalty)
	return s.o.Beams == 1 || s.o.EarlyStopping || s.live[0].score(s.o.LengthPenalty) <= worst
}

// result returns the outputs of a search without live hypotheses.
func (s *search) result() []Output {
	var outputs []Output
	for _, h := range s.done[:min(len(s.done), s.o.Return)] {
		out := Output{
			Tokens: h.tokens, LogProbs: h.logProbs, Score: h.score(s.o.LengthPenalty), Finished: h.finished,
		}
		for _, sum := range h.mass {
			out.Evidence = append(out.Evidence, sum/float64(max(len(h.logProbs), 1)))
		}
		if s.m.Tokenizer != nil {
			out.Text = s.m.Tokenizer.Decode(h.tokens)
		}
		outputs = append(outputs, out)
	}
	return outputs
}

// send tells OnToken of the tokens that are certain by now.
func (s *search) send() error {
	if s.o.OnToken == nil {
		return nil
	}
	if s.o.Temperature == 0 {
		certain := append(slices.Clip(s.done), s.live...)
		if len(s.live) == 0 {
			certain = certain[:min(len(certain), 1)]
		}
		return s.sendOutput(0, certain, len(s.live) == 0)
	}
	for i, h := range s.live {
		if err := s.sendOutput(s.outputs[i], []*hypothesis{h}, false); err != nil {
			return err
		}
	}
	for i, h := range s.done {
		if h != nil {
			if err := s.sendOutput(i, []*hypothesis{h}, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// sendOutput sends the tokens of an output that all hypotheses have, and that have
// not been sent.
func (s *search) sendOutput(output int, all []*hypothesis, ended bool) error {
	if len(all) == 0 {
		return nil
	}
	sent, n := &s.sent[output], len(all[0].tokens)
	for _, h := range all[1:] {
		same := sent.tokens
		for same < min(n, len(h.tokens)) && h.tokens[same] == all[0].tokens[same] {
			same++
		}
		n = same
	}
	for sent.tokens < n {
		t := Token{Request: s.number, Output: output, ID: all[0].tokens[sent.tokens]}
		sent.tokens++
		if s.m.Tokenizer != nil {
			text := s.m.Tokenizer.DecodeBytes(all[0].tokens[:sent.tokens])
			whole := len(text)
			if !ended || sent.tokens < n {
				whole -= cut(text)
			}
			if whole > sent.bytes { // a character may be cut again
				t.Text = string(text[sent.bytes:whole])
				sent.bytes = whole
			}
		}
		if err := s.o.OnToken(t); err != nil {
			return err
		}
	}
	return nil
}

// cut returns the length of a character at the end of text that is not complete.
func cut(text []byte) int {
	for n := 1; n < utf8.UTFMax && n <= len(text); n++ {
		if b := text[len(text)-n:]; utf8.RuneStart(b[0]) {
			if utf8.FullRune(b) {
				return 0
			}
			return n
		}
	}
	return 0
}
