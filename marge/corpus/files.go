package corpus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
)

// errStopped ends the reading of a sequence when its consumer needs no more.
var errStopped = errors.New("stopped")

// Files returns the documents of JSON Lines files as a sequence, for Build,
// which then streams from the files to the store. It reads them as Read does,
// anew for every loop over it. The error that the reading stops at is the last
// element, beside an empty Document. OnBad of the options is called for each
// skipped line.
//
// A second loop over standard input or a pipe ends with an error that names it;
// OpenInput makes them readable more than once.
func Files(patterns []string, opts ReadOptions) iter.Seq2[Document, error] {
	begun := map[string]bool{} // of what can be read only once
	return documents(func(fn func(Document) error) error {
		paths, err := Expand(patterns)
		if err != nil {
			return err
		}
		var stats ReadStats
		for _, path := range paths {
			if readOnce(path) {
				if begun[path] {
					return fmt.Errorf("corpus: %s is a pipe, which cannot be read twice", path)
				}
				begun[path] = true
			}
			open := func() (io.ReadCloser, error) { return openFile(context.Background(), path) }
			if err := stats.read(path, open, opts, fn); err != nil {
				return err
			}
		}
		return nil
	})
}

// documents turns a function that calls another for every document into a
// sequence that ends with the function's error.
func documents(read func(fn func(Document) error) error) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		err := read(func(doc Document) error {
			if !yield(doc, nil) {
				return errStopped
			}
			return nil
		})
		if err != nil && err != errStopped {
			yield(Document{}, err)
		}
	}
}
