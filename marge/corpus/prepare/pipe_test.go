package prepare

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// engine is the least that an engine does: it divides lines into parts by the
// first fields of their keys, sorts them, and pipes them through steps.
type engine struct {
	t     *testing.T
	o     PipeOptions
	parts int
	cut   string // what the step parts wrote
	c     Counts
}

// pipe pipes each part through a step.
func (e *engine) pipe(parts [][]string, steps ...string) (out [][]string) {
	e.t.Helper()
	for _, step := range steps {
		out = nil
		for _, lines := range parts {
			var b bytes.Buffer
			o := e.o
			o.Parts = strings.NewReader(e.cut)
			c, err := Pipe(e.t.Context(), step, o, strings.NewReader(strings.Join(lines, "")), &b)
			if err != nil {
				e.t.Fatal(err)
			}
			e.c.add(c)
			out = append(out, slices.Collect(strings.Lines(b.String())))
		}
		parts = out
	}
	return out
}

// sorted divides lines anew and sorts them.
func (e *engine) sorted(parts ...[]string) [][]string {
	out := make([][]string, e.parts)
	for _, lines := range parts {
		for _, line := range lines {
			group, _, _ := strings.Cut(line, " ")
			group, _, _ = strings.Cut(group, "\t")
			i := len(group)
			for _, c := range group {
				i = i*31 + int(c)
			}
			i = int(uint(i) % uint(e.parts))
			out[i] = append(out[i], line)
		}
	}
	for _, lines := range out {
		slices.Sort(lines)
	}
	return out
}

// The steps, piped, make what Run makes.
func TestPipe(t *testing.T) {
	dir := t.TempDir()
	docs := collection(1, 500)
	paths := [][]string{nil, nil, nil}
	for i := range paths {
		path := filepath.Join(dir, fmt.Sprintf("%d.jsonl", i))
		writeLines(t, path, docs[i*len(docs)/3:(i+1)*len(docs)/3])
		paths[i] = []string{path + "\n"}
	}
	out := t.TempDir()
	if err := os.Mkdir(filepath.Join(out, ShardsName), 0o777); err != nil {
		t.Fatal(err)
	}
	e := &engine{t: t, o: PipeOptions{Shards: small(1).Shards, Dir: filepath.Join(out, ShardsName)}, parts: 4}
	keyed := e.pipe(paths, "read", "normalise", "language", "quality", "key")
	keyed = e.pipe(e.sorted(keyed...), "ids")
	exact := e.pipe(e.sorted(e.pipe(keyed, "hash")...), "exact")
	left := e.pipe(e.sorted(append(slices.Clone(keyed), exact...)...), "drop")
	near := e.pipe(e.sorted(e.pipe(left, "minhash")...), "near")
	sizes := e.pipe(e.sorted(e.pipe(left, "sizes")...), "parts")
	left = e.pipe(e.sorted(append(left, near...)...), "drop")
	e.cut = strings.Join(slices.Concat(sizes...), "")
	written := e.pipe(e.sorted(e.pipe(left, "shard")...), "write")

	wantDir := t.TempDir()
	want, err := Run(t.Context(), wantDir, []string{dir}, small(2))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fingerprint(t, out), fingerprint(t, wantDir); got != want {
		t.Errorf("fingerprint %s, want %s", got, want)
	}
	names, documents := 0, 0
	for _, line := range slices.Concat(written...) {
		var s Shard
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatal(err)
		}
		names, documents = names+1, documents+s.Documents
	}
	if names != want.Shards || documents != want.Kept {
		t.Errorf("%d shards, %d documents; want %d, %d", names, documents, want.Shards, want.Kept)
	}
	for _, reason := range Reasons() {
		if e.c.Dropped[reason] != want.Dropped[reason] {
			t.Errorf("%d dropped as %q, want %d", e.c.Dropped[reason], reason, want.Dropped[reason])
		}
	}
}

