//go:build !unix || aix || solaris

package osfile

import "math"

// Map returns the content of a file.
func Map(path string) ([]byte, error) { return ReadFile(path, math.MaxInt) }

// Unmap frees what Map returned.
func Unmap([]byte) error { return nil }

// Forget does nothing: Map has read the file.
func Forget([]byte) {}
