package safetensors

import (
	"bytes"
	"fmt"
	"os"
	"testing"
)

// CopyFloat32s does not leave what it has read in the memory of the process.
func TestCopyGivesBack(t *testing.T) {
	resident := func() (kilobytes int) { // of mapped files
		t.Helper()
		data, err := os.ReadFile("/proc/self/status")
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := bytes.Cut(data, []byte("RssFile:"))
		if _, err := fmt.Sscan(string(rest), &kilobytes); err != nil {
			t.Fatal(err)
		}
		return kilobytes
	}
	values := make([]float32, 8<<20)
	var b bytes.Buffer
	if err := Write(&b, []Tensor{Float32("x", []int{len(values)}, values)}, nil); err != nil {
		t.Fatal(err)
	}
	f := open(t, writeFile(t, b.Bytes()))
	before := resident()
	if err := f.CopyFloat32s(values, "x"); err != nil {
		t.Fatal(err)
	}
	if more := resident() - before; more > 8<<10 {
		t.Errorf("after copying 32 MiB, %d KiB of files are resident", more)
	}
}
