package marge

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/marge-go/marge/tensor"
	"github.com/marge-go/marge/tensor/backendtest"
)

// A model does the same on a backend whose memory the host cannot see as on
// the CPU: training, with each option that computes something of its own, use,
// saving and loading.
func TestModelOnOpaqueBackend(t *testing.T) {
	for name, change := range map[string]func(o *PretrainOptions, c *Config){
		"plain":    func(*PretrainOptions, *Config) {},
		"distill":  func(o *PretrainOptions, _ *Config) { o.DistillWeight = 1 },
		"contrast": func(o *PretrainOptions, _ *Config) { o.ContrastiveSteps = 3 },
		"mean":     func(_ *PretrainOptions, c *Config) { c.RetrievalPooling = PoolMean },
		"max":      func(_ *PretrainOptions, c *Config) { c.RetrievalPooling, c.RetrievalDim = PoolMax, 48 },
		"null":     func(o *PretrainOptions, _ *Config) { o.NullDocument, o.LanguageTemperature = true, 2 },
		"replicas": func(o *PretrainOptions, _ *Config) { o.Replicas = 3 },
		"bfloat16": func(o *PretrainOptions, _ *Config) { o.Replicas, o.BFloat16Gradients = 3, true },
	} {
		if testing.Short() && name != "plain" && name != "max" {
			continue // the same operations, in other orders
		}
		t.Run(name, func(t *testing.T) {
			type result struct {
				weights []byte
				output  []int32
				vectors []float32
				losses  []float64
				mass    float64
			}
			run := func(b tensor.Backend) (r result) {
				tok, store := testCorpus(t)
				c := testConfig(1)
				o := testOptions(t.TempDir())
				change(&o, &c)
				o.Steps, o.TFIDFSteps, c.Backend = 20, 5, b
				m := testModel(t, c)
				m.Tokenizer = tok
				if _, err := Pretrain(context.Background(), m, store, o); err != nil {
					t.Fatal(err)
				}
				dir := t.TempDir()
				if err := m.Save(dir); err != nil {
					t.Fatal(err)
				}
				m, err := LoadOn(dir, Config{Backend: b})
				if err != nil {
					t.Fatal(err)
				}
				r.weights = weights(m)
				generate := GenerateOptions{MaxTokens: 6, Beams: 2, Relevance: []float32{0.5, -0.5}}
				evidence := [][]int32{{10, 11}, {12}}
				if r.output, err = m.GenerateTokens(context.Background(), evidence, 5, generate); err != nil {
					t.Fatal(err)
				}
				if r.vectors, err = m.Embed(context.Background(), evidence); err != nil {
					t.Fatal(err)
				}
				if r.losses, err = m.Loss(testBatch()); err != nil {
					t.Fatal(err)
				}
				attention, err := m.EvidenceAttention(testBatch())
				if err != nil {
					t.Fatal(err)
				}
				r.mass = attention.Mass[0][0]
				return r
			}
			want, got := run(tensor.NewCPU(1)), run(backendtest.Opaque(tensor.NewCPU(2)))
			if !bytes.Equal(got.weights, want.weights) {
				t.Error("other weights after training, saving and loading")
			}
			if !slices.Equal(got.output, want.output) || !slices.Equal(got.vectors, want.vectors) {
				t.Errorf("output %v and vectors %v, want %v and %v", got.output, got.vectors, want.output, want.vectors)
			}
			if !slices.Equal(got.losses, want.losses) || got.mass != want.mass {
				t.Errorf("losses %v, attention %v, want %v and %v", got.losses, got.mass, want.losses, want.mass)
			}
		})
	}
}

// An update waits for the device at its end alone: to read its losses and the
// norm of the gradients, and beta for OnStep.
func TestUpdateWaitsAtItsEnd(t *testing.T) {
	b := backendtest.Opaque(tensor.NewCPU(1))
	var ops []string
	b.Fail = func(op string) error {
		ops = append(ops, op)
		return nil
	}
	tok, store := testCorpus(t)
	c := testConfig(1)
	c.Backend = b
	m := testModel(t, c)
	m.Tokenizer = tok
	o := testOptions("")
	o.Steps, o.Replicas = 4, 2
	o.OnStep = func(metrics Metrics) error {
		last := 0 // launch of the passes
		for i, op := range ops {
			if op == "attentionbackward" || op == "layernormbackward" || op == "scatteradd" {
				last = i
			}
		}
		if last == 0 {
			t.Fatalf("step %d: no backward pass", metrics.Step)
		}
		for i, op := range ops {
			if waits := op == "download" || op == "sumsquaresall" || op == "sumsquares"; waits && i < last {
				t.Errorf("step %d: %s, call %d, before the end of the backward pass, call %d", metrics.Step, op, i, last)
			}
		}
		// Sums of replicas are made meanwhile; at the end of a pass there are fewer batches.
		end := slices.DeleteFunc(slices.Clone(ops[last+1:]), func(op string) bool {
			return op == "add" || op == "scale" || op == "fill"
		})
		losses := slices.IndexFunc(end, func(op string) bool { return op != "download" })
		if losses < 1 || losses > 4 || !slices.Equal(end[losses:], []string{"sumsquaresall", "adamwall", "download"}) {
			t.Errorf("step %d ends with %v, want up to 4 losses, the norm, one update and beta", metrics.Step, end)
		}
		ops = ops[:0]
		return nil
	}
	ops = ops[:0]
	if _, err := Pretrain(context.Background(), m, store, o); err != nil {
		t.Fatal(err)
	}
}

// A device that fails is an error of whatever uses it, and a training that it
// stops can be resumed.
func TestDeviceFails(t *testing.T) {
	options := testOptions("")
	want, _, err := train(t, 1, options)
	if err != nil {
		t.Fatal(err)
	}
	lost := errors.New("device lost")
	b := backendtest.Opaque(tensor.NewCPU(1))
	tok, store := testCorpus(t)
	c := testConfig(1)
	c.Backend = b
	m := testModel(t, c)
	m.Tokenizer = tok
	o := testOptions(t.TempDir())
	o.OnStep = func(metrics Metrics) error {
		if metrics.Step == 12 {
			b.Fail = func(op string) error { return lost }
		}
		return nil
	}
	_, err = Pretrain(context.Background(), m, store, o)
	var failure *tensor.BackendError
	if !errors.Is(err, lost) || !errors.As(err, &failure) {
		t.Errorf("Pretrain: error %v", err)
	}
	ctx, docs := context.Background(), [][]int32{{10, 11}}
	for name, use := range map[string]func() error{
		"Embed":    func() error { _, err := m.Embed(ctx, docs); return err },
		"NewIndex": func() error { _, err := m.NewIndex(ctx, docs, nil); return err },
		"Loss":     func() error { _, err := m.Loss(testBatch()); return err },
		"Generate": func() error { _, err := m.GenerateTokens(ctx, docs, 5, GenerateOptions{MaxTokens: 2}); return err },
		"EvidenceAttention": func() error {
			_, err := m.EvidenceAttention(testBatch())
			return err
		},
		"Save":   func() error { return m.Save(t.TempDir()) },
		"New":    func() error { _, err := New(c); return err },
		"LoadOn": func() error { _, err := LoadOn(o.Dir, c); return err },
	} {
		if err := use(); !errors.Is(err, lost) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	got, stats, err := train(t, 1, o)
	if err != nil || stats.Steps != options.Steps || !bytes.Equal(got, want) {
		t.Errorf("resumed on another device: %d steps, error %v, the same weights: %t", stats.Steps, err,
			bytes.Equal(got, want))
	}
}
