package main

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"math"

	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"

	"github.com/marge-go/marge/internal/charts"
	"github.com/marge-go/marge/marge/corpus/prepare"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"grouped": func(n any) string { return message.NewPrinter(language.English).Sprint(n) },
	"share":   func(n, of int) string { return fmt.Sprintf("%.1f%%", 100*float64(n)/float64(max(of, 1))) },
}).Parse(pageText))

// page returns a report as a page that needs no other files.
func page(r *prepare.Report) ([]byte, error) {
	data := struct {
		*prepare.Report
		Reasons   []prepare.Reason
		Languages []string
		Figures   []template.HTML
	}{Report: r, Reasons: prepare.Reasons(), Languages: r.LanguagesBySize()}
	var figures []bars
	what := bars{title: "What came of the documents"}
	what.add("kept", float64(r.Kept))
	for _, reason := range data.Reasons {
		if n := r.Dropped[reason]; n > 0 {
			what.add(string(reason), float64(n))
		}
	}
	languages := bars{title: "Characters by language"}
	for _, lang := range data.Languages[:min(len(data.Languages), 25)] {
		languages.add(lang, float64(r.Counts.Languages[lang].Characters))
	}
	figures = append(figures, what, languages, sizes("Documents by length, in characters", r.Lengths),
		sizes("Shards by size, in characters", r.ShardSizes))
	for _, f := range figures {
		svg, err := f.draw()
		if err != nil {
			return nil, err
		}
		data.Figures = append(data.Figures, template.HTML(svg))
	}
	var out bytes.Buffer
	err := pageTemplate.Execute(&out, data)
	return out.Bytes(), err
}

// bars is a bar chart.
type bars struct {
	title  string
	names  []string
	values plotter.Values
}

func (b *bars) add(name string, value float64) {
	b.names, b.values = append(b.names, name), append(b.values, value)
}

// sizes returns the chart of a histogram.
func sizes(title string, counts []int) bars {
	b := bars{title: title}
	for i, n := range counts {
		if len(b.names) > 0 || n > 0 {
			b.add(power(i), float64(n))
		}
	}
	return b
}

// power names 2^i, below which the sizes of a bar are.
func power(i int) string {
	units := []string{"", "k", "M", "G", "T", "P", "E"}
	return fmt.Sprintf("<%d%s", 1<<(i%10), units[i/10])
}

// plot returns the chart.
func (b *bars) plot() (*plot.Plot, error) {
	p := charts.New(b.title, "")
	p.Y.Min = 0
	if len(b.values) == 0 {
		return p, nil
	}
	chart, err := plotter.NewBarChart(b.values, vg.Points(10))
	if err != nil {
		return nil, err
	}
	chart.Color = charts.Color(0)
	chart.LineStyle.Width = 0
	p.Add(chart)
	p.NominalX(b.names...)
	p.X.Min, p.X.Max = -0.6, float64(len(b.names))-0.4
	label := &p.X.Tick.Label
	label.Rotation, label.XAlign, label.YAlign = math.Pi/4, text.XRight, text.YCenter
	return p, nil
}

// draw returns the chart as an element of a page.
func (b *bars) draw() ([]byte, error) {
	p, err := b.plot()
	if err != nil {
		return nil, err
	}
	panels := []charts.Panel{{Plot: p}}
	figure := charts.Figure{Columns: 1, Width: 14 * vg.Centimeter, Height: 8 * vg.Centimeter, Panels: panels}
	image, err := figure.Write("svg")
	if err != nil {
		return nil, err
	}
	start := bytes.Index(image, []byte("<svg")) // behind the declarations of a file
	if start < 0 {
		return nil, errors.New("the chart is no SVG")
	}
	return image[start:], nil
}
