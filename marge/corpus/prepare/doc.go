// Package prepare makes a corpus of files: web archives, dumps, catalogs of
// translations, folders of text.
//
//	report, err := prepare.Run(ctx, "corpus", []string{"news.warc.gz", "dewiki.xml.bz2"}, prepare.Options{})
//	...
//	files := corpus.Files([]string{"corpus/shards"}, corpus.ReadOptions{})
//	store, err := corpus.Build("store", files, tokenizer, corpus.BuildOptions{})
//
// The steps are functions of documents: [Normalise], [Languages.Language] and
// [Quality.Filter] of one document, duplicates and shards of documents that are
// sorted by keys. Run sorts on the disk of one machine; [Pipe] is each step for
// engines that sort on many, such as Spark (spark/prepare.py). Which documents
// stay, and where, depends on the documents alone: the engine, the threads, the
// order and the files of the documents change nothing, and
// [corpus.Store.Fingerprint] of what is built from the result is the same.
//
// With a model that was trained on the corpus, [Index] encodes and links the shards,
// on one machine or in steps of Pipe, and makes one index of them.
//
// # Duplicates
//
// Documents have an order: by Date, then by ID, byte by byte. Of documents with
// the same ID the first stays, and of documents with the same text. Of those that
// are left, a document is dropped if one that comes before it has nearly the same
// text: if the MinHashes of a band are equal ([Sign]) and the signatures tell a
// Jaccard similarity of at least 0.8. Only the 64 first of all documents with
// these MinHashes are compared with the others. That the first of two is itself
// dropped, for a third one, does not matter.
package prepare
