package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/bench"
	"github.com/marge-go/marge/internal/jsonx"
	"github.com/marge-go/marge/internal/osfile"
	"github.com/marge-go/marge/marge/eval"
	"github.com/marge-go/marge/tensor"
)

// machine is what a result was measured on.
type machine struct {
	Go      string `json:"go"`
	System  string `json:"system"`
	CPU     string `json:"cpu"`
	ISA     string `json:"isa"`
	Threads int    `json:"threads"`        // of the processor
	Card    string `json:"card,omitempty"` // that models computed on; "": the processor
}

func machineOf(b tensor.Backend) machine {
	m := machine{runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH, bench.Machine(), asm.Current().String(),
		tensor.HostRunner(b).Threads(), ""}
	if card, ok := b.(interface{ Card() string }); ok {
		m.Card = card.Card()
	}
	return m
}

// report is the result of an experiment: NAME.json, NAME.md and NAME.png.
type report struct {
	Experiment string       `json:"experiment"`
	About      string       `json:"about"`
	Machine    machine      `json:"machine"` // that evaluated; trainings have their own
	Corpora    []string     `json:"corpora"`
	Evals      []string     `json:"evals"`
	Checkpoint string       `json:"checkpoint,omitempty"` // evaluated instead of trainings
	Settings   settings     `json:"settings"`             // of trainings, but for what variants change
	Seeds      []uint64     `json:"seeds"`
	Findings   []string     `json:"findings"` // sentences with what was found
	Notes      []string     `json:"notes"`    // sentences on how it was measured
	Columns    []string     `json:"columns"`
	Rows       [][]string   `json:"rows"`
	Trainings  []namedTrain `json:"trainings,omitempty"`
	Results    any          `json:"results,omitempty"`

	panels []panel
}

// namedTrain is a training with the name of its variant.
type namedTrain struct {
	Variant string `json:"variant"`
	training
}

func (r *report) row(cells ...any) {
	var row []string
	for _, c := range cells {
		if x, ok := c.(float64); ok {
			c = number(x)
		}
		row = append(row, fmt.Sprint(c))
	}
	r.Rows = append(r.Rows, row)
}

// number formats a figure with three decimals.
func number(x float64) string {
	if math.IsNaN(x) {
		return ""
	}
	return fmt.Sprintf("%.3f", x)
}

func (r *report) find(format string, args ...any) {
	r.Findings = append(r.Findings, fmt.Sprintf(format, args...))
}

func (r *report) note(format string, args ...any) {
	r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
}

// markdown writes the table with what there is to know of it.
func (r *report) markdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s: %s\n\n", r.Experiment, r.About)
	line := func(cells []string) {
		clean := strings.NewReplacer("|", "\\|", "\n", " ")
		b.WriteByte('|')
		for _, c := range cells {
			b.WriteString(" " + clean.Replace(c) + " |")
		}
		b.WriteByte('\n')
	}
	line(r.Columns)
	b.WriteString("|" + strings.Repeat(" --- |", len(r.Columns)) + "\n")
	for _, row := range r.Rows {
		line(row)
	}
	if len(r.Findings) > 0 {
		fmt.Fprintf(&b, "\nFound:\n- %s\n", strings.Join(r.Findings, "\n- "))
	}
	if len(r.Notes) > 0 {
		fmt.Fprintf(&b, "\nHow:\n- %s\n", strings.Join(r.Notes, "\n- "))
	}
	card := ""
	if r.Machine.Card != "" {
		card = r.Machine.Card + " and "
	}
	fmt.Fprintf(&b, "\nEvaluated with %s on %s%s, %s, %d threads.\n", r.Machine.Go, card, r.Machine.CPU, r.Machine.ISA,
		r.Machine.Threads)
	_, err := io.WriteString(w, b.String())
	return err
}

