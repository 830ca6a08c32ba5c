// Package checkpoint keeps the checkpoints of a training run: directories
// named checkpoint-<step> below one root, each written completely or not at
// all, and checked by checksum before it is used.
//
// A checkpoint is written under a temporary name; its files are flushed to
// disk, then a manifest with the size and SHA-256 of each, then the directory
// takes its name. A process killed at any moment, a full disk or a power cut
// therefore leaves the earlier checkpoints as they were. Bits that rot or
// files that are truncated later do not match the manifest.
//
// SHA-256 is chosen over a faster checksum because it is the digest by which
// model files are published and compared, and with the processor's SHA instructions it
// keeps up with most disks.
package checkpoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/marge-go/marge/marge/internal/osfile"
)

const (
	prefix     = "checkpoint-"
	tempPrefix = ".tmp-"
	lockName   = ".lock"
)

// Write creates root/checkpoint-<step> from the files that fn writes, and
// returns its path. The root is created if need be. An existing checkpoint of
// the same step is replaced.
//
// If fn returns an error or panics, or anything else fails (a full disk), no
// trace of the new checkpoint remains and the earlier ones are untouched.
//
// If keep is positive, older complete checkpoints are then removed, so that
// keep remain with the new one. Damaged ones are neither counted nor removed,
// nor are those of later steps. If that fails, Write returns both an error and
// the path of the new checkpoint, which is complete.
//
// One Write at a time works on a root; others, of this and other processes on
// the machine, wait for it. Temporary directories that a killed process left
// behind are removed.
func Write(root string, step, keep int, fn func(dir *Dir) error) (path string, err error) {
	if step < 0 {
		return "", fmt.Errorf("checkpoint: negative step %d", step)
	}
	fail := func(err error) (string, error) {
		return "", fmt.Errorf("checkpoint: step %d: %w", step, err)
	}
	if err := os.MkdirAll(root, 0o777); err != nil {
		return fail(err)
	}
	unlock, err := lock(filepath.Join(root, lockName))
	if err != nil {
		return fail(err)
	}
	defer unlock()
	if err := removeStale(root); err != nil {
		return fail(err)
	}

	name := prefix + strconv.Itoa(step)
	temp := filepath.Join(root, tempPrefix+name)
	path = filepath.Join(root, name)
	if err := os.Mkdir(temp, 0o777); err != nil {
		return fail(err)
	}
	dir := newDir(temp)
	// Deferred, so that a panic of fn cleans up as well. After a successful
	// exchange the temporary name holds the checkpoint that was replaced.
	defer func() {
		dir.closeAll()
		if e := os.RemoveAll(temp); e != nil && err == nil {
			err = fmt.Errorf("checkpoint: step %d: written, but not cleaned up: %w", step, e)
		}
	}()
	if err := fn(dir); err != nil {
		return fail(err)
	}
	if err := dir.finish(); err != nil {
		return fail(err)
	}
	if err := moveIntoPlace(temp, path); err != nil {
		return fail(err)
	}
	if err := osfile.SyncDir(root); err != nil {
		return path, fmt.Errorf("checkpoint: step %d: written, but perhaps not on disk yet: %w", step, err)
	}
	if keep > 0 {
		if err := prune(root, step, keep); err != nil {
			return path, fmt.Errorf("checkpoint: step %d: written, but an older one was not removed: %w", step, err)
		}
	}
	return path, nil
}

// moveIntoPlace renames temp to path. A directory that is already there ends
// up under the name temp.
func moveIntoPlace(temp, path string) error {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return os.Rename(temp, path)
	} else if err != nil {
		return err
	}
	return exchange(temp, path)
}

// exchangeByRename swaps two directories where the system cannot do it in one
// step. A crash between the renames loses the name b, but not the checkpoints
// of other steps.
func exchangeByRename(a, b string) error {
	old := a + "-replaced"
	if err := os.Rename(b, old); err != nil {
		return err
	}
	if err := os.Rename(a, b); err != nil {
		return errors.Join(err, os.Rename(old, b))
	}
	return os.Rename(old, a)
}

// removeStale removes what killed processes left. The caller holds the lock,
// so that no temporary directory is in use.
func removeStale(root string) error {
	entries, err := os.ReadDir(root)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), tempPrefix+prefix) {
			if err := os.RemoveAll(filepath.Join(root, e.Name())); err != nil {
				return fmt.Errorf("remove what an interrupted write left: %w", err)
			}
		}
	}
	return nil
}

// prune removes complete checkpoints older than step beyond the newest keep-1.
// Completeness is judged by manifest and file sizes: hashing every old
// checkpoint on every write would read them all.
func prune(root string, step, keep int) error {
	steps, err := list(root)
	if err != nil {
		return err
	}
	var errs []error
	kept := 1
	for _, s := range steps {
		name := prefix + strconv.Itoa(s)
		path := filepath.Join(root, name)
		if s >= step {
			continue
		}
		if _, err := checkSizes(path); err != nil {
			continue
		}
		if kept < keep {
			kept++
			continue
		}
		// Under its own name a half removed checkpoint would look damaged.
		temp := filepath.Join(root, tempPrefix+name)
		if err := os.Rename(path, temp); err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, os.RemoveAll(temp))
	}
	return errors.Join(errs...)
}

// list returns the steps of the checkpoints below root, the newest first.
func list(root string) ([]int, error) {
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil, err
	}
	var steps []int
	for _, e := range entries {
		number, ok := strings.CutPrefix(e.Name(), prefix)
		if !ok || !e.IsDir() {
			continue
		}
		if step, err := strconv.Atoi(number); err == nil && step >= 0 && strconv.Itoa(step) == number {
			steps = append(steps, step)
		}
	}
	slices.Sort(steps)
	slices.Reverse(steps)
	return steps, nil
}

// Latest returns the path and step of the newest checkpoint below root that
// Verify accepts, and why it rejected newer ones. The error wraps
// fs.ErrNotExist if there is none.
//
// It may run while another process writes to root and removes old checkpoints.
func Latest(root string) (path string, step int, rejected []error, err error) {
	steps, err := list(root)
	for i := 0; err == nil && i < len(steps); i++ {
		path := filepath.Join(root, prefix+strconv.Itoa(steps[i]))
		before, _ := os.Lstat(path)
		bad := Verify(path)
		if bad == nil {
			return path, steps[i], rejected, nil
		}
		after, e := os.Lstat(path)
		if e == nil && os.SameFile(before, after) {
			rejected = append(rejected, bad)
			continue
		}
		// A writer has removed or replaced it meanwhile, so that there may be
		// newer ones that the list lacks.
		steps, err = list(root)
		rejected, i = nil, -1
	}
	if err != nil {
		return "", 0, rejected, fmt.Errorf("checkpoint: %w", err)
	}
	return "", 0, rejected, fmt.Errorf("checkpoint: %s holds no valid checkpoint: %w", root, fs.ErrNotExist)
}
