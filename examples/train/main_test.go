package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// The README shows this program.
func TestREADME(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join("..", "..", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := bytes.Cut(program, []byte("package main\n"))
	if !bytes.Contains(readme, fmt.Appendf(nil, "```go\npackage main\n%s```\n", code)) {
		t.Error("README.md does not have the program examples/train/main.go from its package clause on")
	}
}

// reports writes documents about events in two languages.
func reports(t *testing.T, dir string) {
	t.Helper()
	var b strings.Builder
	for event := range 20 {
		for _, lang := range []string{"en", "de"} {
			words := strings.Repeat(fmt.Sprintf("%s%d ", lang, event*event%97), 12)
			fmt.Fprintf(&b, `{"id":"%d/%s","lang":"%s","text":"%s","shard":"s"}`+"\n", event, lang, lang, words)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "reports.jsonl"), []byte(b.String()), 0o666); err != nil {
		t.Fatal(err)
	}
}

// The program shows how far it is, leaves a checkpoint on Ctrl-C, and goes on
// when it is run again.
func TestProgram(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("a process cannot send Ctrl-C to another")
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "train")
	if out, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	reports(t, dir)
	steps := 0 // made so far
	for range 2 {
		command := exec.Command(program)
		command.Dir = dir
		var errors strings.Builder
		command.Stderr = &errors
		stdout, err := command.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		var lines []string
		for scanner := bufio.NewScanner(stdout); scanner.Scan(); {
			lines = append(lines, scanner.Text())
			if len(lines) == 1 {
				if err := command.Process.Signal(os.Interrupt); err != nil {
					t.Fatal(err)
				}
			}
		}
		err = command.Wait()
		want := fmt.Sprintf("step %d,", steps/10*10+10)
		if len(lines) < 2 || !strings.Contains(lines[0], want) {
			t.Fatalf("after %d steps, the program began with %q (%v: %s), want %q", steps, lines, err, errors.String(), want)
		}
		last := lines[len(lines)-1]
		if _, scanErr := fmt.Sscanf(last, "%d updates", &steps); err == nil || scanErr != nil {
			t.Fatalf("interrupted, the program ended with %v and %q", err, last)
		}
		if want := fmt.Sprintf("checkpoint run/checkpoint-%d", steps); !strings.HasSuffix(last, want) {
			t.Errorf("interrupted, the program ended with %q, want %q", last, want)
		}
		if !strings.Contains(errors.String(), "context canceled") {
			t.Errorf("error output %q", errors.String())
		}
	}
}
