package main

import (
	"testing"
	"time"

	"github.com/marge-go/marge/marge"
)

// The time that is left follows from that of training, which probes are not
// part of.
func TestProgressLine(t *testing.T) {
	p := &progress{first: marge.Metrics{Step: 1, TargetTokens: 100, Elapsed: time.Second}, smooth: 2.5}
	line := p.line(marge.Metrics{Step: 30, TargetTokens: 10100, Elapsed: 11 * time.Second, Progress: 0.25, Beta: 1.5})
	if want := " 25%  step 30  loss 2.500  ETA 33s  1000 tokens/s  beta 1.50"; line != want {
		t.Errorf("%q, want %q", line, want)
	}
}
