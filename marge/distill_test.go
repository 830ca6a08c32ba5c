package marge

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/marge-go/marge/tensor"
)

// The gradient of distill is that of its divergence, by differences.
func TestDistillGradient(t *testing.T) {
	const targets, evidence = 4, 5
	r := rand.New(rand.NewPCG(19, 1))
	own := [][2]int{{0, 2}, {3, 0}, {3, 1}, {3, 2}, {3, 3}, {3, 4}}
	hidden := func(i, j int) bool { return slices.Contains(own, [2]int{i, j}) }
	f, attention := make([]float32, targets*evidence), make([][]float64, targets)
	for i := range targets {
		sum := 0.0
		attention[i] = make([]float64, evidence)
		for j := range evidence {
			f[i*evidence+j] = float32(r.Float64()*0.2 + 0.7)
			if !hidden(i, j) && !(i == 1 && j == 1) {
				attention[i][j] = r.Float64()
				sum += attention[i][j]
			}
		}
		for j := range attention[i] {
			attention[i][j] /= max(sum, 1e-9)
		}
	}
	tp := tensor.NewTape(tensor.NewCPU(1))
	run := func(f []float32) (float64, []float32) {
		tp.Reset(tensor.Training, 1)
		kl, gradient := distill(tp, tp.Floats(f, targets, evidence), attention, own)
		d := make([]float32, len(f))
		gradient.CopyTo(d)
		return kl, d
	}
	kl, gradient := run(f)

	want := 0.0
	for i := range targets - 1 { // the last sees nothing
		sum := 0.0
		for j := range evidence {
			if !hidden(i, j) {
				sum += math.Exp(float64(f[i*evidence+j]) * 20)
			}
		}
		for j, a := range attention[i] {
			if a > 0 {
				want += a * math.Log(a/(math.Exp(float64(f[i*evidence+j])*20)/sum))
			}
		}
	}
	if math.Abs(kl-want) > 1e-6 {
		t.Errorf("divergence %v, want %v", kl, want)
	}
	for i := range f {
		const h = 1.0 / 1024
		at := slices.Clone(f)
		at[i] += h
		high, _ := run(at)
		up := at[i]
		at[i] = f[i] - h
		low, _ := run(at)
		if want := (high - low) / float64(up-at[i]); math.Abs(float64(gradient[i])-want) > 1e-3*max(1, math.Abs(want)) {
			t.Errorf("gradient by f of target %d, evidence %d is %v, by differences %v", i/evidence, i%evidence, gradient[i],
				want)
		}
	}
}

// What the forward pass of a training adds up is the attention, and does not
// change the loss.
func TestAttendedInTraining(t *testing.T) {
	c := testConfig(2)
	c.Dropout, c.AttentionDropout = 0, 0
	m := testModel(t, c)
	b := testBatch()
	want, err := m.EvidenceAttention(b)
	if err != nil {
		t.Fatal(err)
	}
	tp := tensor.NewTape(m.Backend())
	loss := func(attended *attendedSums) float64 {
		tp.Reset(tensor.Training, 1)
		return float64(m.forward(tp, b, forwardOptions{attended: attended}).Loss.Item())
	}
	sums := newAttendedSums(m, b)
	if with, without := loss(sums), loss(nil); with != without {
		t.Errorf("loss %v, without watching %v", with, without)
	}
	got := sums.mean()
	for i := range want.Mass {
		if !slices.Equal(got.Mass[i], want.Mass[i]) || got.Entropy[i] != want.Entropy[i] {
			t.Errorf("target %d: attention %v, want %v", i, got.Mass[i], want.Mass[i])
		}
	}
	b.Evidence, b.Own = nil, nil
	if sums := newAttendedSums(m, b); loss(sums) == 0 || len(sums.mean().Mass[0]) != 0 {
		t.Error("attention to no evidence")
	}
}

func TestDistillWeight(t *testing.T) {
	checkRepeatable(t, func(dir string) PretrainOptions {
		o := testOptions(dir)
		o.DistillWeight = 0.3
		return o
	})

	// With nothing else to learn from, g comes near to the attention.
	tok, store := testCorpus(t)
	m := testModel(t, testConfig(2))
	m.Tokenizer = tok
	o := testOptions("")
	o.Steps, o.DetachRelevance, o.DistillWeight = 100, true, 1
	var divergence []float64
	o.OnStep = func(m Metrics) error {
		divergence = append(divergence, m.Distill)
		return nil
	}
	if _, err := Pretrain(context.Background(), m, store, o); err != nil {
		t.Fatal(err)
	}
	first, last := 0.0, 0.0
	for i := range 10 {
		first, last = first+divergence[i]/10, last+divergence[len(divergence)-1-i]/10
	}
	if !(last >= 0 && last < first/2) {
		t.Errorf("the divergence fell from %v to %v only", first, last)
	}
	if moved := changed(t, m, testConfig(2)); !slices.Contains(moved, "encoder.retrieval_layer_norm.weight") {
		t.Error("g has not learnt")
	}
}
