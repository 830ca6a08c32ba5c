package probe

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/marge-go/marge/internal/jsonx"
	"github.com/marge-go/marge/internal/osfile"
)

// LogName is the name of the JSON Lines file in a Log's directory.
const LogName = "metrics.jsonl"

// damagedSuffix ends the name of the file in which OpenLog keeps the damaged
// lines of a log.
const damagedSuffix = ".damaged"

// Log keeps records in a directory, in metrics.jsonl and in an event file for
// TensorBoard. What is appended is handed to the system at once: a killed
// process leaves readable files.
type Log struct {
	lines  *os.File
	events *eventFile
	last   int          // step of the last record, or one before the first
	record *Record      // appended last, nil before the first
	start  int64        // of its line in the file
	first  *Measurement // of all, those before the run was resumed too

	damage   *DamageError // lines that OpenLog put aside, or nil
	probeDue bool         // as in the last record that OpenLog kept
}

// OpenLog opens the log of a run in dir, which it creates, whose next update
// has the number first: 1, or that after the checkpoint that the run is
// resumed from. Records of this and later updates, of a run that went further
// before it was interrupted, are removed, as is a last one that is incomplete.
// Damaged lines do not stop a run: they are moved to metrics.jsonl.damaged, see
// Damage.
func OpenLog(dir string, first int) (*Log, error) {
	fail := func(err error) (*Log, error) { return nil, fmt.Errorf("probe: %w", err) }
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fail(err)
	}
	path := filepath.Join(dir, LogName)
	content, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fail(err)
	}
	lines, damage := readLines(path, content)
	l := &Log{last: first - 1, damage: damage}
	var keep []byte
	for _, line := range lines {
		if line.record.Step >= first {
			break
		}
		keep = append(keep, line.text...)
		l.measured(line.record.Heldout)
		l.probeDue = line.record.ProbeDue || l.probeDue && line.record.Heldout == nil
	}
	if damage != nil {
		if err := damage.keepAside(path + damagedSuffix); err != nil {
			return fail(err)
		}
	}
	if !bytes.Equal(keep, content) {
		if err := osfile.WriteFile(path, keep); err != nil {
			return fail(err)
		}
	}
	if l.lines, err = os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o666); err != nil {
		return fail(err)
	}
	if l.events, err = createEventFile(dir, first); err != nil {
		return fail(errors.Join(err, l.lines.Close()))
	}
	return l, nil
}

// Damage returns which lines OpenLog has put aside, or nil.
func (l *Log) Damage() error {
	if l.damage == nil {
		return nil
	}
	return l.damage
}

// Append adds a record, whose step must be greater than that of the one
// before.
func (l *Log) Append(r *Record) error {
	if r.Step <= l.last {
		return fmt.Errorf("probe: a record of step %d cannot follow step %d", r.Step, l.last)
	}
	end, err := l.lines.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	if err := l.write(r); err != nil {
		return err
	}
	l.last, l.record, l.start = r.Step, r, end
	l.measured(r.Heldout)
	return nil
}

// write writes a record at the end of the files.
func (l *Log) write(r *Record) error {
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
	return nil
}

// addLinks adds links to the record that was appended last, if it has none.
func (l *Log) addLinks(links *Links) error {
	if l.record == nil || l.record.Links != nil {
		return nil
	}
	l.record.Links = links
	if err := l.lines.Truncate(l.start); err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	return l.write(l.record)
}

// measured keeps the first measurement of all.
func (l *Log) measured(m *Measurement) {
	if l.first == nil {
		l.first = m
	}
}

// warning describes a measurement that finds less than half as many
// translations as the first one did. As long as the decoder does not use the
// evidence, g learns noise from it, and at too high a rate forgets all else.
func (l *Log) warning(m *Measurement) string {
	if l.first == nil || m.P1Centered >= l.first.P1Centered/2 {
		return ""
	}
	return fmt.Sprintf("g has unlearnt what it could: P@1, centred by language, is %.3f and was %.3f at the first "+
		"measurement; a lower learning rate may keep it", m.P1Centered, l.first.P1Centered)
}

