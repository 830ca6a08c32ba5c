package source_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/marge-go/marge/marge/corpus"
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

// The articles of a dump.
func ExampleReadWiki() {
	dump := `<mediawiki xml:lang="en"><siteinfo><dbname>enwiki</dbname></siteinfo>` +
		`<page><title>Ferry</title><ns>0</ns><id>7</id><revision>` +
		`<text>A '''ferry''' is a [[ship]].{{stub}}</text></revision></page>` +
		`<page><title>Boat</title><ns>0</ns><id>8</id><redirect title="Ferry"/></page></mediawiki>`
	stats, err := source.ReadWiki(context.Background(), "dump.xml", strings.NewReader(dump), source.WikiOptions{},
		func(doc corpus.Document) error {
			fmt.Printf("%s, %s: %q\n", doc.ID, doc.Lang, doc.Text)
			return nil
		})
	fmt.Println(stats, err)
	// Output:
	// enwiki:7, en: "Ferry\n\nA ferry is a ship."
	// 2 records, 1 documents, 1 dropped (1 redirects), 0 damaged places, 0 bytes lost <nil>
}
