//go:build unix && !aix && !solaris

package prepare

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/marge-go/marge/internal/osfile"
)

const (
	childDir  = "MARGE_PREPARE_TEST_DIR"
	childFull = "MARGE_PREPARE_TEST_FULL"
)

// TestChild is what the test binary does when these tests start it again; it
// does nothing by itself.
func TestChild(t *testing.T) {
	dir := os.Getenv(childDir)
	if dir == "" {
		return
	}
	if limit := os.Getenv(childFull); limit != "" {
		var n uint64
		if _, err := fmt.Sscan(limit, &n); err != nil {
			t.Fatal(err)
		}
		signal.Ignore(unix.SIGXFSZ)
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: n, Max: n}); err != nil {
			t.Fatal(err)
		}
	}
	_, err := Run(context.Background(), filepath.Join(dir, "out"), []string{filepath.Join(dir, "in")}, childOptions())
	if err != nil {
		fmt.Println("error:", err, errors.Is(err, unix.EFBIG))
		os.Exit(3)
	}
	os.Exit(0)
}

func childOptions() Options {
	o := small(2)
	o.splitBytes = 50_000
	return o
}

func child(dir string, env ...string) *exec.Cmd {
	c := exec.Command(os.Args[0], "-test.run=^TestChild$")
	c.Env = append(append(os.Environ(), childDir+"="+dir), env...)
	return c
}

// childInputs writes files for a child and returns what a run that nothing
// interrupts makes of them.
func childInputs(t *testing.T) (dir string, want *Report, fingerprintWanted string) {
	t.Helper()
	dir = t.TempDir()
	in := filepath.Join(dir, "in")
	if err := os.Mkdir(in, 0o777); err != nil {
		t.Fatal(err)
	}
	docs := collection(2, 400)
	for i := range 4 {
		writeLines(t, filepath.Join(in, fmt.Sprintf("%d.jsonl", i)), docs[100*i:100*i+100])
	}
	out := t.TempDir()
	want, err := Run(t.Context(), out, []string{in}, childOptions())
	if err != nil {
		t.Fatal(err)
	}
	return dir, want, fingerprint(t, out)
}

// A run that is killed again and again, at any moment, ends with the result of
// one that is not.
func TestKill(t *testing.T) {
	dir, want, wanted := childInputs(t)
	seed := uint64(time.Now().UnixNano())
	r := rand.New(rand.NewPCG(seed, 0))
	killed := 0
	for attempt := 0; ; attempt++ {
		c := child(dir)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- c.Wait() }()
		// Longer from time to time, so that even the longest task ends once.
		wait := time.Duration(r.Int64N(int64(300+100*attempt))) * time.Millisecond
		if attempt > 60 {
			wait = time.Hour
		}
		select {
		case err := <-done:
			if err != nil {
				t.Fatalf("seed %d, attempt %d: %v", seed, attempt, err)
			}
		case <-time.After(wait):
			if err := c.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
				t.Fatal(err)
			}
			<-done
			killed++
			continue
		}
		break
	}
	t.Logf("seed %d: killed %d times", seed, killed)
	out := filepath.Join(dir, "out")
	report, err := ReadReport(filepath.Join(out, ReportName))
	if err != nil {
		t.Fatal(err)
	}
	if report.String() != want.String() {
		t.Errorf("seed %d: the report is\n%vwant\n%v", seed, report, want)
	}
	if f := fingerprint(t, out); f != wanted {
		t.Errorf("seed %d: fingerprint %s, want %s", seed, f, wanted)
	}
	entries, err := os.ReadDir(filepath.Join(out, ShardsName))
	if err != nil || len(entries) != want.Shards {
		t.Errorf("seed %d: %d files of %d shards: %v", seed, len(entries), want.Shards, err)
	}
}

// Where nothing more can be written, the error says so; with room again, the run
// goes on.
func TestDiskFull(t *testing.T) {
	dir, _, wanted := childInputs(t)
	failed := 0
	for limit := 1 << 10; ; limit *= 2 {
		output, err := child(dir, fmt.Sprintf("%s=%d", childFull, limit)).CombinedOutput()
		if err == nil {
			break
		}
		if failed++; !strings.Contains(string(output), "error: prepare: ") || !strings.HasSuffix(string(output), "true\n") {
			t.Fatalf("files of at most %d bytes: %v, %s", limit, err, output)
		}
	}
	if f := fingerprint(t, filepath.Join(dir, "out")); f != wanted || failed < 2 {
		t.Errorf("failed %d times, then fingerprint %s, want %s", failed, f, wanted)
	}
}

// What a run may not go on with is an error that says what is different.
func TestChanged(t *testing.T) {
	dir, want, _ := childInputs(t)
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	ctx, cancel := context.WithCancel(t.Context())
	o := childOptions()
	o.Progress = func(p Progress) {
		if p.Step == "minhash" {
			cancel()
		}
	}
	if _, err := Run(ctx, out, []string{in}, o); !errors.Is(err, context.Canceled) {
		t.Fatalf("cancelled: %v", err)
	}
	o.Progress = nil
	wantError := func(what string, o Options, patterns ...string) {
		t.Helper()
		if _, err := Run(t.Context(), out, patterns, o); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("error %v, want one with %q", err, what)
		}
	}
	other := o
	other.Quality.MinWords = 20
	change := func() {
		t.Helper()
		wantError("Quality changed from", other, in)
		wantError("the number of inputs changed from 4 to 1", o, filepath.Join(in, "0.jsonl"))
		more := o
		more.Shards.Groups++
		wantError("Shards changed from", more, in)
	}
	change()
	release, err := osfile.Hold(filepath.Join(out, workName, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	wantError("is held by process", o, in)
	release()
	// Threads and memory may change.
	o.Threads, o.Memory = 3, 1<<20
	report, err := Run(t.Context(), out, []string{in}, o)
	if err != nil || report.String() != want.String() {
		t.Fatalf("gone on: %v, report\n%v", err, report)
	}
	change()
	again, err := Run(t.Context(), out, []string{in}, o)
	if err != nil || again.String() != want.String() {
		t.Errorf("a run that is complete: %v", err)
	}
	later := time.Now().Add(time.Minute)
	if err := os.Chtimes(filepath.Join(in, "2.jsonl"), later, later); err != nil {
		t.Fatal(err)
	}
	wantError("input 3 changed from", o, in)
	if _, err := Run(t.Context(), in, []string{in}, o); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a directory with other files: %v", err)
	}
	wantError("negative option", Options{Threads: -1}, in)
	wantError("not a language tag", Options{Lang: "?"}, in)
	wantError("no such file", o, filepath.Join(dir, "missing.jsonl"))
}
