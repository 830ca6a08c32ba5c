package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"

	"github.com/marge-go/marge/marge"
)

// point is a line of metrics.jsonl: the mean of the training loss since the
// point before, and what was measured on held-out documents.
type point struct {
	Step         int     `json:"step"`
	TargetTokens int64   `json:"target_tokens"`
	Seconds      float64 `json:"seconds"`
	TrainLoss    float64 `json:"train_loss"`
	Beta         float64 `json:"beta"`
	LR           float64 `json:"lr"`
	GradNorm     float64 `json:"grad_norm"`
	P1           float64 `json:"p_at_1"`
	P1Centred    float64 `json:"p_at_1_centred"`
	Heldout      losses  `json:"heldout_loss"`
}

// progress shows how a training goes and probes the model on schedule.
type progress struct {
	ctx    context.Context
	m      *marge.Model
	e      *evaluation
	probes int
	file   *os.File
	bar    *progressbar.ProgressBar // nil where standard error is no terminal
	points []point
	due    int     // share of the training, in 1/probes, at which the next probe is made
	sum    float64 // of losses since the last probe
	n      int
	smooth float64
	first  marge.Metrics // of this run
	shown  time.Time
	onStep func(marge.Metrics)
}

func newProgress(ctx context.Context, o *options, m *marge.Model, e *evaluation) (*progress, error) {
	path := filepath.Join(o.out, "metrics.jsonl")
	mode := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	var points []point
	if o.resume {
		var err error
		if points, err = readPoints(path); err != nil {
			return nil, err
		}
	} else {
		mode |= os.O_TRUNC
	}
	f, err := os.OpenFile(path, mode, 0o666)
	if err != nil {
		return nil, err
	}
	p := &progress{ctx: ctx, m: m, e: e, probes: o.probes, file: f, points: points, onStep: o.onStep}
	if term.IsTerminal(int(os.Stderr.Fd())) {
		p.bar = progressbar.NewOptions(1000, progressbar.OptionSetWriter(os.Stderr), progressbar.OptionSetPredictTime(true),
			progressbar.OptionSetWidth(20), progressbar.OptionThrottle(200*time.Millisecond))
	}
	return p, nil
}

// readPoints returns the points of an interrupted run, if there was one.
func readPoints(path string) ([]point, error) {
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var points []point
	for line := range bytes.Lines(data) {
		var pt point
		if err := json.Unmarshal(line, &pt); err != nil {
			return nil, fmt.Errorf("%s: line %d: %w", path, len(points)+1, err)
		}
		points = append(points, pt)
	}
	return points, nil
}

func (p *progress) close() { p.file.Close() }

func (p *progress) finish() {
	if p.bar != nil {
		p.bar.Finish()
		fmt.Fprintln(os.Stderr)
	}
}

func (p *progress) index(s marge.IndexStats) {
	if p.bar == nil {
		fmt.Fprintf(os.Stderr, "index %d: %d chunks of %d shards, %d links, %.0f%% of them between languages, %d of %d targets without a link, %d batches, %v\n",
			s.Index, s.Chunks, s.Shards, s.Links, 100*float64(s.Cross)/float64(max(s.Links, 1)), s.Unlinked, s.Targets, s.Batches, s.Duration.Round(time.Millisecond))
	}
}

func (p *progress) step(m marge.Metrics) error {
	if p.onStep != nil {
		p.onStep(m)
	}
	if p.first.Step == 0 {
		p.first, p.smooth = m, m.Loss
		p.due = int(m.Progress*float64(p.probes)) + 1
		// What came after the checkpoint that the run resumed from is done again.
		p.points = slices.DeleteFunc(p.points, func(pt point) bool { return pt.Step >= m.Step })
	}
	p.smooth += 0.05 * (m.Loss - p.smooth)
	p.sum, p.n = p.sum+m.Loss, p.n+1
	p.show(m)
	if share := int(m.Progress * float64(p.probes)); p.probes > 0 && share >= p.due || m.Progress == 1 {
		p.due = share + 1
		return p.probe(m)
	}
	return nil
}

// show updates the progress line; without a terminal it prints one every ten
// seconds.
func (p *progress) show(m marge.Metrics) {
	seconds := (m.Elapsed - p.first.Elapsed).Seconds()
	rate := float64(m.TargetTokens-p.first.TargetTokens) / max(seconds, 1e-3)
	line := fmt.Sprintf("step %d  loss %.3f  %.0f tokens/s  beta %.2f", m.Step, p.smooth, rate, m.Beta)
	if p.bar != nil {
		p.bar.Describe(line)
		p.bar.Set(int(1000 * m.Progress))
	} else if time.Since(p.shown) > 10*time.Second {
		p.shown = time.Now()
		left := time.Duration(float64(m.Elapsed) / max(m.Progress, 1e-6) * (1 - m.Progress))
		fmt.Fprintf(os.Stderr, "%s  ETA %v\n", line, left.Round(time.Second))
	}
}

func (p *progress) probe(m marge.Metrics) error {
	report, centred, err := p.e.retrieval(p.ctx, p.m)
	if err != nil {
		return err
	}
	l, err := p.e.loss(p.ctx, p.m, probeTargets)
	if err != nil {
		return err
	}
	pt := point{m.Step, m.TargetTokens, m.Elapsed.Seconds(), p.sum / float64(p.n), m.Beta, m.LR, m.GradNorm, report.Micro.P1, centred.Micro.P1, l}
	p.points, p.sum, p.n = append(p.points, pt), 0, 0
	line, err := json.Marshal(pt)
	if err != nil {
		return err
	}
	if p.bar == nil {
		fmt.Fprintf(os.Stderr, "probe at step %d: P@1 %.3f (%.3f centred by language), held-out loss: retrieved %.3f, translations %.3f, random %.3f, none %.3f\n",
			pt.Step, pt.P1, pt.P1Centred, l.Retrieved, l.Oracle, l.Random, l.None)
	}
	_, err = p.file.Write(append(line, '\n'))
	return err
}

// plot draws the losses and P@1 over target tokens.
func (p *progress) plot(path string) error {
	series := func(y func(point) float64) plotter.XYs {
		var xy plotter.XYs
		for _, pt := range p.points {
			xy = append(xy, plotter.XY{X: float64(pt.TargetTokens) / 1e6, Y: y(pt)})
		}
		return xy
	}
	if len(p.points) == 0 {
		return errors.New("no probe was made: nothing to plot")
	}
	pl := plot.New()
	pl.Title.Text = "MARGE pre-training"
	pl.X.Label.Text = "target tokens (millions)"
	pl.Y.Label.Text = "nats per token; P@1 as a share"
	pl.Legend.Top = true
	pl.Y.Min = 0
	err := plotutil.AddLinePoints(pl,
		"training loss", series(func(p point) float64 { return p.TrainLoss }),
		"held-out, retrieved evidence", series(func(p point) float64 { return p.Heldout.Retrieved }),
		"held-out, translations", series(func(p point) float64 { return p.Heldout.Oracle }),
		"held-out, random evidence", series(func(p point) float64 { return p.Heldout.Random }),
		"held-out, no evidence", series(func(p point) float64 { return p.Heldout.None }),
		"P@1", series(func(p point) float64 { return p.P1 }))
	if err != nil {
		return err
	}
	return pl.Save(8*vg.Inch, 5*vg.Inch, path)
}
