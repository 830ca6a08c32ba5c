package checkpoint

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// A Dir is a checkpoint, or another set of files with a manifest, that is being
// written. Its methods may be called concurrently.
type Dir struct {
	path string

	mu    sync.Mutex
	files map[string]*file
	err   error // the first error of any file: the checkpoint is lost
}

// fill writes the files of fn and their manifest in an empty directory, and
// flushes them to disk.
func fill(path string, fn func(*Dir) error) error {
	d := &Dir{path: path, files: make(map[string]*file)}
	defer d.closeAll() // as well if fn panics
	if err := fn(d); err != nil {
		return err
	}
	return d.finish()
}

// openFile creates a file; a test replaces it by a full device.
var openFile = func(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
}

// Create creates a file of the checkpoint. The name must not hold a separator
// nor have been used before. Writes are hashed on their way; Close flushes the
// file to disk, and its error matters. A checkpoint with a file that was not
// closed, or on which a call failed, is not completed even if the error is
// ignored.
func (d *Dir) Create(name string) (io.WriteCloser, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := checkName(name)
	if err == nil && d.files[name] != nil {
		err = errors.New("created twice")
	}
	var f *os.File
	if err == nil {
		f, err = openFile(filepath.Join(d.path, name))
	}
	if err != nil {
		err = fmt.Errorf("file %q: %w", name, err)
		d.setErr(err)
		return nil, err
	}
	d.files[name] = &file{dir: d, name: name, f: f, sum: sha256.New()}
	return d.files[name], nil
}

// WriteFile creates a file of the checkpoint with the given contents.
func (d *Dir) WriteFile(name string, data []byte) error {
	w, err := d.Create(name)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	return errors.Join(err, w.Close())
}

func checkName(name string) error {
	switch {
	case name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\\\x00"):
		return errors.New("not a plain file name")
	case name == ManifestName:
		return errors.New("the name is reserved for the manifest")
	}
	return nil
}

// setErr records the first error. The caller holds d.mu.
func (d *Dir) setErr(err error) {
	if d.err == nil {
		d.err = err
	}
}

// finish writes the manifest.
func (d *Dir) finish() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	m := manifest{Version: manifestVersion, Files: make(map[string]fileInfo, len(d.files))}
	for name, f := range d.files {
		if f.f != nil {
			d.setErr(fmt.Errorf("file %q was not closed", name))
		}
		m.Files[name] = fileInfo{Size: f.size, SHA256: hex.EncodeToString(f.sum.Sum(nil))}
	}
	if d.err != nil {
		return d.err
	}
	data, err := m.encode()
	if err != nil {
		return err
	}
	f, err := openFile(filepath.Join(d.path, ManifestName))
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// closeAll closes the files that fn left open.
func (d *Dir) closeAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, f := range d.files {
		if f.f != nil {
			f.f.Close()
			f.f = nil
		}
	}
}

// A file hashes what is written to it. Its fields belong to the goroutine that
// writes, and to the Dir once that has returned.
type file struct {
	dir  *Dir
	name string
	f    *os.File // nil once closed
	sum  hash.Hash
	size int64
}

func (f *file) Write(p []byte) (written int, err error) {
	if f.f == nil {
		return 0, f.fail(os.ErrClosed)
	}
	for len(p) > 0 {
		// Pieces that stay in the cache between the two passes.
		n, err := f.f.Write(p[:min(len(p), 1<<18)])
		f.sum.Write(p[:n])
		f.size += int64(n)
		written += n
		if err != nil {
			return written, f.fail(err)
		}
		p = p[n:]
	}
	return written, nil
}

func (f *file) Close() error {
	if f.f == nil {
		return f.fail(os.ErrClosed)
	}
	err := errors.Join(f.f.Sync(), f.f.Close())
	f.f = nil
	if err != nil {
		return f.fail(err)
	}
	return nil
}

func (f *file) fail(err error) error {
	err = fmt.Errorf("file %q: %w", f.name, err)
	f.dir.mu.Lock()
	defer f.dir.mu.Unlock()
	f.dir.setErr(err)
	return err
}
