// Package charts puts plots together to figures: legends beside the curves in
// as many columns as they need, ticks whose labels differ, and colours that do
// not repeat.
package charts

import (
	"errors"
	"fmt"
	"image/color"
	"math"
	"path/filepath"
	"strings"

	"github.com/marge-go/marge/internal/ceil"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/palette"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Figure is a grid of panels.
type Figure struct {
	Columns int
	// Width and Height are those of a panel without its legend.
	Width, Height vg.Length
	Panels        []Panel
	Legend        []Entry // for all panels, below them
}

// Panel is a plot with its legend, which is drawn to the right of it.
type Panel struct {
	Plot   *plot.Plot
	Legend []Entry
}

// Entry is a name in a legend and what is drawn beside it.
type Entry struct {
	Name   string
	Thumbs []plot.Thumbnailer
}

// New returns an empty plot with a grid.
func New(title, x string) *plot.Plot {
	p := plot.New()
	p.Title.Text, p.X.Label.Text = title, x
	p.Title.Padding = vg.Points(8)
	p.X.Tick.Marker, p.Y.Tick.Marker = Ticks{}, Ticks{}
	p.Add(plotter.NewGrid())
	return p
}

// Color returns the colour of series i. No two of a figure's series have the
// same: their hues are a golden angle apart.
func Color(i int) color.Color {
	_, hue := math.Modf(0.58 + float64(i)*(math.Sqrt(5)-1)/2)
	value := []float64{0.75, 0.45, 0.95}[i/8%3]
	return palette.HSVA{H: hue, S: 0.85, V: value, A: 1}
}

// margin is left around panels and legends.
const margin = 5 * vg.Millimeter

// layout says where the parts of a figure are.
type layout struct {
	size    vg.Point
	legends []vg.Length // width of the legends in each column of panels
	rows    int         // of panels
	entries block       // of the figure's own legend
}

func (f *Figure) layout() layout {
	l := layout{rows: ceil.Div(len(f.Panels), f.Columns), legends: make([]vg.Length, f.Columns)}
	for i, p := range f.Panels {
		legend := newBlock(p.Legend, f.Height-2*margin)
		l.legends[i%f.Columns] = max(l.legends[i%f.Columns], legend.width())
	}
	for _, width := range l.legends {
		l.size.X += margin + f.Width + width
	}
	l.size.X += margin
	l.size.Y = vg.Length(l.rows)*(f.Height+margin) + margin
	if len(f.Legend) > 0 {
		// As many columns as there is room for; a name that is too long widens
		// the figure.
		l.entries = newBlock(f.Legend, 0)
		fitting := max(1, int((l.size.X-2*margin)/l.entries.column))
		l.entries.rows = ceil.Div(len(f.Legend), fitting)
		l.size.X = max(l.size.X, l.entries.width()+2*margin)
		l.size.Y += l.entries.height() + margin
	}
	return l
}

// Write draws the figure and returns the content of an image file of a format:
// png, svg, pdf and others of gonum's plot.
func (f *Figure) Write(format string) ([]byte, error) {
	l := f.layout()
	canvas, err := draw.NewFormattedCanvas(l.size.X, l.size.Y, format)
	if err != nil {
		return nil, err
	}
	all := draw.New(canvas)
	all.SetColor(color.White)
	all.Fill(all.Rectangle.Path())
	for i, p := range f.Panels {
		row, column := i/f.Columns, i%f.Columns
		left := all.Min.X + margin
		for _, width := range l.legends[:column] {
			left += f.Width + width + margin
		}
		top := all.Max.Y - margin - vg.Length(row)*(f.Height+margin)
		widen(&p.Plot.Y)
		p.Plot.Draw(part(all, left, top, f.Width, f.Height))
		legend := newBlock(p.Legend, f.Height-2*margin)
		legend.draw(part(all, left+f.Width, top-margin, legend.width(), legend.height()))
	}
	l.entries.draw(part(all, all.Min.X+margin, all.Min.Y+margin+l.entries.height(), l.entries.width(), l.entries.height()))
	var out strings.Builder
	if _, err := canvas.WriteTo(&out); err != nil {
		return nil, err
	}
	return []byte(out.String()), nil
}

// Format returns the format that the name of an image file asks for.
func Format(path string) (string, error) {
	format := strings.TrimPrefix(filepath.Ext(path), ".")
	if format == "" {
		return "", errors.New("the name of an image ends in its format, such as .png or .svg")
	}
	if _, err := draw.NewFormattedCanvas(vg.Inch, vg.Inch, format); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return format, nil
}

func part(c draw.Canvas, left, top, width, height vg.Length) draw.Canvas {
	min, max := vg.Point{X: left, Y: top - height}, vg.Point{X: left + width, Y: top}
	return draw.Canvas{Canvas: c.Canvas, Rectangle: vg.Rectangle{Min: min, Max: max}}
}

// widen leaves some room above and below the curves, so that those at the
// bounds can be told from the frame.
func widen(a *plot.Axis) {
	if room := 0.04 * (a.Max - a.Min); room > 0 && !math.IsInf(room, 0) {
		a.Min, a.Max = a.Min-room, a.Max+room
	}
}

// block is a legend, in columns of equal width.
type block struct {
	entries []Entry
	rows    int
	line    vg.Length // height of an entry
	column  vg.Length // width of a column
	legend  plot.Legend
}

// newBlock returns the legend with as many columns as the height demands, or
// with one if that is 0.
func newBlock(entries []Entry, height vg.Length) block {
	b := block{entries: entries, rows: len(entries), legend: plot.NewLegend()}
	b.legend.Top, b.legend.Left, b.legend.ThumbnailWidth = true, true, vg.Points(30)
	style := b.legend.TextStyle
	b.line = 1.25 * (style.FontExtents().Ascent + style.FontExtents().Descent)
	for _, e := range entries {
		b.column = max(b.column, style.Width(e.Name))
	}
	b.column += b.legend.ThumbnailWidth + 2*margin
	if fitting := int(height / b.line); fitting > 0 {
		b.rows = min(b.rows, fitting)
	}
	return b
}

func (b *block) width() vg.Length {
	if len(b.entries) == 0 {
		return 0
	}
	return b.column * vg.Length((len(b.entries)+b.rows-1)/b.rows)
}

func (b *block) height() vg.Length { return b.line * vg.Length(b.rows) }

// draw draws the entries column by column.
func (b *block) draw(c draw.Canvas) {
	for i, e := range b.entries {
		one := b.legend
		one.Add(e.Name, e.Thumbs...)
		left := c.Min.X + margin + b.column*vg.Length(i/b.rows)
		one.Draw(part(c, left, c.Max.Y-b.line*vg.Length(i%b.rows), b.column, b.line))
	}
}
