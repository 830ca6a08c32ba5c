//go:build unix && !aix && !solaris

package osfile

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// noFollow keeps a temporary name from leading elsewhere.
const noFollow = unix.O_NOFOLLOW

// flock locks an open file until it is closed. File systems without locks go
// without.
func flock(f *os.File, kind lockKind) error {
	how := unix.LOCK_EX
	if kind&sharedLock != 0 {
		how = unix.LOCK_SH
	}
	if kind&noWait != 0 {
		how |= unix.LOCK_NB
	}
	for {
		err := unix.Flock(int(f.Fd()), how)
		switch {
		case err == nil, errors.Is(err, unix.ENOSYS), errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.ENOLCK):
			return nil
		case errors.Is(err, unix.EWOULDBLOCK):
			return ErrBusy
		case !errors.Is(err, unix.EINTR):
			return err
		}
	}
}
