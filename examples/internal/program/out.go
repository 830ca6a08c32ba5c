package program

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/marge-go/marge/internal/osfile"
	"github.com/marge-go/marge/marge/checkpoint"
)

// OpenOut makes the output directory of a program and holds it until release, so
// that no other run uses it. trainings are the directories in which the program
// trains, the output directory or others below. It is an error if one cannot be
// written to, or if there are checkpoints in them and the run is not to go on with
// them.
func OpenOut(out, program string, resume bool, trainings ...string) (release func(), err error) {
	if err := os.MkdirAll(out, 0o777); err != nil {
		return nil, fmt.Errorf("-out: %w", err)
	}
	release, err = osfile.Hold(filepath.Join(out, "."+program+".lock"))
	if err == nil {
		err = tryHold(trainings)
		if err != nil {
			release()
		}
	}
	var held *osfile.HeldError
	if errors.As(err, &held) {
		return nil, fmt.Errorf("-out %s is used by another run: %w", out, err)
	}
	if err != nil {
		return nil, fmt.Errorf("-out: %w", err)
	}
	n := 0
	for _, dir := range trainings {
		n += len(Checkpoints(dir))
	}
	switch {
	case n > 0 && !resume:
		release()
		return nil, fmt.Errorf(
			"-out %s has checkpoints of an earlier run: go on with it by -resume, or give another -out", out)
	case n == 0 && resume:
		fmt.Fprintf(os.Stderr, "-resume: %s has no checkpoint: the training starts anew\n", out)
	}
	return release, nil
}

// tryHold takes directories as trainings do, of this program and of others, and
// lets go of them.
func tryHold(dirs []string) error {
	for _, dir := range dirs {
		free, err := checkpoint.Hold(dir)
		if err != nil {
			return err
		}
		free()
	}
	return nil
}

// Checkpoints returns the paths of the checkpoints in a directory.
func Checkpoints(dir string) []string {
	paths, _ := filepath.Glob(filepath.Join(escapeGlob(dir), "checkpoint-*"))
	return paths
}

// escapeGlob makes a pattern that matches one path.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}
