package probe

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// LogName is the name of the JSON Lines file in a Log's directory.
const LogName = "metrics.jsonl"

// Log keeps records in a directory, in metrics.jsonl and in an event file for
// TensorBoard. What is appended is in the hands of the system at once: a killed
// process leaves readable files.
type Log struct {
	lines  *os.File
	events *eventFile
	last   int          // step of the last record, or one before the first
	first  *Measurement // of all, those before the run was resumed too
}

// OpenLog opens the log of a run in dir, which it creates, whose next update
// has the number first: 1, or that after the checkpoint that the run is
// resumed from. Records of this and later updates, of a run that went further
// before it was interrupted, are removed, as is a last one that is incomplete.
func OpenLog(dir string, first int) (*Log, error) {
	fail := func(err error) (*Log, error) { return nil, fmt.Errorf("probe: %w", err) }
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fail(err)
	}
	path := filepath.Join(dir, LogName)
	keep := 0
	records, err := readRecords(path, func(r *Record, end int) bool {
		if r.Step >= first {
			return false
		}
		keep = end
		return true
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fail(err)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o666)
	if err != nil {
		return fail(err)
	}
	if err := f.Truncate(int64(keep)); err != nil {
		return fail(errors.Join(err, f.Close()))
	}
	events, err := createEventFile(dir, first)
	if err != nil {
		return fail(errors.Join(err, f.Close()))
	}
	l := &Log{lines: f, events: events, last: first - 1}
	for _, r := range records {
		l.measured(r.Heldout)
	}
	return l, nil
}

// Append adds a record, whose step must be greater than that of the one
// before.
func (l *Log) Append(r *Record) error {
	if r.Step <= l.last {
		return fmt.Errorf("probe: a record of step %d cannot follow step %d", r.Step, l.last)
	}
	line, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("probe: record of step %d: %w", r.Step, err)
	}
	if _, err := l.lines.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	if err := l.events.append(r); err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	l.last = r.Step
	l.measured(r.Heldout)
	return nil
}

// measured keeps the first measurement of all.
func (l *Log) measured(m *Measurement) {
	if l.first == nil {
		l.first = m
	}
}

// warning tells of a measurement that finds less than half as many translations
// as the first one did: while the decoder does not use the evidence, what g
// learns from it is noise, and at too high a rate noise is all that is left.
func (l *Log) warning(m *Measurement) string {
	if l.first == nil || m.P1Centered >= l.first.P1Centered/2 {
		return ""
	}
	return fmt.Sprintf("g has unlearnt what it could: P@1, centred by language, is %.3f and was %.3f at the first measurement; a lower learning rate may keep it", m.P1Centered, l.first.P1Centered)
}

// Close closes the files.
func (l *Log) Close() error {
	if err := errors.Join(l.lines.Close(), l.events.close()); err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	return nil
}

// ReadRecords returns the records of a metrics.jsonl. A last line without its
// newline, which is being written or was cut short, is left out.
func ReadRecords(path string) ([]Record, error) {
	records, err := readRecords(path, func(*Record, int) bool { return true })
	if err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	return records, nil
}

// readRecords returns records as long as accept, which is told where their
// lines end, returns true.
func readRecords(path string, accept func(r *Record, end int) bool) ([]Record, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var records []Record
	end, number := 0, 0
	for line := range bytes.Lines(data) {
		number++
		end += len(line)
		if !bytes.HasSuffix(line, []byte{'\n'}) {
			break
		}
		var r Record
		if err := json.Unmarshal(line, &r); err != nil {
			return nil, fmt.Errorf("%s:%d: %w", path, number, err)
		}
		if n := len(records); r.Step < 1 || n > 0 && r.Step <= records[n-1].Step {
			return nil, fmt.Errorf("%s:%d: step %d is out of order", path, number, r.Step)
		}
		if !accept(&r, end) {
			break
		}
		records = append(records, r)
	}
	return records, nil
}
