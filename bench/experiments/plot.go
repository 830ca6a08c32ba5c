package main

import (
	"errors"
	"fmt"
	"math"
	"os"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/plotutil"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
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

// newPlot makes the plot of a panel.
func newPlot(p *panel) (*plot.Plot, error) {
	out := plot.New()
	out.Title.Text, out.X.Label.Text = p.title, p.x
	out.Legend.Top = true
	out.Add(plotter.NewGrid())
	if p.names != nil {
		out.NominalX(p.names...)
		out.X.Tick.Label.Rotation, out.X.Tick.Label.XAlign, out.X.Tick.Label.YAlign = math.Pi/4, draw.XRight, draw.YCenter
	}
	if p.logX {
		out.X.Scale, out.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	}
	for i, s := range p.series {
		if err := addSeries(out, p, i, &s); err != nil {
			return nil, fmt.Errorf("plot %q, %q: %w", p.title, s.name, err)
		}
	}
	if p.names != nil {
		out.X.Min, out.X.Max = -0.5, float64(len(p.names))-0.5
	}
	if len(p.series) > 1 { // room for the legend
		out.Y.Max += 0.06 * float64(len(p.series)) * (out.Y.Max - out.Y.Min)
	}
	return out, nil
}

// errorPoints are points with their bounds.
type errorPoints struct {
	plotter.XYs
	plotter.YErrors
}

func addSeries(out *plot.Plot, p *panel, i int, s *series) error {
	var points errorPoints
	bounded := false
	for _, q := range s.points {
		if !isNumber(q.x) || !isNumber(q.y) || p.logX && q.x <= 0 {
			continue
		}
		if p.names != nil { // side by side
			q.x += 0.12 * (float64(i) - float64(len(p.series)-1)/2)
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
	color := plotutil.Color(i)
	line, dots, err := plotter.NewLinePoints(points.XYs)
	if err != nil {
		return err
	}
	line.Color, line.Width = color, vg.Points(1.2)
	dots.Color, dots.Shape, dots.Radius = color, plotutil.Shape(i), vg.Points(2)
	thumbnails := []plot.Thumbnailer{dots}
	if p.names == nil {
		out.Add(line)
		thumbnails = append(thumbnails, line)
	}
	out.Add(dots)
	if bounded {
		bars, err := plotter.NewYErrorBars(points)
		if err != nil {
			return err
		}
		bars.Color = color
		out.Add(bars)
	}
	if s.name != "" {
		out.Legend.Add(s.name, thumbnails...)
	}
	return nil
}

// savePNG draws panels, two in a row, to a PNG file.
func savePNG(path string, panels []panel) (err error) {
	const columns = 2
	rows := (len(panels) + columns - 1) / columns
	canvas := vgimg.New(columns*7*vg.Inch, vg.Length(rows)*4.5*vg.Inch)
	grid := make([][]*plot.Plot, rows)
	for i := range panels {
		p, err := newPlot(&panels[i])
		if err != nil {
			return err
		}
		grid[i/columns] = append(grid[i/columns], p)
	}
	for len(grid[rows-1]) < columns {
		grid[rows-1] = append(grid[rows-1], nil)
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
	_, err = vgimg.PngCanvas{Canvas: canvas}.WriteTo(f)
	return err
}
