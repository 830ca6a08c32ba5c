package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/marge-go/marge/marge/corpus/prepare"
)

const article = "The council has decided to build a new bridge over the river, which will be open to walkers and " +
	"cyclists. Work is to begin in spring and should take two years. The old bridge, built after the war, had been " +
	"closed since engineers found cracks in three of its arches. Many people who live on the other side of the " +
	"valley have had to drive for an hour to reach the hospital."

func TestRun(t *testing.T) {
	t.Chdir(t.TempDir())
	lines := `{"id":"1","lang":"en","date":"2020-06-26","text":"` + article + `"}
{"id":"2","lang":"en","date":"2020-06-27","text":"` + article + `"}
{"id":"3","lang":"de","date":"2020-06-27","text":"kurz <b>"}
not a line
`
	if err := os.WriteFile("<in>.jsonl", []byte(lines), 0o666); err != nil {
		t.Fatal(err)
	}
	args := []string{"-out", "out", "-languages", "en,de", "-threads", "1", "-memory", "1M", "<in>.jsonl"}
	for range 2 { // the second time all is there
		var out, messages bytes.Buffer
		if err := run(t.Context(), args, nil, &out, &messages); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			"3  documents read", "1    dropped: too short", "1    dropped: exact duplicate", "1  documents kept", "1  shards",
			"1    records that are no document: bad JSON", "error: <in>.jsonl:4: bad JSON",
		} {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%q is not in the report:\n%s", want, &out)
			}
		}
	}
	report, err := prepare.ReadReport(filepath.Join("out", prepare.ReportName))
	if err != nil || report.Kept != 1 || report.MadeFrom.Inputs[0].Path != "<in>.jsonl" {
		t.Errorf("%+v, %v", report, err)
	}
	html, err := os.ReadFile("out/report.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"<td>exact duplicate</td><td>1</td><td>33.3%</td>", "<td>&lt;in&gt;.jsonl</td>", "of 3 documents, 1 were kept",
	} {
		if !strings.Contains(strings.ToLower(string(html)), want) {
			t.Errorf("%q is not in the page", want)
		}
	}
	// Nothing is loaded from elsewhere, and the charts are well formed.
	if m := regexp.MustCompile(`(src|href)\s*=|@import|url\(`).Find(html); m != nil {
		t.Errorf("the page has %q", m)
	}
	charts := regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAll(html, -1)
	if len(charts) != 4 {
		t.Errorf("%d charts", len(charts))
	}
	for i, chart := range charts {
		d := xml.NewDecoder(bytes.NewReader(chart))
		for err = nil; err == nil; {
			_, err = d.Token()
		}
		if err != io.EOF {
			t.Errorf("chart %d: %v", i, err)
		}
	}
	names := regexp.MustCompile(`>(kept|too short|exact duplicate|en|&lt;512|&#60;512)<`).FindAll(html, -1)
	if len(names) < 5 {
		t.Errorf("the charts have the names %q", names)
	}
}

// A report of nothing has charts without bars.
func TestEmptyPage(t *testing.T) {
	html, err := page(&prepare.Report{})
	if err != nil || !strings.Contains(string(html), "Of 0 documents, 0 were kept (0.0%)") {
		t.Errorf("%v\n%s", err, html)
	}
}

func TestPower(t *testing.T) {
	for i, want := range map[int]string{0: "<1", 1: "<2", 9: "<512", 10: "<1k", 25: "<32M", 63: "<8E"} {
		if got := power(i); got != want {
			t.Errorf("2^%d: %s, want %s", i, got, want)
		}
	}
}

func TestStep(t *testing.T) {
	doc := `{"id":"1","lang":"en","text":" x  y "}` + "\n" + `{"id":"2","lang":"en","text":"\u200b\u200b"}` + "\n"
	var out, messages bytes.Buffer
	if err := run(t.Context(), []string{"step", "normalise"}, strings.NewReader(doc), &out, &messages); err != nil {
		t.Fatal(err)
	}
	if want := `{"id":"1","lang":"en","text":"x y"}` + "\n"; out.String() != want {
		t.Errorf("%q, want %q", &out, want)
	}
	var counts prepare.Counts
	err := json.Unmarshal(messages.Bytes(), &counts)
	if err != nil || counts.Dropped[prepare.NoText] != 1 || counts.Kept != 1 {
		t.Errorf("%q: %+v, %v", &messages, counts, err)
	}

	// The parts of shards come from a file.
	parts := filepath.Join(t.TempDir(), "parts")
	if err := os.WriteFile(parts, []byte("61\t2\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	in := "31 1 \t" + `{"id":"1","lang":"en","shard":"a","text":"x"}` + "\n"
	out.Reset()
	args := []string{"step", "shard", "-parts", parts}
	if err := run(t.Context(), args, strings.NewReader(in), &out, &messages); err != nil ||
		!strings.HasPrefix(out.String(), "612e") { // a.
		t.Errorf("%q, %v", &out, err)
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{nil, "-out and either inputs or -recipe are needed"},
		{[]string{"-out", t.TempDir()}, "-out and either inputs or -recipe are needed"},
		{[]string{"-out", t.TempDir(), "-recipe", "debian-manuals", "x"}, "-out and either inputs or -recipe are needed"},
		{[]string{"-out", t.TempDir(), "-recipe", "soup"}, `no recipe "soup"`},
		{[]string{"-out", t.TempDir(), "no such file"}, "no such file"},
		{[]string{"-out", t.TempDir(), "-memory", "-1", "x"}, "invalid value"},
		{[]string{"step"}, "which step? One of drop, encode, exact"},
		{[]string{"index"}, "-out, -checkpoint and files of shards are needed"},
		{[]string{"index", "-out", "x", "-checkpoint", "y"}, "-out, -checkpoint and files of shards are needed"},
		{[]string{"index", "-out", "x", "-checkpoint", "no model", "."}, "has no file named"},
		{[]string{"index", "-out", "x", "-checkpoint", "y", "-cross", "0", "z"}, "-mono and -cross are both 0"},
		{[]string{"index", "-out", "x", "-checkpoint", "y", "-vectors", "int4", "z"}, `unknown precision "int4"`},
		{[]string{"step", "encode"}, "the step encode needs -out"},
		{[]string{"step", "link"}, "the step link needs -out"},
		{[]string{"step", "link", "-out", "x", "-means", "no such file"}, "no such file"},
		{[]string{"step", "nothing"}, `unknown step "nothing"`},
		{[]string{"step", "key", "file"}, `a step reads standard input, not "file"`},
		{[]string{"step", "write"}, "the step write needs -out"},
		{[]string{"step", "shard", "-parts", "no such file"}, "no such file"},
		{[]string{"step", "language", "-languages", "?"}, "not a language tag"},
		{[]string{"step", "near"}, "standard input:1: no key and tab"},
	} {
		err := run(t.Context(), c.args, strings.NewReader("hostile"), io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: error %v, want %q", c.args, err, c.want)
		}
	}
	if err := run(t.Context(), []string{"-h"}, nil, io.Discard, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h: %v", err)
	}
}
