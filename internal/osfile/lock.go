package osfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"
)

// Lock takes the exclusive lock that the file at path stands for, which it
// creates; it waits as long as another process, or another call in this one,
// has it. The system releases the lock when the process ends, however it ends.
// The file stays.
//
// File systems without locks (some of clusters), and systems other than Unix,
// go without.
func Lock(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	if err := flock(f, exclusive); err != nil {
		return nil, errors.Join(&fs.PathError{Op: "lock", Path: path, Err: err}, f.Close())
	}
	return func() { f.Close() }, nil
}

// LockDir takes the lock of an existing directory itself, without a file:
// exclusive for who writes in it, shared for those who read. It waits as Lock
// does.
func LockDir(path string, shared bool) (unlock func(), err error) {
	d, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	how := exclusive
	if shared {
		how = sharedLock
	}
	if err := flock(d, how); err != nil {
		return nil, errors.Join(&fs.PathError{Op: "lock", Path: path, Err: err}, d.Close())
	}
	return func() { d.Close() }, nil
}

// Holder describes the process that holds a file.
type Holder struct {
	PID     int       `json:"pid"`
	Host    string    `json:"host"`
	Started time.Time `json:"started"` // when it took the file
}

// HeldError is the error of Hold for a file that another process holds.
type HeldError struct {
	Path   string
	Holder Holder // zero if the file does not tell
}

func (e *HeldError) Error() string {
	if e.Holder.PID == 0 {
		return e.Path + " is held by another process"
	}
	return fmt.Sprintf("%s is held by process %d on %s since %s", e.Path, e.Holder.PID, e.Holder.Host,
		e.Holder.Started.Format(time.DateTime))
}

// maxHolder bounds what is read of a lock file, in bytes.
const maxHolder = 1 << 12

// Hold is Lock for as long as a program runs: it does not wait, but returns a
// *HeldError if the file is held already, by another process or by this one.
// The file tells who holds it. After release, it is empty.
func Hold(path string) (release func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o666)
	if err != nil {
		return nil, err
	}
	err = flock(f, exclusive|noWait)
	if errors.Is(err, ErrBusy) {
		held := &HeldError{Path: path}
		if data, err := io.ReadAll(io.LimitReader(f, maxHolder)); err == nil {
			_ = json.Unmarshal(data, &held.Holder) // what cannot be read stays zero
		}
		return nil, errors.Join(held, f.Close())
	}
	if err == nil {
		err = writeHolder(f)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("hold %s: %w", path, err), f.Close())
	}
	return func() {
		_ = f.Truncate(0) // for the eye only; closing the file releases it
		f.Close()
	}, nil
}

func writeHolder(f *os.File) error {
	h := Holder{PID: os.Getpid(), Started: time.Now().Round(time.Second)}
	h.Host, _ = os.Hostname() // for the message only
	data, err := json.Marshal(h)
	if err != nil {
		return err
	}
	if err := f.Truncate(0); err != nil {
		return err
	}
	if _, err := f.WriteAt(append(data, '\n'), 0); err != nil {
		return err
	}
	return f.Sync() // shows a full disk
}

// A lockKind is what flock takes.
type lockKind int

const (
	exclusive  lockKind = 0
	sharedLock lockKind = 1
	noWait     lockKind = 2 // ErrBusy instead of waiting
)

// lockTempFile locks the file with a temporary name, which it creates.
func lockTempFile(path string) (unlock func(), err error) {
	return lockNamed(path, exclusive, func() (*os.File, error) {
		return os.OpenFile(path, os.O_RDWR|os.O_CREATE|noFollow, 0o666)
	})
}

// lockDir locks a directory, which it creates.
func lockDir(path string, wait bool) (unlock func(), err error) {
	how := exclusive
	if !wait {
		how |= noWait
	}
	return lockNamed(path, how, func() (*os.File, error) {
		for {
			if err := os.Mkdir(path, 0o777); err != nil && !errors.Is(err, fs.ErrExist) {
				return nil, err
			}
			d, err := os.OpenFile(path, os.O_RDONLY|noFollow, 0)
			if !errors.Is(err, fs.ErrNotExist) { // else it has just been removed
				return d, err
			}
		}
	})
}

// lockNamed locks what open opens at path. Between open and flock, whoever had
// the lock may have renamed or removed it; then it opens what has the name now.
func lockNamed(path string, how lockKind, open func() (*os.File, error)) (unlock func(), err error) {
	for {
		f, err := open()
		if err != nil {
			return nil, err
		}
		if err := flock(f, how); err != nil {
			return nil, errors.Join(&fs.PathError{Op: "lock", Path: path, Err: err}, f.Close())
		}
		locked, err := f.Stat()
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		if now, err := os.Lstat(path); err == nil && os.SameFile(locked, now) {
			return func() { f.Close() }, nil
		}
		f.Close()
	}
}
