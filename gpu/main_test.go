//go:build cuda

package gpu

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/marge-go/marge/tensor"
)

// Where there is no driver, or MARGE_CUDA_EMULATE=1 asks for it, the tests run on an
// emulated one, which they build.
func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if os.Getenv("MARGE_CUDA_EMULATE") == "1" || os.Getenv("MARGE_LIBCUDA") == "" && openLibrary() != nil {
		dir, err := os.MkdirTemp("", "marge-gpu")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		library := filepath.Join(dir, "libcuda.so.1")
		if out, err := exec.Command("emulator/build.sh", dir).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "building the emulator: %v\n%s", err, out)
			return 1
		}
		os.Setenv("MARGE_LIBCUDA", library)
		fmt.Println("emulated")
	}
	return m.Run()
}

// open returns a backend that the test closes.
func open(t *testing.T) *Backend {
	t.Helper()
	b, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

func values(t *tensor.Tensor) []float32 {
	v := make([]float32, t.Len())
	t.CopyTo(v)
	return v
}
