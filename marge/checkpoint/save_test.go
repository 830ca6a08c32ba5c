package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

var setNames = []string{"config.json", "weights", "tokenizer.json"}

// saveSet saves a set of files that all say n; tokenizer.json only if n is even.
func saveSet(dir string, n int) error {
	return Save(dir, setNames, func(d *Dir) error { return writeSet(d, n) })
}

func writeSet(d *Dir, n int) error {
	for i, name := range setNames {
		if i == 2 && n%2 == 1 {
			break
		}
		if err := d.WriteFile(name, setContent(n)); err != nil {
			return err
		}
	}
	return nil
}

// setContent is longer than a block of a file system.
func setContent(n int) []byte { return fmt.Appendf(nil, "%-20000d", n) }

// readSet returns the number that the files of a set say, or an error if they
// are not all of one set.
func readSet(dir string) (int, error) {
	f, err := Open(dir)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	n := -1
	for i, name := range setNames {
		path, err := f.Path(name)
		if i == 2 && n%2 == 1 {
			if !errors.Is(err, fs.ErrNotExist) {
				return 0, fmt.Errorf("%s of set %d: %v", name, n, err)
			}
			break
		}
		if err != nil {
			return 0, err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return 0, err
		}
		var got int
		if _, err := fmt.Sscan(string(data), &got); err != nil {
			return 0, err
		}
		if i > 0 && got != n {
			return 0, fmt.Errorf("%s is of set %d, others of %d", name, got, n)
		}
		n = got
	}
	return n, nil
}

func wantSet(t *testing.T, dir string, want int) {
	t.Helper()
	if got, err := readSet(dir); err != nil || got != want {
		t.Errorf("%s holds set %d, %v; want %d", dir, got, err, want)
	}
}

func TestSave(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "model")
	if err := saveSet(dir, 2); err != nil {
		t.Fatal(err)
	}
	wantNames(t, dir, ManifestName, "config.json", "tokenizer.json", "weights")
	if err := Verify(dir); err != nil {
		t.Error(err)
	}
	// Files of others stay, those of the set before do not.
	if err := os.MkdirAll(filepath.Join(dir, "checkpoint-3", "sub"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "README.md"), []byte("mine"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := saveSet(dir, 3); err != nil {
		t.Fatal(err)
	}
	wantSet(t, dir, 3)
	wantNames(t, dir, "README.md", "checkpoint-3", ManifestName, "config.json", "weights")
	wantNames(t, filepath.Join(dir, "checkpoint-3"), "sub")
}

func TestSaveFails(t *testing.T) {
	boom := errors.New("boom")
	dir := t.TempDir()
	if err := saveSet(dir, 2); err != nil {
		t.Fatal(err)
	}
	unchanged := func() {
		t.Helper()
		wantSet(t, dir, 2)
		for _, name := range names(t, dir) {
			if name == stagingDir || name == savedDir {
				t.Errorf("%s is left", name)
			}
		}
	}
	err := Save(dir, setNames, func(d *Dir) error { return errors.Join(writeSet(d, 3), boom) })
	if !errors.Is(err, boom) || !strings.Contains(err.Error(), dir) {
		t.Errorf("error %v", err)
	}
	unchanged()
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was lost")
			}
		}()
		Save(dir, setNames, func(d *Dir) error { panic(errors.Join(writeSet(d, 3), boom)) })
	}()
	unchanged()
	// A directory where a file must go, or is to be removed.
	for i, name := range []string{"new", "tokenizer.json"} {
		path := filepath.Join(dir, name)
		os.Remove(path)
		if err := os.Mkdir(path, 0o777); err != nil {
			t.Fatal(err)
		}
		err := Save(dir, setNames, func(d *Dir) error { return errors.Join(writeSet(d, 3), d.WriteFile("new", nil)) })
		if err == nil || !strings.Contains(err.Error(), path+": is a directory") {
			t.Errorf("error %v", err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			unchanged()
		}
	}
	file := filepath.Join(dir, "config.json")
	if err := saveSet(filepath.Join(file, "below a file"), 1); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("below a file: %v", err)
	}
}

