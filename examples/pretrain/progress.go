package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/probe"
)

// progress shows how a training goes and has it probed on schedule.
type progress struct {
	monitor *probe.Monitor
	bar     *progressbar.ProgressBar // nil where standard error is no terminal
	smooth  float64
	first   marge.Metrics // of this run
	shown   time.Time
	onStep  func(marge.Metrics)
}

func newProgress(ctx context.Context, o *options, m *marge.Model, d *data) (*progress, error) {
	p := &progress{onStep: o.onStep}
	if term.IsTerminal(int(os.Stderr.Fd())) {
		p.bar = progressbar.NewOptions(1000, progressbar.OptionSetWriter(os.Stderr), progressbar.OptionSetPredictTime(true),
			progressbar.OptionSetWidth(20), progressbar.OptionThrottle(200*time.Millisecond))
	}
	po := probe.Options{Dir: o.out, Probes: o.probes, Store: d.store, OnRecord: p.record}
	if o.probes > 0 {
		po.Heldout = d.heldout.heldout(probeTargets)
	}
	var err error
	p.monitor, err = probe.NewMonitor(ctx, m, po)
	return p, err
}

func (p *progress) finish() {
	if p.bar != nil {
		p.bar.Finish()
		fmt.Fprintln(os.Stderr)
	}
}

func (p *progress) index(s marge.IndexStats) {
	p.monitor.OnIndex(s)
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
	}
	p.smooth += 0.05 * (m.Loss - p.smooth)
	p.show(m)
	return p.monitor.OnStep(m)
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

// record prints a probe where there is no progress bar, and a warning in any case.
func (p *progress) record(r *probe.Record) error {
	if r.Warning != "" {
		if p.bar != nil {
			fmt.Fprintln(os.Stderr)
		}
		fmt.Fprintf(os.Stderr, "warning: step %d: %s\n", r.Step, r.Warning)
	}
	if h := r.Heldout; h != nil && p.bar == nil {
		fmt.Fprintf(os.Stderr, "probe at step %d: P@1 %.3f (%.3f centred by language), f of translations %.3f, of others %.3f, held-out loss: retrieved %.3f, translations %.3f, random %.3f, none %.3f\n",
			r.Step, h.P1, h.P1Centered, h.RelevanceAligned.Mean, h.RelevanceUnaligned.Mean, h.Loss.Retrieved, h.Loss.Oracle, h.Loss.Random, h.Loss.None)
	}
	return nil
}
