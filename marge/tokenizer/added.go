package tokenizer

import (
	"fmt"
	"math"
	"strings"
	"unicode"
)

// addedTokens finds the added tokens of a tokenizer.json in a text: the leftmost
// one, and of several there the longest.
type addedTokens struct {
	trie   *trie
	tokens []addedToken // by the ids of trie
	starts [256]bool
}

// newAddedTokens returns nil if no token can be found in a text: special ones
// are not, but hide others that they overlap.
func newAddedTokens(tokens []addedToken) (*addedTokens, error) {
	a := &addedTokens{tokens: tokens}
	var keys []trieKey
	seen := map[string]bool{}
	found := false
	for i, t := range tokens {
		switch {
		case t.Content == "":
			return nil, fmt.Errorf("added_tokens: token %d is empty", t.ID)
		case seen[t.Content]:
			return nil, fmt.Errorf("added_tokens: token %.100q is there twice", t.Content)
		case t.SingleWord && !t.Special:
			return nil, fmt.Errorf("added_tokens: token %.100q has single_word, which is not supported", t.Content)
		}
		seen[t.Content] = true
		found = found || !t.Special
		a.starts[t.Content[0]] = true
		keys = append(keys, trieKey{t.Content, int32(i)})
	}
	if !found {
		return nil, nil
	}
	var err error
	a.trie, err = newTrie(keys)
	return a, err
}

// split calls between for the parts of a text that are no added token, and token
// for those that are, in order.
func (a *addedTokens) split(text string, between func(lo, hi int), token func(id int64, at int)) {
	if a == nil {
		between(0, len(text))
		return
	}
	done := 0
	for i := 0; i < len(text); {
		if !a.starts[text[i]] {
			i++
			continue
		}
		n, index := a.trie.longest(text[i:], math.MaxInt)
		if n == 0 {
			i++
			continue
		}
		start, stop := i, i+n
		i = stop
		t := &a.tokens[index]
		if t.Special {
			continue
		}
		if t.LStrip {
			start = max(len(strings.TrimRightFunc(text[:start], unicode.IsSpace)), done)
		}
		if t.RStrip {
			stop = len(text) - len(strings.TrimLeftFunc(text[stop:], unicode.IsSpace))
		}
		if done < start {
			between(done, start)
		}
		token(t.ID, start)
		done = max(done, stop)
	}
	if done < len(text) {
		between(done, len(text))
	}
}
