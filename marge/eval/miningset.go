package eval

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
)

// MiningSet is what mining is measured on: sentences of two languages, most of
// which have no translation, as in BUCC (Zweigenbaum et al. 2017).
type MiningSet struct {
	From, To         string   // languages
	Sources, Targets []int    // documents in them
	Gold             []Bitext // positions in Sources and Targets of the true pairs
}

// Mine finds translations as [Mine] does, by what a scorer of the documents
// makes of them; its scores stand for the cosines.
func (s *MiningSet) Mine(ctx context.Context, scorer Scorer, opt MineOptions) ([]Mined, error) {
	if err := opt.complete(); err != nil {
		return nil, err
	}
	return opt.mine(len(s.Sources), len(s.Targets), func(forward bool) (*neighbours, error) {
		if forward {
			return nearestBy(ctx, scorer, s.Sources, s.Targets, opt.K)
		}
		return nearestBy(ctx, scorer, s.Targets, s.Sources, opt.K)
	})
}

// MiningHalves makes two sets of the documents that have a translation in the
// other of two languages: of their groups, a third is kept in both languages, a
// third in each alone, drawn by the seed. No group is in both sets, so that one
// is for choosing a threshold and the other for measuring. With too few groups
// for a true pair in each set it returns nil.
func MiningHalves(docs []Doc, from, to string, seed uint64) []*MiningSet {
	sources, targets := Aligned(docs, from, to, nil)
	halves := []*MiningSet{{From: from, To: to}, {From: from, To: to}}
	for n, i := range rand.New(rand.NewPCG(seed, 3)).Perm(len(sources)) {
		half, third := halves[n%2], n/2%3
		if third == 0 {
			half.Gold = append(half.Gold, Bitext{len(half.Sources), len(half.Targets)})
		}
		if third != 1 {
			half.Sources = append(half.Sources, sources[i])
		}
		if third != 2 {
			half.Targets = append(half.Targets, targets[i])
		}
	}
	if len(halves[0].Gold) == 0 || len(halves[1].Gold) == 0 {
		return nil
	}
	return halves
}

// Aligned returns the documents of each group that is in both of two languages,
// the first of each that is eligible, in the order of the groups' names. With
// nil all documents are eligible.
func Aligned(docs []Doc, from, to string, eligible func(i int) bool) (sources, targets []int) {
	byGroup := map[string][2]int{} // numbers from 1
	from, to = canonical(from), canonical(to)
	for i, d := range canonicalDocs(docs) {
		if d.Group == "" || eligible != nil && !eligible(i) {
			continue
		}
		found := byGroup[d.Group]
		switch {
		case d.Lang == from && found[0] == 0:
			found[0] = i + 1
		case d.Lang == to && found[1] == 0:
			found[1] = i + 1
		}
		byGroup[d.Group] = found
	}
	for _, group := range slices.Sorted(maps.Keys(byGroup)) {
		if found := byGroup[group]; found[0] > 0 && found[1] > 0 {
			sources, targets = append(sources, found[0]-1), append(targets, found[1]-1)
		}
	}
	return sources, targets
}
