package marge

import (
	"context"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

func TestEpochs(t *testing.T) {
	all := make([]example, 1000)
	rng := rand.New(rand.NewPCG(1, 1))
	for i := range all {
		all[i] = example{source: make([]int32, 1+rng.IntN(60)), target: make([]int32, 1+rng.IntN(60)), record: i}
	}
	name := func(record int) string { return fmt.Sprint("record ", record) }
	o := FineTuneOptions{BatchTokens: 500, BatchRecords: 20, Seed: 5}
	e := newEpochs(all, &o, name)
	passes := [][]int{}
	for pass := range 2 {
		seen, spread, n := []int{}, 0, 0
		before, shorter := 0, 0 // batches than the one before
		for range len(e.batches) {
			batches, err := e.take(context.Background(), 0, 1)
			if err != nil || len(batches) != 1 {
				t.Fatal(len(batches), err)
			}
			b, tokens, shortest, longest := batches[0], 0, 1000, 0
			for i, x := range b.examples {
				seen = append(seen, x.record)
				tokens += x.tokens()
				shortest, longest = min(shortest, x.tokens()), max(longest, x.tokens())
				if len(b.Evidence[i]) != len(x.source) || len(b.Targets[i]) != len(x.target) {
					t.Fatal("documents of a batch are not those of its examples")
				}
			}
			if tokens > 500 && len(b.examples) > 1 || len(b.examples) > 20 {
				t.Errorf("a batch of %d tokens and %d records", tokens, len(b.examples))
			}
			if got := e.documents(b); got[0] != name(b.examples[0].record) || len(got) != len(b.examples) {
				t.Errorf("documents %v", got)
			}
			spread, n = spread+longest-shortest, n+1
			if shortest < before {
				shorter++
			}
			before = shortest
		}
		if mean := spread / n; mean > 3 {
			t.Errorf("pass %d: lengths of a batch differ by %d tokens on average", pass, mean)
		}
		if shorter < n/4 {
			t.Errorf("pass %d: batches become longer: %d of %d are shorter than the one before", pass, shorter, n)
		}
		sorted := slices.Sorted(slices.Values(seen))
		for i, record := range sorted {
			if record != i {
				t.Fatalf("pass %d: not every record comes once", pass)
			}
		}
		if pass == 0 {
			if got := e.updates(1, 3); got != (n+2)/3 {
				t.Errorf("%d updates of 3 batches, %d batches", got, n)
			}
			if p := e.packing(); p < 0.8 || p > 1 {
				t.Errorf("packing %v", p)
			}
		}
		passes = append(passes, seen)
	}
	if slices.Equal(passes[0], passes[1]) {
		t.Error("two passes have one order")
	}
	before := newEpochs(all, &o, name)
	taken, err := before.take(context.Background(), 0, 3)
	if err != nil {
		t.Fatal(err)
	}
	first := taken[0]
	before.putBack()
	taken, err = before.take(context.Background(), 0, 3)
	if err != nil || len(taken) != 3 || !reflect.DeepEqual(taken[0], first) {
		t.Errorf("what was put back is not taken again, error %v", err)
	}
	if first := newEpochs(all, &o, name); all[first.batches[0][0]].record != passes[0][0] {
		t.Error("the order does not depend on the seed alone")
	}
	o.Seed = 6
	if other := newEpochs(all, &o, name); all[other.batches[0][0]].record == passes[0][0] {
		t.Error("another seed has the same order")
	}
}

// Epochs are as many passes over the data.
func TestEpochsOption(t *testing.T) {
	o := taskOptions(0)
	o.Epochs, o.BatchTokens, o.Accumulate, o.Replicas = 3, 100, 2, 2
	records := 0
	o.OnStep = func(m Metrics) error {
		records += m.Targets
		return nil
	}
	_, stats := mustFineTune(t, SequenceToSequence{Train: pairs(1, 70)}, o)
	if records != 3*70 || stats.Packing < 0.7 || stats.Packing > 1 || stats.Best != nil {
		t.Errorf("%d records in %d updates, %+v", records, stats.Steps, stats)
	}
}
