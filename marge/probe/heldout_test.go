package probe

import (
	"bytes"
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/eval"
)

func TestMeasure(t *testing.T) {
	f := newFixture(t)
	m := f.model(t)
	ctx := context.Background()
	before := weights(m)
	r, err := f.held.Measure(ctx, m)
	if err != nil {
		t.Fatal(err)
	}
	// 18 targets: 2 translations each, and in the two other languages 5 other
	// events each and, for most, documents without a group.
	if r.RelevanceAligned.N != 36 || r.RelevanceUnaligned.N != 18*10+6*1+6*1+6*2 {
		t.Errorf("%d aligned and %d unaligned pairs", r.RelevanceAligned.N, r.RelevanceUnaligned.N)
	}
	// f is the inner product of g.
	g, err := m.Embed(ctx, [][]int32{f.held.Document(0).Tokens, f.held.Document(1).Tokens, f.held.Document(2).Tokens})
	if err != nil {
		t.Fatal(err)
	}
	dot := 0.0
	for i := range 16 {
		dot += float64(g[i]) * float64(g[16+i])
	}
	if a := r.RelevanceAligned; dot < a.Min-1e-6 || dot > a.Max+1e-6 || a.Mean < a.Min || a.Mean > a.Max {
		t.Errorf("f of two translations is %v, the histogram %+v", dot, a)
	}
	plain, centered, err := f.held.Retrieval(ctx, m)
	if err != nil {
		t.Fatal(err)
	}
	if plain.Micro.P1 != r.P1 || plain.Micro.MRR != r.MRR || centered.Micro.P1 != r.P1Centered || plain.Micro.N != 36 {
		t.Errorf("retrieval %+v and %+v, measured %+v", plain.Micro, centered.Micro, r)
	}
	// The losses are those of single batches.
	sum, predicted := 0.0, 0.0
	for i, target := range r.Targets {
		d := f.held.Document(target)
		language, err := f.tok.LanguageToken(d.Lang)
		if err != nil {
			t.Fatal(err)
		}
		b := &marge.Batch{Targets: [][]int32{d.Tokens}, Languages: []int32{language}}
		if len(r.Retrieved[i]) != 4 || slices.Contains(r.Retrieved[i], target) {
			t.Fatalf("target %d has evidence %v", target, r.Retrieved[i])
		}
		for _, e := range r.Retrieved[i] {
			b.Evidence = append(b.Evidence, f.held.Document(e).Tokens)
		}
		l, err := m.Loss(b)
		if err != nil {
			t.Fatal(err)
		}
		sum, predicted = sum+l[0]*float64(len(d.Tokens)+1), predicted+float64(len(d.Tokens)+1)
	}
	if !(math.Abs(sum/predicted-r.Loss.Retrieved) < 1e-6) {
		t.Errorf("loss %v, want %v", r.Loss.Retrieved, sum/predicted)
	}
	for name, v := range map[string]float64{"oracle": r.Loss.Oracle, "random": r.Loss.Random, "none": r.Loss.None} {
		if !(v > 1 && v < 20) || v == r.Loss.Retrieved {
			t.Errorf("loss with evidence %s is %v", name, v)
		}
	}
	if !(r.AttentionEntropy > 0 && r.AttentionEntropy <= math.Log(4)+1e-6) ||
		!(r.AttentionTranslation > 0 && r.AttentionTranslation < 1) ||
		!(r.AttentionUniform > 0.15 && r.AttentionUniform < 0.4) {
		t.Errorf("attention: %+v", r)
	}
	again, err := f.held.Measure(ctx, m)
	if err != nil || again.Loss != r.Loss || again.AttentionTranslation != r.AttentionTranslation ||
		again.RelevanceAligned != r.RelevanceAligned {
		t.Errorf("measured again: %+v, %v", again, err)
	}
	var done []int
	total := 0
	o := HeldoutOptions{Seed: 1, LossTargets: 3, AttentionTargets: 2}
	o.OnProgress = func(n, of int) { done, total = append(done, n), of }
	if _, err := NewHeldout(f.held.docs, o).Measure(ctx, m); err != nil {
		t.Fatal(err)
	}
	// The loss of 3 targets, and the attention of 2.
	if total != 5 || !slices.Equal(done, []int{0, 1, 2, 3, 4, 5}) {
		t.Errorf("progress %v of %d", done, total)
	}
	if !bytes.Equal(weights(m), before) {
		t.Error("measuring changed the model")
	}
}

