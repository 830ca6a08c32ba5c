package corpus

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// ReadLines keeps blank lines and numbers them all; OpenText gives the same
// text as it stands. A byte order mark belongs to neither.
func TestLinesAndText(t *testing.T) {
	text := "one\r\n\n  two\t\n\r\nthree\rfour"
	want := []string{"one", "", "  two\t", "", "three\rfour"}
	for name, compress := range compressions {
		path := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(path, compress(t, []byte("\ufeff"+text)), 0o666); err != nil {
			t.Fatal(err)
		}
		var lines []string
		err := ReadLines(path, func(number int, line string) error {
			if lines = append(lines, line); number != len(lines) {
				t.Errorf("%s: line %d is number %d", name, len(lines), number)
			}
			return nil
		})
		if err != nil || !slices.Equal(lines, want) {
			t.Errorf("%s: lines %q, %v", name, lines, err)
		}
		stop := errors.New("stop")
		if err := ReadLines(path, func(int, string) error { return stop }); err != stop {
			t.Errorf("%s: stopped with %v", name, err)
		}
		f, err := OpenText(path)
		if err != nil {
			t.Fatal(err)
		}
		all, err := io.ReadAll(f)
		if err := errors.Join(err, f.Close()); err != nil || string(all) != text {
			t.Errorf("%s: text %q, %v", name, all, err)
		}
	}
}

func TestLinesAndTextErrors(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	readLines := func(path string) error { return ReadLines(path, func(int, string) error { return nil }) }
	readText := func(path string) error {
		f, err := OpenText(path)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.ReadAll(f)
		return err
	}
	long := strings.Repeat("some words ", 1000)
	packed := compressions["gzip"](t, []byte("first\n"+long))
	for _, c := range []struct {
		path        string
		lines, text string // what the errors say
	}{
		{filepath.Join(dir, "missing"), "missing", "missing"},
		{file("cut", packed[:len(packed)-9]), "cut:2: the compressed data are cut short",
			"cut: the compressed data are cut short"},
		{file("head", packed[:5]), "head:1: the compressed data are cut short", "head: the compressed data are cut short"},
		{file("bytes", []byte("good\nb\xffd\n")), "bytes:2: the line is not valid UTF-8", ""},
	} {
		for what, got := range map[string][2]string{
			"ReadLines": {message(readLines(c.path)), c.lines}, "OpenText": {message(readText(c.path)), c.text},
		} {
			if got[0] != got[1] && (got[1] == "" || !strings.Contains(got[0], got[1])) {
				t.Errorf("%s of %s: %q, want %q", what, c.path, got[0], got[1])
			}
		}
	}
	empty := file("empty", nil)
	if err := errors.Join(readLines(empty), readText(empty)); err != nil {
		t.Errorf("an empty file: %v", err)
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
