//go:build !cuda

package program

import (
	"flag"
	"strings"
	"testing"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/tensor"
)

func TestBackend(t *testing.T) {
	for name, want := range map[string]string{
		"":     "",
		"cpu":  "",
		"cuda": "tensor: open backend cuda: built without the tag cuda",
		"tpu":  `tensor: unknown backend "tpu" (have [cpu cuda]`,
	} {
		var b Backend
		f := flag.NewFlagSet("test", flag.ContinueOnError)
		b.Define(f)
		var args []string
		if name != "" {
			args = []string{"-backend", name}
		}
		if err := f.Parse(args); err != nil {
			t.Fatal(err)
		}
		opened, err := b.Open()
		if want == "" && (err != nil || opened.Name() != "cpu") ||
			want != "" && (err == nil || !strings.HasPrefix(err.Error(), want)) {
			t.Errorf("-backend %q: error %v", name, err)
		}
	}
	if opened, err := (&Backend{}).Open(); err != nil || opened.Name() != "cpu" {
		t.Errorf("the zero value: error %v", err)
	}
}

func TestPrecision(t *testing.T) {
	for _, c := range []struct{ backend, precision, want string }{
		{"cpu", "fp32", ""}, {"cpu", "tf32", "-precision tf32: backend cpu has no such precision"},
		{"tpu", "bf16", "-precision bf16: backend tpu has no such precision"},
		{"cuda", "tf32", "tensor: open backend cuda: built without the tag cuda"},
	} {
		t.Setenv("MARGE_CUDA_PRECISION", "")
		opened, err := (&Backend{c.backend, c.precision}).Open()
		if c.want == "" && (err != nil || opened.Name() != c.backend) ||
			c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
			t.Errorf("-backend %s -precision %s: error %v", c.backend, c.precision, err)
		}
	}
	opened, err := (&Backend{"cpu", "bf16"}).Open()
	if asm.BF16() != (err == nil) {
		t.Fatalf("bf16: error %v", err)
	}
	if err == nil && opened.(*tensor.CPU).Precision() != tensor.BFloat16 {
		t.Errorf("-precision bf16 multiplies %v", opened.(*tensor.CPU).Precision())
	}
}
