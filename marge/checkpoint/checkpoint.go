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
// A run holds its root for as long as it goes on ([Hold]), so that no two mix
// their checkpoints.
//
// [Save] and [Open] do the same for one set of files, such as a model, in a
// directory that may hold other files too.
//
// SHA-256 is chosen over a faster checksum because it is the digest by which
// model files are published and compared, and with the processor's SHA instructions it
// keeps up with most disks.
package checkpoint

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/marge-go/marge/internal/osfile"
)

const (
	prefix   = "checkpoint-"
	lockName = ".lock"
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
// nor are those of later steps. What cannot be removed costs nothing but space
// on the disk, and is returned as warnings.
//
// One Write at a time works on a root; others, of this and other processes on
// the machine, wait for it. Temporary directories that a killed process left
// behind are removed.
func Write(root string, step, keep int, fn func(dir *Dir) error) (path string, warnings []error, err error) {
	if step < 0 {
		return "", nil, fmt.Errorf("checkpoint: negative step %d", step)
	}
	fail := func(err error) (string, []error, error) {
		return "", nil, fmt.Errorf("checkpoint: step %d: %w", step, err)
	}
	if err := os.MkdirAll(root, 0o777); err != nil {
		return fail(err)
	}
	unlock, err := osfile.Lock(filepath.Join(root, lockName))
	if err != nil {
		return fail(err)
	}
	defer unlock()
	warnings = removeStale(root)
	path = checkpointPath(root, step)
	if err := osfile.ReplaceDir(path, func(temp string) error { return fill(temp, fn) }); err != nil {
		return fail(err)
	}
	if keep > 0 {
		warnings = append(warnings, prune(root, step, keep)...)
	}
	return path, warnings, nil
}

func checkpointPath(root string, step int) string {
	return filepath.Join(root, prefix+strconv.Itoa(step))
}

// removeStale removes what killed processes left of any step. The caller holds
// the lock, so that no temporary directory is in use.
func removeStale(root string) (warnings []error) {
	entries, err := os.ReadDir(root)
	if err != nil {
		return []error{fmt.Errorf("checkpoint: remove what interrupted writes left: %w", err)}
	}
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), "."+prefix) {
			if err := os.RemoveAll(filepath.Join(root, e.Name())); err != nil {
				warnings = append(warnings, fmt.Errorf("checkpoint: remove what an interrupted write left: %w", err))
			}
		}
	}
	return warnings
}

// prune removes complete checkpoints older than step beyond the newest keep-1.
// Completeness is judged by manifest and file sizes: hashing every old
// checkpoint on every write would read them all.
func prune(root string, step, keep int) (warnings []error) {
	steps, err := list(root)
	if err != nil {
		return []error{fmt.Errorf("checkpoint: older ones are not removed: %w", err)}
	}
	kept := 1
	for _, s := range steps {
		path := checkpointPath(root, s)
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
		temp := filepath.Join(root, "."+prefix+strconv.Itoa(s)+".old")
		err := os.Rename(path, temp)
		if err == nil {
			err = os.RemoveAll(temp)
		}
		if err != nil {
			warnings = append(warnings, fmt.Errorf("checkpoint: an older one is not removed: %w", err))
		}
	}
	return warnings
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
