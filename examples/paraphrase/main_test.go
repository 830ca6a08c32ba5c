package main

import (
	"strings"
	"testing"

	"github.com/marge-go/marge/examples/internal/finetuning/finetuningtest"
)

const pairs = "id\tsentence1\tsentence2\tlabel\n1\tEin Hund bellt.\tEs bellt ein Hund.\t1\n" +
	"2\tEin Hund bellt.\tEine Katze miaut.\t0\n"

func TestRun(t *testing.T) {
	file := "de=" + finetuningtest.File(t, "x.tsv", pairs)
	finetuningtest.Check(t, finetuningtest.New(t, parse, run),
		[]string{"majority", "word overlap", "fine-tuned", "fine-tuned from random weights"},
		[]string{"accuracy"}, []string{"-train", file}, []string{"-test", file})
}

func TestErrors(t *testing.T) {
	file := finetuningtest.File(t, "x.tsv", pairs)
	labels := finetuningtest.File(t, "y.tsv", strings.Replace(pairs, "\t0\n", "\tno\n", 1))
	for want, args := range map[string][]string{
		"-train: " + file + ": want LANG=FILE":        {"-train", file, "-test", "de=" + file},
		`y.tsv:3: the label is "no"`:                  {"-train", "de=" + file, "-test", "de=" + labels},
		`-train-langs: no news are generated in "it"`: {"-train-langs", "de,it"},
	} {
		finetuningtest.Fails(t, finetuningtest.New(t, parse, run), want, args...)
	}
}
