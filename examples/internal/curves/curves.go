// Package curves draws what the probes of a training measured.
package curves

import (
	"errors"
	"fmt"
	"image/color"
	"os"
	"path/filepath"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/marge-go/marge/internal/charts"
	"github.com/marge-go/marge/internal/osfile"
	"github.com/marge-go/marge/marge/probe"
)

// run is a training to draw.
type run struct {
	name    string
	records []probe.Record
}

// Draw draws the curves of runs, whose directories or metrics.jsonl files are
// given, over each other, in an image file of the format that its name ends
// with: png, svg or pdf. Records in damaged lines are left out; the error, which
// wraps a *probe.DamageError, tells which, but the file is written.
func Draw(path string, runs ...string) error {
	var all []run
	var damaged error
	for _, name := range runs {
		file := name
		if info, err := os.Stat(name); err == nil && info.IsDir() {
			file = filepath.Join(name, probe.LogName)
		}
		records, err := probe.ReadRecords(file)
		if damage := (*probe.DamageError)(nil); errors.As(err, &damage) {
			damaged = errors.Join(damaged, fmt.Errorf("drawn without damaged lines: %w", err))
		} else if err != nil {
			return err
		}
		if len(records) == 0 {
			return errors.Join(fmt.Errorf("%s has no records", file), damaged)
		}
		all = append(all, run{filepath.Base(filepath.Dir(file)), records})
	}
	if len(all) == 0 {
		return errors.New("no run to draw")
	}
	tellApart(all, runs)
	return errors.Join(save(path, all), damaged)
}

// tellApart names runs by their paths where the last parts of these are equal.
func tellApart(all []run, paths []string) {
	count := map[string]int{}
	for _, r := range all {
		count[r.name]++
	}
	for i := range all {
		if count[all[i].name] > 1 {
			all[i].name = paths[i]
		}
	}
}

// curve is one line of a panel for each run. Its value is nil where a record
// does not have it.
type curve struct {
	name  string
	value func(r *probe.Record) *float64
}

func train(name string, get func(*probe.Train) float64) curve {
	return curve{name, func(r *probe.Record) *float64 {
		if r.Train == nil {
			return nil
		}
		v := get(r.Train)
		return &v
	}}
}

func heldout(name string, get func(*probe.Measurement) float64) curve {
	return curve{name, func(r *probe.Record) *float64 {
		if r.Heldout == nil {
			return nil
		}
		v := get(r.Heldout)
		return &v
	}}
}

func links(name string, get func(*probe.Links) *float64) curve {
	return curve{name, func(r *probe.Record) *float64 {
		if r.Links == nil {
			return nil
		}
		return get(r.Links)
	}}
}

func development(name, score string) curve {
	return curve{name, func(r *probe.Record) *float64 {
		v, ok := r.Development[score]
		if !ok {
			return nil
		}
		return &v
	}}
}

// panels are the plots of a figure, over target tokens.
var panels = []struct {
	title  string
	curves []curve
}{
	{"loss, nats per token", []curve{
		train("training", func(t *probe.Train) float64 { return t.Loss }),
		heldout("retrieved evidence", func(h *probe.Measurement) float64 { return h.Loss.Retrieved }),
		heldout("translations", func(h *probe.Measurement) float64 { return h.Loss.Oracle }),
		heldout("random evidence", func(h *probe.Measurement) float64 { return h.Loss.Random }),
		heldout("no evidence", func(h *probe.Measurement) float64 { return h.Loss.None }),
		development("development data", "loss"),
	}},
	{"development data", []curve{
		development("accuracy", "accuracy"), development("exact match", "exact_match"), development("F1", "f1"),
		development("score", "score"),
	}},
	{"retrieval of translations", []curve{
		heldout("P@1", func(h *probe.Measurement) float64 { return h.P1 }),
		heldout("P@1, centred", func(h *probe.Measurement) float64 { return h.P1Centered }),
		heldout("MRR", func(h *probe.Measurement) float64 { return h.MRR }),
	}},
	{"mean relevance f", []curve{
		heldout("translations", func(h *probe.Measurement) float64 { return h.RelevanceAligned.Mean }),
		heldout("others", func(h *probe.Measurement) float64 { return h.RelevanceUnaligned.Mean }),
		heldout("AUC", func(h *probe.Measurement) float64 { return h.RelevanceAUC }),
	}},
	{"links of the index", []curve{
		links("between languages", func(l *probe.Links) *float64 { return &l.CrossShare }),
		links("of these, translations", func(l *probe.Links) *float64 { return l.AlignedShare }),
		links("targets without", func(l *probe.Links) *float64 { return &l.UnlinkedShare }),
	}},
	{"cross-attention", []curve{
		heldout("entropy over documents, nats", func(h *probe.Measurement) float64 { return h.AttentionEntropy }),
		heldout("to a translation", func(h *probe.Measurement) float64 { return h.AttentionTranslation }),
		heldout("if uniform", func(h *probe.Measurement) float64 { return h.AttentionUniform }),
	}},
	{"beta", []curve{train("", func(t *probe.Train) float64 { return t.Beta })}},
	{"gradient norm", []curve{
		train("mean", func(t *probe.Train) float64 { return t.GradNorm }),
		train("greatest", func(t *probe.Train) float64 { return t.GradNormMax }),
	}},
	{"learning rate", []curve{train("", func(t *probe.Train) float64 { return t.LearningRate })}},
}

