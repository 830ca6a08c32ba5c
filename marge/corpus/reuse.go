package corpus

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"slices"
)

// Languages returns the languages of documents, sorted.
func Languages(docs iter.Seq2[Document, error]) ([]string, error) {
	languages := map[string]bool{}
	for doc, err := range docs {
		if err != nil {
			return nil, err
		}
		languages[doc.Lang] = true
	}
	return slices.Sorted(maps.Keys(languages)), nil
}

// Texts returns the texts of documents, for tokenizer.Train. An error of docs
// ends the sequence; it is left in *failure, which is nil otherwise.
func Texts(docs iter.Seq2[Document, error], failure *error) iter.Seq[string] {
	return func(yield func(string) bool) {
		*failure = nil
		for doc, err := range docs {
			if err != nil {
				*failure = err
				return
			}
			if !yield(doc.Text) {
				return
			}
		}
	}
}

// OpenOrBuild opens the store in directory dir or, if there is none, builds it.
// A store that was made from other sources, with another encoder or with other
// options is an error that names the differences: opts.Sources must say what
// docs come from.
func OpenOrBuild(dir string, docs iter.Seq2[Document, error], enc Encoder, opts BuildOptions) (*Store, error) {
	if len(opts.Sources) == 0 {
		return nil, errors.New("corpus: OpenOrBuild: Sources, which say what the documents come from, are not given")
	}
	wanted, err := ProvenanceOf(enc, opts)
	if err != nil {
		return nil, err
	}
	s, err := Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return Build(dir, docs, enc, opts)
	}
	if err != nil {
		return nil, err
	}
	if err := s.Provenance().Check(wanted); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: remove %s, or give another directory", err, dir), s.Close())
	}
	return s, nil
}