// write completes the report and writes it to -out, and its table to w.
func (e *env) write(r *report, w io.Writer) error {
	r.Settings, r.Seeds = e.settings, e.seeds
	r.Corpora, r.Evals = baseNames(e.corpora), baseNames(e.evals)
	if e.checkpoint == "" {
		r.note("%s", e.describe())
	} else {
		// The end of the path tells which model it is, the rest belongs to the machine.
		path := filepath.Clean(e.checkpoint)
		r.Checkpoint = filepath.ToSlash(filepath.Join(filepath.Base(filepath.Dir(path)), filepath.Base(path)))
		r.note("The model in %s, the first %d tokens of held-out documents unless a row says otherwise: %s.",
			r.Checkpoint, e.settings.Chunk, strings.Join(r.Evals, ", "))
	}
	base := filepath.Join(e.out, r.Experiment)
	if err := writeJSON(base+".json", r); err != nil {
		return err
	}
	var md strings.Builder
	if err := r.markdown(&md); err != nil {
		return err
	}
	if err := osfile.WriteFile(base+".md", []byte(md.String())); err != nil {
		return err
	}
	if err := savePNG(base+".png", r.panels); err != nil {
		return err
	}
	_, err := io.WriteString(w, md.String())
	return err
}

// describe says what the trainings have in common.
func (e *env) describe() string {
	s := &e.settings
	data := func(files []string) string { return strings.Join(baseNames(files), ", ") }
	return fmt.Sprintf("Trained on %s, measured on %s; seeds %v; unless a row says otherwise a %s model for %s "+
		"with batches of %d tokens, chunks of %d.",
		data(e.corpora), data(e.evals), []uint64(e.seeds), s.Size, e.length(), s.BatchTokens, s.Chunk)
}

func baseNames(paths []string) []string {
	if len(paths) == 0 {
		return []string{"generated news"}
	}
	var names []string
	for _, p := range paths {
		names = append(names, filepath.Base(p))
	}
	return names
}

// writeJSON writes a file all at once, so that an interrupted program leaves
// none that is cut short.
func writeJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", " ")
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return osfile.WriteFile(path, append(data, '\n'))
}

// readJSON reads what writeJSON wrote into v. The error wraps fs.ErrNotExist if there is
// no such file.
func readJSON(path string, v any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := jsonx.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// figure is a value with its interval. That of several models is the mean of
// the values, with the widest bounds of any.
type figure struct {
	Value float64       `json:"value"`
	Range eval.Interval `json:"interval"`
}

func (f figure) String() string {
	if math.IsNaN(f.Value) {
		return ""
	}
	return fmt.Sprintf("%.3f %v", f.Value, f.Range)
}

// percent formats a figure that goes from 0 to 100.
func (f figure) percent() string {
	return fmt.Sprintf("%.1f [%.1f, %.1f]", f.Value, f.Range.Low, f.Range.High)
}

func (f figure) point(x float64) point { return point{x, f.Value, f.Range.Low, f.Range.High} }

// over returns the figure of several models.
func over[T any](models []T, value func(T) figure) figure {
	if len(models) == 0 {
		return figure{math.NaN(), eval.Interval{Low: math.NaN(), High: math.NaN()}}
	}
	f := figure{0, eval.Interval{Low: math.Inf(1), High: math.Inf(-1)}}
	for _, m := range models {
		v := value(m)
		f.Value += v.Value / float64(len(models))
		f.Range.Low, f.Range.High = min(f.Range.Low, v.Range.Low), max(f.Range.High, v.Range.High)
	}
	return f
}

// sign says whether a difference is one, as compare does.
func (f figure) sign() string { return compare(f, exact(0)) }

// exact is a figure without interval, whose bounds are those of the models.
func exact(x float64) figure { return figure{x, eval.Interval{Low: x, High: x}} }

// p1 is P@1 over all queries.
func p1(r *eval.Report) figure { return figure{r.Micro.P1, r.MicroIntervals.P1} }

// overRandom is what retrieved evidence saves against random evidence.
func overRandom(l eval.EvidenceLoss) figure {
	return figure{l.Random - l.Retrieved, l.OverRandom}
}

// overNone is what retrieved evidence saves against none.
func overNone(l eval.EvidenceLoss) figure {
	return figure{l.None - l.Retrieved, l.OverNone}
}

// compare says whether the intervals of two figures are apart.
func compare(a, b figure) string {
	switch {
	case a.Range.Low > b.Range.High:
		return "above"
	case a.Range.High < b.Range.Low:
		return "below"
	}
	return "not clearly apart from"
}
