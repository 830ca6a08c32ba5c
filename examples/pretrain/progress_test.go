package main

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/marge-go/marge/marge"
)

// A line of a terminal never wraps, and messages do not run into it.
func TestDisplay(t *testing.T) {
	var out bytes.Buffer
	d := &display{w: &out, width: func() int { return 20 }}
	d.progress("a text that is longer than the terminal is wide")
	d.progress("too soon after the first")
	d.message("message %d", 1)
	d.progress("short")
	d.end()
	d.end()
	want := "\ra text that is long\x1b[K\nmessage 1\n\rshort\x1b[K\n"
	if out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}

	// Without a terminal all are lines of their own, in full.
	out.Reset()
	d = &display{w: &out}
	long := strings.Repeat("long ", 50)
	d.progress(long)
	d.progress("too soon after the first")
	d.message("message\n")
	d.end()
	if want := long + "\nmessage\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
	file, err := os.Create(t.TempDir() + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if newDisplay(file).width != nil {
		t.Error("a file is taken for a terminal")
	}
}

// The time that is left follows from that of training, which probes are not
// part of.
func TestProgressLine(t *testing.T) {
	p := &progress{first: marge.Metrics{Step: 1, TargetTokens: 100, Elapsed: time.Second}, smooth: 2.5}
	line := p.line(marge.Metrics{Step: 30, TargetTokens: 10100, Elapsed: 11 * time.Second, Progress: 0.25, Beta: 1.5})
	if want := " 25%  step 30  loss 2.500  ETA 33s  1000 tokens/s  beta 1.50"; line != want {
		t.Errorf("%q, want %q", line, want)
	}
}
