package marge

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/marge-go/marge/internal/jsonx"
	"github.com/marge-go/marge/marge/checkpoint"
	"github.com/marge-go/marge/nn/safetensors"
)

// The files that a checkpoint of a training has besides those of the model.
const (
	trainerName  = "trainer.json"
	trainerState = "trainer.safetensors"
	stepsTensor  = "optimizer.steps"
)

// loopState is trainer.json. Together with trainer.safetensors, which has the
// optimiser's state and the tensors of the source, it is all that a resumed
// training needs.
type loopState struct {
	Step         int       `json:"step"`
	TargetTokens int64     `json:"target_tokens"`
	ElapsedNS    int64     `json:"elapsed_ns"`
	Losses       []float64 `json:"recent_losses"`
	// Settings are what the training was started with and on: options,
	// configuration, and fingerprints of corpus and tokenizer.
	Settings map[string]string `json:"settings"`
	Source   json.RawMessage   `json:"source"` // its place
	// Development is what has been measured on development data, if any is.
	Development *developmentState `json:"development,omitempty"`
}

// settings adds the model to what the loop's result depends on.
func (l *loop) settings() (map[string]string, error) {
	config, err := MarshalConfig(l.m.Config)
	if err != nil {
		return nil, err
	}
	l.o.settings["config"] = strings.Join(strings.Fields(string(config)), " ")
	return l.o.settings, nil
}

// lastSource is the source of the last phase, the only one that has a place.
func (l *loop) lastSource() source { return l.phases[len(l.phases)-1].source }

// save writes a checkpoint on rank 0, if the options name a directory. Where the
// ranks have lost each other nobody has all of the optimiser's state: there is none.
func (l *loop) save() error {
	switch {
	case l.o.Dir == "" || l.o.Group.Err() != nil:
		return nil
	case l.ranks == nil:
		return l.write(func(w io.Writer, more []safetensors.Tensor) error { return writeTensors(w, l.opt.State(), more...) })
	}
	if err := l.sameParameters(); err != nil {
		return err
	}
	return l.ranks.save()
}

// write writes a checkpoint. state writes the tensors of the optimiser's state, and more.
func (l *loop) write(state func(w io.Writer, more []safetensors.Tensor) error) error {
	settings, err := l.settings()
	if err != nil {
		return err
	}
	place, tensors := l.lastSource().place()
	source, err := json.Marshal(place)
	if err != nil {
		return err
	}
	steps := l.opt.Steps()
	tensors = append(tensors, safetensors.Int32(stepsTensor, []int{len(steps)}, steps))
	development, best := l.development.place()
	tensors = append(tensors, best...)
	path, warnings, err := checkpoint.Write(l.o.Dir, l.step, l.o.KeepCheckpoints, func(dir *checkpoint.Dir) error {
		if err := l.m.save(dir, SaveOptions{}); err != nil {
			return err
		}
		err := writeFile(dir, trainerState, func(w io.Writer) error { return state(w, tensors) })
		if err != nil {
			return err
		}
		return writeFile(dir, trainerName, func(w io.Writer) error {
			e := json.NewEncoder(w)
			e.SetIndent("", "  ")
			return e.Encode(loopState{
				Step: l.step, TargetTokens: l.tokens, ElapsedNS: int64(l.elapsed), Losses: l.recent,
				Settings: settings, Source: source, Development: development,
			})
		})
	})
	if err != nil {
		return fmt.Errorf("checkpoint of step %d: %w", l.step, err)
	}
	for _, warning := range warnings {
		l.o.OnWarning(warning)
	}
	l.saved = path
	return nil
}

// open takes hold of the directory, if there is one, and goes back to its
// newest valid checkpoint if the training is to be resumed. The directory is
// the training's until release. Rank 0 holds it and chooses the checkpoint.
func (l *loop) open(ctx context.Context) (release func(), err error) {
	release = func() {}
	if err := l.sameStart(); err != nil || l.o.Dir == "" {
		return release, err
	}
	var path string
	step := -1
	err = l.o.Group.Lead(ctx, func(context.Context) error {
		held, err := checkpoint.Hold(l.o.Dir)
		if err == nil {
			release = held
			path, step, err = l.newest()
		}
		return err
	})
	if err == nil {
		err = l.resume(ctx, path, step)
	}
	if err != nil {
		release()
		return nil, err
	}
	return release, nil
}

