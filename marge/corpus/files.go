package corpus

import (
	"errors"
	"iter"
)

// errStopped ends the reading of Files when its consumer needs no more.
var errStopped = errors.New("stopped")

// Files returns the documents of JSON Lines files as a sequence, for Build,
// which then streams from the files to the store. It reads them as Read does,
// anew for every loop over it. The error that the reading stops at is the last
// element, beside an empty Document. How many lines were skipped, and why,
// opts.OnBad is told.
func Files(paths []string, opts ReadOptions) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		_, err := Read(paths, opts, func(doc Document) error {
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
