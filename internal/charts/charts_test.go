package charts

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

func labels(ticks []plot.Tick) (labels []string) {
	for _, t := range ticks {
		if t.Label != "" {
			labels = append(labels, t.Label)
		}
	}
	return labels
}

func TestTicks(t *testing.T) {
	for _, test := range []struct {
		low, high float64
		want      string
	}{
		{0, 1, "0 0.2 0.4 0.6 0.8 1.0"},
		{6, 6.0007, "6.0000 6.0002 6.0004 6.0006"},
		{-0.3, 0.2, "-0.3 -0.2 -0.1 0 0.1 0.2"},
		{0.9921, 0.9929, "0.9922 0.9924 0.9926 0.9928"},
		{0, 30e6, "0 5e+06 1.0e+07 1.5e+07 2.0e+07 2.5e+07 3.0e+07"},
		{1, 9, "2 4 6 8"},
		{0, 4e-7, "0 1e-07 2e-07 3e-07 4e-07"},
		{100, 101, "100.0 100.2 100.4 100.6 100.8 101.0"},
		{1, 1, ""}, {1, math.Inf(1), ""}, {math.NaN(), 1, ""}, {0, 5e-324, ""},
	} {
		if got := strings.Join(labels(Ticks{}.Ticks(test.low, test.high)), " "); got != test.want {
			t.Errorf("from %v to %v: %s, want %s", test.low, test.high, got, test.want)
		}
	}
	// Labels say where their ticks are, and there are enough of them.
	for exponent := -12; exponent <= 12; exponent++ {
		for _, low := range []float64{-1, 0, 0.013, 1, 12.5} {
			for _, width := range []float64{1, 1.7, 3, 4.4, 8} {
				low, high := low*math.Pow10(exponent), (low+width)*math.Pow10(exponent)
				ticks := Ticks{}.Ticks(low, high)
				if len(ticks) < 3 || len(ticks) > 7 {
					t.Errorf("from %v to %v: %d ticks", low, high, len(ticks))
				}
				for i, tick := range ticks {
					var v float64
					if _, err := fmt.Sscan(tick.Label, &v); err != nil || math.Abs(v-tick.Value) > 1e-9*(high-low) {
						t.Errorf("from %v to %v: %v is labelled %s", low, high, tick.Value, tick.Label)
					}
					if i > 0 && !(tick.Value > ticks[i-1].Value) {
						t.Errorf("from %v to %v: %v after %v", low, high, tick.Value, ticks[i-1].Value)
					}
				}
			}
		}
	}
}

func TestLogTicks(t *testing.T) {
	for _, test := range []struct {
		low, high float64
		want      string
	}{
		{3e15, 2e16, "5e+15 1e+16 2e+16"},
		{0.5, 30, "0.5 1 2 5 10 20"},
		{1e-3, 1e4, "0.001 0.01 0.1 1 10 100 1000 10000"},
		{0, 1, ""}, {-1, 1, ""}, {1, math.Inf(1), ""},
	} {
		if got := strings.Join(labels(LogTicks{}.Ticks(test.low, test.high)), " "); got != test.want {
			t.Errorf("from %v to %v: %s, want %s", test.low, test.high, got, test.want)
		}
	}
}

func TestColorsDiffer(t *testing.T) {
	known := map[color.RGBA]int{}
	for i := range 60 {
		c := color.RGBAModel.Convert(Color(i)).(color.RGBA)
		if j, ok := known[c]; ok {
			t.Errorf("colours %d and %d are equal", i, j)
		}
		known[c] = i
	}
}

