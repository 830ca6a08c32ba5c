package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/marge-go/marge/marge/eval"
)

// langPair is an ordered pair of languages.
type langPair struct{ from, to string }

func (p langPair) String() string { return p.from + "-" + p.to }

// parsePairs reads a list such as "de-en,en-pt_BR". Language codes may have
// hyphens, so that a pair is split where both halves are languages of the
// held-out documents. Of an empty list it returns the pairs of English, or the
// first language if there is no English, with all others, both ways.
func (h *heldout) parsePairs(list string) ([]langPair, error) {
	known := map[string]bool{}
	for _, lang := range h.langs {
		known[lang] = true
	}
	var pairs []langPair
	if list == "" {
		langs := slices.Sorted(maps.Keys(known))
		pivot := langs[0]
		if known["en"] {
			pivot = "en"
		}
		for _, lang := range langs {
			if lang != pivot {
				pairs = append(pairs, langPair{lang, pivot}, langPair{pivot, lang})
			}
		}
		return pairs, nil
	}
next:
	for _, field := range strings.Split(list, ",") {
		for i := range field {
			if field[i] == '-' && known[field[:i]] && known[field[i+1:]] {
				pairs = append(pairs, langPair{field[:i], field[i+1:]})
				continue next
			}
		}
		return nil, fmt.Errorf("-pairs: %q is no pair of languages of the held-out documents", field)
	}
	return pairs, nil
}

// aligned returns the documents of each group in both languages of a pair, the
// first of each that is eligible, in the order of groups.
func (h *heldout) aligned(p langPair, eligible func(i int) bool) (from, to []int) {
	return eval.Aligned(h.meta, p.from, p.to, eligible)
}
