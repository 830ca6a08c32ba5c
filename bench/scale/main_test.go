package main

import (
	"bytes"
	"encoding/json"
	"io"
	"math"
	"strings"
	"testing"
)

// Updates whose time can be computed by hand.
func TestEstimate(t *testing.T) {
	m := machine{Parameters: 1e9, Last: 0.25, Line: 1, Latency: 0}
	for _, c := range []struct {
		setting
		update float64
	}{
		{setting{2, 30, 1, 16, false}, 30 + 0.25*1 + 1},            // 2 GB at 2 GB/s: 1 s there, 1 s back
		{setting{2, 30, 4, 16, false}, 120 + 0.25*1 + 1},           // once for four batches
		{setting{2, 30, 1, 16, true}, 30 + 0.25*0.5 + 1},           // half of it there
		{setting{2, 3, 1, 0.8, false}, 1 + 0.75*20 + 0.25*20 + 20}, // Backward takes 2 s, the sum 20 s
		{setting{1, 5, 1, 1, false}, 5},
	} {
		e := m.estimate(c.setting)
		if math.Abs(e.Update-c.update) > 1e-9 || math.Abs(e.Efficiency-float64(c.Accumulate)*c.Batch/c.update) > 1e-9 {
			t.Errorf("%+v: want an update of %v s", e, c.update)
		}
	}
	m.Latency = 1e-3
	// 153 buckets, each of 4 times 3 messages on 8 ranks, of which Backward hides all but a quarter of three fourths.
	got := m.estimate(setting{8, 300, 1, 16, false}).Update
	want := 300 + 0.25*(3.5/2+153*3*3e-3) + 3.5/2 + 153*3e-3
	if math.Abs(got-want) > 1e-9 {
		t.Errorf("an update of %v s, want %v", got, want)
	}
}

func TestRun(t *testing.T) {
	var out bytes.Buffer
	if err := run([]string{"-workers", "64,2048", "-json"}, &out); err != nil {
		t.Fatal(err)
	}
	var r report
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Efficiency) != 2*2*2*2*2 || len(r.Memory) != 12 {
		t.Fatalf("%d estimates, %d sizes", len(r.Efficiency), len(r.Memory))
	}
	for _, e := range r.Efficiency {
		// 963M parameters, 4 bytes each: 1.37 s one way at 25 Gb/s.
		if want := 1.37 * 25 / e.Network; e.Gather < want || e.Gather > 1.1*want+0.1 {
			t.Errorf("%+v: want %v s for the parameters", e, want)
		}
		if e.Batch == 6.2 && e.Accumulate == 4 && e.Efficiency < 0.9 {
			t.Errorf("%+v: want 90%%", e)
		}
	}
	out.Reset()
	if err := run(nil, &out); err != nil || strings.Count(out.String(), "\n") != 2+16+1+2+12 {
		t.Errorf("error %v\n%s", err, out.String())
	}
	for _, args := range [][]string{
		{"-workers", "3"}, {"-workers", "x"}, {"-accumulate", "1.5"}, {"-network", "0"}, {"-model", "huge"}, {"extra"},
		{"-line", "0"}, {"-batch", "-1"},
	} {
		if err := run(args, io.Discard); err == nil {
			t.Errorf("%v: no error", args)
		}
	}
}
