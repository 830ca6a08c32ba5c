//go:build unix && !aix && !solaris

package osfile

import (
	"errors"
	"io/fs"
	"math"
	"os"
	"unsafe"

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

// Forget gives back the memory of the whole pages in data, a part of what Map
// returned, which stays readable: the pages are read from the file again.
func Forget(data []byte) {
	page := uintptr(os.Getpagesize())
	begin := uintptr(unsafe.Pointer(unsafe.SliceData(data)))
	skip := (page - begin%page) % page
	if n := uintptr(len(data)); n > skip {
		if whole := (n - skip) / page * page; whole > 0 {
			_ = unix.Madvise(data[skip:skip+whole], unix.MADV_DONTNEED) // only the memory stays in use
		}
	}
}
