//go:build !unix || aix || solaris

package osfile

import "os"

const noFollow = 0

// flock does nothing: these systems have no lock that ends with the process in
// the packages we use, so that only one process at a time may write to a name.
func flock(*os.File, lockKind) error { return nil }
