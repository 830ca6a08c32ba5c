package finetuning

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/examples/internal/program"
	"github.com/marge-go/marge/internal/osfile"
	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/eval"
)

// Task is what a program does with a model.
type Task struct {
	// FineTune is the task to train for; nil if the model is only evaluated.
	FineTune  marge.Task
	Smoothing float64 // of labels
	// ZeroShot tells that a model can do the task without being trained for it.
	ZeroShot   bool
	Train, Dev int // records

	// Langs are the languages of the records to evaluate on, by which figures are
	// also given; TrainLangs those of the records to train on.
	Langs, TrainLangs []string
	// Baselines are outputs for these records to compare with.
	Baselines []Baseline
	// Apply returns a model's outputs for them.
	Apply func(ctx context.Context, m *marge.Model, progress func(done, total int)) ([]string, error)
	// Columns are the figures of Score, the main one first.
	Columns []string
	// Score measures outputs for some of the records, given by their numbers.
	Score func(ctx context.Context, records []int, outputs []string) (map[string]Figure, error)
	// Sample returns what there is to see of a record beside the output: label and
	// text in turn.
	Sample func(record int) []string
}

// Baseline is a way to do a task without a model.
type Baseline struct {
	Name    string
	Outputs []string
}

// Figure is a measurement with its interval, if there is one.
type Figure struct {
	Value    float64        `json:"value"`
	Interval *eval.Interval `json:"interval,omitempty"`
}

// Percent returns the figure of a share from 0 to 1.
func Percent(share float64, interval *eval.Interval) Figure {
	f := Figure{Value: 100 * share}
	if interval != nil {
		f.Interval = &eval.Interval{Low: 100 * interval.Low, High: 100 * interval.High}
	}
	return f
}

// Row has the figures of a model or a baseline.
type Row struct {
	Name    string            `json:"name"`
	Steps   int               `json:"steps,omitempty"` // of fine-tuning
	Figures map[string]Figure `json:"figures"`
	// ByLang has the figures of the records in each language, if there are several.
	ByLang map[string]map[string]Figure `json:"by_language,omitempty"`

	outputs []string
}

// Training describes a training.
type Training struct {
	Steps        int     `json:"steps"`
	TargetTokens int64   `json:"target_tokens"`
	Seconds      float64 `json:"seconds"`
	Loss         float64 `json:"loss"`
}

// Result has every figure of a run.
type Result struct {
	Task           string    `json:"task"`
	Rows           []Row     `json:"rows"`
	Train          int       `json:"train"` // records
	Dev            int       `json:"dev"`
	Test           int       `json:"test"`
	ZeroShotLangs  []string  `json:"zero_shot_languages,omitempty"`
	Pretraining    *Training `json:"pretraining"`
	FineTuning     *Training `json:"fine_tuning"`
	Params         int       `json:"params"`
	PeakRSSMB      float64   `json:"peak_rss_mb"`
	GoVersion      string    `json:"go_version"`
	InstructionSet string    `json:"instruction_set"`
	Threads        int       `json:"threads"`
}

func (r *Result) finish(m *marge.Model) {
	r.PeakRSSMB, r.GoVersion, r.InstructionSet = program.PeakRSS(), runtime.Version(), asm.Current().String()
	r.Threads = m.Runner().Threads()
}

// measure adds a row, with figures by language if there are several.
func (s *session) measure(ctx context.Context, t *Task, name string, outputs []string, steps int) error {
	row := Row{Name: name, Steps: steps, outputs: outputs}
	all := make([]int, len(outputs))
	byLang := map[string][]int{}
	for i := range all {
		all[i] = i
		byLang[t.Langs[i]] = append(byLang[t.Langs[i]], i)
	}
	var err error
	if row.Figures, err = t.Score(ctx, all, outputs); err != nil {
		return err
	}
	if len(byLang) > 1 {
		row.ByLang = map[string]map[string]Figure{}
		for lang, records := range byLang {
			if row.ByLang[lang], err = t.Score(ctx, records, Chosen(outputs, records)); err != nil {
				return err
			}
		}
	}
	s.result.Rows = append(s.result.Rows, row)
	return nil
}

// print prints all rows and, if there are several languages, the main figure by
// language.
func (r *Result) print(w io.Writer, t *Task) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "\n%d records", r.Test)
	for _, column := range t.Columns {
		fmt.Fprintf(table, "\t%s", column)
	}
	fmt.Fprintln(table)
	for _, row := range r.Rows {
		fmt.Fprintf(table, "  %s", row.Name)
		for _, column := range t.Columns {
			f := row.Figures[column]
			fmt.Fprintf(table, "\t%.1f", f.Value)
			if f.Interval != nil {
				fmt.Fprintf(table, " [%.1f, %.1f]", f.Interval.Low, f.Interval.High)
			}
		}
		fmt.Fprintln(table)
	}
	table.Flush()
	if len(r.Rows) == 0 || len(r.Rows[0].ByLang) == 0 {
		return
	}
	r.printByLang(w, t)
}

func (r *Result) printByLang(w io.Writer, t *Task) {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	langs := slices.Sorted(maps.Keys(r.Rows[0].ByLang))
	fmt.Fprintf(table, "\n%s by language", t.Columns[0])
	for _, lang := range langs {
		fmt.Fprintf(table, "\t%s", lang)
	}
	fmt.Fprintln(table)
	for _, row := range r.Rows {
		fmt.Fprintf(table, "  %s", row.Name)
		for _, lang := range langs {
			fmt.Fprintf(table, "\t%.1f", row.ByLang[lang][t.Columns[0]].Value)
		}
		fmt.Fprintln(table)
	}
	table.Flush()
	if len(r.ZeroShotLangs) > 0 {
		fmt.Fprintf(w, "zero-shot, without records to train on: %s\n", strings.Join(r.ZeroShotLangs, ", "))
	}
}

// outputsFile has the outputs of every row, a record a line.
const outputsFile = "outputs.jsonl"

// How many records are shown with their outputs, and how many characters of a text.
const (
	printedSamples    = 3
	printedCharacters = 400
)

// shown returns a text in one line, cut if it is long.
func shown(text string) string {
	line := []rune(strings.Join(strings.Fields(text), " "))
	if len(line) > printedCharacters {
		return string(line[:printedCharacters]) + " [...]"
	}
	return string(line)
}

// samples prints some records with the outputs of the models, and writes the
// outputs of all records and rows to a file.
func (s *session) samples(t *Task) error {
	for i := range min(printedSamples, len(t.Langs)) {
		fmt.Fprintln(s.w)
		sample := t.Sample(i)
		for j := 0; j < len(sample); j += 2 {
			fmt.Fprintf(s.w, "%s: %s\n", sample[j], shown(sample[j+1]))
		}
		for _, row := range s.result.Rows[len(t.Baselines):] {
			fmt.Fprintf(s.w, "%s: %s\n", row.Name, shown(row.outputs[i]))
		}
	}
	var out bytes.Buffer
	for i, lang := range t.Langs {
		line := map[string]string{"lang": lang}
		for _, row := range s.result.Rows {
			line[row.Name] = row.outputs[i]
		}
		data, err := json.Marshal(line)
		if err != nil {
			return err
		}
		out.Write(append(data, '\n'))
	}
	return osfile.WriteFile(filepath.Join(s.o.Out, outputsFile), out.Bytes())
}
