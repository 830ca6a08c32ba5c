package checkpoint

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
)

// contents is what the tests write at a step.
func contents(step int) map[string][]byte {
	return map[string][]byte{
		"config.json":       fmt.Appendf(nil, `{"step":%d}`, step),
		"model.safetensors": bytes.Repeat([]byte{byte(step), 1, 2}, 100_000),
		"empty":             {},
	}
}

func filled(step int) func(*Dir) error {
	return func(d *Dir) error {
		for name, data := range contents(step) {
			if err := d.WriteFile(name, data); err != nil {
				return err
			}
		}
		return nil
	}
}

func write(t *testing.T, root string, step, keep int) string {
	t.Helper()
	path, warnings, err := Write(root, step, keep, filled(step))
	if err != nil || len(warnings) > 0 {
		t.Fatal(warnings, err)
	}
	return path
}

// names lists what lies in a directory, the lock file aside.
func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if e.Name() != lockName {
			names = append(names, e.Name())
		}
	}
	return names
}

func wantNames(t *testing.T, dir string, want ...string) {
	t.Helper()
	if got := names(t, dir); !slices.Equal(got, want) {
		t.Errorf("%s holds %q, want %q", dir, got, want)
	}
}

func wantLatest(t *testing.T, root string, step, damaged int) []Damaged {
	t.Helper()
	var bad []Damaged
	path, got, err := Latest(root, func(d Damaged) { bad = append(bad, d) })
	if err != nil {
		t.Fatal(err)
	}
	if got != step || path != filepath.Join(root, fmt.Sprintf("checkpoint-%d", step)) || len(bad) != damaged {
		t.Errorf("latest is %s, step %d, damaged %v; want step %d, %d damaged", path, got, bad, step, damaged)
	}
	// Without a callback, what is damaged is an error.
	path, got, err = Latest(root, nil)
	var e *DamagedError
	if damaged == 0 {
		if err != nil || got != step || path == "" {
			t.Errorf("without a callback: %s, %v", path, err)
		}
	} else if !errors.As(err, &e) || path != "" || e.Step != step || len(e.Newer) != damaged ||
		!strings.Contains(err.Error(), e.Path+" is valid") || !strings.Contains(err.Error(), bad[0].Err.Error()) {
		t.Errorf("without a callback: %s, %v", path, err)
	}
	return bad
}

func TestWriteAndLatest(t *testing.T) {
	root := filepath.Join(t.TempDir(), "a", "run")
	for _, step := range []int{0, 9, 10, 100} {
		path := write(t, root, step, 0)
		if want := filepath.Join(root, fmt.Sprintf("checkpoint-%d", step)); path != want {
			t.Errorf("path %s, want %s", path, want)
		}
		wantLatest(t, root, step, 0)
		for name, want := range contents(step) {
			if got, err := os.ReadFile(filepath.Join(path, name)); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s: %d bytes, %v", name, len(got), err)
			}
		}
	}
	wantNames(t, root, "checkpoint-0", "checkpoint-10", "checkpoint-100", "checkpoint-9")
}

