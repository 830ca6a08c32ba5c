package main

import (
	"io"
	"strings"
	"testing"

	"github.com/marge-go/marge/examples/internal/finetuning"
	"github.com/marge-go/marge/examples/internal/finetuning/finetuningtest"
)

func start(t *testing.T) finetuningtest.Program {
	return func(args ...string) (*finetuning.Options, func() error, error) {
		o, err := parse(args, io.Discard)
		if err != nil {
			return nil, nil, err
		}
		return &o.Options, func() error { return run(t.Context(), o) }, nil
	}
}

const pairs = "id\tsentence1\tsentence2\tlabel\n1\tEin Hund bellt.\tEs bellt ein Hund.\t1\n" +
	"2\tEin Hund bellt.\tEine Katze miaut.\t0\n"

func TestRun(t *testing.T) {
	file := "de=" + finetuningtest.File(t, "x.tsv", pairs)
	finetuningtest.Check(t, start(t),
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
		finetuningtest.Fails(t, start(t), want, args...)
	}
}
