package checkpoint

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestDiskFull puts the device that is always full in place of one file after
// the other, the manifest included.
func TestDiskFull(t *testing.T) {
	create := openFile
	defer func() { openFile = create }()
	for _, full := range []string{"config.json", "model.safetensors", ManifestName} {
		root := t.TempDir()
		openFile = create
		write(t, root, 1, 0)
		openFile = func(path string) (*os.File, error) {
			if filepath.Base(path) == full {
				return os.OpenFile("/dev/full", os.O_WRONLY, 0)
			}
			return create(path)
		}
		path, _, err := Write(root, 2, 1, filled(2))
		if !errors.Is(err, syscall.ENOSPC) || path != "" {
			t.Errorf("%s: path %q, error %v", full, path, err)
		}
		wantNames(t, root, "checkpoint-1")
		wantLatest(t, root, 1, 0)
	}
}
