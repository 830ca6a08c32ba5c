// Package program has what the programs that train models have in common.
package program

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"github.com/marge-go/marge/internal/osfile"
)

// Files is a flag that can be repeated.
type Files []string

func (f *Files) String() string     { return strings.Join(*f, ",") }
func (f *Files) Set(s string) error { *f = append(*f, s); return nil }

// Interrupted returns a context that ends with the first signal to stop. A
// second one ends the program at once.
func Interrupted() (context.Context, func()) {
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// WriteJSON writes figures as one line of JSON to a file and, if show says so, to
// w.
func WriteJSON(path string, figures any, show bool, w io.Writer) error {
	line, err := json.Marshal(figures)
	if err != nil {
		return err
	}
	line = append(line, '\n')
	if err := osfile.WriteFile(path, line); err != nil {
		return err
	}
	if show {
		_, err = w.Write(line)
	}
	return err
}

// PeakRSS returns the most memory that the process has had, in MiB, or what
// the Go runtime has now where the system does not tell.
func PeakRSS() float64 {
	if data, err := os.ReadFile("/proc/self/status"); err == nil {
		for line := range strings.Lines(string(data)) {
			var kb float64
			if n, _ := fmt.Sscanf(line, "VmHWM: %f kB", &kb); n == 1 {
				return kb / 1024
			}
		}
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return float64(stats.Sys) / (1 << 20)
}
