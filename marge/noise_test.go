package marge

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/marge-go/marge/marge/tokenizer"
)

// testNoise is noise for documents of numbers: token 1000 is the mask, those
// that 10 divides end sentences, those below 4 are no text.
func testNoise(share float64) *noise {
	n := &noise{share: share, mask: 1000, isText: make([]bool, 1001), sentences: make([]bool, 1001)}
	for id := int32(4); id < 1000; id++ {
		n.text, n.isText[id], n.sentences[id] = append(n.text, id), true, id%10 == 0
	}
	return n
}

func testStream() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// within fails unless a number of n events, each with the given probability, is
// where all but one of a million are.
func within(t *testing.T, what string, got, n int, probability float64) {
	t.Helper()
	mean, deviation := float64(n)*probability, math.Sqrt(float64(n)*probability*(1-probability))
	if math.Abs(float64(got)-mean) > 5*deviation {
		t.Errorf("%s: %d of %d, want %.0f +- %.0f", what, got, n, mean, deviation)
	}
}

func TestHide(t *testing.T) {
	const documents, length = 4000, 100
	n, rng := testNoise(maskedShare), testStream()
	doc := make([]int32, length)
	chosen, replaced, other, kept := make([]int, length), 0, 0, 0
	random := map[int32]bool{}
	for range documents {
		for i := range doc {
			doc[i] = 4 + int32(rng.IntN(996))
		}
		doc[0], doc[50] = tokenizer.BOS, tokenizer.EOS
		before := slices.Clone(doc)
		out, hidden := n.hide(rng, doc)
		if !slices.Equal(doc, before) {
			t.Fatal("the document was changed")
		}
		if len(hidden) != 15 || len(out) != length { // 15% of 98, rounded
			t.Fatalf("%d of %d tokens are hidden", len(hidden), len(out))
		}
		last := int32(-1)
		for _, h := range hidden {
			if h.place <= last || h.token != doc[h.place] {
				t.Fatalf("hidden tokens %v", hidden)
			}
			last = h.place
			chosen[h.place]++
			switch out[h.place] {
			case n.mask:
				replaced++
			case h.token:
				kept++
			default:
				other++
				random[out[h.place]] = true
				if !n.isText[out[h.place]] {
					t.Fatalf("token %d stands for another, and is no text", out[h.place])
				}
			}
			out[h.place] = h.token
		}
		if !slices.Equal(out, doc) {
			t.Fatal("a token that was not chosen is another")
		}
	}
	all := documents * 15
	within(t, "masked", replaced, all, 0.8)
	within(t, "random", other, all, 0.1*995/996)
	within(t, "unchanged", kept, all, 0.1+0.1/996)
	if len(random) < 980 {
		t.Errorf("%d different random tokens", len(random))
	}
	for place, times := range chosen {
		if place == 0 || place == 50 {
			if times != 0 {
				t.Errorf("place %d, which is no text, was hidden", place)
			}
			continue
		}
		within(t, fmt.Sprint("place ", place), times, documents, 15.0/98)
	}
}

func TestHideInShortDocuments(t *testing.T) {
	n, rng := testNoise(maskedShare), testStream()
	for length, want := range []int{0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2} {
		doc := slices.Repeat([]int32{7}, length)
		if out, hidden := n.hide(rng, doc); len(hidden) != want || len(out) != length {
			t.Errorf("%d of %d tokens are hidden, want %d of %d", len(hidden), len(out), want, length)
		}
	}
	n.share = 1
	if _, hidden := n.hide(rng, []int32{7, 2, 7}); len(hidden) != 2 {
		t.Errorf("%d of 2 tokens of text are hidden", len(hidden))
	}
}

func TestInfill(t *testing.T) {
	const documents, length, removed = 4000, 100, 35
	n, rng := testNoise(removedShare), testStream()
	doc := make([]int32, length)
	for i := range doc {
		doc[i] = 4 + int32(i)
	}
	before := slices.Clone(doc)
	gone, spans, empty, single := make([]int, length), 0, 0, 0
	for range documents {
		out := n.infill(rng, doc)
		kept, last, masks := 0, int32(3), 0
		for i, id := range out {
			if id == n.mask {
				masks++
				if i > 0 && out[i-1] == n.mask {
					t.Fatalf("two masks side by side: %v", out)
				}
				next := int32(4 + length)
				if i+1 < len(out) {
					next = out[i+1]
				}
				switch span := next - last - 1; span {
				case 0:
					empty++
				case 1:
					single++
				}
				for id := last + 1; id < next; id++ {
					gone[id-4]++
				}
				continue
			}
			if id <= last {
				t.Fatalf("tokens out of order: %v", out)
			}
			if id != last+1 && (i == 0 || out[i-1] != n.mask) {
				t.Fatalf("tokens are missing without a mask: %v", out)
			}
			kept, last = kept+1, id
		}
		if kept != length-removed || len(out) > length {
			t.Fatalf("%d tokens are left of %d", kept, length)
		}
		spans += masks
	}
	if !slices.Equal(doc, before) {
		t.Error("the document was changed")
	}
	// The last span of each document is cut, which makes the mean a little smaller.
	if mean := float64(documents*removed) / float64(spans); mean < 3.1 || mean > meanSpan {
		t.Errorf("spans have %.2f tokens on average", mean)
	}
	if share := float64(empty) / float64(spans); share < 0.022 || share > math.Exp(-meanSpan) {
		t.Errorf("a share of %.3f of the spans is empty, want a little less than %.3f", share, math.Exp(-meanSpan))
	}
	if share := float64(single) / float64(spans); share < meanSpan*math.Exp(-meanSpan) || share > 0.15 {
		t.Errorf("a share of %.3f of the spans has one token, want a little more than %.3f", share,
			meanSpan*math.Exp(-meanSpan))
	}
	// Tokens at the ends are in fewer spans, those in the middle all alike.
	for place := 10; place < 90; place++ {
		if p := float64(gone[place]) / documents; p < 0.31 || p > 0.40 {
			t.Errorf("token %d is gone in a share of %.3f", place, p)
		}
	}
}