// TestSaveStops puts the directory in each state between two steps of a save
// of set 3 over set 2, and reads it, saves over it, and finishes it.
func TestSaveStops(t *testing.T) {
	// steps are what save does, one after the other.
	steps := []func(dir string) error{
		func(dir string) error { return os.Mkdir(filepath.Join(dir, stagingDir), 0o777) },
		func(dir string) error {
			return fill(filepath.Join(dir, stagingDir), func(d *Dir) error { return writeSet(d, 3) })
		},
		func(dir string) error {
			return os.Rename(filepath.Join(dir, stagingDir), filepath.Join(dir, savedDir))
		},
		func(dir string) error { return os.Remove(filepath.Join(dir, "tokenizer.json")) },
		func(dir string) error {
			return os.Rename(filepath.Join(dir, savedDir, "config.json"), filepath.Join(dir, "config.json"))
		},
		func(dir string) error {
			return os.Rename(filepath.Join(dir, savedDir, "weights"), filepath.Join(dir, "weights"))
		},
		func(dir string) error {
			return os.Rename(filepath.Join(dir, savedDir, ManifestName), filepath.Join(dir, ManifestName))
		},
		func(dir string) error { return os.Remove(filepath.Join(dir, savedDir)) },
	}
	for stop := range len(steps) + 1 {
		dir := t.TempDir()
		if err := saveSet(dir, 2); err != nil {
			t.Fatal(err)
		}
		for _, step := range steps[:stop] {
			if err := step(dir); err != nil {
				t.Fatal(err)
			}
		}
		want := 2
		if stop >= 3 {
			want = 3
		}
		wantSet(t, dir, want)
		if err := Save(dir, setNames, func(*Dir) error { return os.ErrInvalid }); !errors.Is(err, os.ErrInvalid) {
			t.Errorf("after step %d: %v", stop, err)
		}
		wantSet(t, dir, want) // where a failed save finished it
		if err := Verify(dir); err != nil {
			t.Errorf("after step %d and the next save: %v", stop, err)
		}
		if err := saveSet(dir, 5); err != nil {
			t.Fatal(err)
		}
		wantSet(t, dir, 5)
	}
}

// TestSaveBesideReaders reads sets while others are saved.
func TestSaveBesideReaders(t *testing.T) {
	dir := t.TempDir()
	if err := saveSet(dir, 0); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	done := make(chan struct{})
	for range 2 {
		wg.Go(func() {
			for {
				if _, err := readSet(dir); err != nil {
					t.Error(err)
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	var writers sync.WaitGroup
	for w := range 2 {
		writers.Go(func() {
			for i := range 10 {
				if err := saveSet(dir, 10*w+i); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	close(done)
	wg.Wait()
	if n, err := readSet(dir); err != nil || n != 9 && n != 19 {
		t.Errorf("set %d, %v", n, err)
	}
}

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	if err := saveSet(dir, 2); err != nil {
		t.Fatal(err)
	}
	put := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	path := func(name string) (string, error) {
		t.Helper()
		f, err := Open(dir)
		if err != nil {
			return "", err
		}
		defer f.Close()
		return f.Path(name)
	}
	put("extra", "not in the manifest")
	if got, err := path("extra"); err != nil || got != filepath.Join(dir, "extra") {
		t.Errorf("a file that the manifest does not list: %s, %v", got, err)
	}
	if _, err := path("none"); !errors.Is(err, fs.ErrNotExist) ||
		!strings.Contains(err.Error(), filepath.Join(dir, "none")) {
		t.Errorf("a file that is not there: %v", err)
	}
	damaged := setContent(2)
	damaged[777] ^= 1
	for content, want := range map[string]string{string(damaged): "SHA-256", "short": "5 bytes, want 20000"} {
		put("weights", content)
		if _, err := path("weights"); err == nil || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), filepath.Join(dir, "weights")) {
			t.Errorf("error %v, want %s", err, want)
		}
		if _, err := path("config.json"); err != nil {
			t.Errorf("another file: %v", err)
		}
	}
	if err := os.Remove(filepath.Join(dir, "weights")); err != nil {
		t.Fatal(err)
	}
	if _, err := path("weights"); err == nil || errors.Is(err, fs.ErrNotExist) ||
		!strings.Contains(err.Error(), "checksums.json lists it, but") {
		t.Errorf("a listed file that is missing: %v", err)
	}
	put(ManifestName, "{}")
	if _, err := path("config.json"); err == nil || !strings.Contains(err.Error(), ManifestName) {
		t.Errorf("a manifest that says nothing: %v", err)
	}
	if err := os.Remove(filepath.Join(dir, ManifestName)); err != nil {
		t.Fatal(err)
	}
	put("config.json", "anything")
	if _, err := path("config.json"); err != nil {
		t.Errorf("without a manifest: %v", err)
	}
	for _, dir := range []string{filepath.Join(dir, "none"), filepath.Join(dir, "config.json")} {
		if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), dir) {
			t.Errorf("open %s: %v", dir, err)
		}
	}
}
