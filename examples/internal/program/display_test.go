package program

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

// A line of a terminal never wraps, and messages do not run into it.
func TestDisplay(t *testing.T) {
	var out bytes.Buffer
	d := &Display{w: &out, width: func() int { return 20 }}
	d.Progress("a text that is longer than the terminal is wide")
	d.Progress("too soon after the first")
	d.Message("message %d", 1)
	d.Progress("short")
	d.End()
	d.End()
	want := "\ra text that is long\x1b[K\nmessage 1\n\rshort\x1b[K\n"
	if out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}

	// Without a terminal all are lines of their own, in full.
	out.Reset()
	d = &Display{w: &out}
	long := strings.Repeat("long ", 50)
	d.Progress(long)
	d.Progress("too soon after the first")
	d.Message("message\n")
	d.End()
	if want := long + "\nmessage\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
	file, err := os.Create(t.TempDir() + "/file")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if NewDisplay(file).Terminal() {
		t.Error("a file is taken for a terminal")
	}
}
