//go:build !unix || aix || solaris

package osfile

import "os"

// Map returns the content of a file.
func Map(path string) ([]byte, error) { return os.ReadFile(path) }

// Unmap frees what Map returned.
func Unmap([]byte) error { return nil }
