package tokenizer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// Few texts, or none of whose pairs are frequent, give a smaller vocabulary.
func TestTrainOnFewTexts(t *testing.T) {
	lines := strings.Split("low lower lowest\nnew newer newest", "\n")
	all, err := Train(slices.Values(lines), TrainOptions{VocabSize: 100_000})
	if err != nil {
		t.Fatal(err)
	}
	if n := all.VocabSize(); n <= 4+256 || n >= 300 {
		t.Errorf("a vocabulary of %d tokens", n)
	}
	if got := all.Decode(all.Encode("lowest newer")); got != "lowest newer" {
		t.Errorf("decoded %q", got)
	}
	bytes, err := Train(slices.Values(lines), TrainOptions{VocabSize: 400, MinFrequency: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.VocabSize(); n != 4+256 {
		t.Errorf("a vocabulary of %d tokens without merges, want 260", n)
	}
}

func TestTrainErrors(t *testing.T) {
	lines := corpusLines(t)
	for _, c := range []struct {
		texts []string
		opts  TrainOptions
		want  string
	}{
		{lines, TrainOptions{VocabSize: 261, Languages: []string{"de", "en"}}, "need 262"},
		{lines, TrainOptions{VocabSize: 400, MinFrequency: -1}, "MinFrequency"},
		{nil, TrainOptions{VocabSize: 400}, "empty"},
		{lines, TrainOptions{VocabSize: 400, Languages: []string{"de", "fr", "DE"}}, "de and DE are the same language"},
		{lines, TrainOptions{VocabSize: 400, Languages: []string{"de-DE", "deu_de"}},
			"de-DE and deu_de are the same language"},
		{lines, TrainOptions{VocabSize: 400, Languages: []string{"de-XX"}}, "de-XX"},
		{lines, TrainOptions{VocabSize: 400, Languages: []string{""}}, "language tag"},
		{lines, TrainOptions{VocabSize: 400, Languages: []string{"</s>"}}, "language tag"},
		{lines, TrainOptions{VocabSize: 400, Languages: []string{"en-x-simple"}}, "en-x-simple"},
		{lines, TrainOptions{VocabSize: maxTokens + 1}, "at most 2097152"},
	} {
		_, err := Train(slices.Values(c.texts), c.opts)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("Train(%d texts, %+v): error %v, want one with %q", len(c.texts), c.opts, err, c.want)
		}
	}
}

func TestTrainExactSize(t *testing.T) {
	lines := corpusLines(t)
	for _, size := range []int{262, 263, 300, 500} {
		tok, err := Train(slices.Values(lines), TrainOptions{VocabSize: size, Languages: []string{"de", "en"}})
		if err != nil {
			t.Fatal(err)
		}
		if tok.VocabSize() != size {
			t.Errorf("VocabSize() = %d, want %d", tok.VocabSize(), size)
		}
		for _, line := range lines {
			if got := tok.Decode(tok.Encode(line)); got != line {
				t.Errorf("%q comes back as %q", line, got)
			}
		}
	}
}

// The learner keeps its counts up to date; this one counts anew every time.
func TestTrainByDefinition(t *testing.T) {
	texts := []string{"aaaa aaa aaaaaa", "abababab babab", "abcabcabc bcabc cab", "aabbaabb bbaa", "aXaXa XaaX XXaXX XX"}
	tok, err := Train(slices.Values(texts), TrainOptions{VocabSize: 4 + 256 + 12})
	if err != nil {
		t.Fatal(err)
	}
	words := map[string][]int32{}
	counts := map[string]int{}
	for _, text := range texts {
		for len(text) > 0 {
			n := pieceLen(text)
			counts[text[:n]]++
			words[text[:n]] = nil
			text = text[n:]
		}
	}
	for w := range words {
		words[w] = naive(newBPE(tok.bpe.bytes, nil), w)
	}
	for rank, m := range tok.bpe.merges {
		pairs := map[pair]int{}
		for w, ids := range words {
			for i := range len(ids) - 1 {
				pairs[pairOf(ids[i], ids[i+1])] += counts[w]
			}
		}
		var best pair
		for p, n := range pairs {
			if n > pairs[best] || n == pairs[best] && p < best {
				best = p
			}
		}
		if m.pair != best {
			t.Fatalf("merge %d is %q %q (%d times), want %q %q (%d times)", rank, tok.tokens[m.pair.left()],
				tok.tokens[m.pair.right()], pairs[m.pair],
				tok.tokens[best.left()], tok.tokens[best.right()], pairs[best])
		}
		for w, ids := range words {
			for i := 0; i+1 < len(ids); i++ {
				if pairOf(ids[i], ids[i+1]) == best {
					ids[i] = m.id
					ids = slices.Delete(ids, i+1, i+2)
				}
			}
			words[w] = ids
		}
	}
}

func TestCountPieces(t *testing.T) {
	texts := func(yield func(string) bool) {
		for i := range 1000 {
			if !yield(fmt.Sprintf("common word%c%c%c often", 'a'+i%10, 'a'+i/10%10, 'a'+i/100)) {
				return
			}
		}
	}
	if n := len(countPieces(context.Background(), texts, 2000)); n != 1002 {
		t.Errorf("%d pieces without a limit, want 1002", n)
	}
	bounded := countPieces(context.Background(), texts, 100)
	if len(bounded) > 100 {
		t.Errorf("%d pieces, more than the limit", len(bounded))
	}
	for _, p := range []string{"common", " often"} {
		if c := bounded[p]; c == nil || *c != 1000 {
			t.Errorf("the frequent piece %q has been dropped", p)
		}
	}
}

func TestTrainCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	n := 0
	endless := func(yield func(string) bool) {
		for n++; yield("the theme then"); n++ {
			if n == 3 {
				cancel()
			}
		}
	}
	if _, err := TrainContext(ctx, endless, TrainOptions{VocabSize: 300}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
	if n != 4 {
		t.Errorf("%d texts were read, want 4, the last of which is not counted", n)
	}
	// Nor does learning go on.
	counts := countPieces(context.Background(), slices.Values(corpusLines(t)), maxTrainPieces)
	tokens := fixture(t).tokens[:4+6+256]
	bytes := fixture(t).bpe.bytes
	if l := newLearner(ctx, bytes, counts); len(l.words) > 0 {
		t.Errorf("%d words after the context is done", len(l.words))
	}
	if merges := newLearner(context.Background(), bytes, counts).learn(ctx, tokens, 400, 2); len(merges) > 0 {
		t.Errorf("%d merges after the context is done", len(merges))
	}
}

func TestTrainPieceLen(t *testing.T) {
	for _, s := range []string{strings.Repeat("中", 500), strings.Repeat("a", 500), "é" + strings.Repeat("😀", 300),
		strings.Repeat("\x80", 600)} {
		for rest := s; len(rest) > 0; {
			n := trainPieceLen(rest)
			if n < 1 || n > maxTrainPiece {
				t.Fatalf("piece of %d bytes", n)
			}
			if utf8.ValidString(s) && !utf8.ValidString(rest[:n]) {
				t.Fatalf("character cut after %q", rest[:n])
			}
			rest = rest[n:]
		}
	}
}
