package marge

import (
	"context"
	"errors"
	"math"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/internal/isatest"
	"github.com/marge-go/marge/marge/tokenizer"
	"github.com/marge-go/marge/tensor"
	"github.com/marge-go/marge/tensor/backendtest"
)

// wideConfig has products that the kernels for few rows divide otherwise than those
// for many, and heads that are no whole vectors.
func wideConfig(b tensor.Backend) Config {
	c := testConfig(1)
	c.Backend, c.DModel, c.DecoderFFNDim, c.DecoderAttentionHeads = b, 72, 300, 3
	return c
}

// Outputs do not depend, to the last bit, on threads, on what else is in the batch,
// or on how many requests are worked on together.
func TestGenerateAlone(t *testing.T) {
	isatest.Each(t, func(t *testing.T) {
		one, three := tensor.NewCPU(1), tensor.NewCPU(3)
		defer one.Close()
		defer three.Close()
		device := backendtest.Opaque(tensor.NewCPU(2))
		defer device.Close()
		for i, o := range []GenerateOptions{
			{MaxTokens: 12, Attention: true},
			{MaxTokens: 12, Beams: 4, Return: 4, NoRepeatNGram: 2, Attention: true},
			{MaxTokens: 12, Temperature: 1, Return: 3, Seed: 5, TopP: 0.9},
		} {
			c := wideConfig(one)
			c.Seed = uint64(i)
			m := searchModel(t, c)
			rng := rand.New(rand.NewPCG(9, uint64(i)))
			var requests []TokenRequest
			for range 14 {
				requests = append(requests, randomRequest(rng, &c))
			}
			var want [][]Output
			for _, r := range requests {
				alone, err := m.GenerateAllTokens(context.Background(), []TokenRequest{r}, o)
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, alone[0])
			}
			for name, b := range map[string]tensor.Backend{"one": one, "three": three, "device": device} {
				c.Backend = b
				m := searchModel(t, c)
				for _, batch := range []int{0, 1, 3, 14} {
					o.Batch = batch
					got, err := m.GenerateAllTokens(context.Background(), requests, o)
					if err != nil {
						t.Fatal(err)
					}
					if !reflect.DeepEqual(got, want) {
						t.Errorf("options %d, backend %s, %d requests at once: other outputs than alone", i, name, batch)
					}
				}
			}
		}
	})
}

// What comes back from a device is a few numbers for each hypothesis and step.
func TestGenerateDownloadsCandidates(t *testing.T) {
	device := backendtest.Opaque(tensor.NewCPU(1))
	defer device.Close()
	c := testConfig(1)
	c.Backend = device
	m := searchModel(t, c)
	for _, o := range []GenerateOptions{
		{Beams: 4, MaxTokens: 10, MinTokens: 10}, {Temperature: 0.1, MaxTokens: 10, MinTokens: 10},
	} {
		device.ResetCounts()
		if _, err := m.GenerateTokens(context.Background(), [][]int32{{10, 11}, {12}}, 5, o); err != nil {
			t.Fatal(err)
		}
		if n := device.Counts().Downloads; n != 11 { // beta and one a step
			t.Errorf("%d downloads for 10 steps, want 11", n)
		}
	}
}

