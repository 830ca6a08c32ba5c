package corpus

import (
	"io/fs"
	"iter"
)

type ReadOptions struct {
	SkipBad bool
	OnBad   func(*LineError)
}
type LineError struct {
	File string
	Line int
	Err  error
}

func (e *LineError) Error() string { return "" }

type ReadStats struct{ Documents, Skipped int }

func Read(paths []string, o ReadOptions, fn func(Document) error) (ReadStats, error) {
	return ReadStats{}, nil
}
func Open(dir string) (*Store, error) { return nil, fs.ErrNotExist }
func Build(dir string, docs iter.Seq2[Document, error], enc Encoder, o BuildOptions) (*Store, error) {
	var d []Document
	for doc, err := range docs {
		if err != nil {
			return nil, err
		}
		d = append(d, doc)
	}
	return FromDocuments(d, enc, o)
}
func (s *Store) Close() error   { return nil }
func (s *Store) Documents() int { return len(s.docs) }
func (s *Store) TotalTokens() int {
	n := 0
	for _, t := range s.toks {
		n += len(t)
	}
	return n
}
