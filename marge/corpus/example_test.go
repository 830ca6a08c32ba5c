package corpus_test

import (
	"fmt"
	"hash/crc32"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/marge-go/marge/marge/corpus"
)

// words gives every word a number. A training takes a tokenizer.Tokenizer.
type words struct{}

func (words) AppendEncode(dst []int32, text string) []int32 {
	for word := range strings.FieldsSeq(text) {
		dst = append(dst, int32(crc32.ChecksumIEEE([]byte(word))%1000))
	}
	return dst
}

const reports = `{"id": "1/en", "lang": "en", "date": "2020-06-26", "text": "The bridge opened today after nine years"}
{"id": "1/de", "lang": "de", "date": "2020-06-26", "text": "Nach neun Jahren Bauzeit wurde heute die Brücke eröffnet."}
{"id": "2/en", "lang": "en", "date": "2020-06-27"}
`

func Example() {
	dir, err := os.MkdirTemp("", "corpus")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "reports.jsonl")
	if err := os.WriteFile(path, []byte(reports), 0o666); err != nil {
		log.Fatal(err)
	}

	var docs []corpus.Document
	stats, err := corpus.Read([]string{path}, corpus.ReadOptions{
		SkipBad: true,
		OnBad:   func(e *corpus.LineError) { fmt.Printf("line %d: %v\n", e.Line, e.Err) },
	}, func(doc corpus.Document) error {
		docs = append(docs, doc)
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(stats)

	store, err := corpus.FromDocuments(docs, words{}, corpus.BuildOptions{ChunkTokens: 5, MinTokens: 1})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	for k, shard := range store.Shards() {
		fmt.Println("shard", shard)
		for _, i := range store.Shard(k) {
			c := store.Chunk(i)
			fmt.Println(store.DocumentID(c.Doc), c.Index, store.Langs()[c.Lang], store.Tokens(i))
		}
	}
	// Output:
	// line 3: text is missing
	// 2 documents, 1 lines skipped (1 a field is missing)
	// shard 2020-06-26
	// 1/en 0 en [166 999 539 989 73]
	// 1/en 1 en [981 7]
	// 1/de 0 de [19 755 603 558 350]
	// 1/de 1 de [598 127 655 171]
}
