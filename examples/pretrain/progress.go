package main

import (
	"context"
	"fmt"
	"time"

	"github.com/marge-go/marge/examples/internal/program"
	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/probe"
)

// progress shows how a training goes and has it probed on schedule.
type progress struct {
	*program.Display
	monitor *probe.Monitor
	smooth  float64
	first   marge.Metrics // of this run
	onStep  func(marge.Metrics)
}

func newProgress(ctx context.Context, o *options, d *program.Display, m *marge.Model, data *data) (*progress, error) {
	p := &progress{Display: d, onStep: o.onStep}
	po := probe.Options{Dir: o.out, Probes: o.probes, Store: data.store, OnRecord: p.record}
	if o.probes > 0 && data.heldout.missing == "" && o.retrieves() {
		po.Heldout = data.heldout.heldout(probeTargets, nil)
	}
	var err error
	p.monitor, err = probe.NewMonitor(ctx, m, po)
	return p, err
}

func (p *progress) index(s marge.IndexStats) {
	p.monitor.OnIndex(s)
	if !p.Terminal() {
		p.Message("index %d: %d chunks of %d shards, %d links, %.0f%% of them between languages, "+
			"%d of %d targets without a link, %d batches, %v", s.Index, s.Chunks, s.Shards, s.Links,
			100*float64(s.Cross)/float64(max(s.Links, 1)), s.Unlinked, s.Targets, s.Batches, s.Duration.Round(time.Millisecond))
	}
}

func (p *progress) warn(err error) { p.Message("warning: %v", err) }

func (p *progress) step(m marge.Metrics) error {
	if p.onStep != nil {
		p.onStep(m)
	}
	if p.first.Step == 0 {
		p.first, p.smooth = m, m.Loss
	}
	p.smooth += 0.05 * (m.Loss - p.smooth)
	p.Progress(p.line(m))
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
		p.Message("warning: step %d: %s", r.Step, r.Warning)
	}
	if h := r.Heldout; h != nil && !p.Terminal() {
		p.Message("probe at step %d: P@1 %.3f (%.3f centred by language), f of translations %.3f, of others %.3f, "+
			"held-out loss: retrieved %.3f, translations %.3f, random %.3f, none %.3f",
			r.Step, h.P1, h.P1Centered, h.RelevanceAligned.Mean, h.RelevanceUnaligned.Mean,
			h.Loss.Retrieved, h.Loss.Oracle, h.Loss.Random, h.Loss.None)
	}
	return nil
}
