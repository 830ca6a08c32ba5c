package marge

import (
	"math"
	"math/rand/v2"

	"github.com/marge-go/marge/marge/index"
)

// languageWeights returns how often a pass takes a target, on average, by its
// language: so often that the share p of a language in the target tokens
// becomes proportional to p^(1/T), and their number stays the same. At least
// one weight of a linked target is not below 1, so that no pass is empty. It
// returns nil if T is 1.
func (r *retrieved) languageWeights() []float64 {
	if r.o.LanguageTemperature == 1 {
		return nil
	}
	tokens := make([]float64, len(r.languages)) // of linked targets
	for _, l := range r.shards {
		linked := make([]bool, len(l.items))
		for _, p := range l.pairs {
			if item := l.items[p.Target]; !linked[p.Target] {
				linked[p.Target] = true
				tokens[item.Lang] += float64(r.store.Chunk(item.Chunk).Tokens + 1)
			}
		}
	}
	return temper(tokens, r.o.LanguageTemperature)
}

// temper returns the factors that make the shares p of amounts proportional to
// p^(1/temperature) and leave their sum as it is.
func temper(amounts []float64, temperature float64) []float64 {
	most, all := 0.0, 0.0
	for _, n := range amounts {
		most, all = max(most, n), all+n
	}
	wanted, sum := make([]float64, len(amounts)), 0.0 // in proportion
	for i, n := range amounts {
		if n > 0 {
			wanted[i] = math.Pow(n/most, 1/temperature)
			sum += wanted[i]
		}
	}
	for i, n := range amounts {
		if n > 0 {
			wanted[i] *= all / (sum * n)
		}
	}
	return wanted
}

// rounds returns the links of a shard as often as the weights of their
// targets' languages say: each round has all links of some targets.
func rounds(rng *rand.Rand, l *shardLinks, weights []float64) [][]index.Pair {
	if weights == nil {
		return [][]index.Pair{l.pairs}
	}
	times, most := make([]int, len(l.items)), 0
	for i, item := range l.items {
		times[i] = int(weights[item.Lang] + rng.Float64())
	}
	for _, p := range l.pairs {
		most = max(most, times[p.Target])
	}
	all := make([][]index.Pair, most)
	for _, p := range l.pairs {
		for round := range times[p.Target] {
			all[round] = append(all[round], p)
		}
	}
	return all
}
