package main

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
)

func TestRun(t *testing.T) {
	args := []string{"-size", "tiny", "-threads", "1", "-steps", "1", "-rounds", "1", "-batch-tokens", "64"}
	var out bytes.Buffer
	if err := run(append(args, "-json", "-bfloat16-gradients"), &out); err != nil {
		t.Fatal(err)
	}
	var r result
	if err := json.Unmarshal(out.Bytes(), &r); err != nil {
		t.Fatal(err)
	}
	if r.Ranks != 2 || r.Replicas != 2 || len(r.Alone) != 1 || len(r.Together) != 1 || !r.BFloat16 ||
		r.Efficiency != r.Alone[0]/r.Together[0]/2 || !(r.Alone[0] > 0) {
		t.Errorf("%+v", r)
	}
}

func TestPrint(t *testing.T) {
	r := result{Size: "base", ISA: "avx2", Ranks: 2, Threads: 1, Replicas: 2, Transport: "local",
		Alone: []float64{3, 1, 2}, Together: []float64{1, 1.5}, Efficiency: 0.8}
	var out bytes.Buffer
	if err := r.print(&out, false); err != nil {
		t.Fatal(err)
	}
	want := "base, avx2, 2 ranks of 1 threads, local: an update of 2 batches takes 2.000 s on one rank, 1.250 s on all: " +
		"efficiency 80.0%\n"
	if out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}

func TestErrors(t *testing.T) {
	for _, args := range [][]string{
		{"-size", "huge"}, {"-ranks", "0"}, {"-dist", "tcp"}, {"extra"}, {"-threads", "-1"}, {"-ranks", "2", "-replicas", "3",
			"-size", "tiny"},
	} {
		if err := run(args, io.Discard); err == nil || strings.Contains(err.Error(), "panic") {
			t.Errorf("%v: error %v", args, err)
		}
	}
}
