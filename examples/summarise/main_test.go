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

func TestRun(t *testing.T) {
	lines := finetuningtest.File(t, "x.jsonl", strings.Repeat(
		`{"text":"Ein Hund bellt. Es regnet.","summary":"Hund bellt"}`+"\n", 5))
	finetuningtest.Check(t, start(t),
		[]string{"first sentence", "best sentences (oracle)", "without fine-tuning", "fine-tuned",
			"fine-tuned from random weights"},
		[]string{"ROUGE-L", "ROUGE-1", "ROUGE-2"},
		[]string{"-lang", "de", "-train", lines}, []string{"-lang", "de", "-test", lines})
}

func TestErrors(t *testing.T) {
	bad := finetuningtest.File(t, "x.jsonl", "{\"text\":\"a\",\"summary\":\"b\"}\n")
	for want, args := range map[string][]string{
		"-train: task: " + bad + ":1: lang:": {"-train", bad, "-test", bad},
		"x.jsonl is empty":                   {"-checkpoint", "none", "-test", finetuningtest.File(t, "x.jsonl", "")},
		"-beams 0":                           {"-beams", "0"},
	} {
		finetuningtest.Fails(t, start(t), want, args...)
	}
}