func TestInfillEdges(t *testing.T) {
	rng := testStream()
	for _, share := range []float64{0.01, 0.35, 0.9, 1} {
		n := testNoise(share)
		for length := range 20 {
			doc := slices.Repeat([]int32{7}, length)
			for range 200 {
				out := n.infill(rng, doc)
				kept := 0
				for _, id := range out {
					if id != n.mask {
						kept++
					}
				}
				removed := int(math.Round(share * float64(length)))
				if len(out) > length || kept != length-removed || removed > 0 && kept == len(out) {
					t.Fatalf("share %v of %d: %v", share, length, out)
				}
			}
		}
	}
}

func TestPermute(t *testing.T) {
	n, rng := testNoise(removedShare), testStream()
	// Three sentences; the second ends with two tokens that may end one, the last has none.
	doc := []int32{11, 12, 10, 21, 20, 30, 41, 42}
	orders := map[string]int{}
	const times = 6000
	for range times {
		orders[fmt.Sprint(n.permute(rng, doc))]++
	}
	if len(orders) != 6 {
		t.Fatalf("%d orders of three sentences: %v", len(orders), orders)
	}
	for order, count := range orders {
		within(t, order, count, times, 1.0/6)
	}
	if want := fmt.Sprint([]int32{41, 42, 21, 20, 30, 11, 12, 10}); orders[want] == 0 {
		t.Errorf("no order %v among %v", want, orders)
	}
	if got := n.permute(rng, nil); len(got) != 0 {
		t.Errorf("an empty document became %v", got)
	}
	doc = make([]int32, 300)
	for i := range doc {
		doc[i] = 4 + int32(rng.IntN(900))
	}
	got := n.permute(rng, doc)
	if slices.Equal(got, doc) {
		t.Error("many sentences are in order")
	}
	if !slices.Equal(slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(doc))) {
		t.Error("tokens got lost")
	}
}

func TestPoisson(t *testing.T) {
	const n = 200_000
	rng := testStream()
	counts := make([]int, 40)
	for range n {
		counts[poisson(rng, meanSpan)]++
	}
	p := math.Exp(-meanSpan)
	for k := range 12 {
		within(t, fmt.Sprint(k, " events"), counts[k], n, p)
		p *= meanSpan / float64(k+1)
	}
}

// Of a real tokenizer, the ends of sentences in several scripts are found, what
// stands for hidden tokens is in no text, and special tokens are none of it.
func TestNoiseOfATokenizer(t *testing.T) {
	text := "One sentence. Another one? A third! Und noch einer… 一つの文。次の文！ एक वाक्य। جملة؟\nA line"
	tok, err := tokenizer.Train(slices.Values([]string{text, text}),
		tokenizer.TrainOptions{VocabSize: 320, Languages: []string{"de", "en"}})
	if err != nil {
		t.Fatal(err)
	}
	n := newNoise(tok, maskedShare)
	if n.mask != tokenizer.Unk {
		t.Errorf("token %d masks", n.mask)
	}
	if want := tok.VocabSize() - 6; len(n.text) != want { // four special tokens, two languages
		t.Errorf("%d tokens of text, want %d", len(n.text), want)
	}
	for _, id := range tok.Encode(text) {
		if !n.isText[id] {
			t.Errorf("token %q is no text", tok.Token(id))
		}
	}
	for s, want := range map[string]bool{
		".": true, "!": true, "?": true, "…": true, "。": true, "！": true, "।": true, "؟": true, "\n": true, "d.": true,
		",": false, "a": false, "": false, ".5": false, ":": false,
	} {
		if endsSentence(s) != want {
			t.Errorf("endsSentence(%q) is %v", s, !want)
		}
	}
}
