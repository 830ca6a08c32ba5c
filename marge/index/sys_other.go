//go:build !unix || aix || solaris

package index

import "os"

// mapFile returns the content of a file.
func mapFile(path string) ([]byte, error) { return os.ReadFile(path) }

func unmap([]byte) error { return nil }

// syncDir does nothing: these systems do not flush directories.
func syncDir(string) error { return nil }