// Close closes the files.
func (l *Log) Close() error {
	if err := errors.Join(l.lines.Close(), l.events.close()); err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	return nil
}

// A DamageError tells which lines of a metrics.jsonl hold no record, or one
// whose step does not fit those of the lines around it.
type DamageError struct {
	Path  string
	Lines []DamagedLine
}

// DamagedLine is a line of a DamageError.
type DamagedLine struct {
	Number int // from 1
	Err    error

	text []byte
}

// Error names the file and the first lines.
func (e *DamageError) Error() string {
	const most = 3
	var b strings.Builder
	for i, line := range e.Lines[:min(most, len(e.Lines))] {
		if i > 0 {
			b.WriteString("; ")
		}
		fmt.Fprintf(&b, "%s:%d: %v", e.Path, line.Number, line.Err)
	}
	if more := len(e.Lines) - most; more > 0 {
		fmt.Fprintf(&b, "; and %d more damaged lines", more)
	}
	return b.String()
}

// keepAside appends the damaged lines to a file.
func (e *DamageError) keepAside(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o666)
	if err != nil {
		return err
	}
	for _, line := range e.Lines {
		if _, err := f.Write(line.text); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return f.Close()
}

// ReadRecords returns the records of a metrics.jsonl. A last line without its
// newline, which is being written or was cut short, is left out. If lines are
// damaged, ReadRecords returns the records of all others and an error that
// wraps a *DamageError.
func ReadRecords(path string) ([]Record, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("probe: %w", err)
	}
	lines, damage := readLines(path, content)
	records := make([]Record, len(lines))
	for i, line := range lines {
		records[i] = *line.record
	}
	if damage != nil {
		return records, fmt.Errorf("probe: %w", damage)
	}
	return records, nil
}

// logLine is a line of a metrics.jsonl with the newline at its end.
type logLine struct {
	number int
	text   []byte
	record *Record
}

// readLines returns the lines that hold a record, in ascending order of steps,
// and what is wrong with the others. It leaves out a last line without newline.
func readLines(path string, content []byte) ([]logLine, *DamageError) {
	var lines []logLine
	damage := &DamageError{Path: path}
	number := 0
	for text := range bytes.Lines(content) {
		number++
		if !bytes.HasSuffix(text, []byte{'\n'}) {
			break
		}
		r := &Record{}
		err := jsonx.Unmarshal(text, r)
		if err == nil && r.Step < 1 {
			err = fmt.Errorf("step %d is out of order", r.Step)
		}
		if err != nil {
			damage.Lines = append(damage.Lines, DamagedLine{number, err, text})
			continue
		}
		lines = append(lines, logLine{number, text, r})
	}
	inOrder := ascending(lines)
	for i, line := range lines {
		if !inOrder[i] {
			err := fmt.Errorf("step %d is out of order", line.record.Step)
			damage.Lines = append(damage.Lines, DamagedLine{line.number, err, line.text})
		}
	}
	if len(damage.Lines) == 0 {
		return lines, nil
	}
	slices.SortFunc(damage.Lines, func(a, b DamagedLine) int { return cmp.Compare(a.Number, b.Number) })
	kept := lines[:0]
	for i, line := range lines {
		if inOrder[i] {
			kept = append(kept, line)
		}
	}
	return kept, damage
}

// ascending marks a longest sequence of lines with ascending steps, so that one
// line with a wrong step does not exclude all that follow it.
func ascending(lines []logLine) []bool {
	var ends []int // ends[n] is the line with the least step that ends a sequence of n+1
	before := make([]int, len(lines))
	for i, line := range lines {
		n, found := slices.BinarySearchFunc(ends, line.record.Step, func(end, step int) int {
			return cmp.Compare(lines[end].record.Step, step)
		})
		before[i] = -1
		if n > 0 {
			before[i] = ends[n-1]
		}
		switch {
		case found: // of two equal steps the first counts
		case n == len(ends):
			ends = append(ends, i)
		default:
			ends[n] = i
		}
	}
	marked := make([]bool, len(lines))
	if len(ends) > 0 {
		for i := ends[len(ends)-1]; i >= 0; i = before[i] {
			marked[i] = true
		}
	}
	return marked
}
