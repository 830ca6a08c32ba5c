package tokenizer

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/marge-go/marge/internal/heap"
)

// TrainOptions says what vocabulary Train makes.
type TrainOptions struct {
	// VocabSize is the greatest number of tokens in all: 4 special tokens, the
	// language tokens, 256 bytes, and merges. Few texts give fewer.
	VocabSize int
	// Languages are the BCP 47 tags, in any spelling, that get a language
	// token each, in the order of their ids from 4 on. None may be there twice.
	Languages []string
	// MinFrequency is how often a pair of tokens must occur to be merged; 0
	// means 2.
	MinFrequency int
}

const (
	// maxTrainPiece is the length in bytes at which Train cuts a piece, and
	// maxTrainPieces the number of different pieces that it counts before it
	// forgets the rare ones. They bound its memory to about 1 GB however long
	// the text is.
	maxTrainPiece  = 256
	maxTrainPieces = 2 << 20
)

// Train learns a vocabulary of byte-pair merges (Sennrich et al.,
// arXiv:1508.07909, on bytes) from texts. The result depends only on the texts
// and their order, and equals that of the trainer in the Python package
// `tokenizers`: the most frequent pair is merged first, of equally frequent
// ones that with the lower ids.
//
// If the texts hold more than about two million different words, Train forgets
// the rarest on the way. It is an error if the texts are empty.
func Train(texts iter.Seq[string], opts TrainOptions) (*BPE, error) {
	return TrainContext(context.Background(), texts, opts)
}

// TrainContext is Train that ends with the error of ctx soon after ctx is done.
func TrainContext(ctx context.Context, texts iter.Seq[string], opts TrainOptions) (*BPE, error) {
	minFrequency := opts.MinFrequency
	if minFrequency == 0 {
		minFrequency = 2
	}
	if minFrequency < 0 {
		return nil, fmt.Errorf("tokenizer: train: MinFrequency is %d", opts.MinFrequency)
	}
	special, err := specialTokens(opts.Languages)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: train: %w", err)
	}
	if least := len(special) + 256; opts.VocabSize < least {
		return nil, fmt.Errorf("tokenizer: train: VocabSize is %d, but special tokens, %d languages and bytes need %d",
			opts.VocabSize, len(opts.Languages), least)
	}
	if opts.VocabSize > maxTokens {
		return nil, fmt.Errorf("tokenizer: train: VocabSize is %d, but can be at most %d", opts.VocabSize, maxTokens)
	}
	tokens := slices.Clone(special)
	for _, r := range byteAlphabet {
		tokens = append(tokens, string(r))
	}
	t, err := newBPETokenizer(tokens, special, nil)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: train: %w", err)
	}
	l := newLearner(ctx, t.bpe.bytes, countPieces(ctx, texts, maxTrainPieces))
	if len(l.words) == 0 && ctx.Err() == nil {
		return nil, errors.New("tokenizer: train: the texts are empty")
	}
	merges := l.learn(ctx, tokens, opts.VocabSize, int64(minFrequency))
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("tokenizer: train: %w", err)
	}
	t, err = newBPETokenizer(l.tokens, special, merges)
	if err != nil {
		return nil, fmt.Errorf("tokenizer: train: %w", err)
	}
	return t, nil
}

// specialTokens returns the spellings of ids 0, 1, ...: the special tokens
// proper, then the language tokens.
func specialTokens(languages []string) ([]string, error) {
	special := []string{BOS: "<s>", Pad: "<pad>", EOS: "</s>", Unk: "<unk>"}
	seen := map[string]string{}
	for _, tag := range languages {
		token, err := tokenOfLanguage(tag)
		if err != nil {
			return nil, err
		}
		if other, ok := seen[token]; ok {
			return nil, fmt.Errorf("%s and %s are the same language", other, tag)
		}
		seen[token] = tag
		special = append(special, token)
	}
	return special, nil
}

// countPieces counts the pieces of texts that merges can apply to, those of at
// least two bytes. Whenever more than limit different ones have been seen, the
// rarest are dropped until half the limit is left. The counts are behind
// pointers, so that a piece seen before costs one look-up.
func countPieces(ctx context.Context, texts iter.Seq[string], limit int) map[string]*int64 {
	counts := map[string]*int64{}
	for text := range texts {
		if ctx.Err() != nil {
			break
		}
		for len(text) > 0 {
			n := trainPieceLen(text)
			piece := text[:n]
			text = text[n:]
			if n < 2 {
				continue
			}
			if c := counts[piece]; c != nil {
				*c++
				continue
			}
			one := int64(1)
			counts[strings.Clone(piece)] = &one
			if len(counts) > limit {
				dropRare(counts, limit/2)
			}
		}
	}
	return counts
}

// dropRare deletes the pieces that occur once, then those that occur twice, and
// so on, until at most limit pieces are left.
func dropRare(counts map[string]*int64, limit int) {
	for rare := int64(1); len(counts) > limit; rare++ {
		for piece, c := range counts {
			if *c <= rare {
				delete(counts, piece)
			}
		}
	}
}