// figure has a panel with a red curve and legends of n entries.
func figure(n int) *Figure {
	p := New("title", "x")
	line, err := plotter.NewLine(plotter.XYs{{X: 0, Y: 0}, {X: 1, Y: 1e-3}, {X: 2, Y: 0}})
	if err != nil {
		panic(err)
	}
	line.Color, line.Width = color.RGBA{R: 255, A: 255}, vg.Points(3)
	p.Add(line)
	var entries []Entry
	for i := range n {
		entries = append(entries, Entry{Name: fmt.Sprintf("a name that is rather long, number %d", i)})
	}
	return &Figure{Columns: 1, Width: 3 * vg.Inch, Height: 2 * vg.Inch, Panels: []Panel{{p, entries}}, Legend: entries}
}

func pngOf(t *testing.T, f *Figure) image.Image {
	t.Helper()
	data, err := f.Write("png")
	if err != nil {
		t.Fatal(err)
	}
	m, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// bounds returns the smallest rectangle around the pixels that are of a kind.
func bounds(m image.Image, is func(c color.RGBA) bool) image.Rectangle {
	var r image.Rectangle
	for y := m.Bounds().Min.Y; y < m.Bounds().Max.Y; y++ {
		for x := m.Bounds().Min.X; x < m.Bounds().Max.X; x++ {
			if is(color.RGBAModel.Convert(m.At(x, y)).(color.RGBA)) {
				r = r.Union(image.Rect(x, y, x+1, y+1))
			}
		}
	}
	return r
}

// However many names the legends have, they are inside the image and outside
// the plots.
func TestLegends(t *testing.T) {
	var widths []int
	for _, n := range []int{0, 1, 9, 40} {
		f := figure(n)
		m := pngOf(t, f)
		if y := f.Panels[0].Plot.Y; !(y.Min < 0 && y.Max > 1e-3) {
			t.Errorf("%d names: the curve touches the frame, which is from %v to %v", n, y.Min, y.Max)
		}
		size := m.Bounds().Size()
		widths = append(widths, size.X)
		ink := bounds(m, func(c color.RGBA) bool { return c != color.RGBA{R: 255, G: 255, B: 255, A: 255} })
		const edge = 8 // pixels, half of the margin
		if ink.Min.X < edge || ink.Min.Y < edge || ink.Max.X > size.X-edge || ink.Max.Y > size.Y-edge {
			t.Errorf("%d names: the drawing reaches from %v to %v in an image of %v", n, ink.Min, ink.Max, size)
		}
		red := bounds(m, func(c color.RGBA) bool { return c.R > 200 && c.G < 80 && c.B < 80 })
		plotWidth := int((margin + f.Width).Points() / 72 * 96)
		if red.Empty() || red.Max.X > plotWidth+1 {
			t.Errorf("%d names: the curve reaches to %d, the plot to %d", n, red.Max.X, plotWidth)
		}
		// The names are as dark right of the plot as the title above it.
		dark := func(r image.Rectangle) int {
			count := 0
			for y := r.Min.Y; y < r.Max.Y; y++ {
				for x := r.Min.X; x < r.Max.X; x++ {
					if c := color.RGBAModel.Convert(m.At(x, y)).(color.RGBA); c.R < 100 && c.G < 100 && c.B < 100 {
						count++
					}
				}
			}
			return count
		}
		panel := int((f.Height + margin).Points() / 72 * 96)
		beside, below := image.Rect(plotWidth, 0, size.X, panel), image.Rect(0, panel, size.X, size.Y)
		for what, r := range map[string]image.Rectangle{"beside": beside, "below": below} {
			if got := dark(r); got < 100*n || n == 0 && got > 0 {
				t.Errorf("%d names: %d dark pixels %s the plot", n, got, what)
			}
		}
	}
	if !slices.IsSorted(widths) || widths[2] == widths[3] {
		t.Errorf("widths %v of figures with ever more names", widths)
	}
}

func TestFormat(t *testing.T) {
	if f, err := Format("a.b/curves.svg"); err != nil || f != "svg" {
		t.Errorf("%q, %v", f, err)
	}
	for _, path := range []string{"curves", "curves.xyz"} {
		if _, err := Format(path); err == nil {
			t.Errorf("%s is accepted", path)
		}
	}
}
