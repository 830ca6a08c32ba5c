package marge

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/nn/safetensors"
)

// Evaluation is what was measured on development data.
type Evaluation struct {
	Step int `json:"step"` // updates so far
	// Scores are "loss", in nats for each prediction; "accuracy" of a
	// Classification; "exact_match", the share of answers whose text is right, and
	// "f1", the mean F1 of their characters, of a SpanExtraction; or "score", that of
	// FineTuneOptions.Score.
	Scores map[string]float64 `json:"scores"`
}

// String returns the scores in one line.
func (e *Evaluation) String() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(e.Scores)) {
		parts = append(parts, fmt.Sprintf("%s %.4g", name, e.Scores[name]))
	}
	return strings.Join(parts, ", ")
}

const (
	scoreName = "score"
	lossName  = "loss"
)

// development measures a model while it is trained, and keeps the parameters that
// were best. Where a training has none, it is nil.
type development struct {
	every    int // updates
	patience int // measurements; 0: no bound
	measure  func(ctx context.Context) (map[string]float64, error)
	chosenBy string // the score; the lowest loss, or the highest of another, is best
	params   []nn.Parameter

	developmentState
	last *Evaluation // unless it has been told
	best [][]float32 // values of params
}

// developmentState is what a checkpoint has of it, besides the best parameters.
type developmentState struct {
	Measured int         `json:"measured"` // step of the last measurement
	Best     *Evaluation `json:"best"`
	Waited   int         `json:"waited"` // measurements since the best
}

func newDevelopment(m *Model, task Task, data *taskData, o *FineTuneOptions) *development {
	d := &development{every: o.EvaluateEvery, patience: o.Patience, chosenBy: task.chosenBy()}
	if o.Score != nil {
		d.chosenBy = scoreName
	}
	d.measure = func(ctx context.Context) (scores map[string]float64, err error) {
		scores = map[string]float64{}
		if len(data.dev) > 0 {
			if scores, err = task.measure(ctx, m, data.dev); err != nil {
				return nil, err
			}
		}
		if o.Score != nil {
			scores[scoreName], err = o.Score(ctx, m)
		}
		return scores, err
	}
	return d
}

// measure measures the model if it is time and has not been done.
func (l *loop) measure(ctx context.Context) error {
	d := l.development
	if d == nil || d.Measured == l.step || l.step%d.every != 0 && l.progress() < 1 {
		return nil
	}
	var scores map[string]float64
	err := l.o.Group.Together(ctx, func(ctx context.Context) (err error) {
		if scores, err = d.measure(ctx); err != nil {
			return fmt.Errorf("development data: %w", err)
		}
		if score := scores[d.chosenBy]; !finite(score) {
			return fmt.Errorf("development data: %s is %v", d.chosenBy, score)
		}
		return nil
	})
	if err != nil {
		return err
	}
	d.Measured, d.last = l.step, &Evaluation{l.step, scores}
	if d.Best != nil && !d.better(scores, d.Best.Scores) {
		d.Waited++
		return nil
	}
	d.Best, d.Waited, d.best = d.last, 0, nil
	for _, p := range d.params {
		d.best = append(d.best, slices.Clone(p.Values()))
	}
	return nil
}

// better compares scores. Of equal ones, those with the lower loss are better.
func (d *development) better(a, b map[string]float64) bool {
	if d.chosenBy == lossName || a[d.chosenBy] == b[d.chosenBy] {
		return a[lossName] < b[lossName]
	}
	return a[d.chosenBy] > b[d.chosenBy]
}

// enough reports whether the last measurements were no better than earlier ones.
func (d *development) enough() bool { return d != nil && d.patience > 0 && d.Waited >= d.patience }

// news returns the last measurement, once.
func (d *development) news() (e *Evaluation) {
	if d != nil {
		e, d.last = d.last, nil
	}
	return e
}

// choose gives the model the best parameters.
func (d *development) choose() *Evaluation {
	if d == nil || d.Best == nil {
		return nil
	}
	for i, p := range d.params {
		p.SetFloat32s(d.best[i])
	}
	return d.Best
}

const bestPrefix = "best."

// place is what a checkpoint has of it.
func (d *development) place() (*developmentState, []safetensors.Tensor) {
	if d == nil {
		return nil, nil
	}
	var tensors []safetensors.Tensor
	if d.Best != nil {
		for i, p := range d.params {
			tensors = append(tensors, safetensors.Float32(bestPrefix+p.Name, p.Shape(), d.best[i]))
		}
	}
	return &d.developmentState, tensors
}

// restore goes back to what place has told after step updates, and returns the
// names of the tensors.
func (d *development) restore(s *developmentState, step int, f *safetensors.File) (names []string, err error) {
	if (d == nil) != (s == nil) {
		return nil, fmt.Errorf("%s: measured on development data: %t, which is now %t", trainerName, s != nil, d != nil)
	}
	if d == nil {
		return nil, nil
	}
	if s.Measured < 0 || s.Measured > step || s.Waited < 0 || (s.Best == nil) != (s.Measured == 0) {
		return nil, fmt.Errorf("%s: measured at step %d of %d, %d times since the best: no training was ever there",
			trainerName, s.Measured, step, s.Waited)
	}
	d.developmentState, d.best = *s, nil
	if s.Best == nil {
		return nil, nil
	}
	if score, ok := s.Best.Scores[d.chosenBy]; !ok || !finite(score) || s.Best.Step < 1 || s.Best.Step > s.Measured {
		return nil, fmt.Errorf("%s: the best measurement, of step %d, has %s %v", trainerName, s.Best.Step, d.chosenBy, score)
	}
	for _, p := range d.params {
		name := bestPrefix + p.Name
		if err := checkShape(f, name, p.Shape()); err != nil {
			return nil, err
		}
		values, err := f.Float32s(name)
		if err != nil {
			return nil, err
		}
		if i := slices.IndexFunc(values, func(v float32) bool { return !finite(float64(v)) }); i >= 0 {
			return nil, fmt.Errorf("tensor %s: element %d is %v", name, i, values[i])
		}
		d.best, names = append(d.best, slices.Clone(values)), append(names, name) // the file is closed
	}
	return names, nil
}
