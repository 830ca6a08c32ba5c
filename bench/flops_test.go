package bench

import (
	"testing"

	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/tensor"
	"github.com/marge-go/marge/tensor/backendtest"
)

// TestStepFlopsOfTiny compares with every matrix product of a step of Tiny
// written down: 8 evidence and 8 target documents of 64 tokens, of which the
// decoder reads 63.
func TestStepFlopsOfTiny(t *testing.T) {
	type product struct{ times, m, n, k int }
	forward := []product{
		// Encoder layers 0 and 1: 16 documents, 1024 tokens, 4 heads of 32 columns.
		{2 * 4, 1024, 128, 128},
		{2, 1024, 512, 128}, {2, 1024, 128, 512},
		{2 * 16 * 4, 64, 64, 32}, {2 * 16 * 4, 64, 32, 64},
		{1, 8, 8, 128}, // relevance
		// Encoder layers 2 and 3: the evidence alone, 512 tokens.
		{2 * 4, 512, 128, 128},
		{2, 512, 512, 128}, {2, 512, 128, 512},
		{2 * 8 * 4, 64, 64, 32}, {2 * 8 * 4, 64, 32, 64},
		// Self-attention of the decoder's base layer and two layers: 504 tokens,
		// query i of a document seeing i+1 keys.
		{3 * 4, 504, 128, 128},
		{1, 504, 512, 128}, {1, 504, 128, 512},
		{2, 504, 1024, 128}, {2, 504, 128, 1024},
		// Cross-attention of the two layers: queries and output, keys and values.
		{2 * 2, 504, 128, 128}, {2 * 2, 512, 128, 128},
		{2 * 4, 504, 512, 32}, {2 * 4, 504, 32, 512},
		{1, 504, 8000, 128}, // output
	}
	for keys := 1; keys <= 63; keys++ {
		forward = append(forward, product{3 * 8 * 4, 1, keys, 32}, product{3 * 8 * 4, 1, 32, keys})
	}
	want := 0
	for _, p := range forward {
		want += 3 * p.times * 2 * p.m * p.n * p.k // backward has two products for each of these
	}
	if got := StepFlops(marge.Tiny(), 8, 64); got != float64(want) {
		t.Errorf("StepFlops of Tiny is %.0f, its products have %d", got, want)
	}
}

// TestWorkloadsRun computes every workload that is short, once.
func TestWorkloadsRun(t *testing.T) {
	for _, section := range Sections {
		names := map[string]bool{}
		for _, w := range Workloads(section) {
			if names[w.Name] {
				t.Errorf("%s has %s twice", section, w.Name)
			}
			names[w.Name] = true
			switch {
			case section == "gpt":
				w.M, w.N = 2, 8
			case w.Flops > 4e9 || w.Op == "step" && w.Kind != "tiny":
				continue
			}
			if w.Group == "ops" {
				w.M = 512
			}
			if section == "vector" {
				w.M = 64
				if w.Op == "cross_entropy" {
					w.N = 2500
				}
			}
			run, stop, err := w.Start(2)
			if err != nil {
				t.Fatalf("%s %s: %v", section, w.Name, err)
			}
			run()
			stop()
		}
	}
}

// What is timed on devices runs on one that hides its memory, and on those that there are.
func TestDeviceWorkloads(t *testing.T) {
	for _, d := range append(openDevices(), device{"opaque", backendtest.Opaque(tensor.NewCPU(1))}) {
		t.Run(d.name, func(t *testing.T) { startAll(t, d.backend) })
	}
}

func startAll(t *testing.T, b tensor.Backend) {
	for _, section := range []string{"gemm", "vector", "attention", "step"} {
		list := DeviceWorkloads(section)
		if len(list) < 3 {
			t.Errorf("%s has %d workloads", section, len(list))
		}
		for _, w := range list {
			switch w.Op {
			case "gemm":
				if w.Flops > 1e7 {
					continue
				}
			case "attention":
				w.N = 32
			case "step":
				w.Kind, w.M, w.N = "tiny", 1, 8
			case "cross_entropy":
				w.M, w.N = 8, 50
			default:
				w.M, w.N = 64, 32
			}
			run, err := w.StartOn(b)
			if err != nil {
				t.Fatalf("%s %s: %v", section, w.Name, err)
			}
			run()
			Wait(b)
		}
	}
	if DeviceWorkloads("topk") != nil {
		t.Error("a search runs on the host")
	}
}
