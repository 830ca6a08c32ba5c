package osfile

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func wantNames(t *testing.T, dir string, want ...string) {
	t.Helper()
	if got := names(t, dir); !slices.Equal(got, want) {
		t.Errorf("%s holds %q, want %q", dir, got, want)
	}
}

func wantFile(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.ReadFile(path); err != nil || string(got) != want {
		t.Errorf("%s holds %q, %v; want %q", path, got, err, want)
	}
}

func put(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
		t.Fatal(err)
	}
}

var errBoom = errors.New("errBoom")

// stops are the ways in which a callback ends without success.
var stops = map[string]func() error{
	"error":  func() error { return errBoom },
	"panic":  func() error { panic(errBoom) },
	"goexit": func() error { runtime.Goexit(); return nil },
}

// interrupted runs call in a goroutine, which a stop may end.
func interrupted(t *testing.T, how string, call func() error) {
	t.Helper()
	var wg sync.WaitGroup
	wg.Go(func() {
		defer func() {
			if r := recover(); (r != nil) != (how == "panic") {
				t.Errorf("recovered %v", r)
			}
		}()
		if err := call(); !errors.Is(err, errBoom) {
			t.Errorf("error %v, want errBoom", err)
		}
	})
	wg.Wait()
}

func TestReplace(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, content := range []string{"a", "", "longer than before"} {
		if err := WriteFile(path, []byte(content)); err != nil {
			t.Fatal(err)
		}
		wantFile(t, path, content)
		wantNames(t, dir, "file")
	}
	put(t, filepath.Join(dir, ".file.tmp"), "left by a killed process")
	if err := WriteFile(path, []byte("x")); err != nil {
		t.Fatal(err)
	}
	wantFile(t, path, "x")
	wantNames(t, dir, "file")
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(path, nil); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v; want that of the file before, 0640", info.Mode(), err)
	}
}

