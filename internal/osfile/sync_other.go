//go:build !unix

package osfile

// SyncDir does nothing: these systems do not flush directories.
func SyncDir(string) error { return nil }
