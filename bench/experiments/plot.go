package main

import (
	"fmt"
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"github.com/marge-go/marge/internal/charts"
	"github.com/marge-go/marge/internal/osfile"
)

// panel is one plot of a figure.
type panel struct {
	title, x string
	series   []series
	names    []string // of x = 0, 1, ...; then points are not joined
	logX     bool
}

type series struct {
	name   string
	points []point
}

// point is a value with bounds, which may be NaN or equal to it.
type point struct{ x, y, low, high float64 }

func isNumber(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// draw makes the plot of a panel.
func (p *panel) draw() (charts.Panel, error) {
	out := charts.Panel{Plot: charts.New(p.title, p.x)}
	if p.names != nil {
		out.Plot.NominalX(p.names...)
		label := &out.Plot.X.Tick.Label
		label.Rotation, label.XAlign, label.YAlign = math.Pi/4, draw.XRight, draw.YCenter
	}
	if p.logX {
		out.Plot.X.Scale, out.Plot.X.Tick.Marker = plot.LogScale{}, charts.LogTicks{}
	}
	for i, s := range p.series {
		if err := addSeries(&out, p, i, &s); err != nil {
			return out, fmt.Errorf("plot %q, %q: %w", p.title, s.name, err)
		}
	}
	if p.names != nil {
		out.Plot.X.Min, out.Plot.X.Max = -0.5, float64(len(p.names))-0.5
	}
	return out, nil
}

// errorPoints are points with their bounds.
type errorPoints struct {
	plotter.XYs
	plotter.YErrors
}

func addSeries(out *charts.Panel, p *panel, i int, s *series) error {
	var points errorPoints
	bounded := false
	for _, q := range s.points {
		if !isNumber(q.x) || !isNumber(q.y) || p.logX && q.x <= 0 {
			continue
		}
		if p.names != nil { // side by side
			q.x += min(0.12, 0.8/float64(len(p.series))) * (float64(i) - float64(len(p.series)-1)/2)
		}
		e := struct{ Low, High float64 }{}
		if isNumber(q.low) && isNumber(q.high) && q.high > q.low {
			e.Low, e.High = q.y-q.low, q.high-q.y
			bounded = true
		}
		points.XYs, points.YErrors = append(points.XYs, plotter.XY{X: q.x, Y: q.y}), append(points.YErrors, e)
	}
	if len(points.XYs) == 0 {
		return nil
	}
	color := charts.Color(i)
	line, dots, err := plotter.NewLinePoints(points.XYs)
	if err != nil {
		return err
	}
	line.Color, line.Width = color, vg.Points(1.2)
	dots.Color, dots.Shape, dots.Radius = color, plotutil.Shape(i), vg.Points(2)
	thumbnails := []plot.Thumbnailer{dots}
	if p.names == nil {
		out.Plot.Add(line)
		thumbnails = append(thumbnails, line)
	}
	out.Plot.Add(dots)
	if bounded {
		bars, err := plotter.NewYErrorBars(points)
		if err != nil {
			return err
		}
		bars.Color = color
		out.Plot.Add(bars)
	}
	if s.name != "" {
		out.Legend = append(out.Legend, charts.Entry{Name: s.name, Thumbs: thumbnails})
	}
	return nil
}

// savePNG draws panels, two in a row, to a PNG file.
func savePNG(path string, panels []panel) error {
	figure := charts.Figure{Columns: 2, Width: 5.5 * vg.Inch, Height: 4.5 * vg.Inch}
	for i := range panels {
		p, err := panels[i].draw()
		if err != nil {
			return err
		}
		figure.Panels = append(figure.Panels, p)
	}
	image, err := figure.Write("png")
	if err != nil {
		return err
	}
	return osfile.WriteFile(path, image)
}
