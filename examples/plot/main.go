// Plot draws what was measured while models were trained.
//
//	go run ./examples/plot -out curves.png runs/tiny-*
//
// draws, over each other, the curves of the runs whose directories (or
// metrics.jsonl files) are given: losses, retrieval of translations, relevance,
// links, attention, beta, gradient norm and learning rate.
package main

import (
	"flag"
	"fmt"
	"os"

	"github.com/marge-go/marge/examples/internal/curves"
)

func main() {
	out := flag.String("out", "curves.png", "image `file` to write: png, svg or pdf")
	flag.Parse()
	if err := curves.Draw(*out, flag.Args()...); err != nil {
		fmt.Fprintln(os.Stderr, "plot:", err)
		os.Exit(1)
	}
}
