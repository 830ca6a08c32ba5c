// Package curves draws what the probes of a training measured.
package curves

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/marge-go/marge/marge/probe"
)

// run is a training to draw.
type run struct {
	name    string
	records []probe.Record
}

// Draw draws the curves of runs, whose directories or metrics.jsonl files are
// given, over each other, in an image file of the format that its name ends
// with: png, svg or pdf.
func Draw(path string, runs ...string) error {
	var all []run
	for _, name := range runs {
		file := name
		if info, err := os.Stat(name); err == nil && info.IsDir() {
			file = filepath.Join(name, probe.LogName)
		}
		records, err := probe.ReadRecords(file)
		if err != nil {
			return err
		}
		if len(records) == 0 {
			return fmt.Errorf("%s has no records", file)
		}
		all = append(all, run{filepath.Base(filepath.Dir(file)), records})
	}
	if len(all) == 0 {
		return errors.New("no run to draw")
	}
	return save(path, all)
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

const columns = 3

func save(path string, runs []run) error {
	var plots []*plot.Plot
	for _, panel := range panels {
		p := newPlot(panel.title, "target tokens (millions)")
		for i, c := range panel.curves {
			for j, r := range runs {
				var points plotter.XYs
				for k := range r.records {
					if v := c.value(&r.records[k]); v != nil {
						points = append(points, plotter.XY{X: float64(r.records[k].TargetTokens) / 1e6, Y: *v})
					}
				}
				if err := addLine(p, label(runs, j, c.name), points, i, j); err != nil {
					return err
				}
			}
		}
		plots = append(plots, p)
	}
	p, err := relevance(runs)
	if err != nil {
		return err
	}
	return render(path, append(plots, p))
}

// relevance draws the last histograms of f.
func relevance(runs []run) (*plot.Plot, error) {
	p := newPlot("relevance at the end", "f")
	for j, r := range runs {
		var last *probe.Measurement
		for _, record := range r.records {
			if record.Heldout != nil {
				last = record.Heldout
			}
		}
		if last == nil {
			continue
		}
		for i, h := range []*probe.Histogram{&last.RelevanceAligned, &last.RelevanceUnaligned} {
			var points plotter.XYs
			for bin, count := range h.Counts {
				low, high := probe.Bounds(bin)
				points = append(points, plotter.XY{X: (low + high) / 2, Y: float64(count) / float64(max(h.N, 1))})
			}
			if err := addLine(p, label(runs, j, []string{"translations", "others"}[i]), points, i, j); err != nil {
				return nil, err
			}
		}
	}
	return p, nil
}

func newPlot(title, x string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text = title, x
	p.Legend.Top = true
	p.Add(plotter.NewGrid())
	return p
}

// label names a line; with several runs, by the run.
func label(runs []run, j int, curve string) string {
	if len(runs) == 1 {
		return curve
	}
	return strings.TrimSuffix(runs[j].name+", "+curve, ", ")
}

// addLine adds a line in the colour of the curve and with the dashes of the
// run.
func addLine(p *plot.Plot, name string, points plotter.XYs, curve, run int) error {
	if len(points) == 0 {
		return nil
	}
	line, err := plotter.NewLine(points)
	if err != nil {
		return fmt.Errorf("%s: %s: %w", p.Title.Text, name, err)
	}
	line.Color, line.Width = plotutil.Color(curve), vg.Points(1.2)
	if run > 0 {
		line.Dashes = plotutil.Dashes(run)
	}
	p.Add(line)
	if name != "" {
		p.Legend.Add(name, line)
	}
	return nil
}

// render draws plots beside and below each other.
func render(path string, plots []*plot.Plot) (err error) {
	rows := (len(plots) + columns - 1) / columns
	canvas, err := draw.NewFormattedCanvas(columns*5*vg.Inch, vg.Length(rows)*3.3*vg.Inch, strings.TrimPrefix(filepath.Ext(path), "."))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	grid := make([][]*plot.Plot, rows)
	for i := range grid {
		grid[i] = make([]*plot.Plot, columns)
		copy(grid[i], plots[i*columns:min((i+1)*columns, len(plots))])
	}
	tiles := draw.Tiles{Rows: rows, Cols: columns, PadX: vg.Millimeter * 4, PadY: vg.Millimeter * 4, PadTop: vg.Millimeter * 2, PadRight: vg.Millimeter * 3}
	for i, row := range plot.Align(grid, tiles, draw.New(canvas)) {
		for j, c := range row {
			if grid[i][j] != nil {
				grid[i][j].Draw(c)
			}
		}
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	_, err = canvas.WriteTo(f)
	return err
}
