package index

import "testing"

// The first position behind the items is as wrong as any other, on both sides
// of a link.
func TestBatchesRefusesPositionsBehindTheItems(t *testing.T) {
	items := []Item{{Source: 0, Target: true}, {Source: 1, Target: true}}
	opt := BatchOptions{TokenBudget: 10}
	for want, pair := range map[string]Pair{
		"pair 0 links target 2 to evidence 0 of 2 items":  {Target: 2, Evidence: 0},
		"pair 0 links target 0 to evidence 2 of 2 items":  {Target: 0, Evidence: 2},
		"pair 0 links target 0 to evidence -1 of 2 items": {Target: 0, Evidence: -1},
	} {
		mustPanic(t, want, func() { Batches([]Pair{pair}, items, func(int) int { return 1 }, opt) })
	}
}
