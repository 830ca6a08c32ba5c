package finetuning

import (
	"errors"
	"flag"
	"io"
	"slices"
	"strings"
	"testing"
)

// options parses flags of a program.
func options(args ...string) (*Options, error) {
	o := &Options{}
	f := flag.NewFlagSet("program", flag.ContinueOnError)
	o.Define(f, "what files are")
	if err := Parse(f, args, io.Discard); err != nil {
		return nil, err
	}
	return o, o.Check()
}

func TestOptions(t *testing.T) {
	for args, want := range map[string]string{
		"-steps 0":                          "-steps 0",
		"-minutes 0":                        "-minutes 0",
		"-minutes NaN":                      "-minutes NaN",
		"-steps 3 -minutes 1":               "-steps and -minutes",
		"-lr 0":                             "-lr 0",
		"-lr Inf":                           "-lr +Inf",
		"-resume":                           "-resume needs -out",
		"-train a":                          "-train without -test",
		"-dev a":                            "-dev without -train",
		"-test a":                           "give the model to evaluate by -checkpoint",
		"-train a -test b -freeze":          "-freeze without -checkpoint",
		"more":                              `unexpected argument "more"`,
		"-seed -1":                          "-seed",
		"-checkpoint d -train a -dev b -dv": "-dv",
	} {
		if _, err := options(strings.Fields(args)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", args, err, want)
		}
	}
	for _, args := range []string{
		"", "-freeze", "-checkpoint d -test a", "-train a -dev b", "-checkpoint d -train a -test b -freeze",
	} {
		o, err := options(strings.Fields(args)...)
		if err != nil {
			t.Errorf("%s: %v", args, err)
		} else if !strings.Contains(o.Out, "program-") {
			t.Errorf("%s: -out is %q", args, o.Out)
		} else if want := !strings.Contains(args, "-t"); o.Generated() != want {
			t.Errorf("%s: generated data: %v", args, o.Generated())
		}
	}
	var help strings.Builder
	o := &Options{}
	f := flag.NewFlagSet("program", flag.ContinueOnError)
	o.Define(f, "what files are")
	err := Parse(f, []string{"-h"}, &help)
	if !errors.Is(err, flag.ErrHelp) || !strings.Contains(help.String(), "what files are") {
		t.Errorf("-h: %v, prints %q", err, help.String())
	}
}

func TestFiles(t *testing.T) {
	o, err := options("-train", "de=a", "-train", "en=b", "-dev", "fr=c")
	if err != nil {
		t.Fatal(err)
	}
	d, err := Read(o, Each(WithLanguage(func(file, lang string) ([]string, error) { return []string{lang + file}, nil })))
	if err != nil || !slices.Equal(d.Train, []string{"dea", "enb"}) || !slices.Equal(d.Test, []string{"frc"}) {
		t.Errorf("%v, %v", d, err)
	}
	o.Test = []string{"d"}
	_, err = Read(o, Each(WithLanguage(func(string, string) ([]string, error) { return nil, nil })))
	if err == nil || !strings.Contains(err.Error(), "-test: d: want LANG=FILE") {
		t.Errorf("%v", err)
	}
}

func TestNews(t *testing.T) {
	langs, err := NewsLanguages("de,el")
	if err != nil || !slices.Equal(langs, []string{"de", "el"}) {
		t.Errorf("%v, %v", langs, err)
	}
	for list, want := range map[string]string{"de,it": `in "it"`, "de,de": "twice", "": `in ""`} {
		if _, err := NewsLanguages(list); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", list, err, want)
		}
	}
	o, err := options("-seed", "7")
	if err != nil {
		t.Fatal(err)
	}
	train, dev, test := o.News()
	if train.Seed != 7 || train.First+train.Events > test.First || test.First+test.Events > dev.First || dev.Events < 1 {
		t.Errorf("%+v, %+v, %+v", train, dev, test)
	}
}

func TestInParts(t *testing.T) {
	records := make([]int, 2*atOnce+3)
	for i := range records {
		records[i] = i
	}
	var seen []int
	calls := 0
	outputs, err := InParts(records, func(done, total int) {
		if calls++; done != len(seen) || total != len(records) {
			t.Errorf("%d of %d after %d", done, total, len(seen))
		}
	}, func(part []int) ([]string, error) {
		seen = append(seen, part...)
		return make([]string, len(part)), nil
	})
	if err != nil || len(outputs) != len(records) || !slices.Equal(seen, records) || calls != 3 {
		t.Errorf("%d outputs of %d records in %d calls, %v", len(outputs), len(seen), calls, err)
	}
	broken := errors.New("broken")
	if _, err := InParts(records, func(int, int) {}, func([]int) ([]string, error) { return nil, broken }); err != broken {
		t.Errorf("%v", err)
	}
	if got := Chosen([]string{"a", "b", "c"}, []int{2, 0}); !slices.Equal(got, []string{"c", "a"}) {
		t.Errorf("%v", got)
	}
}

func TestPrint(t *testing.T) {
	figure := func(v float64) map[string]Figure { return map[string]Figure{"F1": {Value: v}} }
	r := Result{Test: 3, ZeroShotLangs: []string{"el"}, Rows: []Row{
		{Name: "baseline", Figures: map[string]Figure{"F1": Percent(0.125, nil)},
			ByLang: map[string]map[string]Figure{"de": figure(1), "el": figure(2)}},
		{Name: "fine-tuned", Figures: figure(50), ByLang: map[string]map[string]Figure{"de": figure(3), "el": figure(4)}},
	}}
	var b strings.Builder
	r.print(&b, &Task{Columns: []string{"F1"}})
	want := `
3 records     F1
  baseline    12.5
  fine-tuned  50.0

F1 by language  de   el
  baseline      1.0  2.0
  fine-tuned    3.0  4.0
zero-shot, without records to train on: el
`
	if b.String() != want {
		t.Errorf("prints\n%s\nwant\n%s", b.String(), want)
	}
}

func TestShown(t *testing.T) {
	if got := shown(" a\nline  of ü "); got != "a line of ü" {
		t.Errorf("%q", got)
	}
	if got := shown(strings.Repeat("ü", 500)); got != strings.Repeat("ü", printedCharacters)+" [...]" {
		t.Errorf("%q", got)
	}
}
