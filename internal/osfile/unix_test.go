//go:build unix && !aix && !solaris

package osfile

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// The test binary, started again with this variable, does what it names.
const child = "MARGE_OSFILE_CHILD"

func TestMain(m *testing.M) {
	path := os.Getenv(child + "_PATH")
	switch os.Getenv(child) {
	case "":
		os.Exit(m.Run())
	case "hold":
		if _, err := Hold(path); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("held")
		select {}
	case "replace":
		fmt.Println("ready")
		for i := 0; ; i++ {
			if err := WriteFile(path, content(i)); err != nil {
				fmt.Println(err)
				os.Exit(1)
			}
		}
	case "full":
		signal.Ignore(unix.SIGXFSZ)
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 1 << 16, Max: 1 << 16}); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		err := WriteFile(path, make([]byte, 1<<17))
		fmt.Println(errors.Is(err, unix.EFBIG))
	}
}

// content is of a length that needs several writes to the disk.
func content(i int) []byte {
	return []byte(strings.Repeat(string(rune('a'+i%26)), 1<<20))
}

// start runs the test binary as a child, up to its first line.
func start(t *testing.T, what, path string) (cmd *exec.Cmd, line string) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), child+"="+what, child+"_PATH="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if line, err = bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return cmd, strings.TrimSpace(line)
}

func kill(cmd *exec.Cmd) {
	cmd.Process.Kill()
	cmd.Wait()
}

// TestReplaceKilled kills writers of a file, which is whole after each.
func TestReplaceKilled(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := WriteFile(path, content(0)); err != nil {
		t.Fatal(err)
	}
	n := 10
	if testing.Short() {
		n = 3
	}
	for i := range n {
		cmd, _ := start(t, "replace", path)
		time.Sleep(time.Duration(5*i) * time.Millisecond)
		kill(cmd)
		data, err := os.ReadFile(path)
		if err != nil || len(data) != 1<<20 || strings.Trim(string(data), string(data[:1])) != "" {
			t.Fatalf("after kill %d: %d bytes, %v", i, len(data), err)
		}
	}
	if err := WriteFile(path, nil); err != nil {
		t.Fatal(err)
	}
	wantNames(t, dir, "file")
}

// TestReplaceFull lets the file outgrow the limit that the system sets.
func TestReplaceFull(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	put(t, path, "old")
	cmd, line := start(t, "full", path)
	if err := cmd.Wait(); err != nil || line != "true" {
		t.Errorf("%v, writing beyond the limit fails for it: %s", err, line)
	}
	wantFile(t, path, "old")
	wantNames(t, dir, "file")
}

func TestHold(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	release, err := Hold(path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = Hold(path)
	var held *HeldError
	host, _ := os.Hostname()
	if !errors.As(err, &held) || held.Path != path || held.Holder.PID != os.Getpid() || held.Holder.Host != host {
		t.Errorf("held by this process: %v", err)
	}
	if cmd, line := start(t, "hold", path); !strings.Contains(line,
		fmt.Sprintf("%s is held by process %d on %s since ", path, os.Getpid(), host)) {
		t.Errorf("another process: %s", line)
	} else {
		cmd.Wait()
	}
	release()
	wantFile(t, path, "")

	cmd, line := start(t, "hold", path)
	if line != "held" {
		t.Errorf("after release: %s", line)
	}
	if _, err := Hold(path); !errors.As(err, &held) || held.Holder.PID != cmd.Process.Pid ||
		time.Since(held.Holder.Started) > time.Hour {
		t.Errorf("held by process %d: %v", cmd.Process.Pid, err)
	}
	kill(cmd)
	release, err = Hold(path) // the lock ended with the process
	if err != nil {
		t.Fatal(err)
	}
	release()
	if _, err := Hold(filepath.Join(path, "below a file")); err == nil || errors.As(err, &held) {
		t.Errorf("a file that cannot be made: %v", err)
	}
}

func TestLockDir(t *testing.T) {
	dir := t.TempDir()
	shared, err := LockDir(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	again, err := LockDir(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan error)
	go func() {
		unlock, err := LockDir(dir, false)
		if err == nil {
			unlock()
		}
		got <- err
	}()
	shared()
	select {
	case err := <-got:
		t.Errorf("exclusive lock beside a shared one: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	again()
	if err := <-got; err != nil {
		t.Error(err)
	}
	if _, err := LockDir(filepath.Join(dir, "none"), true); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a directory that does not exist: %v", err)
	}
}

// TestPipes checks that no function waits for the other end of a pipe.
func TestPipes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(path, 0o666); err != nil {
		t.Fatal(err)
	}
	_, mapErr := Map(path)
	_, readErr := ReadFile(path, 9)
	for _, err := range []error{mapErr, readErr, WriteFile(path, nil)} {
		if err == nil || !strings.Contains(err.Error(), "not a regular file") {
			t.Errorf("error %v", err)
		}
	}
}

// Forgotten parts of a file, wherever they begin and end, stay readable.
func TestForget(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	want := []byte(strings.Repeat("0123456789", 5000))
	if err := WriteFile(path, want); err != nil {
		t.Fatal(err)
	}
	data, err := Map(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, 100, 4095, 4096, 4097, 40000} {
		for _, from := range []int{0, 1, 4000, 4096} {
			Forget(data[from : from+n])
			if !bytes.Equal(data, want) {
				t.Fatalf("after [%d, %d) is forgotten, the content is another", from, from+n)
			}
		}
	}
	if err := Unmap(data); err != nil {
		t.Fatal(err)
	}
}
