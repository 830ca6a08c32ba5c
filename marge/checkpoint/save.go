package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/marge-go/marge/internal/osfile"
)

// Save writes files in several steps, each of which leaves a whole set of
// files behind: into stagingDir, which is renamed to savedDir when it is
// complete, and then, one after the other, to their places. Until the last of
// them is there, Open prefers those in savedDir.
const (
	stagingDir = ".saving"
	savedDir   = ".saved"
)

// Save writes the files that fn creates, with a manifest of their checksums
// (checksums.json), to the directory dir, which is created if need be. Files of
// the given names that are there and that fn does not create are removed:
// they belong to what is replaced. All other files and directories stay as
// they are.
//
// [Open] finds either all files of before or all new ones, at whatever moment
// the process is killed. If fn fails, or the disk is full, it finds those of
// before. Programs that read the directory without Open may find files of both
// for the moment that renaming them takes.
//
// Where another process saves to dir or reads from it, Save waits.
func Save(dir string, names []string, fn func(*Dir) error) error {
	if err := save(dir, names, fn); err != nil {
		return fmt.Errorf("save to %s: %w", dir, err)
	}
	return nil
}

func save(dir string, names []string, fn func(*Dir) error) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	unlock, err := osfile.LockDir(dir, false)
	if err != nil {
		return err
	}
	defer unlock()
	if err := finishSave(dir, names); err != nil {
		return fmt.Errorf("finish an interrupted save: %w", err)
	}
	staging := filepath.Join(dir, stagingDir)
	if err := os.RemoveAll(staging); err != nil { // what a killed process left
		return err
	}
	if err := os.Mkdir(staging, 0o777); err != nil {
		return err
	}
	defer os.RemoveAll(staging) // gone, unless fn fails or panics
	if err := fill(staging, fn); err != nil {
		return err
	}
	if err := checkPlaces(dir, staging, names); err != nil {
		return err
	}
	if err := osfile.SyncDir(staging); err != nil {
		return err
	}
	if err := os.Rename(staging, filepath.Join(dir, savedDir)); err != nil {
		return err
	}
	if err := osfile.SyncDir(dir); err != nil {
		return err
	}
	return finishSave(dir, names)
}

// checkPlaces returns an error if a directory lies where a file is to go or to
// be removed.
func checkPlaces(dir, staging string, names []string) error {
	entries, err := os.ReadDir(staging)
	if err != nil {
		return err
	}
	names = slices.Clone(names)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	for _, name := range names {
		path := filepath.Join(dir, name)
		if info, err := os.Lstat(path); err == nil && info.IsDir() {
			return &fs.PathError{Op: "replace", Path: path, Err: errors.New("is a directory")}
		}
	}
	return nil
}

// finishSave moves the files of a complete save to their places, the manifest
// last, and removes those of the given names that it does not have.
func finishSave(dir string, names []string) error {
	saved := filepath.Join(dir, savedDir)
	entries, err := os.ReadDir(saved)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if len(entries) > 0 { // else the process was killed after the last one
		m, err := readManifest(saved)
		if err != nil {
			return err
		}
		for _, name := range names {
			if _, ok := m.Files[name]; ok {
				continue
			}
			if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		for _, e := range entries {
			if e.Name() == ManifestName {
				continue
			}
			if err := os.Rename(filepath.Join(saved, e.Name()), filepath.Join(dir, e.Name())); err != nil {
				return err
			}
		}
		// The order matters after a power cut too.
		if err := osfile.SyncDir(dir); err != nil {
			return err
		}
		if err := os.Rename(filepath.Join(saved, ManifestName), filepath.Join(dir, ManifestName)); err != nil {
			return err
		}
	}
	if err := os.Remove(saved); err != nil {
		return err
	}
	return osfile.SyncDir(dir)
}

// Files reads a set of files that Save or Write wrote, or others wrote without
// a manifest.
type Files struct {
	dir, saved string
	manifest   *manifest // nil if there is none
	unlock     func()
}

// Open opens a directory for reading. Until Close no Save changes it.
func Open(dir string) (*Files, error) {
	f, err := open(dir)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	return f, nil
}

func open(dir string) (*Files, error) {
	if _, err := os.ReadDir(dir); err != nil { // of what is no directory, too
		return nil, err
	}
	f := &Files{dir: dir, unlock: func() {}}
	// Where locks fail, such as on a read-only network disk, reading goes on
	// without one: who reads while another saves then finds files that do not
	// match the manifest.
	if unlock, err := osfile.LockDir(dir, true); err == nil {
		f.unlock = unlock
	}
	from := dir
	if _, err := os.Lstat(filepath.Join(dir, savedDir, ManifestName)); err == nil {
		from = filepath.Join(dir, savedDir)
		f.saved = from
	}
	m, err := readManifest(from)
	switch {
	case err == nil:
		f.manifest = &m
	case !errors.Is(err, fs.ErrNotExist):
		f.unlock()
		return nil, err
	}
	return f, nil
}

// Close ends the reading.
func (f *Files) Close() { f.unlock() }

// Path returns the path of a file, after comparing its content with the
// manifest if that lists it. The error wraps fs.ErrNotExist if the set has no
// such file; a file that is listed and missing is another error.
func (f *Files) Path(name string) (string, error) {
	path, err := f.path(name)
	if err != nil {
		return "", fmt.Errorf("%s: %w", filepath.Join(f.dir, name), err)
	}
	return path, nil
}

func (f *Files) path(name string) (string, error) {
	dir := f.dir
	var want fileInfo
	listed := false
	if f.manifest != nil {
		want, listed = f.manifest.Files[name]
	}
	if f.saved != "" {
		if !listed {
			return "", fs.ErrNotExist // what lies in dir is of the set before
		}
		if _, err := os.Lstat(filepath.Join(f.saved, name)); err == nil {
			dir = f.saved
		}
	}
	path := filepath.Join(dir, name)
	if !listed {
		_, err := os.Lstat(path)
		return path, withoutPath(err)
	}
	info, err := os.Stat(path) // through links, as the caches of model hubs have them
	if err != nil {
		// Without the error's identity: the set has such a file, but has lost it.
		return "", fmt.Errorf("%s lists it, but: %v", ManifestName, withoutPath(err))
	}
	if err := want.checkSize(info); err != nil {
		return "", err
	}
	return path, checkContents(dir, name, want)
}

// withoutPath returns the cause of an error that names a path.
func withoutPath(err error) error {
	if e := (*fs.PathError)(nil); errors.As(err, &e) {
		return e.Err
	}
	return err
}