// save draws runs. One run has a colour for each curve; of several, each has a
// colour, and the curves differ by their dashes.
func save(path string, runs []run) error {
	format, err := charts.Format(path)
	if err != nil {
		return err
	}
	figure := charts.Figure{Columns: 3, Width: 4 * vg.Inch, Height: 3.2 * vg.Inch}
	for _, panel := range panels {
		var lines []line
		for i, c := range panel.curves {
			for j, r := range runs {
				points := pointsOf(r.records, func(record *probe.Record) (plotter.XY, bool) {
					v := c.value(record)
					if v == nil {
						return plotter.XY{}, false
					}
					return plotter.XY{X: float64(record.TargetTokens) / 1e6, Y: *v}, true
				})
				lines = append(lines, line{c.name, points, i, j})
			}
		}
		if err := addPanel(&figure, charts.New(panel.title, "target tokens (millions)"), lines, len(runs)); err != nil {
			return err
		}
	}
	var lines []line
	for j, r := range runs {
		lines = append(lines, relevance(r.records, j)...)
	}
	if err := addPanel(&figure, charts.New("relevance at the end", "f"), lines, len(runs)); err != nil {
		return err
	}
	if len(figure.Panels) == 0 {
		return errors.New("the records of the runs have no figures")
	}
	if len(runs) > 1 {
		for j, r := range runs {
			sample := &plotter.Line{LineStyle: style(0, j, len(runs))}
			figure.Legend = append(figure.Legend, charts.Entry{Name: r.name, Thumbs: []plot.Thumbnailer{sample}})
		}
	}
	image, err := figure.Write(format)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return osfile.WriteFile(path, image)
}

// line is a curve of a run.
type line struct {
	name       string
	points     plotter.XYs
	curve, run int
}

// pointsOf returns the points of those records that have one.
func pointsOf(records []probe.Record, point func(*probe.Record) (plotter.XY, bool)) plotter.XYs {
	var points plotter.XYs
	for i := range records {
		if p, ok := point(&records[i]); ok {
			points = append(points, p)
		}
	}
	return points
}

// relevance returns the last histograms of f of a run.
func relevance(records []probe.Record, run int) []line {
	var last *probe.Measurement
	for _, record := range records {
		if record.Heldout != nil {
			last = record.Heldout
		}
	}
	if last == nil {
		return nil
	}
	histogram := func(name string, h *probe.Histogram, curve int) line {
		l := line{name: name, curve: curve, run: run}
		for bin, count := range h.Counts {
			low, high := probe.Bounds(bin)
			l.points = append(l.points, plotter.XY{X: (low + high) / 2, Y: float64(count) / float64(max(h.N, 1))})
		}
		return l
	}
	return []line{histogram("translations", &last.RelevanceAligned, 0), histogram("others", &last.RelevanceUnaligned, 1)}
}

// style is how a curve of one of several runs is drawn.
func style(curve, run, runs int) draw.LineStyle {
	s := draw.LineStyle{Color: charts.Color(curve), Width: vg.Points(1.2)}
	if runs > 1 {
		s.Color, s.Dashes = charts.Color(run), plotutil.Dashes(curve)
	}
	return s
}

// addPanel adds a plot of lines, unless none of them has a point. Its legend
// names the curves, once for all runs.
func addPanel(f *charts.Figure, p *plot.Plot, lines []line, runs int) error {
	panel := charts.Panel{Plot: p}
	named := map[string]bool{}
	drawn := false
	for _, l := range lines {
		if len(l.points) == 0 {
			continue
		}
		drawn = true
		curve, err := plotter.NewLine(l.points)
		if err != nil {
			return fmt.Errorf("%s: %s: %w", p.Title.Text, l.name, err)
		}
		curve.LineStyle = style(l.curve, l.run, runs)
		p.Add(curve)
		if l.name == "" || named[l.name] {
			continue
		}
		named[l.name] = true
		sample := &plotter.Line{LineStyle: curve.LineStyle}
		if runs > 1 {
			sample.Color = color.Black
		}
		panel.Legend = append(panel.Legend, charts.Entry{Name: l.name, Thumbs: []plot.Thumbnailer{sample}})
	}
	if drawn {
		f.Panels = append(f.Panels, panel)
	}
	return nil
}
