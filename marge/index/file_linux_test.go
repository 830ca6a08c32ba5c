package index

import (
	"errors"
	"os"
	"syscall"
	"testing"
)

// TestDiskFull writes to the device that is always full.
func TestDiskFull(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	for _, records := range []bool{false, true} {
		if err := testFlat(30, 3, records).write(full); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("error %v", err)
		}
	}
}
