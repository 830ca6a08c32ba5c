package corpus

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// stdin is the pattern that stands for standard input.
const stdin = "-"

// Expand returns the files that patterns stand for, each once: those of the
// first pattern, then those of the second, and so on. A pattern is
//
//   - a file;
//   - a folder, which stands for the files below it that are named *.jsonl,
//     *.ndjson or *.json, or so with .gz or .zst behind, in the order of their
//     paths, without those whose names begin with a dot;
//   - a glob (see [filepath.Match]), which stands for the files and folders
//     that it matches, likewise;
//   - "-", standard input, which stays as it is.
//
// A pattern that stands for nothing is an error that names it; one that wraps
// fs.ErrNotExist if it is not a glob.
func Expand(patterns []string) ([]string, error) {
	return ExpandFunc(patterns, IsJSONLines, "*.jsonl, *.ndjson or *.json, plain or with .gz or .zst")
}

// ExpandFunc is Expand for files of other kinds: of a folder it takes the files
// whose names take accepts. The error of a folder without any calls them kinds.
func ExpandFunc(patterns []string, take func(name string) bool, kinds string) ([]string, error) {
	var files []string
	known := map[string]bool{}
	for _, pattern := range patterns {
		matches := []string{pattern}
		if _, err := os.Stat(pattern); err != nil && pattern != stdin {
			globbed, globErr := filepath.Glob(pattern)
			if !strings.HasPrefix(filepath.Base(pattern), ".") {
				globbed = slices.DeleteFunc(globbed, func(path string) bool {
					return strings.HasPrefix(filepath.Base(path), ".")
				})
			}
			switch {
			case globErr != nil:
				return nil, fmt.Errorf("corpus: pattern %q: %w", pattern, globErr)
			case len(globbed) == 0 && strings.ContainsAny(pattern, "*?["):
				return nil, fmt.Errorf("corpus: no file matches %q", pattern)
			case len(globbed) == 0:
				return nil, fmt.Errorf("corpus: %w", err)
			}
			slices.Sort(globbed)
			matches = globbed
		}
		for _, match := range matches {
			below, err := filesBelow(match, take, kinds)
			if err != nil {
				return nil, err
			}
			for _, file := range below {
				if !known[file] {
					known[file] = true
					files = append(files, file)
				}
			}
		}
	}
	return files, nil
}

