// Parity computes the loss, the relevance matrix and the gradient of every
// parameter of a model for one batch of documents, to be compared with another
// implementation.
//
//	go run ./examples/parity -init tiny -seed 1 -checkpoint DIR
//	go run ./examples/parity -checkpoint DIR -batch FILE -out FILE
//
// The batch is a JSON object: evidence and targets (lists of lists of token
// ids, without <s>, </s> or language token), languages (language token of each
// target) and own (list of [target, evidence] pairs hidden from each other).
// The output is a safetensors file with loss [1], f [targets, evidence] and
// grad.NAME for each parameter; dropout is off.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"

	"github.com/marge-go/marge/internal/backends"
	"github.com/marge-go/marge/internal/jsonx"
	"github.com/marge-go/marge/internal/osfile"
	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/nn/safetensors"
	"github.com/marge-go/marge/tensor"
)

func main() {
	init := flag.String("init", "", "write a checkpoint with random weights of this `size`: tiny, small, base or paper")
	seed := flag.Uint64("seed", 1, "seed of the random weights")
	dir := flag.String("checkpoint", "", "`directory` of the checkpoint (required)")
	batch := flag.String("batch", "", "JSON `file` with the batch")
	out := flag.String("out", "", "safetensors `file` to write")
	var backend backends.Choice
	backend.Define(flag.CommandLine)
	flag.Parse()
	b, err := backend.Open()
	if err == nil {
		err = run(b, *init, *seed, *dir, *batch, *out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "parity:", err)
		os.Exit(1)
	}
}

func run(backend tensor.Backend, init string, seed uint64, dir, batch, out string) error {
	if dir == "" {
		return errors.New("-checkpoint is required")
	}
	if init != "" {
		config, ok := marge.Presets()[init]
		if !ok {
			return fmt.Errorf("-init %s: no such size", init)
		}
		config.Seed, config.Backend = seed, backend
		m, err := marge.New(config)
		if err != nil {
			return err
		}
		if err := m.Save(dir); err != nil {
			return err
		}
	}
	if batch == "" && out == "" && init != "" {
		return nil
	}
	if batch == "" || out == "" {
		return errors.New("-batch and -out are required")
	}
	m, err := marge.LoadOn(dir, marge.Config{Backend: backend})
	if err != nil {
		return err
	}
	if q := m.Config.Quantization; q != "" {
		return fmt.Errorf("%s is quantised to %s, which has no gradients", dir, q)
	}
	b, err := readBatch(batch)
	if err != nil {
		return err
	}
	if err := b.Validate(&m.Config); err != nil {
		return fmt.Errorf("%s: %w", batch, err)
	}
	return write(out, m, b)
}

func readBatch(path string) (*marge.Batch, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var b marge.Batch
	if err := jsonx.Unmarshal(data, &b); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &b, nil
}

func write(path string, m *marge.Model, b *marge.Batch) (err error) {
	defer tensor.Recover(&err)
	tp := tensor.NewTape(m.Backend())
	tp.Reset(tensor.Gradient, 0)
	forward := m.Forward(tp, b, 0)
	tp.Backward(forward.Loss)
	var relevance []float32
	if forward.Relevance != nil {
		relevance = values(forward.Relevance)
	}
	tensors := []safetensors.Tensor{
		safetensors.Float32("loss", []int{1}, values(forward.Loss)),
		safetensors.Float32("f", []int{len(b.Targets), len(b.Evidence)}, relevance),
	}
	for _, p := range m.Parameters() {
		tensors = append(tensors, safetensors.Float32("grad."+p.Name, p.Shape(), values(p.Grad())))
	}
	return osfile.Replace(path, func(f *os.File) error { return safetensors.Write(f, tensors, nil) })
}

func values(t *tensor.Tensor) []float32 {
	v := make([]float32, t.Len())
	t.CopyTo(v)
	return v
}
