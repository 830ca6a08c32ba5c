//go:build unix && !aix && !solaris

package corpus

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// lockDir makes a directory if need be and takes its exclusive lock, or fails
// if another Build has it. The system releases the lock when the process ends,
// however it ends. File systems without locks (some cluster ones) go without.
func lockDir(path string) (unlock func(), err error) {
	for {
		if err := os.Mkdir(path, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
		d, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := flock(d); err != nil {
			return nil, errors.Join(&fs.PathError{Op: "lock", Path: path, Err: err}, d.Close())
		}
		// Between Open and flock, the Build that had the lock may have renamed
		// or removed the directory.
		locked, err := d.Stat()
		if err != nil {
			return nil, errors.Join(err, d.Close())
		}
		if now, err := os.Stat(path); err == nil && os.SameFile(locked, now) {
			return func() { d.Close() }, nil
		}
		d.Close()
	}
}

func flock(d *os.File) error {
	for {
		err := unix.Flock(int(d.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil, errors.Is(err, unix.ENOSYS), errors.Is(err, unix.ENOTSUP):
			return nil
		case errors.Is(err, unix.EWOULDBLOCK):
			return errors.New("another build is writing there")
		case !errors.Is(err, unix.EINTR):
			return err
		}
	}
}
