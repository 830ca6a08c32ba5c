//go:build unix && !aix && !solaris

package osfile

import (
	"errors"
	"io/fs"
	"math"

	"golang.org/x/sys/unix"
)

// Map returns the content of a file, mapped into memory.
func Map(path string) ([]byte, error) {
	f, info, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	switch {
	case info.Size() == 0:
		return nil, nil // which cannot be mapped
	case info.Size() > math.MaxInt:
		return nil, &fs.PathError{Op: "map", Path: path, Err: errors.New("too large for this machine")}
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, &fs.PathError{Op: "map", Path: path, Err: err}
	}
	return data, nil
}

// Unmap frees what Map returned.
func Unmap(data []byte) error {
	if len(data) == 0 {
		return nil
	}
	return unix.Munmap(data)
}