// Log-probabilities are those of Loss, and attention is that of EvidenceAttention.
func TestOutputIsWhatTheModelSays(t *testing.T) {
	finished := 0
	for seed := range uint64(30) {
		m := searchModel(t, searchConfig(seed))
		m.SetBeta(0) // without relevance; that of Loss comes from g
		evidence := [][]int32{{10, 11, 12}, {20, 21}, {}}
		got, err := m.GenerateAllTokens(context.Background(), []TokenRequest{{Evidence: evidence, Language: 4}},
			GenerateOptions{Beams: 3, Return: 3, Attention: true, LengthPenalty: 0.7})
		if err != nil {
			t.Fatal(err)
		}
		for _, out := range got[0] {
			if !out.Finished {
				continue
			}
			finished++
			b := &Batch{Evidence: evidence, Targets: [][]int32{out.Tokens}, Languages: []int32{4}}
			losses, err := m.Loss(b)
			if err != nil {
				t.Fatal(err)
			}
			sum, n := 0.0, float64(len(out.Tokens)+1)
			for _, p := range out.LogProbs {
				sum += float64(p)
			}
			if want := -losses[0] * n; math.Abs(sum-want) > 1e-4 || math.Abs(out.Score-want/math.Pow(n, 0.7)) > 1e-4 {
				t.Errorf("seed %d: log-likelihood %v, score %v, want %v", seed, sum, out.Score, want)
			}
			attention, err := m.EvidenceAttention(b)
			if err != nil {
				t.Fatal(err)
			}
			for j, want := range attention.Mass[0] {
				if math.Abs(out.Evidence[j]-want) > 1e-6 {
					t.Errorf("seed %d: attention to document %d is %v, want %v", seed, j, out.Evidence[j], want)
				}
			}
		}
	}
	if finished < 5 {
		t.Errorf("%d outputs are compared", finished)
	}
}

// Sampling draws tokens as often as their probabilities say.
func TestSamplingFrequencies(t *testing.T) {
	c := searchConfig(1)
	c.VocabSize = 300 // more than are looked at first
	m := testModel(t, c)
	r := TokenRequest{Evidence: [][]int32{{10, 11}}, Language: 4}
	for _, o := range []GenerateOptions{
		{Temperature: 1}, {Temperature: 2}, {Temperature: 1, TopP: 0.5}, {Temperature: 0.5, TopK: 20},
		{Temperature: 1, TopK: 100, TopP: 0.3},
	} {
		o.MaxTokens, o.Return = 1, 4000
		outputs, err := m.GenerateAllTokens(context.Background(), []TokenRequest{r}, o)
		if err != nil {
			t.Fatal(err)
		}
		if err := o.complete(&c); err != nil {
			t.Fatal(err)
		}
		count := map[int32]float64{}
		for _, out := range outputs[0] {
			id := int32(tokenizer.EOS)
			if !out.Finished {
				id = out.Tokens[0]
			}
			count[id]++
		}
		search := o
		search.Temperature, search.Beams, search.Return = 0, 1, 1
		list := (&uncached{m, newSearch(m, 0, r, &search), m.tape()}).candidates(0, m.neverGenerated())
		if o.TopK > 0 {
			list = list[:o.TopK]
		}
		total, kept, sum := 0.0, 0, 0.0
		for _, x := range list {
			total += math.Exp(x.logProb / o.Temperature)
		}
		for sum < o.TopP*total*(1-1e-9) && kept < len(list) {
			sum += math.Exp(list[kept].logProb / o.Temperature)
			kept++
		}
		square := 0.0
		for _, x := range list[:kept] {
			want := math.Exp(x.logProb/o.Temperature) / sum * float64(o.Return)
			square += (count[x.token] - want) * (count[x.token] - want) / want
			delete(count, x.token)
		}
		if len(count) > 0 {
			t.Errorf("%+v: drew %v, which have no part", o, count)
		}
		// The mean of chi squared is its degrees of freedom, its variance twice that.
		if free := float64(kept - 1); square > free+5*math.Sqrt(2*free) {
			t.Errorf("%+v: chi squared is %.0f with %d tokens", o, square, kept)
		}
	}
}

// Equal seeds give equal outputs, others others.
func TestSamplingSeeds(t *testing.T) {
	m := searchModel(t, searchConfig(1))
	r := TokenRequest{Evidence: [][]int32{{10, 11}}, Language: 4}
	generate := func(seed uint64) [][]Output {
		o := GenerateOptions{Temperature: 1, Seed: seed, Return: 5, MaxTokens: 20}
		outputs, err := m.GenerateAllTokens(context.Background(), []TokenRequest{r, r}, o)
		if err != nil {
			t.Fatal(err)
		}
		return outputs
	}
	first, again, other := generate(1), generate(1), generate(2)
	if !reflect.DeepEqual(first, again) || !reflect.DeepEqual(first[0], first[1]) {
		t.Error("equal seeds give other outputs")
	}
	if reflect.DeepEqual(first, other) || reflect.DeepEqual(first[0][0], first[0][1]) {
		t.Error("other seeds, or draws, give equal outputs")
	}
}

