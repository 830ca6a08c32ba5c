//go:build unix && !aix && !solaris

package marge

import (
	"bufio"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

const (
	saveChildDir  = "MARGE_SAVE_TEST_DIR"
	saveChildFull = "MARGE_SAVE_TEST_FULL"
)

// TestSaveChild is what the test binary does when TestSaveKilled or
// TestSaveFull start it again; it does nothing by itself.
func TestSaveChild(t *testing.T) {
	dir := os.Getenv(saveChildDir)
	if dir == "" {
		return
	}
	m, err := Load(dir)
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv(saveChildFull) != "" {
		signal.Ignore(unix.SIGXFSZ)
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: 1 << 14, Max: 1 << 14}); err != nil {
			t.Fatal(err)
		}
		m.SetBeta(-1)
		fmt.Println(errors.Is(m.Save(dir), unix.EFBIG))
		return
	}
	for n := m.Beta(); ; n++ {
		m.SetBeta(n)
		if err := m.Save(dir); err != nil {
			t.Fatal(err)
		}
		fmt.Println(n)
	}
}

func startSaveChild(t *testing.T, dir string, env ...string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestSaveChild$")
	cmd.Env = append(append(os.Environ(), saveChildDir+"="+dir), env...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd, bufio.NewScanner(out)
}

// TestSaveKilled kills processes in the middle of Save over a saved model. The
// model that they have told of as saved, or the next one, can be loaded.
func TestSaveKilled(t *testing.T) {
	m, dir := saved(t)
	m.SetBeta(0)
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
	kills := 20
	if testing.Short() {
		kills = 5
	}
	last := float32(0)
	for range kills {
		cmd, lines := startSaveChild(t, dir)
		for n := 0; lines.Scan(); n++ {
			if _, err := fmt.Sscan(lines.Text(), &last); err != nil {
				t.Fatalf("it prints %q", lines.Text())
			}
			if n == 0 {
				time.AfterFunc(time.Duration(rand.IntN(60))*time.Millisecond, func() { cmd.Process.Kill() })
			}
		}
		cmd.Wait()
		m, err := Load(dir)
		if err != nil {
			t.Fatal(err)
		}
		if m.Tokenizer == nil || m.Beta() != last && m.Beta() != last+1 {
			t.Fatalf("after model %v was saved: model %v, tokenizer %v", last, m.Beta(), m.Tokenizer)
		}
		last = m.Beta()
	}
}

// TestSaveFull lets the weights outgrow the limit that the system sets.
func TestSaveFull(t *testing.T) {
	m, dir := saved(t)
	m.SetBeta(5)
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
	cmd, lines := startSaveChild(t, dir, saveChildFull+"=1")
	if !lines.Scan() || lines.Text() != "true" {
		t.Errorf("the error is for the limit: %s", lines.Text())
	}
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	if m, err := Load(dir); err != nil || m.Beta() != 5 {
		t.Errorf("after a failed Save: %v", err)
	}
}
