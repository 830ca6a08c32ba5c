package index_test

import (
	"context"
	"fmt"
	"log"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/marge/index"
)

// A shard of two stories, each in German (language 0) and English (1).
func Example() {
	items := []index.Item{
		{Chunk: 0, Lang: 0, Source: 0, Target: true},
		{Chunk: 1, Lang: 1, Source: 1, Target: true},
		{Chunk: 2, Lang: 0, Source: 2, Target: true},
		{Chunk: 3, Lang: 1, Source: 3, Target: true},
	}
	vectors := []float32{
		1, 0,
		0.96, 0.28,
		0, 1,
		-0.28, 0.96,
	}
	pairs, err := index.Links(context.Background(), asm.Serial, vectors, 2, items, index.LinkOptions{Cross: 1})
	if err != nil {
		log.Fatal(err)
	}
	for _, p := range pairs {
		fmt.Printf("target %d, evidence %d: %.2f\n", p.Target, p.Evidence, p.Score)
	}
	stats := index.LinkStats(pairs, items)
	fmt.Printf("%.0f link a target, %.0f%% between languages\n", stats.LinksPerTarget(), 100*stats.CrossShare())

	length := func(item int) int { return 512 }
	batches := index.Batches(pairs, items, length, index.BatchOptions{TokenBudget: 2048, Seed: 1})
	fmt.Println(len(batches), "batches, the first with", len(batches[0].Evidence), "evidence and",
		len(batches[0].Targets), "targets")
	// Output:
	// target 0, evidence 1: 0.96
	// target 1, evidence 0: 0.96
	// target 2, evidence 3: 0.96
	// target 3, evidence 2: 0.96
	// 1 link a target, 100% between languages
	// 4 batches, the first with 1 evidence and 1 targets
}
