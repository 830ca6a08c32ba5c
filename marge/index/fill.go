package index

import "slices"

// Fill joins batches of one shard, in their order, as long as the limits of opt
// allow. A batch that grew along links ends where its documents have no further
// link; the better the links, the smaller the groups. A group on its own teaches
// nothing about relevance, since all of its evidence is relevant to all of its
// targets: it must be told from other groups.
func Fill(batches []Batch, length func(item int) int, opt BatchOptions) []Batch {
	var filled []Batch
	tokens := 0
	for _, b := range batches {
		n := len(filled)
		if n > 0 {
			last := &filled[n-1]
			known := func(e int32) bool { return slices.Contains(last.Evidence, e) }
			evidence := slices.DeleteFunc(slices.Clone(b.Evidence), known)
			more := total(evidence, length) + total(b.Targets, length)
			if tokens+more <= opt.TokenBudget && within(len(last.Evidence)+len(evidence), opt.MaxEvidence) &&
				within(len(last.Targets)+len(b.Targets), opt.MaxTargets) {
				last.Evidence, last.Targets = append(last.Evidence, evidence...), append(last.Targets, b.Targets...)
				tokens += more
				continue
			}
		}
		filled = append(filled, Batch{slices.Clone(b.Evidence), slices.Clone(b.Targets)})
		tokens = total(b.Evidence, length) + total(b.Targets, length)
	}
	return filled
}

func total(items []int32, length func(item int) int) int {
	n := 0
	for _, i := range items {
		n += length(int(i))
	}
	return n
}

func within(n, limit int) bool { return limit == 0 || n <= limit }