// filesBelow returns the files of a folder that take accepts, or what is not a
// folder itself.
func filesBelow(path string, take func(name string) bool, kinds string) ([]string, error) {
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return []string{path}, nil // an error shows when the file is opened
	}
	var files []string
	// The separator makes WalkDir follow a link to a folder.
	err := filepath.WalkDir(path+string(filepath.Separator), func(file string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		hidden := strings.HasPrefix(entry.Name(), ".")
		if entry.IsDir() {
			if hidden && filepath.Clean(file) != filepath.Clean(path) {
				return fs.SkipDir
			}
			return nil
		}
		if !hidden && take(entry.Name()) {
			files = append(files, filepath.Clean(file))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("corpus: %w", err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("corpus: folder %s has no file named %s", path, kinds)
	}
	slices.Sort(files)
	return files, nil
}

// IsJSONLines reports whether a file is named as JSON Lines are, plain or
// compressed.
func IsJSONLines(name string) bool {
	name = strings.TrimSuffix(strings.TrimSuffix(strings.ToLower(name), ".gz"), ".zst")
	return slices.Contains([]string{".jsonl", ".ndjson", ".json"}, filepath.Ext(name))
}

// readOnce reports whether a file can be read only once, as pipes, terminals
// and standard input.
func readOnce(path string) bool {
	if path == stdin {
		return true
	}
	info, err := os.Stat(path)
	return err == nil && !info.IsDir() && !info.Mode().IsRegular()
}

// openFile opens a file of Expand. Opening a named pipe blocks until there is a
// writer, and reading one until there is something to read. What can block is
// therefore done in a goroutine, and reading fails as soon as ctx is done. The
// goroutine ends once its system call returns, at the latest with the process.
func openFile(ctx context.Context, path string) (io.ReadCloser, error) {
	if !readOnce(path) {
		return os.Open(path)
	}
	reader, writer := io.Pipe()
	stop := context.AfterFunc(ctx, func() { writer.CloseWithError(ctx.Err()) })
	go func() {
		f := os.Stdin
		if path != stdin {
			var err error
			if f, err = os.Open(path); err != nil {
				writer.CloseWithError(err)
				return
			}
			defer f.Close()
		}
		_, err := io.Copy(writer, f)
		writer.CloseWithError(err) // io.EOF for nil
	}()
	return &pipe{reader, stop}, nil
}

type pipe struct {
	*io.PipeReader
	stop func() bool
}

func (p *pipe) Close() error {
	p.stop()
	return p.PipeReader.Close()
}

// An Input is the files of a corpus, which can be read any number of times.
type Input struct{ files []inputFile }

type inputFile struct {
	name  string
	spool *os.File // copy of what can be read only once; nil for other files
}

// OpenInput opens the files that patterns stand for (see Expand). What can be
// read only once, such as standard input, named pipes and process
// substitutions, it copies to temporary files in folder temp, or in that of
// the system if temp is empty. It returns as soon as ctx is done, even if
// nobody writes to a pipe. It is an error if there is no pattern.
//
// Close removes the temporary files. Where the system permits it, they have
// lost their names before that, so that nothing is left of them if the process
// is killed.
func OpenInput(ctx context.Context, patterns []string, temp string) (*Input, error) {
	if len(patterns) == 0 {
		return nil, errors.New("corpus: no files are given")
	}
	files, err := Expand(patterns)
	if err != nil {
		return nil, err
	}
	in := &Input{}
	for _, file := range files {
		f := inputFile{name: file}
		if readOnce(file) {
			if f.spool, err = spool(ctx, file, temp); err != nil {
				return nil, errors.Join(fmt.Errorf("corpus: %s: %w", file, err), in.Close())
			}
		}
		in.files = append(in.files, f)
	}
	return in, nil
}

// spool copies a file to a temporary one.
func spool(ctx context.Context, path, temp string) (*os.File, error) {
	from, err := openFile(ctx, path)
	if err != nil {
		return nil, err
	}
	defer from.Close()
	to, err := os.CreateTemp(temp, "corpus-*")
	if err != nil {
		return nil, err
	}
	os.Remove(to.Name()) // systems that refuse it get another chance in Close
	if _, err := io.Copy(to, from); err != nil {
		f := inputFile{spool: to}
		return nil, errors.Join(err, f.close())
	}
	return to, nil
}

func (f *inputFile) close() error {
	if f.spool == nil {
		return nil
	}
	err := f.spool.Close()
	if removeErr := os.Remove(f.spool.Name()); !errors.Is(removeErr, fs.ErrNotExist) {
		err = errors.Join(err, removeErr)
	}
	return err
}

// open returns the content of the file from its beginning.
func (f *inputFile) open() (io.ReadCloser, error) {
	if f.spool == nil {
		return os.Open(f.name)
	}
	info, err := f.spool.Stat()
	if err != nil {
		return nil, err
	}
	return io.NopCloser(io.NewSectionReader(f.spool, 0, info.Size())), nil
}

// Close removes temporary files. The Input must not be used any more.
func (in *Input) Close() error {
	var errs []error
	for i := range in.files {
		errs = append(errs, in.files[i].close())
	}
	in.files = nil
	return errors.Join(errs...)
}

// Documents returns the documents of the files as a sequence, as Files does.
// When ctx is done, the sequence ends with its error.
func (in *Input) Documents(ctx context.Context, opts ReadOptions) iter.Seq2[Document, error] {
	return documents(func(fn func(Document) error) error {
		var stats ReadStats
		for i := range in.files {
			f := &in.files[i]
			err := stats.read(f.name, f.open, opts, func(doc Document) error {
				if err := ctx.Err(); err != nil {
					return err
				}
				return fn(doc)
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Sources reads the files and returns what identifies them. It takes as long as
// the disk and SHA-256 take, which is a small part of what encoding takes.
func (in *Input) Sources(ctx context.Context) ([]Source, error) {
	var sources []Source
	for i := range in.files {
		s, err := in.files[i].source(ctx)
		if err != nil {
			return nil, fmt.Errorf("corpus: %s: %w", in.files[i].name, err)
		}
		sources = append(sources, s)
	}
	return sources, nil
}

func (f *inputFile) source(ctx context.Context) (Source, error) {
	r, err := f.open()
	if err != nil {
		return Source{}, err
	}
	defer r.Close()
	sum := sha256.New()
	s := Source{Name: f.name}
	for ctx.Err() == nil {
		n, err := io.CopyN(sum, r, 16<<20)
		s.Bytes += n
		if err == io.EOF {
			s.SHA256 = hex.EncodeToString(sum.Sum(nil))
			return s, nil
		}
		if err != nil {
			return Source{}, err
		}
	}
	return Source{}, ctx.Err()
}
