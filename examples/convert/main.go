// Convert writes a trained model for inference, in less memory: its matrices as int8
// values with a scale for each row, a quarter of the size, or as bfloat16, half of it.
//
//	go run ./examples/convert -checkpoint DIR -out DIR -type int8
//
// All programs that load a model take what it writes, but none trains it. An index that
// the model made before is not that of the int8 model: make it anew.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/tensor"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "convert:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout, stderr io.Writer) error {
	f := flag.NewFlagSet("convert", flag.ContinueOnError)
	f.SetOutput(stderr)
	dir := f.String("checkpoint", "", "`directory` of the model, or of its training (required)")
	out := f.String("out", "", "`directory` to write to (required)")
	kind := f.String("type", "int8", "int8 or bfloat16")
	if err := f.Parse(args); err != nil {
		return err
	}
	switch {
	case f.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", f.Arg(0))
	case *dir == "" || *out == "":
		return errors.New("-checkpoint and -out are required")
	case filepath.Clean(*dir) == filepath.Clean(*out):
		return errors.New("-out is -checkpoint: what is written cannot be trained on, so keep the original")
	case *kind != "int8" && *kind != "bfloat16":
		return fmt.Errorf("-type %s: want int8 or bfloat16", *kind)
	}
	m, err := marge.Load(*dir)
	if err != nil {
		return err
	}
	o := marge.SaveOptions{Precision: tensor.BFloat16}
	if *kind == "int8" {
		o.Precision = tensor.Float32
		if err := m.Quantize(); err != nil {
			return err
		}
	}
	if err := m.SaveWith(*out, o); err != nil {
		return err
	}
	info, err := os.Stat(filepath.Join(*out, "model.safetensors"))
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%s: %.1f MB of weights as %s\n", *out, float64(info.Size())/1e6, *kind)
	return err
}
