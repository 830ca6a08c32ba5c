//go:build unix && !aix && !solaris

package osfile

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// Map returns the content of a file, mapped into memory.
func Map(path string) ([]byte, error) {
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

// Unmap frees what Map returned.
func Unmap(data []byte) error {
	if len(data) == 0 {
		return nil
	}
	return unix.Munmap(data)
}