// OnToken is told of the tokens of outputs, in order, before the search has ended.
func TestOnToken(t *testing.T) {
	tok, _ := testCorpus(t)
	c := testConfig(1)
	m := searchModel(t, c)
	m.Tokenizer = tok
	lang, err := tok.LanguageToken("en")
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []GenerateOptions{
		{}, {Beams: 4}, {Temperature: 1, Return: 3}, {Prefix: []int32{50, 51}},
	} {
		o.MaxTokens = 30
		o.Return = max(o.Return, 1)
		ids, texts := map[[2]int][]int32{}, map[[2]int]string{}
		early, calls := 0, 0
		o.OnToken = func(tk Token) error {
			key := [2]int{tk.Request, tk.Output}
			ids[key] = append(ids[key], tk.ID)
			texts[key] += tk.Text
			calls++
			return nil
		}
		var requests []TokenRequest
		for i := range 3 {
			requests = append(requests, TokenRequest{Evidence: [][]int32{{10, int32(20 + i)}}, Language: lang})
		}
		got, err := m.GenerateAllTokens(context.Background(), requests, o)
		if err != nil {
			t.Fatal(err)
		}
		for i, outputs := range got {
			for j, out := range outputs {
				key := [2]int{i, j}
				want := strings.ToValidUTF8(strings.ReplaceAll(out.Text, "\ufffd", ""), "")
				if !slices.Equal(ids[key], out.Tokens) {
					t.Errorf("%+v: OnToken was told %v, the output is %v", o, ids[key], out.Tokens)
				} else if strings.ToValidUTF8(texts[key], "") != want {
					t.Errorf("%+v: OnToken was told %q, the output is %q", o, texts[key], out.Text)
				}
			}
		}
		stop := errors.New("stop")
		o.OnToken = func(Token) error {
			early++
			return stop
		}
		if _, err := m.GenerateAllTokens(context.Background(), requests, o); !errors.Is(err, stop) || early != 1 {
			t.Errorf("an error of OnToken gives %v after %d calls", err, early)
		}
	}
}

// A character that several tokens form is told of as a whole.
func TestOnTokenTellsCharacters(t *testing.T) {
	tok, _ := testCorpus(t)
	m := searchModel(t, testConfig(1))
	m.Tokenizer = tok
	const text = "日𝄞é" // which the tokenizer has never seen
	prefix := tok.Encode(text)
	var got []string
	o := GenerateOptions{Prefix: prefix, MaxTokens: len(prefix), OnToken: func(tk Token) error {
		got = append(got, tk.Text)
		return nil
	}}
	lang, err := tok.LanguageToken("en")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.GenerateTokens(context.Background(), nil, lang, o); err != nil {
		t.Fatal(err)
	}
	if want := []string{"", "", "日", "", "", "", "𝄞", "", "é"}; !slices.Equal(got, want) {
		t.Errorf("OnToken was told %q, want %q", got, want)
	}
	// What is cut off at the end comes with the last token.
	o.Prefix, got = prefix[:5], nil
	o.MaxTokens = 5
	if _, err := m.GenerateTokens(context.Background(), nil, lang, o); err != nil {
		t.Fatal(err)
	}
	if want := []string{"", "", "日", "", "\xf0\x9d"}; !slices.Equal(got, want) {
		t.Errorf("OnToken was told %q, want %q", got, want)
	}
}

