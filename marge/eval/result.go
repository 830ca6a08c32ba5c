package eval

import (
	"fmt"
	"strings"
	"text/tabwriter"
)

// NotEvaluatedError says that the data do not allow an evaluation: a figure
// would be a zero that nobody measured. Programs tell it from failures with
// errors.As and show its Reason in the place of the figure.
type NotEvaluatedError struct {
	What   string // what was to be evaluated, as in "retrieval"
	Reason string // as in "all documents are in one language, de"
}

// Error implements error.
func (e *NotEvaluatedError) Error() string {
	return fmt.Sprintf("%s: not evaluated: %s", e.What, e.Reason)
}

// Progress is called in the course of an evaluation with the number of steps
// that are done, out of total, at last with total itself. Calls come from one
// goroutine at a time.
type Progress func(done, total int)

// report calls p, which may be nil.
func (p Progress) report(done, total int) {
	if p != nil {
		p(done, total)
	}
}

// tableString returns what a table holds after write has filled it.
func tableString(flags uint, write func(t *tabwriter.Writer)) string {
	var b strings.Builder
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', flags)
	write(t)
	t.Flush() // a Builder takes everything
	return strings.TrimRight(b.String(), "\n")
}

// withInterval returns a figure and its interval, if there is one.
func withInterval(format string, value float64, i *Interval) string {
	if i == nil {
		return fmt.Sprintf(format, value)
	}
	return fmt.Sprintf(format+" ["+format+", "+format+"]", value, i.Low, i.High)
}
