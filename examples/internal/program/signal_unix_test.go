//go:build unix

package program

import (
	"context"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Each signal that asks a program to stop ends the context.
func TestInterrupted(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP} {
		ctx, stop := Interrupted()
		if err := syscall.Kill(os.Getpid(), signal); err != nil {
			t.Fatal(err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(10 * time.Second):
			t.Errorf("%v does not end the context", signal)
		}
		stop()
	}
}

// A program that was started with SIGHUP ignored, as by nohup, goes on after it.
func TestHangupIgnored(t *testing.T) {
	if os.Getenv("MARGE_TEST_HANGUP") != "" {
		ctx, stop := Interrupted()
		defer stop()
		if err := syscall.Kill(os.Getpid(), syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(ctx, time.Second/2)
		defer cancel()
		<-ctx.Done()
		if ctx.Err() != context.DeadlineExceeded {
			t.Error("SIGHUP, which was ignored, ended the context")
		}
		return
	}
	command := exec.Command("sh", "-c", `trap "" HUP; exec "$0" -test.run '^TestHangupIgnored$' -test.v`, os.Args[0])
	command.Env = append(os.Environ(), "MARGE_TEST_HANGUP=1")
	if out, err := command.CombinedOutput(); err != nil || !strings.Contains(string(out), "PASS: TestHangupIgnored") {
		t.Errorf("%v: %s", err, out)
	}
}
