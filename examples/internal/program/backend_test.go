//go:build !cuda

package program

import (
	"flag"
	"strings"
	"testing"
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
