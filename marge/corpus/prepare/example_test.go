package prepare_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/corpus/prepare"
)

const bridge = "The council has decided to build a new bridge over the river, which will be open to walkers and " +
	"cyclists. Work is to begin in spring and should take two years. The old bridge, built after the war, had been " +
	"closed since engineers found cracks in three of its arches. Many people who live on the other side of the " +
	"valley have had to drive for an hour to reach the hospital."

// A corpus of one file of JSON Lines.
func Example() {
	dir, err := os.MkdirTemp("", "prepare")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	lines := `{"id": "1", "lang": "en", "date": "2020-06-26", "text": "` + bridge + `"}
{"id": "2", "lang": "en", "date": "2020-06-27", "text": "` + bridge + ` (Reuters)"}
{"id": "3", "lang": "en", "date": "2020-06-27", "text": "Read more"}
`
	in, out := filepath.Join(dir, "news.jsonl"), filepath.Join(dir, "corpus")
	if err := os.WriteFile(in, []byte(lines), 0o666); err != nil {
		log.Fatal(err)
	}
	report, err := prepare.Run(context.Background(), out, []string{in}, prepare.Options{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report)
	for doc, err := range corpus.Files([]string{filepath.Join(out, prepare.ShardsName)}, corpus.ReadOptions{}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s is in shard %s\n", doc.ID, doc.Shard)
	}
	// Output:
	//               3  documents read
	//               1    dropped: too short
	//               1    dropped: near duplicate
	//               1  documents kept
	//             371  characters
	//             371    en, in 1 documents
	//               1  shards
	//
	// 1 is in shard 2020-06-26
}

// One step as a filter, as Spark pipes lines through it.
func ExamplePipe() {
	in := strings.NewReader(`{"id": "1", "lang": "en", "text": "A  ferry\ufeff is\r\na ship."}` + "\n")
	_, err := prepare.Pipe(context.Background(), "normalise", prepare.PipeOptions{}, in, os.Stdout)
	if err != nil {
		log.Fatal(err)
	}
	// Output: {"id":"1","lang":"en","text":"A ferry is\na ship."}
}
