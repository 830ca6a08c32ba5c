//go:build !unix

package corpus

import "os"

// mapFile returns the content of a file.
func mapFile(path string) ([]byte, error) { return os.ReadFile(path) }

func unmap([]byte) error { return nil }

// lockDir only makes the directory: these systems have no lock that ends with
// the process in the packages we use, so that a store must have one Build at a
// time there.
func lockDir(path string) (unlock func(), err error) {
	return func() {}, os.MkdirAll(path, 0o777)
}

// syncDir does nothing: these systems do not flush directories.
func syncDir(string) error { return nil }
