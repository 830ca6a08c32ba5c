package main

import (
	"errors"
	"flag"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/marge-go/marge/examples/internal/program"
	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/index"
)

func TestOptions(t *testing.T) {
	o, err := parse(strings.Fields(`-tokens 3M -seed 7 -accumulate 3 -replicas 4 -checkpoint-every 50 -tfidf-steps 0
		-index-every 9 -batch-tokens 99 -dist-deadline 3s -bfloat16-gradients
		-mono 2 -cross 3 -per-target=false -lr 0.5 -dropout 0.25 -retrieval-dim 64 -out DIR -resume`), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	(&progress{Display: program.NewDisplay(&out)}).warn(errors.New("something"))
	if out.String() != "warning: something\n" {
		t.Errorf("a warning is shown as %q", out.String())
	}
	p, err := o.training(nil)
	if err != nil {
		t.Fatal(err)
	}
	want := marge.PretrainOptions{
		Objective: marge.MARGE, TargetTokens: 3e6, Seed: 7, Accumulate: 3, Replicas: 4,
		CheckpointEvery: 50, BFloat16Gradients: true,
		TFIDFSteps: -1, IndexEvery: 9, BatchTokens: 99,
		Links: index.LinkOptions{Mono: 2, Cross: 3}, LearningRate: 0.5, Dir: "DIR", Resume: true,
	}
	if !reflect.DeepEqual(p, want) {
		t.Errorf("%+v, want %+v", p, want)
	}
	if o.deadline != 3*time.Second {
		t.Errorf("-dist-deadline 3s: %v", o.deadline)
	}
	config := marge.Tiny()
	config.Seed, config.Dropout, config.RetrievalPooling, config.RetrievalDim = 7, 0.25, marge.PoolMax, 64
	if got := o.modelConfig(); !reflect.DeepEqual(got, config) {
		t.Errorf("%+v, want %+v", got, config)
	}

	o, err = parse([]string{"-minutes", "1.5"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	p, err = o.training(nil)
	if err != nil || p.Duration != 90*time.Second || p.Steps != 0 || p.TFIDFSteps != 1500 {
		t.Errorf("-minutes 1.5: %+v, error %v", p, err)
	}

	o, err = parse(strings.Fields("-objective denoise -steps 5 -out DIR"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	want = marge.PretrainOptions{
		Objective: marge.Denoise, Steps: 5, Seed: 1, LearningRate: 2e-3, BatchTokens: 2048, Accumulate: 1, Replicas: 1,
		CheckpointEvery: 1000, Dir: "DIR",
	}
	if p, err = o.training(nil); err != nil || !reflect.DeepEqual(p, want) {
		t.Errorf("%+v, want %+v, error %v", p, want, err)
	}
}

// Flags that cannot be meant are errors that name them, before anything is
// done.
func TestFlags(t *testing.T) {
	for args, want := range map[string]string{
		"-config huge":                     "-config huge: no such size",
		"-steps 0":                         "-steps 0: want at least 1",
		"-steps -3":                        "-steps -3",
		"-tokens 0":                        "-tokens 0",
		"-minutes 0":                       "-minutes 0",
		"-minutes NaN":                     "-minutes NaN",
		"-minutes 1e300":                   "-minutes 1e+300",
		"-minutes 2e8":                     "-minutes 2e+08",
		"-lr 0":                            "-lr 0: want a number greater than 0",
		"-lr -1e-3":                        "-lr -0.001",
		"-lr NaN":                          "-lr NaN",
		"-lr Inf":                          "-lr +Inf",
		"-chunk 0":                         "-chunk 0: want 1 to 254",
		"-chunk 255":                       "-chunk 255: want 1 to 254",
		"-config small -chunk 511":         "-chunk 511: want 1 to 510",
		"-max-chunks 0":                    "-max-chunks 0",
		"-max-chunks -1":                   "-max-chunks -1",
		"-probes -1":                       "-probes -1",
		"-events 0":                        "-events 0",
		"-batch-tokens -5":                 "-batch-tokens -5",
		"-accumulate 0":                    "-accumulate 0",
		"-replicas 0":                      "-replicas 0",
		"-checkpoint-every 0":              "-checkpoint-every 0",
		"-dist tcp":                        "-dist tcp: want none or mpi",
		"-dist mpi":                        "-dist mpi needs -out",
		"-dist mpi -out DIR -corpus -":     "all ranks read the documents, from files",
		"-dist-deadline 0s":                "-dist-deadline 0s: want more than 0",
		"-index-every 0":                   "-index-every 0",
		"-tfidf-steps -1":                  "-tfidf-steps -1",
		"-pooling sum":                     "-pooling sum: want first, mean or max",
		"-retrieval-dim 0":                 "-retrieval-dim 0",
		"-retrieval-dim 1000000000":        "-retrieval-dim 1000000000",
		"-dropout 1":                       "-dropout 1",
		"-dropout NaN":                     "-dropout NaN",
		"-mono -1":                         "-mono -1",
		"-mono NaN":                        "-mono NaN",
		"-cross 1e300":                     "-cross 1e+300",
		"-cross 0":                         "-mono and -cross are both 0",
		"-cross 0.4":                       "-cross 0.4 round to no link",
		"-steps 5 -minutes 1":              "-steps and -minutes: give one",
		"-steps 5 -tokens 1M":              "-steps and -tokens: give one",
		"-tokens 1M -minutes 1":            "-tokens and -minutes: give one",
		"-pooling mean -retrieval-dim 64":  "-retrieval-dim is for -pooling max",
		"-corpus a -events 5":              "leave out one of -events and -corpus",
		"-corpus - -eval -":                "standard input",
		"-resume":                          "-resume needs -out",
		"-objective bert":                  "-objective bert: want one of [marge mlm tlm denoise translate]",
		"-objective mlm -index-every 5":    "-index-every is for what marge retrieves: -objective mlm retrieves nothing",
		"-objective mlm -pooling max":      "-pooling is for",
		"-steps 5 more":                    `unexpected argument "more"`,
		"-steps x":                         "-steps",
		"-seed -1":                         "-seed",
		"-corpus a -lr 0 -index-every 0":   "-lr 0",
		"-index-every 0 -lr 0 -dropout -1": "-lr 0", // always the same one first
	} {
		if o, err := parse(strings.Fields(args), io.Discard); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, error %v, want one with %q", args, o, err, want)
		}
	}
	var help strings.Builder
	if _, err := parse([]string{"-h"}, &help); !errors.Is(err, flag.ErrHelp) {
		t.Errorf("-h: %v", err)
	}
	if !strings.Contains(help.String(), "-eval") || !strings.Contains(help.String(), "but none with -corpus") {
		t.Errorf("-h prints %q", help.String())
	}
	for args, want := range map[string]float64{
		"": 2e-3, "-config small": 5e-4, "-config base": 2.5e-4, "-config paper": 1.25e-4, "-config small -lr 1e-3": 1e-3,
	} {
		o, err := parse(strings.Fields(args), io.Discard)
		if err != nil || o.lr != want {
			t.Errorf("%s: learning rate %v (%v), want %v", args, o.lr, err, want)
			continue
		}
		sure := o.config == "tiny" || o.config == "small"
		if warning := o.untrained(); (warning == "") != sure {
			t.Errorf("%s: warning %q", args, warning)
		}
	}
}