func TestReplaceFails(t *testing.T) {
	for how, stop := range stops {
		dir := t.TempDir()
		path := filepath.Join(dir, "file")
		put(t, path, "old")
		interrupted(t, how, func() error {
			return Replace(path, func(f *os.File) error {
				if _, err := f.WriteString("new"); err != nil {
					return err
				}
				return stop()
			})
		})
		wantFile(t, path, "old")
		wantNames(t, dir, "file")
		if err := WriteFile(path, []byte("new")); err != nil { // the lock was released
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	if err := WriteFile(dir, nil); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("replacing a directory: %v", err)
	}
	if err := WriteFile(filepath.Join(dir, "none", "file"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a folder that does not exist: %v", err)
	}
	wantNames(t, dir)
}

func TestReplaceFollowsLinks(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	link, file := filepath.Join(dir, "link"), filepath.Join(elsewhere, "file")
	put(t, file, "old")
	if err := os.Symlink(file, link); err != nil {
		t.Skipf("no symbolic links: %v", err)
	}
	if err := WriteFile(link, []byte("new")); err != nil {
		t.Fatal(err)
	}
	wantFile(t, file, "new")
	if got, err := os.Readlink(link); err != nil || got != file {
		t.Errorf("the link leads to %s, %v", got, err)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(link, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a dangling link: %v", err)
	}
	// A link at the temporary name must not be written through.
	put(t, file, "untouched")
	if err := os.Symlink(file, filepath.Join(dir, ".x.tmp")); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(filepath.Join(dir, "x"), []byte("x")); err == nil {
		t.Error("a link at the temporary name was followed")
	}
	wantFile(t, file, "untouched")
}

// TestReplaceWaits has several writers of one file, one at a time.
func TestReplaceWaits(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	var writing atomic.Int32
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			err := Replace(path, func(f *os.File) error {
				if n := writing.Add(1); n != 1 {
					t.Errorf("%d write at a time", n)
				}
				defer writing.Add(-1)
				for range 100 {
					if _, err := f.Write([]byte{byte('a' + i)}); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if data, err := os.ReadFile(path); err != nil || len(data) != 100 ||
		!bytes.Equal(data, bytes.Repeat(data[:1], 100)) {
		t.Errorf("%d bytes %q, %v", len(data), data, err)
	}
	wantNames(t, dir, "file")
}

func buildWith(t *testing.T, content string) func(string) error {
	return func(temp string) error {
		wantNames(t, temp)
		return os.WriteFile(filepath.Join(temp, "file"), []byte(content), 0o666)
	}
}

func TestCreateDir(t *testing.T) {
	root := t.TempDir()
	path := filepath.Join(root, "a", "dir")
	put(t, filepath.Join(root, "a", ".dir.tmp", "sub", "left"), "by a killed process")
	if err := os.Mkdir(path, 0o777); err != nil { // empty
		t.Fatal(err)
	}
	if err := CreateDir(path, buildWith(t, "1")); err != nil {
		t.Fatal(err)
	}
	wantFile(t, filepath.Join(path, "file"), "1")
	wantNames(t, filepath.Dir(path), "dir")
	if err := CreateDir(path, buildWith(t, "2")); !errors.Is(err, fs.ErrExist) ||
		!strings.Contains(err.Error(), path) {
		t.Errorf("creating it again: %v", err)
	}
	other := filepath.Join(root, "other")
	err := CreateDir(other, func(string) error {
		if err := CreateDir(other, buildWith(t, "3")); runtime.GOOS != "windows" && !errors.Is(err, ErrBusy) {
			t.Errorf("two at a time: %v", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wantNames(t, other)
	// What appears meanwhile is not overwritten.
	late := filepath.Join(root, "late")
	err = CreateDir(late, func(string) error { put(t, filepath.Join(late, "mine"), "1"); return nil })
	if err == nil {
		t.Error("a directory that was filled meanwhile was replaced")
	}
	wantNames(t, root, "a", "late", "other")
	wantNames(t, late, "mine")
}

func TestReplaceDir(t *testing.T) {
	root := t.TempDir()
	path := filepath.Join(root, "dir")
	put(t, filepath.Join(path, "old"), "old")
	for _, content := range []string{"1", "2"} {
		if err := ReplaceDir(path, buildWith(t, content)); err != nil {
			t.Fatal(err)
		}
		wantFile(t, filepath.Join(path, "file"), content)
		wantNames(t, path, "file")
		wantNames(t, root, "dir")
	}
	put(t, filepath.Join(root, "file"), "")
	if err := ReplaceDir(filepath.Join(root, "file"), buildWith(t, "")); err == nil ||
		!strings.Contains(err.Error(), "not a directory") {
		t.Errorf("replacing a file: %v", err)
	}
	wantNames(t, root, "dir", "file")
}

func TestDirFails(t *testing.T) {
	for how, stop := range stops {
		root := t.TempDir()
		old := filepath.Join(root, "old")
		put(t, filepath.Join(old, "file"), "old")
		build := func(temp string) error {
			put(t, filepath.Join(temp, "file"), "new")
			return stop()
		}
		interrupted(t, how, func() error { return CreateDir(filepath.Join(root, "new"), build) })
		interrupted(t, how, func() error { return ReplaceDir(old, build) })
		wantNames(t, root, "old")
		wantFile(t, filepath.Join(old, "file"), "old")
		if err := ReplaceDir(old, buildWith(t, "new")); err != nil { // the lock was released
			t.Fatal(err)
		}
	}
}

// TestReplaceDirBesideOthers has writers of one directory beside a reader, who
// finds it whole at any time.
func TestReplaceDirBesideOthers(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("directories are exchanged in one step on Linux only")
	}
	root := t.TempDir()
	path := filepath.Join(root, "dir")
	if err := ReplaceDir(path, buildWith(t, "0")); err != nil {
		t.Fatal(err)
	}
	var running atomic.Int32
	for range 3 {
		running.Add(1)
		go func() {
			defer running.Add(-1)
			for range 30 {
				if err := ReplaceDir(path, buildWith(t, "0")); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	for running.Load() > 0 {
		d, err := os.OpenRoot(path) // stays the same directory when the name moves
		if err != nil {
			t.Fatal(err)
		}
		d.Close()
	}
	wantNames(t, root, "dir")
	wantFile(t, filepath.Join(path, "file"), "0")
}

func TestExchange(t *testing.T) {
	for name, swap := range map[string]func(a, b string) error{"exchange": exchange, "rename": exchangeByRename} {
		root := t.TempDir()
		a, b := filepath.Join(root, "a"), filepath.Join(root, "b")
		put(t, filepath.Join(a, "file"), "a")
		put(t, filepath.Join(b, "file"), "b")
		put(t, filepath.Join(root, "a-replaced", "file"), "left by a killed process")
		if name == "exchange" {
			if err := os.RemoveAll(filepath.Join(root, "a-replaced")); err != nil {
				t.Fatal(err)
			}
		}
		if err := swap(a, b); err != nil {
			t.Fatal(err)
		}
		wantFile(t, filepath.Join(a, "file"), "b")
		wantFile(t, filepath.Join(b, "file"), "a")
		wantNames(t, root, "a", "b")
	}
}

func TestReadAndMap(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	for _, content := range []string{"", "1234567"} {
		put(t, path, content)
		data, err := Map(path)
		if err != nil || string(data) != content {
			t.Errorf("mapped %q, %v; want %q", data, err, content)
		}
		if err := Unmap(data); err != nil {
			t.Error(err)
		}
		if data, err := ReadFile(path, 7); err != nil || string(data) != content {
			t.Errorf("read %q, %v; want %q", data, err, content)
		}
	}
	if _, err := ReadFile(path, 6); err == nil || !strings.Contains(err.Error(), "7 bytes are more than 6") {
		t.Errorf("a file beyond the limit: %v", err)
	}
	for _, path := range []string{dir, os.DevNull} {
		if _, err := Map(path); err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("map %s: %v", path, err)
		}
		if _, err := ReadFile(path, 9); err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("read %s: %v", path, err)
		}
	}
	if _, err := Map(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}
