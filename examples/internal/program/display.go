package program

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// Display shows how far something is: in one line of a terminal that it writes
// over and over, or else in a line every ten seconds.
type Display struct {
	w     io.Writer
	width func() int // of the terminal, in columns; nil: w is none
	open  bool       // the terminal's line has a text
	shown time.Time
}

// NewDisplay returns a display on w, which may be a terminal.
func NewDisplay(w io.Writer) *Display {
	d := &Display{w: w}
	if f, ok := w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		d.width = func() int {
			width, _, err := term.GetSize(int(f.Fd()))
			if err != nil {
				return 80
			}
			return width
		}
	}
	return d
}

// Progress shows a text, unless it is too soon after the last one.
func (d *Display) Progress(text string) {
	interval := 10 * time.Second
	if d.width != nil {
		interval = time.Second / 5
	}
	if time.Since(d.shown) < interval {
		return
	}
	d.shown = time.Now()
	if d.width == nil {
		fmt.Fprintln(d.w, text)
		return
	}
	// One column less: some terminals begin a new line after the last one.
	text = text[:max(0, min(len(text), d.width()-1))]
	fmt.Fprintf(d.w, "\r%s\x1b[K", text)
	d.open = true
}

// Message prints a line that stays.
func (d *Display) Message(format string, args ...any) {
	d.End()
	fmt.Fprintln(d.w, strings.TrimSuffix(fmt.Sprintf(format, args...), "\n"))
}

// End ends the terminal's line, whose text stays. The next one comes at once.
func (d *Display) End() {
	if d.open {
		fmt.Fprintln(d.w)
		d.open, d.shown = false, time.Time{}
	}
}

// Terminal reports whether progress is shown in one line of a terminal.
func (d *Display) Terminal() bool { return d.width != nil }
