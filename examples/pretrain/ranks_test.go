//go:build !mpi

package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A program without MPI says so before it does anything.
func TestWithoutMPI(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	o, err := parse([]string{"-dist", "mpi", "-out", out}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	want := "-dist mpi: mpi: built without the tag mpi: go build -tags mpi"
	if err := run(t.Context(), o); err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("error %v, want %s", err, want)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("it has made the directory")
	}
}
