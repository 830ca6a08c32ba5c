package curves

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/marge-go/marge/marge/probe"
)

func TestDraw(t *testing.T) {
	dir := t.TempDir()
	var runs []string
	for _, name := range []string{"first", "second"} {
		runs = append(runs, filepath.Join(dir, name))
		log, err := probe.OpenLog(runs[len(runs)-1], 1)
		if err != nil {
			t.Fatal(err)
		}
		for step := range 3 {
			r := &probe.Record{Step: step + 1, TargetTokens: int64(step) * 1e6}
			r.Train = &probe.Train{Loss: 5 - float64(step), Beta: 6}
			if step == 1 {
				r.Links = &probe.Links{CrossShare: 0.5}
				r.Development = map[string]float64{"loss": 2, "accuracy": 0.5}
				r.Heldout = &probe.Measurement{P1: 0.25, RelevanceAligned: probe.NewHistogram([]float32{0.5, 0.6})}
			}
			if err := log.Append(r); err != nil {
				t.Fatal(err)
			}
		}
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
	}
	svg := func(runs ...string) string {
		path := filepath.Join(dir, "curves.svg")
		if err := Draw(path, runs...); err != nil {
			t.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	one := svg(filepath.Join(runs[0], probe.LogName))
	titles := []string{"loss, nats per token", "retrieval of translations", "beta", "relevance at the end", ">accuracy<"}
	for _, want := range append(titles, ">training<") {
		if !strings.Contains(one, want) {
			t.Errorf("the figure lacks %q", want)
		}
	}
	if !strings.Contains(one, ">cross-attention<") || strings.Contains(one, ">first<") {
		t.Error("of one run, the figure lacks a panel or names the run")
	}
	both := svg(runs...)
	for _, want := range []string{">first<", ">second<", ">P@1<"} {
		if n := strings.Count(both, want); n != 1 {
			t.Errorf("the legends have %q %d times, want once", want, n)
		}
	}
	png := filepath.Join(dir, "curves.png")
	if err := Draw(png, runs[0]); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(png); err != nil || !bytes.HasPrefix(data, []byte("\x89PNG")) {
		t.Errorf("no PNG file (%v)", err)
	}

	if twice := svg(runs[0], filepath.Join(runs[0], probe.LogName)); strings.Contains(twice, ">first<") ||
		!strings.Contains(twice, ">"+runs[0]+"<") || !strings.Contains(twice, probe.LogName+"<") {
		t.Error("runs of equal names are not told apart by their paths")
	}
	// Panels without a point are left out.
	unmeasured := filepath.Join(dir, "unmeasured")
	log, err := probe.OpenLog(unmeasured, 1)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(log.Append(&probe.Record{Step: 1, Train: &probe.Train{Loss: 5}}), log.Close()); err != nil {
		t.Fatal(err)
	}
	s := svg(unmeasured)
	if strings.Contains(s, "relevance") || strings.Contains(s, "links") || !strings.Contains(s, ">beta<") {
		t.Error("a run without measurements has panels of them, or not its own")
	}

	// Damaged lines are reported, the others drawn.
	data, err := os.ReadFile(filepath.Join(unmeasured, probe.LogName))
	if err != nil {
		t.Fatal(err)
	}
	damaged, image := filepath.Join(dir, "damaged.jsonl"), filepath.Join(dir, "damaged.svg")
	if err := os.WriteFile(damaged, append([]byte("nonsense\n"), data...), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := Draw(image, damaged); err == nil || !strings.Contains(err.Error(), "damaged.jsonl:1") {
		t.Errorf("a damaged line: error %v", err)
	}
	if _, err := os.Stat(image); err != nil {
		t.Error(err)
	}

	empty := filepath.Join(dir, "empty.jsonl")
	if err := os.WriteFile(empty, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"no run": {png}, "empty.jsonl has no records": {png, empty}, "none": {png, filepath.Join(dir, "none")},
		"curves.xyz": {filepath.Join(dir, "curves.xyz"), runs[0]},
	} {
		if err := Draw(args[0], args[1:]...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
