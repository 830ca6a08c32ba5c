package marge

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/marge-go/marge/marge/tokenizer"
)

// What masking does by default: the share of the tokens that MLM hides (BERT,
// arXiv:1810.04805, section 3.1), and of those that Denoise removes in spans
// whose lengths have a Poisson distribution (mBART, arXiv:2001.08210, section 2.2).
const (
	maskedShare  = 0.15
	removedShare = 0.35
	meanSpan     = 3.5
)

// noise is what is done to documents before a model reads them.
type noise struct {
	share     float64 // of the tokens that are hidden
	mask      int32   // stands for what is hidden
	text      []int32 // tokens of text: those that may stand for another
	isText    []bool  // by token
	sentences []bool  // by token: whether a sentence may end with it
}

// newNoise returns the noise that hides a share of the tokens of a tokenizer. They
// are replaced by its <mask>; without one by <unk>, which is no token of any text.
func newNoise(t tokenizer.Tokenizer, share float64) *noise {
	n := &noise{share: share, mask: tokenizer.Unk}
	n.isText, n.sentences = make([]bool, t.VocabSize()), make([]bool, t.VocabSize())
	if id, ok := t.ID("<mask>"); ok {
		n.mask = id
	}
	for id := range int32(t.VocabSize()) {
		if !t.IsSpecial(id) {
			n.text, n.isText[id] = append(n.text, id), true
			n.sentences[id] = endsSentence(t.Decode([]int32{id}))
		}
	}
	return n
}

// endsSentence tells whether a sentence may end with a token.
func endsSentence(text string) bool {
	if strings.Contains(text, "\n") {
		return true
	}
	last, _ := utf8.DecodeLastRuneInString(text)
	return strings.ContainsRune(".!?…。！？．｡։؟۔।॥።។", last)
}

// masked is a token that a model is to predict from what is around it.
type masked struct {
	place int32 // in the document
	token int32
}

// hide chooses the share of the tokens of a document, at least one, and replaces 8
// of 10 of them by the mask, 1 by a random token and 1 by itself (BERT, section
// 3.1). It returns the document, a new slice, and all that were chosen, in order.
// Tokens that are not text are left alone.
func (n *noise) hide(rng *rand.Rand, doc []int32) ([]int32, []masked) {
	var places []int
	for i, id := range doc {
		if n.isText[id] {
			places = append(places, i)
		}
	}
	rng.Shuffle(len(places), func(i, j int) { places[i], places[j] = places[j], places[i] })
	places = places[:min(len(places), max(1, int(math.Round(n.share*float64(len(places))))))]
	slices.Sort(places)
	out, wanted := slices.Clone(doc), make([]masked, len(places))
	for i, place := range places {
		wanted[i] = masked{int32(place), doc[place]}
		switch what := rng.IntN(10); {
		case what < 8:
			out[place] = n.mask
		case what == 8:
			out[place] = n.text[rng.IntN(len(n.text))]
		}
	}
	return out, wanted
}

// corrupt permutes the sentences of a document and replaces spans, which have the
// share of its tokens, by a mask each (mBART, section 2.2; BART, arXiv:1910.13461,
// section 2.2).
func (n *noise) corrupt(rng *rand.Rand, doc []int32) []int32 {
	return n.infill(rng, n.permute(rng, doc))
}

// permute returns the sentences of a document in random order.
func (n *noise) permute(rng *rand.Rand, doc []int32) []int32 {
	var sentences [][]int32
	first := 0
	for i, id := range doc {
		// Of several tokens that may end a sentence, such as those of "...", the last does.
		if last := i+1 == len(doc); last || n.sentences[id] && !n.sentences[doc[i+1]] {
			sentences = append(sentences, doc[first:i+1])
			first = i + 1
		}
	}
	rng.Shuffle(len(sentences), func(i, j int) { sentences[i], sentences[j] = sentences[j], sentences[i] })
	return slices.Concat(sentences...)
}

// infill replaces spans of a document by the mask. Lengths are drawn until spans
// have the share of the tokens; the last is cut. Spans are at random places, and
// not side by side unless too few tokens are left to keep them apart. One of length
// 0 puts a mask between two tokens. The document never becomes longer.
func (n *noise) infill(rng *rand.Rand, doc []int32) []int32 {
	removed := int(math.Round(n.share * float64(len(doc))))
	kept, left := len(doc)-removed, removed
	var spans []int
	for left > 0 {
		length := min(poisson(rng, meanSpan), left)
		if length == 0 && len(spans)+left >= removed {
			continue // if all others had length 1, there would be more masks than tokens that they stand for
		}
		spans, left = append(spans, length), left-length
	}
	// Otherwise the last place would always have the span that was cut.
	rng.Shuffle(len(spans), func(i, j int) { spans[i], spans[j] = spans[j], spans[i] })
	gaps := rng.Perm(kept + 1)
	for len(gaps) < len(spans) {
		gaps = append(gaps, rng.IntN(kept+1))
	}
	gaps = gaps[:len(spans)]
	slices.Sort(gaps)

	out := make([]int32, 0, kept+len(spans))
	at, copied := 0, 0 // tokens of doc that are done, and those among them that were kept
	for i, gap := range gaps {
		out = append(out, doc[at:at+gap-copied]...)
		at, copied = at+gap-copied, gap
		out = append(out, n.mask)
		at += spans[i]
	}
	return append(out, doc[at:]...)
}

// poisson draws from a Poisson distribution: how many events of a process come
// before time mean, if one comes in a unit of time on average.
func poisson(rng *rand.Rand, mean float64) int {
	events := 0
	for t := rng.ExpFloat64(); t < mean; t += rng.ExpFloat64() {
		events++
	}
	return events
}
