package main

import (
	"flag"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/marge-go/marge/attention"
	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/tensor"
	"github.com/marge-go/marge/tensor/backendtest"
)

var small = options{layers: 2, width: 16, heads: 4, kvHeads: 2, context: 16, batch: 4, steps: 200, seed: 1}

// A text that repeats itself is learnt in a few updates, with the same result every time.
func TestRun(t *testing.T) {
	o := small
	o.corpus = filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(o.corpus, []byte(strings.Repeat("the cät sat\n", 40)), 0o666); err != nil {
		t.Fatal(err)
	}
	train := func() string {
		var out strings.Builder
		if err := run(&out, o); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	out := train()
	// The number of characters a second differs.
	timeless := func(s string) string { return regexp.MustCompile(`\d+ characters/s`).ReplaceAllString(s, "") }
	if timeless(train()) != timeless(out) {
		t.Error("another run has another result")
	}
	if !strings.HasPrefix(out, "480 characters, 9 different ones, ") {
		t.Errorf("output begins %.60q", out)
	}
	last := regexp.MustCompile(`100%: step 200, loss ([0-9.]+), validation ([0-9.]+),`).FindStringSubmatch(out)
	if last == nil {
		t.Fatalf("no last step in %q", out)
	}
	for _, loss := range last[1:] {
		if v, err := strconv.ParseFloat(loss, 64); err != nil || v > 0.5*math.Log(9) {
			t.Errorf("loss %v after 200 updates: nothing learnt", loss)
		}
	}
	_, sample, _ := strings.Cut(out[strings.Index(out, last[0]):], "\n")
	if len([]rune(sample)) != o.context+1 || strings.Trim(sample, "the caäs\n") != "" {
		t.Errorf("sample %q, want %d characters of the text", sample, o.context)
	}
	text := o.corpus
	o.write = filepath.Join(t.TempDir(), "first")
	if out := train(); strings.Count(out, "\n") != 1 {
		t.Errorf("-write prints %q", out)
	}
	if got, err := os.ReadFile(filepath.Join(o.write, "text.txt")); err != nil || string(got) != read(t, text) {
		t.Errorf("error %v, the text is written as %.20q", err, got)
	}
	m := newGPT(tensor.NewCPU(1), 9, o, rand.New(rand.NewPCG(2, 0)))
	if _, err := nn.Load(o.write, m.params, true); err != nil {
		t.Error(err)
	}
	want := newGPT(tensor.NewCPU(1), 9, o, rand.New(rand.NewPCG(o.seed, 0)))
	for i, p := range m.params {
		if !slices.Equal(p.Float32s(), want.params[i].Float32s()) {
			t.Errorf("%s is not the first one", p.Name)
		}
	}
	o.corpus = filepath.Join(t.TempDir(), "none")
	if err := run(&strings.Builder{}, o); err == nil || !strings.Contains(err.Error(), "none") {
		t.Errorf("error %v of a missing file", err)
	}
	if err := os.WriteFile(o.corpus, []byte("short"), 0o666); err != nil {
		t.Fatal(err)
	}
	err := run(&strings.Builder{}, o)
	if err == nil || !strings.Contains(err.Error(), "5 characters, want more than 160") {
		t.Errorf("error %v of a short text", err)
	}
}

func read(t *testing.T, path string) string {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Character by character with caches, the model gives what it does for the whole text.
func TestCaches(t *testing.T) {
	b := tensor.NewCPU(1)
	m := newGPT(b, 9, small, rand.New(rand.NewPCG(1, 0)))
	tp := tensor.NewTape(b)
	ids := []int32{3, 1, 4, 1, 5, 8, 2, 6}
	want := slices.Clone(m.forward(tp, ids, []int32{0, int32(len(ids))}, nil).Float32s())
	var caches []*attention.Cache
	for _, block := range m.blocks {
		caches = append(caches, block.Attention.NewCache(1, small.context))
	}
	for i, id := range ids {
		tp.Reset(tensor.Inference, 0)
		for j, v := range m.forward(tp, []int32{id}, []int32{0, 1}, caches).Float32s() {
			if math.Abs(float64(v-want[i*small.width+j])) > 1e-4 {
				t.Fatalf("character %d: [%d] is %v, want %v", i, j, v, want[i*small.width+j])
			}
		}
	}
}

// Without a file the text is generated news, a document a line.
func TestText(t *testing.T) {
	text, err := (&options{}).text()
	if err != nil || strings.Count(text, "\n") != 4000 || !strings.HasSuffix(text, "\n") {
		t.Errorf("error %v, %d lines", err, strings.Count(text, "\n"))
	}
}

func TestDraw(t *testing.T) {
	for _, c := range []struct {
		u    float64
		want int32
	}{{0, 0}, {0.24, 0}, {0.26, 2}, {0.99, 2}, {1, 2}} {
		if got := draw([]float32{0.25, 0, 0.75}, c.u); got != c.want {
			t.Errorf("%v draws %d, want %d", c.u, got, c.want)
		}
	}
}

// gpt_torch.py draws the same sequences: the numbers are from there.
func TestBatches(t *testing.T) {
	text := make([]int32, 1000)
	for i := range text {
		text[i] = int32(i)
	}
	b := &batches{text: text, state: 1}
	ids, targets := b.next(small)
	if first := []int32{ids[0], ids[16], ids[32], ids[48]}; !slices.Equal(first, []int32{566, 849, 876, 846}) {
		t.Errorf("sequences begin at %v", first)
	}
	if targets[63] != ids[63]+1 || !slices.Equal(b.offsets, []int32{0, 16, 32, 48, 64}) {
		t.Errorf("targets %v, offsets %v", targets, b.offsets)
	}
}

// The same on a backend whose memory the host does not see.
func TestBackend(t *testing.T) {
	tensor.Register("opaque", func() (tensor.Backend, error) { return backendtest.Opaque(tensor.NewCPU(1)), nil })
	o := small
	o.steps, o.corpus = 2, filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(o.corpus, []byte(strings.Repeat("the cät sat\n", 40)), 0o666); err != nil {
		t.Fatal(err)
	}
	var outputs []string
	for _, name := range []string{"cpu", "opaque"} {
		f := flag.NewFlagSet("gpt", flag.ContinueOnError)
		o.backend.Define(f)
		if err := f.Parse([]string{"-backend", name}); err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if err := run(&out, o); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		outputs = append(outputs, regexp.MustCompile(`\d+ characters/s`).ReplaceAllString(out.String(), ""))
	}
	if outputs[0] != outputs[1] {
		t.Errorf("%q, want %q", outputs[1], outputs[0])
	}
}
