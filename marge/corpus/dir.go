package corpus

import (
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"path/filepath"

	"github.com/marge-go/marge/internal/osfile"
)

// Build makes a store of documents in directory dir, which it creates, and
// opens it. It encodes documents as they come, several at a time, so that the
// corpus need not fit in memory; what it keeps there is less than 50 bytes for
// a chunk and 150 for a document. The files are the same every time.
//
// Build fails, with an error that wraps fs.ErrExist, if dir holds anything
// already. It also fails at an error of docs, which it returns as it is, and
// at a document that FromDocuments does not accept. Nothing is left then.
//
// The files are written in a directory beside dir, flushed to disk and then
// renamed, so that dir holds a complete store or does not exist, whenever the
// process is killed. The next Build removes what a killed one left.
func Build(dir string, docs iter.Seq2[Document, error], enc Encoder, opts BuildOptions) (*Store, error) {
	opts, err := opts.resolve()
	if err != nil {
		return nil, err
	}
	var failed error // of docs, or told with the package's name already
	err = osfile.CreateDir(dir, func(temp string) error {
		failed = writeFiles(temp, docs, enc, opts)
		return failed
	})
	if failed != nil {
		return nil, failed
	}
	if err != nil {
		return nil, fmt.Errorf("corpus: %w", err)
	}
	return Open(dir)
}

// writeFiles writes the files of a store in an empty directory.
func writeFiles(dir string, docs iter.Seq2[Document, error], enc Encoder, opts BuildOptions) (err error) {
	var files [3]*os.File
	for i, name := range []string{tokensFile, stringsFile, metadataFile} {
		if files[i], err = os.Create(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("corpus: %w", err)
		}
		defer files[i].Close()
	}
	metadata, err := build(files[0], files[1], docs, enc, opts)
	if err != nil {
		return err
	}
	if _, err := files[2].Write(metadata); err != nil {
		return fmt.Errorf("corpus: %w", err)
	}
	for _, f := range files {
		if err := errors.Join(f.Sync(), f.Close()); err != nil {
			return fmt.Errorf("corpus: %w", err)
		}
	}
	return nil
}

// Open opens a store that Build made. If there is none, the error wraps
// fs.ErrNotExist. If it is truncated or damaged, the error tells which file
// and how; of the tokens only the length is checked, see Verify.
//
// The files must not be changed as long as the store is open: a process that
// reads a mapped file beyond an end that has moved is killed by the system.
func Open(dir string) (*Store, error) {
	var data [3][]byte
	var mappings [][]byte
	fail := func(err error) (*Store, error) {
		for _, m := range mappings {
			err = errors.Join(err, osfile.Unmap(m))
		}
		return nil, err
	}
	for i, name := range []string{metadataFile, stringsFile, tokensFile} {
		path := filepath.Join(dir, name)
		var err error
		data[i], err = osfile.Map(path)
		if errors.Is(err, fs.ErrNotExist) && (i > 0 || exists(filepath.Join(dir, tokensFile))) {
			return fail(fmt.Errorf("corpus: %s is damaged: the file %s is missing", dir, name))
		}
		if err != nil {
			return fail(fmt.Errorf("corpus: %w", err))
		}
		mappings = append(mappings, data[i])
	}
	s, err := newStore(data[0], data[1], data[2])
	var d *damage
	if errors.As(err, &d) {
		d.file = filepath.Join(dir, d.file)
	}
	if err != nil {
		return fail(err)
	}
	s.mappings, s.path = mappings, filepath.Join(dir, tokensFile)
	return s, nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
