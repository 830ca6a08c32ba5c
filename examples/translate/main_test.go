package main

import (
	"strings"
	"testing"

	"github.com/marge-go/marge/examples/internal/finetuning/finetuningtest"
)

func TestRun(t *testing.T) {
	lines := finetuningtest.File(t, "x.tsv", strings.Repeat("Ein Hund bellt.\tA dog barks.\n", 5))
	finetuningtest.Check(t, finetuningtest.New(t, parse, run),
		[]string{"copy of the source", "without fine-tuning", "fine-tuned", "fine-tuned from random weights"},
		[]string{"BLEU", "chrF"}, []string{"-train", lines}, []string{"-test", lines})
}

func TestErrors(t *testing.T) {
	file := func(name, text string) string { return finetuningtest.File(t, name, text) }
	de, en := file("x.de", "eins\nzwei\n"), file("x.en", "one\n")
	tmx := file("x.tmx", "<tmx><body><tu>")
	for _, c := range []struct {
		want string
		args []string
	}{
		{"-train: task: " + de + " has 2 lines", []string{"-train", de + "," + en, "-test", de + "," + en}},
		{"x.tmx:1: unexpected EOF", []string{"-checkpoint", "none", "-test", tmx}},
		{"z.tsv has no translation", []string{"-train", file("y.tsv", "a\tb\n"), "-dev", file("z.tsv", "")}},
		{`no news are generated in "it"`, []string{"-to", "it"}},
		{"-beams 0", []string{"-beams", "0"}},
		{"missing", []string{"-checkpoint", "missing"}},
	} {
		finetuningtest.Fails(t, finetuningtest.New(t, parse, run), c.want, c.args...)
	}
}
