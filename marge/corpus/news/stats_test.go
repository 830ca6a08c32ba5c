package news

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// heldOutVersions tells n held-out events in all languages.
func heldOutVersions(n int) [][]version {
	g := newGenerator(Options{Seed: 1, First: FirstHeldOut, Events: n})
	all := make([][]version, len(languages))
	for e := range g.events() {
		for l, lang := range languages {
			all[l] = append(all[l], tell(e, lang, g.seed))
		}
	}
	return all
}

// words cuts a text into runs of letters, runs of digits and other characters.
func words(text string) []string {
	class := func(c rune) int {
		switch {
		case unicode.IsLetter(c):
			return 1
		case unicode.IsDigit(c):
			return 2
		}
		return 0
	}
	var out []string
	last := 0
	for _, c := range text {
		k := class(c)
		switch {
		case unicode.IsSpace(c):
			last = 0
			continue
		case k != 0 && k == last:
			out[len(out)-1] += string(c)
		default:
			out = append(out, string(c))
		}
		last = k
	}
	return out
}

// precisionAt1 averages, over all pairs of languages, how often the report of
// the same event is the nearest among all in the other language. vectors are
// indexed by language and event.
func precisionAt1[V any](vectors [][]V, dot func(a, b V) float64) float64 {
	hits, total := 0, 0
	for a := range vectors {
		for b := range vectors {
			if a == b {
				continue
			}
			for i, q := range vectors[a] {
				best, at := math.Inf(-1), -1
				for j, d := range vectors[b] {
					if s := dot(q, d); s > best {
						best, at = s, j
					}
				}
				total++
				if at == i {
					hits++
				}
			}
		}
	}
	return float64(hits) / float64(total)
}

func dotDense(a, b []float64) float64 {
	sum := 0.0
	for i, x := range a {
		sum += x * b[i]
	}
	return sum
}

func normalize(v []float64) {
	scale := 1 / math.Sqrt(dotDense(v, v))
	for i := range v {
		v[i] *= scale
	}
}

// project maps each text to the normalised sum of random vectors of its tokens,
// which is what an untrained encoder amounts to.
func project(all [][]version, width int, centred bool) [][][]float64 {
	r := rand.New(rand.NewPCG(1, 2))
	embedding := map[string][]float64{}
	vectors := make([][][]float64, len(all))
	for l, docs := range all {
		mean := make([]float64, width)
		for _, d := range docs {
			v := make([]float64, width)
			for _, w := range words(d.text) {
				if embedding[w] == nil {
					embedding[w] = make([]float64, width)
					for i := range width {
						embedding[w][i] = r.NormFloat64()
					}
				}
				for i, x := range embedding[w] {
					v[i] += x
				}
			}
			normalize(v)
			for i, x := range v {
				mean[i] += x / float64(len(docs))
			}
			vectors[l] = append(vectors[l], v)
		}
		if centred {
			for _, v := range vectors[l] {
				for i := range v {
					v[i] -= mean[i]
				}
				normalize(v)
			}
		}
	}
	return vectors
}

// weight is a non-zero element of a sparse vector.
type weight struct {
	feature int
	value   float64
}

// tfidf returns sparse normalised vectors of the features of each text, in the
// order of features.
func tfidf(all [][]version, features func(string) []string) [][][]weight {
	ids := map[string]int{}
	var df []float64
	n := 0.0
	vectors := make([][][]weight, len(all))
	for l, docs := range all {
		for _, d := range docs {
			counts := map[int]float64{}
			for _, f := range features(d.text) {
				id, ok := ids[f]
				if !ok {
					id = len(ids)
					ids[f] = id
					df = append(df, 0)
				}
				counts[id]++
			}
			var v []weight
			for id, c := range counts {
				df[id]++
				v = append(v, weight{id, 1 + math.Log(c)})
			}
			slices.SortFunc(v, func(a, b weight) int { return a.feature - b.feature })
			n++
			vectors[l] = append(vectors[l], v)
		}
	}
	for _, docs := range vectors {
		for _, v := range docs {
			sum := 0.0
			for i := range v {
				v[i].value *= math.Log((1+n)/(1+df[v[i].feature])) + 1
				sum += v[i].value * v[i].value
			}
			for i := range v {
				v[i].value /= math.Sqrt(sum)
			}
		}
	}
	return vectors
}

