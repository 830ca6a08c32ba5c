package index

import (
	"reflect"
	"testing"
)

func TestFill(t *testing.T) {
	length := func(item int) int { return 10 }
	batches := []Batch{
		{Evidence: []int32{1}, Targets: []int32{2}},
		{Evidence: []int32{1, 3}, Targets: []int32{4}}, // shares evidence with the first
		{Evidence: []int32{5}, Targets: []int32{6, 7}},
		{Evidence: []int32{8}, Targets: []int32{9}},
	}
	for _, c := range []struct {
		name string
		opt  BatchOptions
		want []Batch
	}{
		{"budget", BatchOptions{TokenBudget: 40}, []Batch{
			{[]int32{1, 3}, []int32{2, 4}},
			{[]int32{5}, []int32{6, 7}},
			{[]int32{8}, []int32{9}},
		}},
		{"all in one", BatchOptions{TokenBudget: 1000}, []Batch{
			{[]int32{1, 3, 5, 8}, []int32{2, 4, 6, 7, 9}},
		}},
		{"targets", BatchOptions{TokenBudget: 1000, MaxTargets: 3}, []Batch{
			{[]int32{1, 3}, []int32{2, 4}},
			{[]int32{5, 8}, []int32{6, 7, 9}},
		}},
		{"evidence", BatchOptions{TokenBudget: 1000, MaxEvidence: 1}, []Batch{
			{[]int32{1}, []int32{2}},
			{[]int32{1, 3}, []int32{4}},
			{[]int32{5}, []int32{6, 7}},
			{[]int32{8}, []int32{9}},
		}},
		{"too small for any", BatchOptions{TokenBudget: 1}, batches},
	} {
		if got := Fill(batches, length, c.opt); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
	if !reflect.DeepEqual(batches[0], Batch{[]int32{1}, []int32{2}}) {
		t.Errorf("Fill changed its argument: %v", batches[0])
	}
}