// trainPieceLen is pieceLen bounded by maxTrainPiece, cut between characters.
func trainPieceLen(s string) int {
	n := pieceLen(s)
	if n <= maxTrainPiece {
		return n
	}
	n = maxTrainPiece
	for n > maxTrainPiece-utf8.UTFMax && !utf8.RuneStart(s[n]) {
		n--
	}
	return n
}

// word is one of the different pieces of the text, as the tokens that it is
// made of so far.
type word struct {
	symbols []int32
	count   int64
}

// pairStats says how often a pair occurs, and in which words; a word in the
// list may have lost the pair since.
type pairStats struct {
	count int64
	words []int32
}

// frequency is a pair with its count at some time. The most frequent goes
// first; of equally frequent ones that with the lower ids.
type frequency struct {
	count int64
	pair  pair
}

func (f frequency) Before(g frequency) bool {
	if f.count != g.count {
		return f.count > g.count
	}
	return f.pair < g.pair
}

type learner struct {
	words  []word
	pairs  map[pair]*pairStats
	tokens []string
}

func newLearner(ctx context.Context, bytes [256]int32, counts map[string]*int64) *learner {
	l := &learner{pairs: map[pair]*pairStats{}}
	for piece, count := range counts {
		if ctx.Err() != nil {
			break
		}
		symbols := make([]int32, len(piece))
		for i := range len(piece) {
			symbols[i] = bytes[piece[i]]
		}
		l.words = append(l.words, word{symbols, *count})
		for i := range len(symbols) - 1 {
			l.add(pairOf(symbols[i], symbols[i+1]), int32(len(l.words)-1), *count)
		}
	}
	return l
}

// add counts occurrences of a pair in a word.
func (l *learner) add(p pair, word int32, count int64) {
	s := l.pairs[p]
	if s == nil {
		s = new(pairStats)
		l.pairs[p] = s
	}
	s.count += count
	if n := len(s.words); n == 0 || s.words[n-1] != word {
		s.words = append(s.words, word)
	}
}

// remove takes occurrences of a pair away.
func (l *learner) remove(p pair, count int64) {
	s := l.pairs[p]
	if s == nil {
		return // the pair that is being merged
	}
	if s.count -= count; s.count == 0 {
		delete(l.pairs, p)
	}
}

// learn merges the most frequent pair until there are size tokens, and leaves
// the tokens in l.tokens.
func (l *learner) learn(ctx context.Context, tokens []string, size int, minFrequency int64) []merge {
	l.tokens = tokens
	ids := make(map[string]int32, size)
	for id, token := range tokens {
		ids[token] = int32(id)
	}
	queue := make(heap.Heap[frequency], 0, len(l.pairs))
	for p, s := range l.pairs {
		queue = append(queue, frequency{s.count, p})
	}
	queue.Init()
	var merges []merge
	for len(l.tokens) < size && ctx.Err() == nil {
		if len(queue) == 0 {
			break
		}
		top := queue.Pop()
		s := l.pairs[top.pair]
		if s == nil {
			continue
		}
		if s.count != top.count {
			queue.Push(frequency{s.count, top.pair})
			continue
		}
		if s.count < minFrequency {
			break
		}
		token := l.tokens[top.pair.left()] + l.tokens[top.pair.right()]
		id, known := ids[token]
		if !known {
			id = int32(len(l.tokens))
			ids[token] = id
			l.tokens = append(l.tokens, token)
		}
		merges = append(merges, merge{top.pair, id})
		for _, p := range l.apply(top.pair, id) {
			if s := l.pairs[p]; s != nil {
				queue.Push(frequency{s.count, p})
			}
		}
	}
	return merges
}

// apply replaces p by the token id in every word, and returns the pairs that
// this made.
func (l *learner) apply(p pair, id int32) []pair {
	in := l.pairs[p].words
	delete(l.pairs, p)
	made := map[pair]struct{}{}
	for _, w := range in {
		word := &l.words[w]
		s, out := word.symbols, word.symbols[:0]
		for i := 0; i < len(s); i++ {
			if i+1 == len(s) || pairOf(s[i], s[i+1]) != p {
				out = append(out, s[i])
				continue
			}
			if n := len(out); n > 0 {
				l.remove(pairOf(out[n-1], p.left()), word.count)
				q := pairOf(out[n-1], id)
				l.add(q, w, word.count)
				made[q] = struct{}{}
			}
			if i+2 < len(s) {
				l.remove(pairOf(p.right(), s[i+2]), word.count)
				q := pairOf(id, s[i+2])
				l.add(q, w, word.count)
				made[q] = struct{}{}
			}
			out = append(out, id)
			i++
		}
		word.symbols = out
	}
	pairs := make([]pair, 0, len(made))
	for q := range made {
		pairs = append(pairs, q)
	}
	return pairs
}
