package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/nn"
)

func TestConvert(t *testing.T) {
	c := marge.Tiny()
	c.VocabSize, c.DModel, c.Labels = 300, 32, marge.Labels{"a", "b"}
	m, err := marge.New(c)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "model")
	if err := m.Save(dir); err != nil {
		t.Fatal(err)
	}
	size := func(dir string) int64 {
		info, err := os.Stat(filepath.Join(dir, "model.safetensors"))
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	for kind, most := range map[string]int64{"int8": 45, "bfloat16": 60} { // per cent, with positions, norms and names
		out := filepath.Join(t.TempDir(), kind)
		var text bytes.Buffer
		if err := run([]string{"-checkpoint", dir, "-out", out, "-type", kind}, &text, &text); err != nil {
			t.Fatal(err)
		}
		converted, err := marge.Load(out)
		if err != nil {
			t.Fatal(err)
		}
		if (converted.Config.Quantization == "int8") != (kind == "int8") ||
			nn.Count(converted.Parameters()) != nn.Count(m.Parameters()) {
			t.Errorf("%s: loaded %+v", kind, converted.Config)
		}
		if got := size(out) * 100 / size(dir); got > most {
			t.Errorf("%s: the file is %d per cent of the first", kind, got)
		}
		if !strings.Contains(text.String(), "MB of weights as "+kind) {
			t.Errorf("printed %q", &text)
		}
	}
	for want, args := range map[string][]string{
		"required":                   {"-out", "a"},
		"-out is -checkpoint":        {"-checkpoint", dir, "-out", dir + "/"},
		"-type int4: want":           {"-checkpoint", dir, "-out", "a", "-type", "int4"},
		`unexpected argument "more"`: {"-checkpoint", dir, "-out", "a", "more"},
		"load model":                 {"-checkpoint", filepath.Join(dir, "nothing"), "-out", "a"},
	} {
		if err := run(args, &bytes.Buffer{}, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: error %v, want %q", args, err, want)
		}
	}
}