func TestPipeErrors(t *testing.T) {
	doc := `{"id":"1","lang":"en","text":"x"}`
	sig := `"` + strings.Repeat("A", 684) + `"`
	for _, c := range []struct{ step, in, want string }{
		{"no such", "", `unknown step "no such", want one of [drop encode exact hash ids`},
		{"normalise", doc + "\nnot JSON\n", "standard input:2: bad JSON"},
		{"key", `{"id":"1","lang":"en"}`, "standard input:1: text is missing"},
		{"language", "\xff\n", "standard input:1: the line is not valid UTF-8"},
		{"ids", "no tab\n", "standard input:1: no key and tab"},
		{"ids", "\t{}\n", "standard input:1: no key and tab"},
		{"ids", "32 1 \t" + doc + "\n31 1 \t" + doc, "standard input:2: records are not sorted"},
		{"hash", "31 1 \tnot JSON\n", "standard input:1: not a document"},
		{"hash", "31 1 \t" + `{"id":"1","lang":"?","text":"x"}`, "standard input:1: not a document: lang"},
		{"hash", "31 1 \t" + `{"id":"1","lang":"en","text":" "}`, "1: not a document: it has no id or no text"},
		{"exact", "aa 31\tnull\n", "the key \"aa 31\" has 2 fields, want 3"},
		{"near", "aa  31\tnull\n", "the signature is not 512 bytes as base64"},
		{"near", "aa  31\t7\n", "the signature: json"},
		{"near", "aa  31 x\t" + sig, "has 4 fields, want 3"},
		{"drop", "31 0\t\"\"\n", `"\"\"" is not a reason`},
		{"sizes", "31 1 \t{}\n", "not a document"},
		{"parts", "31\tx\n", `the size is "x"`},
		{"parts", "31\t-1\n", `the size is "-1"`},
		{"shard", "31 1 \t[]\n", "not a document"},
		{"write", "zz 31\t" + doc, `"zz" is not hexadecimal`},
		{"write", "31\t" + doc, "has 1 fields, want 2"},
		{"write", "31 31\t{}", "not a document"},
		{"read", "/no/such/file.jsonl\n", "no such file"},
		{"read", "picture.gif\n", "no such file"},
	} {
		o := PipeOptions{Dir: t.TempDir()}
		_, err := Pipe(t.Context(), c.step, o, strings.NewReader(c.in), io.Discard)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s of %.60q: error %v, want %q", c.step, c.in, err, c.want)
		}
		if files, _ := os.ReadDir(o.Dir); len(files) > 0 {
			t.Errorf("%s of %.60q: left %v", c.step, c.in, files)
		}
	}
	for in, want := range map[string]string{"31\t1\n": `the number of parts is "1"`, "x\t2": `"x" is not hexadecimal`} {
		o := PipeOptions{Parts: strings.NewReader(in)}
		if _, err := Pipe(t.Context(), "shard", o, strings.NewReader(""), io.Discard); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("parts %q: error %v, want %q", in, err, want)
		}
	}
	negative := PipeOptions{Shards: Shards{Groups: -1}}
	if _, err := Pipe(t.Context(), "key", negative, strings.NewReader(""), io.Discard); err == nil {
		t.Error("negative options are accepted")
	}
	if _, err := Pipe(t.Context(), "key", PipeOptions{}, strings.NewReader(doc), fullWriter{}); !errors.Is(err, errFull) {
		t.Errorf("a full disk: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, step := range []string{"key", "hash"} {
		in := strings.NewReader("31 1 \t" + doc)
		if step == "key" {
			in = strings.NewReader(doc)
		}
		if _, err := Pipe(ctx, step, PipeOptions{}, in, io.Discard); !errors.Is(err, context.Canceled) {
			t.Errorf("%s, cancelled: %v", step, err)
		}
	}
}

var errFull = errors.New("no space left")

type fullWriter struct{}

func (fullWriter) Write([]byte) (int, error) { return 0, errFull }

// Lines that are longer than a buffer are read whole.
func TestLongLines(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	var lines []string
	for i := range 30 {
		lines = append(lines, fmt.Sprintf("%02x\t%s\n", i, strings.Repeat("x", r.IntN(300_000))))
	}
	p := &pipe{}
	var got []string
	err := p.records(t.Context(), strings.NewReader(strings.Join(lines, "")), func(line int, r record) error {
		got = append(got, fmt.Sprintf("%s\t%s\n", r.key, r.value))
		if line != len(got) {
			t.Errorf("line %d is called %d", len(got), line)
		}
		return nil
	})
	if err != nil || !slices.Equal(got, lines) {
		t.Errorf("%d of %d lines, %v", len(got), len(lines), err)
	}
}

// No lines make a step panic, or write something that the next one refuses.
func FuzzPipe(f *testing.F) {
	doc := `{"id":"1","lang":"en","text":"one two three four five six"}`
	f.Add("31 0\t\"near duplicate\"\n31 1 \t" + doc + "\n32 1 \t" + doc)
	f.Add("00 31 31\t\"" + strings.Repeat("A", 683) + "=\"")
	f.Add("31\t60\n31\t100000000\n")
	f.Add(doc)
	next := map[string]string{
		"normalise": "quality", "language": "key", "key": "ids", "ids": "hash", "hash": "exact", "drop": "minhash",
		"minhash": "near", "sizes": "parts", "shard": "write", "exact": "drop", "near": "drop",
	}
	f.Fuzz(func(t *testing.T, in string) {
		for _, step := range PipeSteps() {
			if step == "read" || step == "write" {
				continue
			}
			var out bytes.Buffer
			if _, err := Pipe(t.Context(), step, PipeOptions{}, strings.NewReader(in), &out); err != nil || next[step] == "" {
				continue
			}
			lines := slices.Sorted(strings.Lines(out.String()))
			var o PipeOptions
			if next[step] == "write" && len(lines) > 0 {
				o.Dir = t.TempDir()
			}
			if _, err := Pipe(t.Context(), next[step], o, strings.NewReader(strings.Join(lines, "")), io.Discard); err != nil {
				t.Errorf("%s wrote %q: %v", step, out.String(), err)
			}
		}
	})
}
