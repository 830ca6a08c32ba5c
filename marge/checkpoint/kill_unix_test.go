//go:build unix && !aix && !solaris

package checkpoint

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	childDir  = "MARGE_CHECKPOINT_TEST_DIR"
	childWhat = "MARGE_CHECKPOINT_TEST"
)

// TestChild is what the test binary does when these tests start it again; it
// does nothing by itself.
func TestChild(t *testing.T) {
	dir := os.Getenv(childDir)
	switch os.Getenv(childWhat) {
	case "save":
		n, err := readSet(dir)
		if err != nil {
			t.Fatal(err)
		}
		for fmt.Println(n); ; fmt.Println(n) {
			n++
			if err := saveSet(dir, n); err != nil {
				t.Fatal(err)
			}
		}
	case "write":
		step, err := lastStep(dir)
		if err != nil {
			t.Fatal(err)
		}
		for fmt.Println(step); ; fmt.Println(step) {
			step++
			if _, warnings, err := Write(dir, step, 2, filled(step)); err != nil || len(warnings) > 0 {
				t.Fatal(warnings, err)
			}
		}
	case "full":
		signal.Ignore(unix.SIGXFSZ)
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 1 << 13, Max: 1 << 13}); err != nil {
			t.Fatal(err)
		}
		saved := saveSet(dir, 3)
		_, _, written := Write(dir, 3, 1, filled(3))
		fmt.Println(errors.Is(saved, unix.EFBIG), errors.Is(written, unix.EFBIG))
	}
}

// lastStep returns the step of the newest checkpoint, which must be valid, or 0.
func lastStep(dir string) (int, error) {
	_, step, err := Latest(dir, nil)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	return step, err
}

func startChild(t *testing.T, what, dir string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestChild$")
	cmd.Env = append(os.Environ(), childDir+"="+dir, childWhat+"="+what)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(out)
}

// TestKilledProcess kills processes that save one set after the other, or write
// one checkpoint after the other, at random moments. What they have told of as
// saved, or the next one, is there and whole.
func TestKilledProcess(t *testing.T) {
	kills := 20
	if testing.Short() {
		kills = 5
	}
	for what, read := range map[string]func(string) (int, error){"save": readSet, "write": lastStep} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			if what == "save" {
				if err := saveSet(dir, 0); err != nil {
					t.Fatal(err)
				}
			}
			for range kills {
				cmd, lines := startChild(t, what, dir)
				// The first line comes when it starts to write.
				told := 0
				for n := -1; lines.Scan(); n++ {
					if _, err := fmt.Sscan(lines.Text(), &told); err != nil {
						t.Fatalf("it prints %q", lines.Text())
					}
					if n < 0 {
						time.AfterFunc(time.Duration(rand.IntN(40))*time.Millisecond, func() { cmd.Process.Kill() })
					}
				}
				cmd.Wait()
				got, err := read(dir)
				if err != nil || got != told && got != told+1 {
					t.Fatalf("after %d was saved: %d, %v", told, got, err)
				}
			}
		})
	}
}

// TestDiskFullProcess lets files outgrow the limit that the system sets.
func TestDiskFullProcess(t *testing.T) {
	dir := t.TempDir()
	if err := saveSet(dir, 2); err != nil {
		t.Fatal(err)
	}
	write(t, dir, 2, 0)
	cmd, lines := startChild(t, "full", dir)
	if !lines.Scan() || lines.Text() != "true true" {
		t.Errorf("the errors are for it: %s", lines.Text())
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	wantSet(t, dir, 2)
	wantLatest(t, dir, 2, 0)
	for _, name := range []string{stagingDir, savedDir, ".checkpoint-3.tmp"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left: %v", name, err)
		}
	}
}
