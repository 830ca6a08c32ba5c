package source_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/marge-go/marge/marge/corpus/source"
)

// The documents of a folder, whatever their format.
func Example() {
	dir, err := os.MkdirTemp("", "manuals")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	page := "<html lang=de><body><h1>Fähre</h1><p>Sie fährt um sieben.</body></html>"
	if err := os.WriteFile(filepath.Join(dir, "ferry.html"), []byte(page), 0o666); err != nil {
		log.Fatal(err)
	}
	files, err := source.Expand([]string{dir})
	if err != nil {
		log.Fatal(err)
	}
	for doc, err := range source.Documents(context.Background(), files, source.Options{}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s, %s: %q\n", filepath.Base(doc.ID), doc.Lang, doc.Text)
	}
	// Output: ferry.html, de: "Fähre\n\nSie fährt um sieben."
}
