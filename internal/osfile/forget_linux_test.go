package osfile

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// residentFiles returns how many bytes of mapped files are in the memory of the
// process.
func residentFiles(t *testing.T) (kilobytes int) {
	t.Helper()
	data, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(data, []byte("RssFile:"))
	if _, err := fmt.Sscan(string(rest), &kilobytes); err != nil {
		t.Fatal(err)
	}
	return kilobytes << 10
}

// What is forgotten is out of the memory of the process.
func TestForgetGivesBack(t *testing.T) {
	const size = 32 << 20
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, make([]byte, size), 0o666); err != nil {
		t.Fatal(err)
	}
	data, err := Map(path)
	if err != nil {
		t.Fatal(err)
	}
	before := residentFiles(t)
	if bytes.Count(data, []byte{0}) != size {
		t.Error("the content is another")
	}
	read := residentFiles(t)
	Forget(data)
	after := residentFiles(t)
	if read-before < size*3/4 || after-before > size/4 {
		t.Errorf("%d bytes of files before, %d after reading %d, %d after forgetting them", before, read, size, after)
	}
	if err := Unmap(data); err != nil {
		t.Fatal(err)
	}
}