// A cancelled context ends a search within a step.
func TestGenerateCancelled(t *testing.T) {
	m := searchModel(t, testConfig(1))
	ctx, cancel := context.WithCancel(context.Background())
	calls := 0
	o := GenerateOptions{MinTokens: 20, OnToken: func(Token) error {
		if calls++; calls == 3 {
			cancel()
		}
		return nil
	}}
	if _, err := m.GenerateTokens(ctx, [][]int32{{10}}, 5, o); !errors.Is(err, context.Canceled) || calls != 3 {
		t.Errorf("error %v after %d tokens", err, calls)
	}
	if _, err := m.GenerateTokens(ctx, [][]int32{{10}}, 5, GenerateOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// Options do what they say.
func TestGenerateOptions(t *testing.T) {
	for seed := range uint64(6) {
		m := searchModel(t, searchConfig(seed))
		generate := func(o GenerateOptions) []Output {
			t.Helper()
			r := TokenRequest{Evidence: [][]int32{{10, 11, 12}, {20, 21}}, Language: 4}
			outputs, err := m.GenerateAllTokens(context.Background(), []TokenRequest{r}, o)
			if err != nil {
				t.Fatal(err)
			}
			return outputs[0]
		}
		for _, o := range []GenerateOptions{{}, {Beams: 3, Return: 3}, {Temperature: 1, Return: 3}} {
			o.MinTokens = 1
			plain := generate(o)
			first := plain[0].Tokens[0]
			o.Suppress = []int32{first, tokenizer.EOS}
			o.MinTokens, o.MaxTokens, o.NoRepeatNGram, o.Prefix = 8, 15, 2, []int32{first ^ 1, first ^ 2}
			for _, out := range generate(o) {
				if len(out.Tokens) != 15 || out.Finished || slices.Contains(out.Tokens, o.Suppress[0]) ||
					!slices.Equal(out.Tokens[:2], o.Prefix) {
					t.Errorf("seed %d: %+v gives %v", seed, o, out.Tokens)
				}
				pairs := map[[2]int32]bool{}
				for i := range len(out.Tokens) - 1 {
					pairs[[2]int32(out.Tokens[i:])] = true
				}
				if len(pairs) != len(out.Tokens)-1 {
					t.Errorf("seed %d: %v has a pair twice", seed, out.Tokens)
				}
			}
			o.Suppress, o.Prefix = nil, nil
			for _, out := range generate(o) {
				if len(out.Tokens) < 8 || len(out.Tokens) > 15 || out.Finished && len(out.LogProbs) != len(out.Tokens)+1 {
					t.Errorf("seed %d: %+v gives %v", seed, o, out.Tokens)
				}
			}
		}
	}
}

// With a vocabulary of nothing but special tokens, or all others suppressed, there is
// only the empty output.
func TestGenerateWithoutTokens(t *testing.T) {
	c := testConfig(1)
	c.VocabSize = 5
	for _, o := range []GenerateOptions{
		{Beams: 3, MaxTokens: 4}, {MaxTokens: 4, Suppress: []int32{2, 4}}, {Temperature: 1, Suppress: []int32{2, 4}},
	} {
		got, err := testModel(t, c).GenerateTokens(context.Background(), nil, 4, o)
		if err != nil {
			t.Fatal(err)
		}
		for _, id := range got {
			if id < 4 || o.Suppress != nil {
				t.Errorf("the output %v has a special token", got)
			}
		}
	}
	got, err := testModel(t, c).GenerateAll(context.Background(), nil, GenerateOptions{})
	if err == nil {
		t.Error("no tokenizer is no error")
	}
	none, err := testModel(t, c).GenerateAllTokens(context.Background(), nil, GenerateOptions{})
	if err != nil || len(none) != 0 {
		t.Errorf("no requests give %v, %v", none, err)
	}
	_ = got
}

func TestGenerateErrors(t *testing.T) {
	m := testModel(t, testConfig(1))
	ctx := context.Background()
	evidence := [][]int32{{10}}
	nan, inf := math.NaN(), math.Inf(-1)
	for want, o := range map[string]GenerateOptions{
		"Beams is -1":     {Beams: -1},
		"MaxTokens is -5": {MaxTokens: -5},
		"MinTokens is -5": {MinTokens: -5},
		"MinTokens is 9, more than the limit of 8":          {MinTokens: 9, MaxTokens: 8},
		"MinTokens is 64, more than the limit of 63 tokens": {MinTokens: 64},
		"NoRepeatNGram is -1":                               {NoRepeatNGram: -1},
		"TopK is -1":                                        {TopK: -1, Temperature: 1},
		"Return is -1":                                      {Return: -1},
		"Batch is -1":                                       {Batch: -1},
		"LengthPenalty is NaN":                              {LengthPenalty: nan},
		"LengthPenalty is -Inf":                             {LengthPenalty: inf},
		"Temperature is NaN":                                {Temperature: nan},
		"Temperature is -1":                                 {Temperature: -1},
		"Temperature is +Inf":                               {Temperature: math.Inf(1)},
		"Temperature is 1e-300":                             {Temperature: 1e-300},
		"TopP is NaN":                                       {TopP: nan, Temperature: 1},
		"TopP is 1.5":                                       {TopP: 1.5, Temperature: 1},
		"TopP is -0.5":                                      {TopP: -0.5, Temperature: 1},
		"Beams is 2 with a Temperature":                     {Beams: 2, Temperature: 1},
		"TopK, TopP or Seed without":                        {TopK: 3},
		"Seed without a Temperature":                        {Seed: 3},
		"TopP or Seed without a Temperature":                {TopP: 0.5},
		"Return is 3, more than Beams, 2":                   {Beams: 2, Return: 3},
		"Return is 2, more than Beams, 1":                   {Return: 2},
		"EarlyStopping without Beams":                       {EarlyStopping: true},
		"Suppress: token 400 is outside":                    {Suppress: []int32{400}},
		"Suppress: token -1 is outside":                     {Suppress: []int32{-1}},
		"token 400 at 0 is outside":                         {Prefix: []int32{400}},
		"Prefix: token 2 at 1":                              {Prefix: []int32{10, 2}},
		"Prefix: token 0 at 0":                              {Prefix: []int32{0}},
		"Prefix: token 11 at 0":                             {Prefix: []int32{11}, Suppress: []int32{11}},
		"Prefix has 2 tokens, more than":                    {Prefix: []int32{10, 11}, MaxTokens: 1},
		"relevance of 2 documents for 1":                    {Relevance: []float32{1, 2}},
		"relevance of document 0 is NaN":                    {Relevance: []float32{float32(nan)}},
		"relevance of document 0 is -Inf":                   {Relevance: []float32{float32(inf)}},
	} {
		if _, err := m.GenerateTokens(ctx, evidence, 5, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
	if _, err := m.GenerateTokens(ctx, [][]int32{{1000}}, 5, GenerateOptions{}); err == nil {
		t.Error("a token outside the vocabulary is no error")
	}
	if _, err := m.GenerateTokens(ctx, evidence, -1, GenerateOptions{}); err == nil {
		t.Error("a language outside the vocabulary is no error")
	}
	if _, err := m.Generate(ctx, []string{"x"}, GenerateOptions{Lang: "de"}); err == nil {
		t.Error("no tokenizer is no error")
	}
	requests := []TokenRequest{
		{Evidence: evidence, Language: 5}, {Evidence: evidence, Language: 5, Relevance: []float32{1, 2}},
	}
	_, err := m.GenerateAllTokens(ctx, requests, GenerateOptions{})
	if err == nil || !strings.Contains(err.Error(), "request 1: relevance of 2 documents") {
		t.Errorf("error %v, want one that names request 1", err)
	}
	m.shared.Weight.Float32s()[7] = float32(nan)
	for _, o := range []GenerateOptions{{Beams: 2}, {Temperature: 1}} {
		if _, err := m.GenerateTokens(ctx, evidence, 5, o); err == nil {
			t.Error("a weight that is not a number is no error of Generate")
		}
	}
	if _, err := m.Loss(testBatch()); err == nil {
		t.Error("a weight that is not a number is no error of Loss")
	}
	if _, err := m.EvidenceAttention(&Batch{
		Evidence: [][]int32{{0}}, Targets: [][]int32{{0}}, Languages: []int32{5},
	}); err == nil {
		t.Error("a weight that is not a number is no error of EvidenceAttention")
	}
}
