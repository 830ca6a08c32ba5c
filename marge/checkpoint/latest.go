package checkpoint

import (
	"fmt"
	"io/fs"
	"os"
)

// Damaged is a checkpoint that Verify rejects.
type Damaged struct {
	Path string
	Step int
	Err  error // of Verify
}

// DamagedError is the error of Latest where the newest checkpoint is damaged.
type DamagedError struct {
	Newer []Damaged // the newest first
	Path  string    // of the newest one that is valid; empty if there is none
	Step  int       // of that
}

func (e *DamagedError) Error() string {
	s := "checkpoint: no checkpoint is valid"
	if e.Path != "" {
		s = fmt.Sprintf("checkpoint: %s is valid, but newer ones are damaged", e.Path)
	}
	for _, d := range e.Newer {
		s += "\n" + d.Err.Error()
	}
	return s
}

// Latest returns the path and step of the newest checkpoint below root that
// Verify accepts. If there is no checkpoint at all, the error wraps
// fs.ErrNotExist.
//
// To go back to an older checkpoint loses work, so that somebody must know of
// it: Latest calls onDamaged for every newer one that is damaged, the newest
// first. If onDamaged is nil or no checkpoint is valid, a damaged one is an
// error, a *DamagedError.
//
// It may run while another process writes to root and removes old checkpoints.
func Latest(root string, onDamaged func(Damaged)) (path string, step int, err error) {
	path, step, damaged, err := newestValid(root)
	if err != nil {
		return "", 0, fmt.Errorf("checkpoint: %w", err)
	}
	if path == "" && len(damaged) == 0 {
		return "", 0, fmt.Errorf("checkpoint: %s holds no checkpoint: %w", root, fs.ErrNotExist)
	}
	if path == "" || len(damaged) > 0 && onDamaged == nil {
		return "", 0, &DamagedError{Newer: damaged, Path: path, Step: step}
	}
	for _, d := range damaged {
		onDamaged(d)
	}
	return path, step, nil
}

// newestValid returns the newest checkpoint that Verify accepts, if there is
// one, and the newer ones that it rejects.
func newestValid(root string) (path string, step int, damaged []Damaged, err error) {
	steps, err := list(root)
	for i := 0; err == nil && i < len(steps); i++ {
		path := checkpointPath(root, steps[i])
		before, _ := os.Lstat(path)
		bad := Verify(path)
		if bad == nil {
			return path, steps[i], damaged, nil
		}
		after, e := os.Lstat(path)
		if e == nil && os.SameFile(before, after) {
			damaged = append(damaged, Damaged{path, steps[i], bad})
			continue
		}
		// A writer has removed or replaced it meanwhile, so that there may be
		// newer ones that the list lacks.
		steps, err = list(root)
		damaged, i = nil, -1
	}
	return "", 0, damaged, err
}

// Newest returns the path of the newest checkpoint below root, damaged or not,
// for a reader that checks what it reads. If there is none, the error wraps
// fs.ErrNotExist.
func Newest(root string) (string, error) {
	steps, err := list(root)
	if err == nil && len(steps) == 0 {
		err = &fs.PathError{Op: "find a checkpoint in", Path: root, Err: fs.ErrNotExist}
	}
	if err != nil {
		return "", fmt.Errorf("checkpoint: %w", err)
	}
	return checkpointPath(root, steps[0]), nil
}
