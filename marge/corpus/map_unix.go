//go:build unix

package corpus

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// mapFile returns the content of a file, mapped into memory.
func mapFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, &fs.PathError{Op: "map", Path: path, Err: errors.New("is not a regular file")}
	case info.Size() == 0:
		return nil, nil // which cannot be mapped
	case info.Size() > math.MaxInt:
		return nil, &fs.PathError{Op: "map", Path: path, Err: fmt.Errorf("%d bytes are too many for this machine", info.Size())}
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, &fs.PathError{Op: "map", Path: path, Err: err}
	}
	return data, nil
}

func unmap(data []byte) error {
	if len(data) == 0 {
		return nil
	}
	return unix.Munmap(data)
}

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

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
