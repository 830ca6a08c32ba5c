package osfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Replace writes a file at path, in place of one that is there. If write, or
// anything else, fails, the file that was there stays as it was.
//
// A file that is replaced passes its permissions on. If path is a symbolic
// link, the file that it leads to is replaced. What is not a regular file, such
// as a device or a pipe, is an error: renaming would remove it.
func Replace(path string, write func(f *os.File) error) (err error) {
	path, mode, err := target(path)
	if err != nil {
		return err
	}
	temp := tempName(path)
	unlock, err := lockTempFile(temp)
	if err != nil {
		return err
	}
	defer unlock()
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|noFollow, 0o666)
	if err != nil {
		return err
	}
	done := false
	defer func() { // as well if write panics
		if !done {
			f.Close()
			os.Remove(temp)
		}
	}()
	if mode != 0 {
		if err := f.Chmod(mode); err != nil {
			return err
		}
	}
	if err := write(f); err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(temp, path); err != nil {
		return err
	}
	done = true
	return SyncDir(filepath.Dir(path))
}

// WriteFile is Replace with the given content.
func WriteFile(path string, data []byte) error {
	return Replace(path, func(f *os.File) error {
		_, err := f.Write(data)
		return err
	})
}

// target follows symbolic links and returns the path of the file to replace
// and its permissions, 0 if there is none.
func target(path string) (string, fs.FileMode, error) {
	info, err := os.Lstat(path)
	if err == nil && info.Mode()&fs.ModeSymlink != 0 {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			info, err = os.Lstat(path)
		}
		if err != nil {
			return "", 0, fmt.Errorf("symbolic link: %w", err)
		}
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return path, 0, nil
	case err != nil:
		return "", 0, err
	case !info.Mode().IsRegular():
		return "", 0, &fs.PathError{Op: "replace", Path: path, Err: errNotRegular}
	}
	return path, info.Mode().Perm(), nil
}

var errNotRegular = errors.New("is not a regular file")

// tempName returns the temporary name of what is to become path.
func tempName(path string) string {
	dir, name := filepath.Split(path)
	return dir + "." + name + ".tmp"
}

// CreateDir makes the directory path with what build writes into an empty one
// beside it. All files that build has written must be flushed to disk; CreateDir
// flushes the directories. If build, or anything else, fails, nothing is left.
//
// The error wraps fs.ErrExist if path holds anything already, and is ErrBusy if
// another process is creating the same directory. An empty directory is
// replaced. Missing parents of path are created.
func CreateDir(path string, build func(temp string) error) error {
	return makeDir(path, true, build)
}

// ReplaceDir is CreateDir for a directory that may exist: it is replaced as a
// whole, and on Linux there is no moment at which path does not exist. Where
// another process writes the same directory, ReplaceDir waits.
func ReplaceDir(path string, build func(temp string) error) error {
	return makeDir(path, false, build)
}

// ErrBusy tells that another process is writing what is to be written.
var ErrBusy = errors.New("another process is writing there")

func makeDir(path string, create bool, build func(temp string) error) (err error) {
	if path, err = filepath.Abs(path); err != nil { // so that the working directory has a name
		return err
	}
	if resolved, err := filepath.EvalSymlinks(path); err == nil {
		path = resolved
	}
	if create {
		if err := checkEmpty(path); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return err
	}
	temp := tempName(path)
	unlock, err := lockDir(temp, !create)
	if err != nil {
		return err
	}
	defer unlock()
	done := false
	defer func() { // as well if build panics
		if !done {
			os.RemoveAll(temp)
		}
	}()
	if err := emptyDir(temp); err != nil {
		return err
	}
	if err := build(temp); err != nil {
		return err
	}
	if err := SyncDir(temp); err != nil {
		return err
	}
	if create {
		err = renameOverEmpty(temp, path)
	} else {
		err = moveIntoPlace(temp, path)
	}
	if err != nil {
		return err
	}
	// From now on the temporary name may be another process's.
	done = true
	return SyncDir(filepath.Dir(path))
}

func checkEmpty(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(entries) > 0 {
		return &fs.PathError{Op: "create", Path: path, Err: fs.ErrExist}
	}
	return nil
}

func emptyDir(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.RemoveAll(filepath.Join(path, e.Name())); err != nil {
			return fmt.Errorf("remove what an interrupted write left: %w", err)
		}
	}
	return nil
}

func renameOverEmpty(temp, path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Rename(temp, path)
}

// moveIntoPlace renames temp to path. A directory that is already there ends
// up under the name temp, and is locked as long as it has that name: another
// process that waits for the name must not write in what is removed here.
func moveIntoPlace(temp, path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return os.Rename(temp, path)
	case err != nil:
		return err
	case !info.IsDir():
		return &fs.PathError{Op: "replace", Path: path, Err: errors.New("is not a directory")}
	}
	unlock, err := lockDir(path, true)
	if err != nil {
		return err
	}
	defer unlock()
	if err := exchange(temp, path); err != nil {
		return err
	}
	_ = os.RemoveAll(temp) // what stays, the next write removes
	return nil
}

// exchangeByRename swaps two directories where the system cannot do it in one
// step. A crash between the renames loses the name b.
func exchangeByRename(a, b string) error {
	old := a + "-replaced"
	if err := os.RemoveAll(old); err != nil {
		return err
	}
	if err := os.Rename(b, old); err != nil {
		return err
	}
	if err := os.Rename(a, b); err != nil {
		return errors.Join(err, os.Rename(old, b))
	}
	return os.Rename(old, a)
}
