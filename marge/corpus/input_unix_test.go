//go:build unix && !aix && !solaris

package corpus

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func namedPipe(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fifo")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// feed writes to a named pipe in the background.
func feed(t *testing.T, path string) {
	t.Helper()
	data, err := os.ReadFile(jsonLines(t, 0, 3000, false))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- os.WriteFile(path, data, 0) }()
	t.Cleanup(func() {
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// A pipe can be read as often as a file once it is opened as an input.
func TestInputOfPipe(t *testing.T) {
	path, temp := namedPipe(t), t.TempDir()
	feed(t, path)
	in, err := OpenInput(context.Background(), []string{jsonLines(t, 0, 5, false), path}, temp)
	if err != nil {
		t.Fatal(err)
	}
	// Nothing would be left if the process were killed now.
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("temporary files %v, %v", left, err)
	}
	for range 2 {
		n := 0
		for _, err := range in.Documents(context.Background(), ReadOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		sources, err := in.Sources(context.Background())
		if err != nil || n != 3005 || len(sources) != 2 || sources[1].Name != path || sources[1].Bytes < 3000 {
			t.Errorf("%d documents from %v, %v", n, sources, err)
		}
	}
	if err := in.Close(); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("Close left %v, %v", left, err)
	}
}

// Waiting for the writer of a pipe, and for what it writes, ends with the
// context.
func TestPipeCancelled(t *testing.T) {
	path, temp := namedPipe(t), t.TempDir()
	for _, writer := range []bool{false, true} {
		if writer {
			// Opened for reading as well, so that it does not wait for a reader.
			f, err := os.OpenFile(path, os.O_RDWR, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
		}
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() {
			_, err := OpenInput(ctx, []string{path}, temp)
			done <- err
		}()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), path) {
			t.Errorf("writer %t: error %v, want one that names the pipe and wraps %v", writer, err, context.Canceled)
		}
	}
	if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestPipeReadTwice(t *testing.T) {
	path := namedPipe(t)
	feed(t, path)
	docs := Files([]string{path}, ReadOptions{})
	n := 0
	for _, err := range docs {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	if n != 3000 {
		t.Errorf("%d documents, want 3000", n)
	}
	for _, err := range docs {
		if err == nil || !strings.Contains(err.Error(), path+" is a pipe") {
			t.Errorf("error %v, want one that names the pipe", err)
		}
	}
}

// Whoever writes to a pipe learns that nobody reads any more.
func TestPipeStopped(t *testing.T) {
	path := namedPipe(t)
	done := make(chan error)
	go func() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		for err == nil {
			_, err = f.WriteString(`{"id": "a", "lang": "en", "text": "x"}` + "\n")
		}
		done <- errors.Join(err, f.Close())
	}()
	for _, err := range Files([]string{path}, ReadOptions{}) {
		if err != nil {
			t.Error(err)
		}
		break
	}
	if err := <-done; !errors.Is(err, unix.EPIPE) {
		t.Errorf("the writer's error is %v, want %v", err, unix.EPIPE)
	}
}

// A hyphen stands for standard input.
func TestStandardInput(t *testing.T) {
	f, err := os.Open(jsonLines(t, 0, 7, false))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	defer func(old *os.File) { os.Stdin = old }(os.Stdin)
	os.Stdin = f
	in, err := OpenInput(context.Background(), []string{"-"}, "")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	for range 2 {
		n := 0
		for _, err := range in.Documents(context.Background(), ReadOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
			n++
		}
		if n != 7 {
			t.Errorf("%d documents, want 7", n)
		}
	}
}
