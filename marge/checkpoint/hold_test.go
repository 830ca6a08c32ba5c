package checkpoint

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/marge-go/marge/internal/osfile"
)

func TestHold(t *testing.T) {
	root := filepath.Join(t.TempDir(), "a", "run")
	release, err := Hold(root)
	if err != nil {
		t.Fatal(err)
	}
	var held *osfile.HeldError
	if _, err := Hold(root); !errors.As(err, &held) || held.Holder.PID != os.Getpid() ||
		!strings.Contains(err.Error(), root) {
		t.Errorf("held twice: %v", err)
	}
	if _, _, err := Write(root, 1, 0, filled(1)); err != nil { // by the run that holds it
		t.Error(err)
	}
	release()
	if release, err = Hold(root); err != nil {
		t.Fatal(err)
	}
	release()
	wantNames(t, root, holdName, "checkpoint-1")

	file := filepath.Join(root, "file")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Hold(file); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("a file: %v", err)
	}
	if os.Geteuid() == 0 {
		t.Log("not checked without write permission, which root does not need")
		return
	}
	if err := os.Chmod(root, 0o555); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(root, 0o777)
	if _, err := Hold(root); !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), root) {
		t.Errorf("without write permission: %v", err)
	}
}
