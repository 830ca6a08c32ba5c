//go:build !unix

package checkpoint

// lock does nothing: these systems have no lock that ends with the process in
// the packages we use, so that a root must have one writer there.
func lock(string) (unlock func(), err error) { return func() {}, nil }

// syncDir does nothing: these systems do not flush directories.
func syncDir(string) error { return nil }
