//go:build !cuda

package backends

import (
	"encoding/json"
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
		var b Choice
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
	if opened, err := (Choice{}).Open(); err != nil || opened.Name() != "cpu" {
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
		opened, err := Choice{c.backend, c.precision}.Open()
		if c.want == "" && (err != nil || opened.Name() != c.backend) ||
			c.want != "" && (err == nil || !strings.HasPrefix(err.Error(), c.want)) {
			t.Errorf("-backend %s -precision %s: error %v", c.backend, c.precision, err)
		}
	}
	opened, err := Choice{"cpu", "bf16"}.Open()
	if asm.BF16() != (err == nil) {
		t.Fatalf("bf16: error %v", err)
	}
	if err == nil && opened.(*tensor.CPU).Precision() != tensor.BFloat16 {
		t.Errorf("-precision bf16 multiplies %v", opened.(*tensor.CPU).Precision())
	}
}

// Results of before there was a backend to choose are found by a form without it.
func TestCanonical(t *testing.T) {
	for _, c := range []struct {
		choice     Choice
		name, json string
	}{
		{Choice{"cpu", "fp32"}, "", "{}"}, {Choice{"cpu", "bf16"}, "bf16", `{"precision":"bf16"}`},
		{Choice{"cuda", ""}, "cuda", `{"backend":"cuda"}`}, {Choice{"cuda", "fp32"}, "cuda", `{"backend":"cuda"}`},
		{Choice{"cuda", "tf32"}, "cuda tf32", `{"backend":"cuda","precision":"tf32"}`},
	} {
		got := c.choice.Canonical()
		data, err := json.Marshal(got)
		if err != nil || got.String() != c.name || string(data) != c.json {
			t.Errorf("%+v: %q, %s (%v), want %q, %s", c.choice, got, data, err, c.name, c.json)
		}
	}
}