func TestMeasureErrors(t *testing.T) {
	f := newFixture(t)
	m := f.model(t)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := f.held.Measure(ctx, m); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	docs := []Document{{"a", "xx", "g", []int32{10, 11}}, {"b", "de", "g", []int32{12, 13}}, {"c", "de", "", []int32{14}}}
	_, err := NewHeldout(docs, HeldoutOptions{}).Measure(context.Background(), m)
	if err == nil || !strings.Contains(err.Error(), "a: ") {
		t.Errorf("unknown language: %v", err)
	}
	docs[0].Lang, docs[0].Tokens[0], docs[1].Lang = "de", 1<<20, "en"
	if _, err := NewHeldout(docs, HeldoutOptions{}).Measure(context.Background(), m); err == nil {
		t.Error("a token outside the vocabulary is accepted")
	}
}

// Where nothing can be measured, there are no figures but an error that says
// why.
func TestNothingToMeasure(t *testing.T) {
	f := newFixture(t)
	m := f.model(t)
	doc := func(lang, group string) Document { return Document{lang + group, lang, group, []int32{10, 11}} }
	translations := []Document{doc("de", "1"), doc("en", "1"), doc("de", "2"), doc("en", "2")}
	for _, test := range []struct {
		docs []Document
		o    HeldoutOptions
		want string
	}{
		{nil, HeldoutOptions{}, "there are none"},
		{[]Document{doc("de", ""), doc("en", "")}, HeldoutOptions{},
			"held-out documents: not evaluated: none of the 2 has a group"},
		{[]Document{doc("de", "1"), doc("de", "1"), doc("en", "2")}, HeldoutOptions{},
			"no two of the 3 are translations"},
		{translations[:2], HeldoutOptions{}, "all 2 are of one group"},
		{translations, HeldoutOptions{LossTargets: -1}, "HeldoutOptions.LossTargets is -1"},
		{translations, HeldoutOptions{Evidence: -4}, "HeldoutOptions.Evidence is -4"},
	} {
		h := NewHeldout(test.docs, test.o)
		_, measure := h.Measure(t.Context(), m)
		_, _, retrieval := h.Retrieval(t.Context(), m)
		_, monitor := NewMonitor(t.Context(), m, Options{Dir: t.TempDir(), Heldout: h})
		for what, err := range map[string]error{
			"Check": h.Check(), "Measure": measure, "Retrieval": retrieval, "NewMonitor": monitor,
		} {
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%s: error %v, want one with %q", what, err, test.want)
			}
		}
	}
	if err := NewHeldout(translations, HeldoutOptions{}).Check(); err != nil {
		t.Errorf("two events in two languages: %v", err)
	}
	alone := append(slices.Clone(translations[:2]), doc("de", ""))
	h, err := NewHeldout(alone, HeldoutOptions{}).Measure(t.Context(), m)
	if err != nil || h.RelevanceUnaligned.N == 0 || h.Loss.Random == 0 {
		t.Errorf("a pair and another document: %+v, %v", h, err)
	}
}

// Retrieval by layers is that by their vectors, and by each of them another.
func TestLayers(t *testing.T) {
	f := newFixture(t)
	m := f.model(t)
	ctx := context.Background()
	plain, centered, err := f.held.Layers(ctx, m)
	if err != nil {
		t.Fatal(err)
	}
	if n := m.Config.EncoderLayers; len(plain) != n || len(centered) != n {
		t.Fatalf("%d and %d reports of %d layers", len(plain), len(centered), n)
	}
	var docs [][]int32
	var meta []eval.Doc
	for i := range f.held.Len() {
		d := f.held.Document(i)
		docs, meta = append(docs, d.Tokens), append(meta, eval.Doc{Lang: d.Lang, Group: d.Group})
	}
	for i, r := range plain {
		rows, err := m.EmbedTokens(ctx, docs, i+1)
		if err != nil {
			t.Fatal(err)
		}
		want, err := eval.Retrieval(ctx, meta, eval.NewDense(m.Runner(), rows, m.Config.DModel), nil)
		if err != nil {
			t.Fatal(err)
		}
		if r.Micro != want.Micro || centered[i].Micro.N != want.Micro.N {
			t.Errorf("layer %d: %+v, want %+v", i+1, r.Micro, want.Micro)
		}
		if centered[i].Micro.MRR == r.Micro.MRR {
			t.Errorf("layer %d: centring changes nothing, MRR %v", i+1, r.Micro.MRR)
		}
	}
	if _, _, err := NewHeldout(nil, HeldoutOptions{}).Layers(ctx, m); err == nil {
		t.Error("no documents, no error")
	}
}
