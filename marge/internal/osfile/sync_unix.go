//go:build unix

package osfile

import (
	"errors"
	"os"
)

// SyncDir flushes a directory's entries to disk.
func SyncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
