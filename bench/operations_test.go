package bench

import (
	"math"
	"testing"

	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/tensor"
)

// TestStepOperations adds up what the operations of a step of Tiny did: the
// same products that StepFlops counts, in nearly the time of the step.
func TestStepOperations(t *testing.T) {
	w := stepWorkloads()[0]
	list, step, err := StepOperations(&w, 2, 0)
	if err != nil {
		t.Fatal(err)
	}
	flops, seconds := 0.0, 0.0
	for i, o := range list {
		flops += o.Flops
		seconds += o.Seconds
		if o.Calls < 1 || o.Bytes <= 0 || i > 0 && o.Seconds > list[i-1].Seconds {
			t.Errorf("operation %d: %+v", i, o)
		}
	}
	if math.Abs(flops/w.Flops-1) > 1e-12 {
		t.Errorf("operations of a step: %.0f operations, StepFlops has %.0f", flops, w.Flops)
	}
	if seconds > step {
		t.Errorf("operations take %v s of a step of %v s", seconds, step)
	}
	m, err := marge.New(marge.Tiny())
	if err != nil {
		t.Fatal(err)
	}
	params := nn.Count(m.Parameters())
	for _, o := range list {
		if want := 28 * float64(params); o.Name == "AdamW" && o.Bytes != want {
			t.Errorf("AdamW moves %.0f bytes for %d parameters, want %.0f", o.Bytes, params, want)
		}
	}
}

// TestLanguageOperations does so for a few tokens of the language models, which
// learn them.
func TestLanguageOperations(t *testing.T) {
	for _, w := range languageWorkloads() {
		w.M, w.N, w.Flops = 2, 8, gptFlops(2, 8)
		if w.Kind == "lstm" {
			w.Flops = lstmFlops(2, 8)
		}
		list, _, err := StepOperations(&w, 2, 0)
		if err != nil {
			t.Fatal(err)
		}
		flops := 0.0
		for _, o := range list {
			flops += o.Flops
		}
		if math.Abs(flops/w.Flops-1) > 1e-12 {
			t.Errorf("operations of a step of %s: %.0f operations, %.0f expected", w.Name, flops, w.Flops)
		}
		step := startLanguage(&w.Spec, tensor.NewCPU(2))
		first := step()
		if want := math.Log(languageVocabulary); math.Abs(float64(first)-want) > 0.1 {
			t.Errorf("%s: loss %v at first, want about %v", w.Name, first, want)
		}
		for range 4 {
			step()
		}
		if last := step(); last >= first {
			t.Errorf("%s: loss %v after five steps, %v at first", w.Name, last, first)
		}
	}
}

func TestOperationFloor(t *testing.T) {
	o := Operation{Flops: 100, Bytes: 60}
	if got := o.Floor(50, 10); got != 6 {
		t.Errorf("bound by memory: %v, want 6", got)
	}
	if got := o.Floor(10, 10); got != 10 {
		t.Errorf("bound by arithmetic: %v, want 10", got)
	}
}
