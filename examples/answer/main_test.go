package main

import (
	"strings"
	"testing"

	"github.com/marge-go/marge/examples/internal/finetuning/finetuningtest"
)

const questions = `{"data":[{"paragraphs":[{"context":"Ein Hund bellt. Es regnet in Köln.","qas":[
{"id":"1","question":"Wo regnet es?","answers":[{"text":"in Köln","answer_start":26}]},
{"id":"2","question":"Wer bellt?","answers":[{"text":"Ein Hund","answer_start":0}]}]}]}]}`

func TestRun(t *testing.T) {
	file := "de=" + finetuningtest.File(t, "x.json", questions)
	finetuningtest.Check(t, finetuningtest.New(t, parse, run),
		[]string{"first sentence", "best-matching sentence", "fine-tuned", "fine-tuned from random weights"},
		[]string{"F1", "exact match"}, []string{"-train", file}, []string{"-test", file})
}

func TestErrors(t *testing.T) {
	file := finetuningtest.File(t, "x.json", questions)
	moved := finetuningtest.File(t, "y.json", strings.Replace(questions, "26", "25", 1))
	for want, args := range map[string][]string{
		"-train: " + file + ": want LANG=FILE":   {"-train", file, "-test", "de=" + file},
		`y.json: question "1": the answer`:       {"-train", "de=" + moved, "-test", "de=" + file},
		`-train-langs: no news are generated in`: {"-train-langs", "de,it"},
	} {
		finetuningtest.Fails(t, finetuningtest.New(t, parse, run), want, args...)
	}
	// With -skip-bad, what is left of the file serves.
	r, _ := finetuningtest.Run(t, finetuningtest.New(t, parse, run), "-steps", "1", "-skip-bad",
		"-train", "de="+moved, "-test", "de="+file, "-out", t.TempDir())
	if r.Train != 1 || r.Test != 2 {
		t.Errorf("%d questions to train on, %d to evaluate on", r.Train, r.Test)
	}
}

// TestNoHead evaluates a model that was never trained to answer.
func TestNoHead(t *testing.T) {
	out := t.TempDir()
	finetuningtest.Run(t, finetuningtest.New(t, parse, run), "-steps", "1", "-scratch=false", "-out", out)
	finetuningtest.Fails(t, finetuningtest.New(t, parse, run), "no head for span extraction",
		"-checkpoint", out+"/pretrain", "-test", "de="+finetuningtest.File(t, "x.json", questions))
}