// newest returns the newest valid checkpoint and its step if the options say that
// the training is to be resumed, or -1 where there is none.
func (l *loop) newest() (path string, step int, err error) {
	if _, err := checkpoint.Newest(l.o.Dir); errors.Is(err, fs.ErrNotExist) {
		return "", -1, nil
	} else if err == nil && !l.o.Resume {
		return "", -1, fmt.Errorf("%s holds checkpoints of an earlier training: set Resume to go on with it, or give "+
			"another directory", l.o.Dir)
	}
	var damaged []checkpoint.Damaged
	path, step, err = checkpoint.Latest(l.o.Dir, func(d checkpoint.Damaged) { damaged = append(damaged, d) })
	if err != nil {
		return "", -1, fmt.Errorf("resume: %w", err)
	}
	for _, d := range damaged {
		l.o.OnWarning(fmt.Errorf("resuming from step %d, the newest checkpoint that is whole: %w", step, d.Err))
	}
	return path, step, nil
}

// resume goes back to a checkpoint of rank 0, unless its step is -1.
func (l *loop) resume(ctx context.Context, path string, step int) error {
	path, step, drop, err := l.shareCheckpoint(ctx, path, step)
	if err != nil {
		return fmt.Errorf("resume: %w", err)
	}
	defer drop()
	if step < 0 {
		return nil
	}
	return l.o.Group.Together(ctx, func(context.Context) error {
		if err := l.restore(path, step); err != nil {
			return fmt.Errorf("resume: %s: %w", path, err)
		}
		l.resumed = l.step
		if l.o.Group.Rank() == 0 {
			l.saved = path
		}
		return nil
	})
}

// restore reads a checkpoint. Checksums tell that it is as it was written, but
// not that this program wrote it: what it says is checked as well.
func (l *loop) restore(path string, step int) error {
	data, err := os.ReadFile(filepath.Join(path, trainerName))
	if err != nil {
		return err
	}
	var s loopState
	if err := jsonx.UnmarshalStrict(data, &s); err != nil {
		return fmt.Errorf("%s: %w", trainerName, err)
	}
	if s.Step != step || s.TargetTokens < 0 || s.ElapsedNS < 0 || len(s.Losses) > recentLosses {
		return fmt.Errorf("%s: step %d, %d target tokens, %d ns, %d losses: no state of a training that was saved "+
			"after step %d",
			trainerName, s.Step, s.TargetTokens, s.ElapsedNS, len(s.Losses), step)
	}
	if err := l.sameSettings(s.Settings); err != nil {
		return err
	}
	if err := readTensors(filepath.Join(path, weightsName), storedAs(l.m.params), nil); err != nil {
		return err
	}
	l.m.revision.Add(1)
	err = readTensors(filepath.Join(path, trainerState), l.state(), func(f *safetensors.File) ([]string, error) {
		steps, err := f.Int32s(stepsTensor)
		if err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(steps, func(n int32) bool { return int(n) > s.Step }); i >= 0 {
			return nil, fmt.Errorf("%s: parameter %d has made %d of %d steps", stepsTensor, i, steps[i], s.Step)
		}
		if err := l.opt.SetSteps(steps); err != nil {
			return nil, err
		}
		names, err := l.lastSource().restore(s.Source, s.Step, f)
		if err != nil {
			return nil, err
		}
		best, err := l.development.restore(s.Development, s.Step, f)
		return append(append(names, best...), stepsTensor), err
	})
	if err != nil {
		return err
	}
	for _, moment := range l.opt.State() {
		negative := func(v float32) bool { return v < 0 }
		if strings.HasPrefix(moment.Name, "v.") && slices.ContainsFunc(moment.Values(), negative) {
			return fmt.Errorf("%s: %s: a mean of squares is negative", trainerState, moment.Name)
		}
	}
	l.step, l.tokens, l.elapsed, l.recent = s.Step, s.TargetTokens, time.Duration(s.ElapsedNS), s.Losses
	return nil
}

// sameSettings compares the settings with those of a checkpoint, after it has
// taken from there what this training inherits.
func (l *loop) sameSettings(saved map[string]string) error {
	settings, err := l.settings()
	if err != nil {
		return err
	}
	for name, field := range l.o.inherited {
		n, err := strconv.Atoi(saved[name])
		if err != nil || n < 0 {
			return fmt.Errorf("%s: setting %s is %q", trainerName, name, saved[name])
		}
		if *field = n; n == 0 {
			*field = -1 // none; zero stands for the default
		}
		settings[name] = saved[name]
	}
	var differ []string
	for name, value := range settings {
		if was := saved[name]; was != value {
			differ = append(differ, fmt.Sprintf("%s was %s and is %s", name, orUnknown(was), value))
		}
	}
	if len(differ) > 0 {
		slices.Sort(differ)
		return fmt.Errorf("the training was started with other settings: %s", strings.Join(differ, "; "))
	}
	return nil
}

func orUnknown(value string) string {
	if value == "" {
		return "not recorded"
	}
	return value
}
