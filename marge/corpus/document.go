// Package corpus holds the documents that MARGE is trained on: it reads them
// from JSON Lines files, cuts them into chunks of tokens, and keeps these in a
// store on disk, or in memory, that a training draws shards from
// (arXiv:2006.15020, section 2.4).
//
//	docs := corpus.Files([]string{"news.jsonl.gz"}, corpus.ReadOptions{})
//	store, err := corpus.Build("run/corpus", docs, tokenizer, corpus.BuildOptions{})
//	...
//	for _, i := range store.Shard(0) {
//		chunk, tokens := store.Chunk(i), store.Tokens(i)
//		...
//	}
package corpus

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/marge-go/marge/internal/langtag"
)

// A Document is one text of a corpus. ID, Lang and Text are required, and all
// fields are UTF-8.
type Document struct {
	ID   string
	Lang string // language tag (BCP 47) in any spelling: de, pt-BR, pt_br
	Text string
	// Date is the date of publication, for example 2020-06-26.
	Date string
	// Shard names the part of the corpus in which training looks for evidence
	// for the document. The default is Date: in the paper, the news of one
	// date are a shard (section 2.4).
	Shard string
	// Group marks documents that are known to say the same, such as
	// translations: their Group is equal. Only evaluation and [Store.KnownPairs] look at
	// it.
	Group string
	// Source marks documents that are never evidence for each other, such as
	// editions of one text in the same language: their Source is equal. The
	// default is ID.
	Source string
}

// shardKey is empty for a document of the default shard.
func (d *Document) shardKey() string {
	if d.Shard != "" {
		return d.Shard
	}
	return d.Date
}

func (d *Document) sourceKey() string {
	if d.Source != "" {
		return d.Source
	}
	return d.ID
}

// errLanguage is wrapped by the error of a Lang that is not a language tag.
var errLanguage = errors.New("lang")

// check returns an error that tells what a document lacks. It brings Lang into
// canonical form.
func (d *Document) check() error {
	switch {
	case d.ID == "":
		return errors.New("id is empty")
	case d.Lang == "":
		return errors.New("lang is empty")
	case strings.TrimSpace(d.Text) == "":
		return errors.New("text is empty")
	}
	for _, field := range [...]struct{ name, value string }{
		{"id", d.ID}, {"lang", d.Lang}, {"text", d.Text}, {"date", d.Date},
		{"shard", d.Shard}, {"group", d.Group}, {"source", d.Source},
	} {
		if !utf8.ValidString(field.value) {
			return fmt.Errorf("%s is not valid UTF-8", field.name)
		}
	}
	lang, err := langtag.Canonical(d.Lang)
	if err != nil {
		return fmt.Errorf("%w: %w", errLanguage, err)
	}
	d.Lang = lang
	return nil
}
