package main

import (
	"strings"
	"testing"

	"github.com/marge-go/marge/examples/internal/finetuning/finetuningtest"
)

func TestRun(t *testing.T) {
	lines := finetuningtest.File(t, "x.jsonl", strings.Repeat(
		`{"text":"Ein Hund bellt. Es regnet.","summary":"Hund bellt"}`+"\n", 5))
	finetuningtest.Check(t, finetuningtest.New(t, parse, run),
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
		finetuningtest.Fails(t, finetuningtest.New(t, parse, run), want, args...)
	}
}

// TestUnknownLanguage gives a model texts in a language that it does not know.
func TestUnknownLanguage(t *testing.T) {
	out := t.TempDir()
	program := finetuningtest.New(t, parse, run)
	finetuningtest.Run(t, program, "-steps", "1", "-scratch=false", "-out", out)
	file := finetuningtest.File(t, "x.jsonl", `{"text":"a","summary":"b","lang":"ja"}`)
	finetuningtest.Fails(t, program, `no token for language "ja"`, "-checkpoint", out+"/pretrain", "-train", file,
		"-test", file)
}
