package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/probe"
)

// display shows how far something is: in one line of a terminal that it writes
// over and over, or else in a line every ten seconds.
type display struct {
	w     io.Writer
	width func() int // of the terminal, in columns; nil: w is none
	open  bool       // the terminal's line has a text
	shown time.Time
}

func newDisplay(f *os.File) *display {
	d := &display{w: f}
	if fd := int(f.Fd()); term.IsTerminal(fd) {
		d.width = func() int {
			width, _, err := term.GetSize(fd)
			if err != nil {
				return 80
			}
			return width
		}
	}
	return d
}

// progress shows a text, unless it is too soon after the last one.
func (d *display) progress(text string) {
	interval := 10 * time.Second
	if d.width != nil {
		interval = time.Second / 5
	}
	if time.Since(d.shown) < interval {
		return
	}
	d.shown = time.Now()
	if d.width == nil {
		fmt.Fprintln(d.w, text)
		return
	}
	// One column less: some terminals begin a new line after the last one.
	text = text[:max(0, min(len(text), d.width()-1))]
	fmt.Fprintf(d.w, "\r%s\x1b[K", text)
	d.open = true
}

// message prints a line that stays.
func (d *display) message(format string, args ...any) {
	d.end()
	fmt.Fprintln(d.w, strings.TrimSuffix(fmt.Sprintf(format, args...), "\n"))
}

// end ends the terminal's line, whose text stays. The next one comes at once.
func (d *display) end() {
	if d.open {
		fmt.Fprintln(d.w)
		d.open, d.shown = false, time.Time{}
	}
}

// progress shows how a training goes and has it probed on schedule.
type progress struct {
	*display
	monitor *probe.Monitor
	smooth  float64
	first   marge.Metrics // of this run
	onStep  func(marge.Metrics)
}

func newProgress(ctx context.Context, o *options, d *display, m *marge.Model, data *data) (*progress, error) {
	p := &progress{display: d, onStep: o.onStep}
	po := probe.Options{Dir: o.out, Probes: o.probes, Store: data.store, OnRecord: p.record}
	if o.probes > 0 && data.heldout.missing == "" {
		po.Heldout = data.heldout.heldout(probeTargets, nil)
	}
	var err error
	p.monitor, err = probe.NewMonitor(ctx, m, po)
	return p, err
}

func (p *progress) index(s marge.IndexStats) {
	p.monitor.OnIndex(s)
	if p.width == nil {
		p.message("index %d: %d chunks of %d shards, %d links, %.0f%% of them between languages, "+
			"%d of %d targets without a link, %d batches, %v", s.Index, s.Chunks, s.Shards, s.Links,
			100*float64(s.Cross)/float64(max(s.Links, 1)), s.Unlinked, s.Targets, s.Batches, s.Duration.Round(time.Millisecond))
	}
}

func (p *progress) step(m marge.Metrics) error {
	if p.onStep != nil {
		p.onStep(m)
	}
	if p.first.Step == 0 {
		p.first, p.smooth = m, m.Loss
	}
	p.smooth += 0.05 * (m.Loss - p.smooth)
	p.progress(p.line(m))
	return p.monitor.OnStep(m)
}

// line describes the training after an update. Its rate and the time that is
// left are those of training alone, without probes.
func (p *progress) line(m marge.Metrics) string {
	seconds := (m.Elapsed - p.first.Elapsed).Seconds()
	rate := float64(m.TargetTokens-p.first.TargetTokens) / max(seconds, 1e-3)
	left := time.Duration(float64(m.Elapsed) / max(m.Progress, 1e-6) * (1 - m.Progress))
	return fmt.Sprintf("%3.0f%%  step %d  loss %.3f  ETA %v  %.0f tokens/s  beta %.2f",
		100*m.Progress, m.Step, p.smooth, left.Round(time.Second), rate, m.Beta)
}

// record prints a probe where there is no terminal, and a warning in any case.
func (p *progress) record(r *probe.Record) error {
	if r.Warning != "" {
		p.message("warning: step %d: %s", r.Step, r.Warning)
	}
	if h := r.Heldout; h != nil && p.width == nil {
		p.message("probe at step %d: P@1 %.3f (%.3f centred by language), f of translations %.3f, of others %.3f, "+
			"held-out loss: retrieved %.3f, translations %.3f, random %.3f, none %.3f",
			r.Step, h.P1, h.P1Centered, h.RelevanceAligned.Mean, h.RelevanceUnaligned.Mean,
			h.Loss.Retrieved, h.Loss.Oracle, h.Loss.Random, h.Loss.None)
	}
	return nil
}