func dotSparse(a, b []weight) float64 {
	sum := 0.0
	for len(a) > 0 && len(b) > 0 {
		switch d := a[0].feature - b[0].feature; {
		case d < 0:
			a = a[1:]
		case d > 0:
			b = b[1:]
		default:
			sum += a[0].value * b[0].value
			a, b = a[1:], b[1:]
		}
	}
	return sum
}

func charNgrams(text string) []string {
	c := []rune(strings.ToLower(text))
	var out []string
	for n := 3; n <= 5; n++ {
		for i := 0; i+n <= len(c); i++ {
			out = append(out, string(c[i:i+n]))
		}
	}
	return out
}

// agree is the score of somebody who understands both languages: the number of
// facts that both versions tell and that agree, less the number of those that
// contradict each other.
func agree(events []event) func(a, b told) float64 {
	return func(a, b told) float64 {
		score := 0.0
		for f := range factDate {
			if !a.told[f] || !b.told[f] {
				continue
			}
			if events[a.event].facts[f] == events[b.event].facts[f] {
				score++
			} else {
				score--
			}
		}
		return score
	}
}

type told struct {
	event int
	told  [numFacts]bool
}

// TestDifficulty checks that the corpus is neither solved before training nor
// out of reach: what an untrained encoder, surface similarity and full
// understanding retrieve among 100 held-out events.
func TestDifficulty(t *testing.T) {
	const n = 100
	all := heldOutVersions(n)
	check := func(what string, got, low, high float64) {
		t.Helper()
		t.Logf("P@1 of %s: %.3f", what, got)
		if got <= low || got >= high {
			t.Errorf("P@1 of %s is %.3f: want it in (%.2f, %.2f)", what, got, low, high)
		}
	}
	for _, width := range []int{128, 256} {
		for _, centred := range []bool{false, true} {
			what := fmt.Sprintf("a random projection to width %d, centred by language: %v", width, centred)
			check(what, precisionAt1(project(all, width, centred), dotDense), 0.02, 0.45)
		}
	}
	check("TF-IDF of words", precisionAt1(tfidf(all, words), dotSparse), 0.5, 0.95)
	check("TF-IDF of 3-5-grams", precisionAt1(tfidf(all, charNgrams), dotSparse), 0.5, 0.95)

	var events []event
	g := newGenerator(Options{Seed: 1, First: FirstHeldOut, Events: n})
	for e := range g.events() {
		events = append(events, *e)
	}
	understood := make([][]told, len(all))
	for l, docs := range all {
		for i, d := range docs {
			understood[l] = append(understood[l], told{i, d.told})
		}
	}
	check("understanding", precisionAt1(understood, agree(events)), 0.97, 1.01)
}

// TestSharedTokens measures how many of a report's tokens stand literally in
// another one, in another language, of the same event or of another event of
// the same date.
func TestSharedTokens(t *testing.T) {
	const n = 96
	all := heldOutVersions(n)
	sets := make([][]map[string]bool, len(all))
	for l, docs := range all {
		for _, d := range docs {
			set := map[string]bool{}
			for _, w := range words(d.text) {
				if c := []rune(w)[0]; unicode.IsLetter(c) || unicode.IsDigit(c) {
					set[w] = true
				}
			}
			sets[l] = append(sets[l], set)
		}
	}
	share := func(a, b map[string]bool) float64 {
		common := 0
		for w := range a {
			if b[w] {
				common++
			}
		}
		return float64(common) / float64(len(a))
	}
	var same, other, pairs, otherPairs float64
	for a := range all {
		for b := range all {
			if a == b {
				continue
			}
			for i, set := range sets[a] {
				same += share(set, sets[b][i])
				pairs++
				date := i / DefaultEventsPerDate * DefaultEventsPerDate
				for j := date; j < date+DefaultEventsPerDate; j++ {
					if j != i {
						other += share(set, sets[b][j])
						otherPairs++
					}
				}
			}
		}
	}
	same /= pairs
	other /= otherPairs
	t.Logf("literally shared tokens: %.3f with the same event, %.3f with another of the date", same, other)
	if same < 0.08 || same > 0.25 {
		t.Errorf("versions of one event share %.3f of their tokens: want 0.08 to 0.25", same)
	}
	if ratio := same / other; ratio < 1.5 || ratio > 6 {
		t.Errorf("versions of one event share %.2f times as many tokens as others: want 1.5 to 6", ratio)
	}
}
