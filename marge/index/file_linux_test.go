package index

import (
	"bytes"
	"errors"
	"os"
	"syscall"
	"testing"
)

// TestDiskFull writes to the device that is always full.
func TestDiskFull(t *testing.T) {
	path, good := saved(t, testFlat(20, 3, true))
	defer func(create func(string) (*os.File, error)) { createFile = create }(createFile)
	createFile = func(string) (*os.File, error) { return os.OpenFile("/dev/full", os.O_WRONLY, 0) }
	if err := testFlat(30, 3, true).Save(path); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("error %v", err)
	}
	if data, err := os.ReadFile(path); err != nil || !bytes.Equal(data, good) {
		t.Errorf("a full disk does not leave the old file: %v", err)
	}
}