func TestLatestWithoutCheckpoint(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"checkpoint-", "checkpoint--1", "checkpoint-007", "checkpoint-x",
		"checkpoint-1.tmp", ".checkpoint-3.tmp"} {
		if err := os.Mkdir(filepath.Join(root, dir), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(root, "checkpoint-5"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, root := range []string{root, filepath.Join(root, "none")} {
		if path, _, err := Latest(root, nil); !errors.Is(err, fs.ErrNotExist) || path != "" ||
			!strings.Contains(err.Error(), root) {
			t.Errorf("Latest(%s) = %q, error %v", root, path, err)
		}
		if path, err := Newest(root); !errors.Is(err, fs.ErrNotExist) || path != "" ||
			!strings.Contains(err.Error(), root) {
			t.Errorf("Newest(%s) = %q, error %v", root, path, err)
		}
	}
	if err := os.Mkdir(filepath.Join(root, "checkpoint-6"), 0o777); err != nil {
		t.Fatal(err)
	}
	for _, onDamaged := range []func(Damaged){nil, func(d Damaged) { t.Errorf("%v is told beside the error", d) }} {
		var e *DamagedError
		if _, _, err := Latest(root, onDamaged); !errors.As(err, &e) || errors.Is(err, fs.ErrNotExist) ||
			len(e.Newer) != 1 ||
			e.Newer[0].Step != 6 || e.Path != "" || !strings.Contains(err.Error(), "checkpoint-6") {
			t.Errorf("with an empty checkpoint: error %v", err)
		}
	}
	if path, err := Newest(root); err != nil || path != filepath.Join(root, "checkpoint-6") {
		t.Errorf("newest: %s, %v", path, err)
	}
}

func TestKeep(t *testing.T) {
	root := t.TempDir()
	for step := 1; step <= 6; step++ {
		write(t, root, step, 0)
	}
	damaged := filepath.Join(root, "checkpoint-5", "config.json")
	if err := os.Truncate(damaged, 3); err != nil {
		t.Fatal(err)
	}
	write(t, root, 4, 3) // as after a return to step 3: later steps stay
	wantNames(t, root, "checkpoint-2", "checkpoint-3", "checkpoint-4", "checkpoint-5", "checkpoint-6")
	write(t, root, 7, 2) // the damaged one stays and does not count
	wantNames(t, root, "checkpoint-5", "checkpoint-6", "checkpoint-7")
	write(t, root, 8, 1)
	wantNames(t, root, "checkpoint-5", "checkpoint-8")
}

// TestRemovalFails has an old checkpoint that cannot be removed: the new one
// counts all the same.
func TestRemovalFails(t *testing.T) {
	root := t.TempDir()
	for step := 1; step <= 3; step++ {
		write(t, root, step, 0)
	}
	// A file where checkpoint-1 is moved before it is removed.
	obstacle := filepath.Join(root, ".checkpoint-1.old")
	if err := os.WriteFile(obstacle, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	path, warnings, err := Write(root, 4, 2, filled(4))
	if err != nil || path != filepath.Join(root, "checkpoint-4") {
		t.Errorf("path %s, error %v", path, err)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0].Error(), filepath.Join(root, "checkpoint-1")) {
		t.Errorf("warnings %v, want one of checkpoint-1", warnings)
	}
	wantNames(t, root, ".checkpoint-1.old", "checkpoint-1", "checkpoint-3", "checkpoint-4")
	wantLatest(t, root, 4, 0)
	if err := os.Remove(obstacle); err != nil {
		t.Fatal(err)
	}
	write(t, root, 5, 2)
	wantNames(t, root, "checkpoint-4", "checkpoint-5")
}

func TestReplaceSameStep(t *testing.T) {
	root := t.TempDir()
	path := write(t, root, 3, 0)
	if err := os.WriteFile(filepath.Join(path, "config.json"), []byte("damaged"), 0o666); err != nil {
		t.Fatal(err)
	}
	write(t, root, 3, 0)
	wantLatest(t, root, 3, 0)
	wantNames(t, root, "checkpoint-3")
}

// TestInterrupted fails at every point of fn, by error, by panic and by the
// end of the goroutine.
func TestInterrupted(t *testing.T) {
	boom := errors.New("boom")
	stops := map[string]func() error{
		"error":  func() error { return boom },
		"panic":  func() error { panic(boom) },
		"goexit": func() error { runtime.Goexit(); return nil },
	}
	points := map[string]func(d *Dir, stop func() error) error{
		"at once": func(_ *Dir, stop func() error) error { return stop() },
		"open file": func(d *Dir, stop func() error) error {
			w, err := d.Create("model.safetensors")
			if err != nil {
				return err
			}
			if _, err := w.Write(make([]byte, 1000)); err != nil {
				return err
			}
			return stop()
		},
		"all written": func(d *Dir, stop func() error) error {
			if err := filled(2)(d); err != nil {
				return err
			}
			return stop()
		},
	}
	for how, stop := range stops {
		for when, point := range points {
			t.Run(how+"/"+when, func(t *testing.T) {
				root := t.TempDir()
				write(t, root, 1, 0)
				var wg sync.WaitGroup
				wg.Go(func() {
					defer func() {
						if r := recover(); (r != nil) != (how == "panic") {
							t.Errorf("recovered %v", r)
						}
					}()
					path, _, err := Write(root, 2, 1, func(d *Dir) error { return point(d, stop) })
					if !errors.Is(err, boom) || path != "" {
						t.Errorf("path %q, error %v", path, err)
					}
				})
				wg.Wait()
				wantNames(t, root, "checkpoint-1")
				wantLatest(t, root, 1, 0)
				write(t, root, 2, 0) // the lock was released
			})
		}
	}
}

// TestKilled puts back what a killed process leaves: a temporary directory in
// each stage up to the rename.
func TestKilled(t *testing.T) {
	root := t.TempDir()
	write(t, root, 1, 0)
	if err := os.Rename(write(t, root, 2, 0), filepath.Join(root, ".checkpoint-2.tmp")); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(root, ".checkpoint-7.tmp-replaced"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(root, ".tmp-of-someone-else"), 0o777); err != nil {
		t.Fatal(err)
	}
	wantLatest(t, root, 1, 0)
	write(t, root, 2, 0)
	wantNames(t, root, ".tmp-of-someone-else", "checkpoint-1", "checkpoint-2")
}

// TestDamage truncates, flips bits in, extends, removes and replaces each file.
func TestDamage(t *testing.T) {
	root := t.TempDir()
	write(t, root, 1, 0)
	path := write(t, root, 2, 0)
	reject := func(what, name string) {
		t.Helper()
		bad := wantLatest(t, root, 1, 1)
		if len(bad) == 1 && (!strings.Contains(bad[0].Err.Error(), path) || !strings.Contains(bad[0].Err.Error(), name)) {
			t.Errorf("%s of %s: error %q names neither path nor file", what, name, bad[0].Err)
		}
	}
	for _, name := range append(slices.Sorted(maps.Keys(contents(2))), ManifestName) {
		file := filepath.Join(path, name)
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		put := func(data []byte) {
			t.Helper()
			if err := os.WriteFile(file, data, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		for _, n := range []int{0, len(data) / 2, len(data) - 1} {
			if n >= 0 && n < len(data) {
				put(data[:n])
				reject("truncation", name)
			}
		}
		put(append(slices.Clone(data), 0))
		reject("extension", name)

		// Each byte of the manifest, every bit position; some of the large files.
		stride := 7
		if name != ManifestName {
			stride = max(1, len(data)*8/5)
		}
		flipped := slices.Clone(data)
		for bit := 0; bit < len(data)*8; bit += stride {
			flipped[bit/8] ^= 1 << (bit % 8)
			put(flipped)
			if err := Verify(path); err == nil {
				t.Errorf("flipped bit %d of %s was not noticed", bit, name)
			}
			flipped[bit/8] ^= 1 << (bit % 8)
		}

		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		reject("removal", name)
		if err := os.Mkdir(file, 0o777); err != nil {
			t.Fatal(err)
		}
		reject("directory in place", name)
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		if name != ManifestName {
			if err := os.Symlink(filepath.Join(root, "checkpoint-1", name), file); err != nil {
				t.Fatal(err)
			}
			reject("link in place", name)
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}
		put(data)
		wantLatest(t, root, 2, 0)
	}
	if err := os.WriteFile(filepath.Join(path, "extra"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	reject("addition", "extra")
}

func TestHostileManifest(t *testing.T) {
	path := write(t, t.TempDir(), 1, 0)
	hostile := manifest{Version: manifestVersion, Files: map[string]fileInfo{"../checkpoint-1/config.json": {}}}
	data, err := hostile.encode()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		data []byte
		want string
	}{
		{data, "not a plain file name"},
		{[]byte("{\n  \"version\": 2,\n  \"files\": {}\n}\n"), "version 2, want 1"},
		{bytes.Repeat([]byte(" "), maxManifest+1), "1048577 bytes are more than 1048576"},
		{[]byte("[]"), "checksums.json"},
	} {
		if err := os.WriteFile(filepath.Join(path, ManifestName), c.data, 0o666); err != nil {
			t.Fatal(err)
		}
		if err := Verify(path); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %s", err, c.want)
		}
	}
}

// TestIgnoredErrors checks that fn cannot complete a checkpoint by ignoring
// what went wrong.
func TestIgnoredErrors(t *testing.T) {
	for _, c := range []struct {
		fn   func(d *Dir)
		want string
	}{
		{func(d *Dir) { d.Create("model.safetensors") }, `file "model.safetensors" was not closed`},
		{func(d *Dir) { d.WriteFile("a", nil); d.WriteFile("a", nil) }, `file "a": created twice`},
		{func(d *Dir) { d.WriteFile("a/b", nil) }, `file "a/b": not a plain file name`},
		{func(d *Dir) { d.WriteFile("..", nil) }, `file "..": not a plain file name`},
		{func(d *Dir) { d.WriteFile("", nil) }, `file "": not a plain file name`},
		{func(d *Dir) { d.WriteFile("checksums.json", nil) }, "reserved"},
		{func(d *Dir) { w, _ := d.Create("a"); w.Close(); w.Write([]byte("x")) }, `file "a": file already closed`},
		{func(d *Dir) { w, _ := d.Create("a"); w.Close(); w.Close() }, `file "a": file already closed`},
	} {
		root := t.TempDir()
		_, _, err := Write(root, 1, 0, func(d *Dir) error { c.fn(d); return nil })
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %s", err, c.want)
		}
		wantNames(t, root)
	}
	if _, _, err := Write(t.TempDir(), -1, 0, filled(1)); err == nil {
		t.Error("a negative step was accepted")
	}
}

// TestWritersWait has several writers on one root, of which each finds no
// other's temporary directory.
func TestWritersWait(t *testing.T) {
	root := t.TempDir()
	var wg sync.WaitGroup
	for step := 1; step <= 8; step++ {
		wg.Go(func() {
			_, _, err := Write(root, step, 0, func(d *Dir) error {
				for _, name := range names(t, root) {
					if strings.HasPrefix(name, ".checkpoint-") && name != fmt.Sprintf(".checkpoint-%d.tmp", step) {
						t.Errorf("step %d runs beside %s", step, name)
					}
				}
				return filled(step)(d)
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	wantLatest(t, root, 8, 0)
	if n := len(names(t, root)); n != 8 {
		t.Errorf("%d checkpoints, want 8", n)
	}
}

// TestReaderBesideWriter asks for the latest checkpoint while a writer
// replaces the only one, or writes the next and removes it.
func TestReaderBesideWriter(t *testing.T) {
	root := t.TempDir()
	write(t, root, 0, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 40 {
			if _, _, err := Write(root, i/2, 1, filled(i/2)); err != nil {
				t.Error(err)
			}
		}
	}()
	last, reads := 0, 0
	for running := true; running; reads++ {
		select {
		case <-done:
			running = false
		default:
		}
		_, step, err := Latest(root, nil)
		if err != nil || step < last {
			t.Fatalf("after step %d: step %d, error %v", last, step, err)
		}
		last = step
	}
	if last != 19 {
		t.Errorf("last step %d after %d reads, want 19", last, reads)
	}
}
