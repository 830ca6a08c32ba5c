package checkpoint

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/marge-go/marge/internal/osfile"
)

const holdName = ".held"

// Hold takes the directory root, which it creates, for as long as a run goes
// on: until release, or until the process ends, however it ends. If another run
// holds it, the error is an [osfile.HeldError], which names the process. Hold
// also shows a directory that cannot be written to, before work is lost to it.
func Hold(root string) (release func(), err error) {
	if err := os.MkdirAll(root, 0o777); err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	release, err = osfile.Hold(filepath.Join(root, holdName))
	if err != nil {
		return nil, fmt.Errorf("checkpoint: %w", err)
	}
	// The lock file may be there from an earlier run.
	probe, err := os.MkdirTemp(root, "."+prefix)
	if err == nil {
		err = os.Remove(probe)
	}
	if err != nil {
		release()
		return nil, fmt.Errorf("checkpoint: %s cannot be written to: %w", root, err)
	}
	return release, nil
}
