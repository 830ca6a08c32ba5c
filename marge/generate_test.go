package marge

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/marge-go/marge/marge/tokenizer"
	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/tensor"
)

// searchModel returns a model whose outputs are various, and end: its matrices are
// larger than those of New, that of </s> most of all.
func searchModel(t testing.TB, c Config) *Model {
	t.Helper()
	m := testModel(t, c)
	rng := rand.New(rand.NewPCG(c.Seed, 1))
	for _, p := range m.Parameters() {
		if len(p.Shape()) == 2 {
			nn.Normal(p.Tensor, rng, 0.3)
		}
	}
	table := download(m.shared.Weight)
	for i := range c.DModel {
		table[tokenizer.EOS*c.DModel+i] *= 2
	}
	m.shared.Weight.SetFloat32s(table)
	return m
}

// searchConfig is a model of few tokens.
func searchConfig(seed uint64) Config {
	c := testConfig(1)
	c.Seed, c.VocabSize, c.DModel, c.MaxPositionEmbeddings = seed, 40, 16, 24
	c.DecoderBaseLayers, c.DecoderLayers = int(seed%3), 1+int(seed%2)
	return c
}

// randomRequest draws a request.
func randomRequest(rng *rand.Rand, c *Config) TokenRequest {
	token := func() int32 { return int32(5 + rng.IntN(c.VocabSize-5)) }
	r := TokenRequest{Language: 4}
	for range rng.IntN(4) {
		doc := make([]int32, rng.IntN(12))
		for i := range doc {
			doc[i] = token()
		}
		r.Evidence = append(r.Evidence, doc)
	}
	if rng.IntN(2) == 0 {
		r.Relevance = make([]float32, len(r.Evidence))
		for i := range r.Relevance {
			r.Relevance[i] = float32(rng.Float64())*2 - 1
		}
	}
	for range max(rng.IntN(6)-3, 0) {
		r.Prefix = append(r.Prefix, token())
	}
	return r
}

// randomOptions draws options of a search, or of sampling.
func randomOptions(rng *rand.Rand) GenerateOptions {
	o := GenerateOptions{MaxTokens: 4 + rng.IntN(10), MinTokens: rng.IntN(4), NoRepeatNGram: rng.IntN(3), Attention: true}
	if rng.IntN(3) == 0 {
		o.Temperature, o.Seed, o.TopK = 0.5+rng.Float64(), rng.Uint64(), rng.IntN(2)*5
		o.TopP = 0.5 + rng.Float64()/2
	} else if o.Beams = 1 + rng.IntN(4); o.Beams > 1 {
		o.LengthPenalty, o.EarlyStopping = rng.Float64()*2-0.5, rng.IntN(2) == 0
	}
	o.Return = 1 + rng.IntN(max(o.Beams, 1))
	return o
}

// uncached is generation by its definition: for every token, the whole model
// computes the whole hypothesis, and the host looks at all logits.
type uncached struct {
	m  *Model
	s  *search
	tp *tensor.Tape
}

func (u *uncached) logits(h *hypothesis) []float32 {
	tp := u.tp
	tp.Reset(tensor.Inference, 0)
	b := Batch{Evidence: u.s.Evidence, Targets: [][]int32{h.tokens}, Languages: []int32{u.s.Language}}
	_, bias, z := u.m.evidence(tp, &b, false)
	relevance := make([]float32, len(u.s.Evidence))
	for i := range u.s.Relevance {
		relevance[i] = u.s.Relevance[i] * u.m.Beta()
	}
	bias.SetFloat32s(relevance)
	hidden := u.m.decode(tp, packDecoder(tp, &b), z, bias, nil)
	return download(tp.MatMul(tp.Rows(hidden, len(h.tokens), len(h.tokens)+1), u.m.shared.Weight, true))
}

// candidates returns all tokens that may follow hypothesis i, the likeliest first.
func (u *uncached) candidates(i int, never []int32) []candidate {
	h, o := u.s.live[i], u.s.o
	logits := u.logits(h)
	sum := 0.0
	for _, v := range logits {
		sum += math.Exp(float64(v))
	}
	ruledOut := u.s.banned(slices.Clone(never), h)
	var list []candidate
	for id, v := range logits {
		if forced := u.s.forced(h); forced >= 0 && forced != int32(id) || forced < 0 && slices.Contains(ruledOut, int32(id)) {
			continue
		}
		list = append(list, candidate{int32(id), float64(v) - math.Log(sum)})
	}
	slices.SortStableFunc(list, func(a, b candidate) int {
		switch {
		case a.logProb > b.logProb:
			return -1
		case a.logProb < b.logProb:
			return 1
		}
		return 0
	})
	if o.Temperature == 0 || len(list) == 0 || u.s.forced(h) >= 0 {
		if o.Temperature > 0 {
			u.s.draws[u.s.outputs[i]].Float64()
		}
		return list
	}
	// The first token whose share, with those before it, exceeds the random number.
	limited := list
	if o.TopK > 0 {
		limited = list[:min(o.TopK, len(list))]
	}
	weight := func(c candidate) float64 { return math.Exp((c.logProb - list[0].logProb) / o.Temperature) }
	total, kept, mass := 0.0, 0, 0.0
	for _, c := range limited {
		total += weight(c)
	}
	for kept < len(limited) && (kept == 0 || mass < o.TopP*total) {
		mass += weight(limited[kept])
		kept++
	}
	x := u.s.draws[u.s.outputs[i]].Float64() * mass
	for _, c := range limited[:kept] {
		if x -= weight(c); x < 0 {
			return []candidate{c}
		}
	}
	return limited[kept-1 : kept]
}

func (u *uncached) run(never []int32) []Output {
	for len(u.s.live) > 0 {
		var all [][]candidate
		u.s.attended = make([][]float64, len(u.s.live))
		for i := range u.s.live {
			all = append(all, u.candidates(i, never))
		}
		u.s.extend(all)
	}
	return u.s.result()
}

// With and without a cache the same tokens come out, of the same probabilities.
func TestGenerateIsThatWithoutCache(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	searches := 1000
	if testing.Short() {
		searches = 100
	}
	finished, cut, lengths := 0, 0, map[int]bool{}
	var m *Model
	for n := range searches {
		if n%20 == 0 {
			m = searchModel(t, searchConfig(uint64(n/20)))
		}
		r, o := randomRequest(rng, &m.Config), randomOptions(rng)
		if len(r.Prefix) > o.MaxTokens {
			continue
		}
		got, err := m.GenerateAllTokens(context.Background(), []TokenRequest{r}, o)
		if err != nil {
			t.Fatal(err)
		}
		if err := o.complete(&m.Config); err != nil {
			t.Fatal(err)
		}
		want := (&uncached{m, newSearch(m, 0, r, &o), m.tape()}).run(m.neverGenerated())
		if len(got[0]) != len(want) {
			t.Fatalf("%d: %d outputs, want %d", n, len(got[0]), len(want))
		}
		for i, w := range want {
			g := got[0][i]
			if !slices.Equal(g.Tokens, w.Tokens) || g.Finished != w.Finished {
				t.Fatalf("%d: %+v: output %d is %v, want %v", n, o, i, g.Tokens, w.Tokens)
			}
			for j := range w.LogProbs {
				if diff := math.Abs(float64(g.LogProbs[j] - w.LogProbs[j])); !(diff <= 1e-5) {
					t.Fatalf("%d: token %d has log-probability %v, want %v", n, j, g.LogProbs[j], w.LogProbs[j])
				}
			}
			if math.Abs(g.Score-w.Score) > 1e-5*max(1, math.Abs(w.Score)) {
				t.Fatalf("%d: score %v, want %v", n, g.Score, w.Score)
			}
			if g.Finished {
				finished++
			} else {
				cut++
			}
			lengths[len(g.Tokens)] = true
		}
	}
	if finished < searches/20 || cut < searches/20 || len(lengths) < 8 {
		t.Errorf("%d outputs ended, %d were cut, %d lengths: the searches test too little", finished, cut, len(lengths))
	}
}

// The logits of a step, with hypotheses of several requests at once, are those that
// the whole model computes.
func TestLogitsOfSteps(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	compared := 0
	for n := range 60 {
		m := searchModel(t, searchConfig(uint64(n)))
		o := randomOptions(rng)
		if err := o.complete(&m.Config); err != nil {
			t.Fatal(err)
		}
		var batch []*search
		for i := range 5 {
			r := randomRequest(rng, &m.Config)
			r.Prefix = r.Prefix[:min(len(r.Prefix), o.MaxTokens)]
			batch = append(batch, newSearch(m, i, r, &o))
		}
		d := newDecoding(m, len(batch), m.neverGenerated(), &o)
		if err := d.encode(context.Background(), batch); err != nil {
			t.Fatal(err)
		}
		d.gather(batch)
		d.caches[0].Reset(len(d.rows))
		for len(d.rows) > 0 {
			logits, mass := d.forward()
			got := download(logits)
			d.attended(mass)
			lists := map[*search][][]candidate{}
			for i, r := range d.rows {
				u := &uncached{m, r.s, m.tape()}
				for id, want := range u.logits(r.h) {
					if diff := math.Abs(float64(got[i*m.Config.VocabSize+id] - want)); !(diff <= 1e-5) {
						t.Fatalf("row %d, %v: the logit of %d is %v, want %v", i, r.h.tokens, id, got[i*m.Config.VocabSize+id], want)
					}
					compared++
				}
				lists[r.s] = append(lists[r.s], u.candidates(r.i, m.neverGenerated()))
				m.tapes.Put(u.tp)
			}
			for s, list := range lists {
				s.extend(list)
			}
			d.reorder(batch)
		}
		d.close()
	}
	if compared < 50000 { // how many it is depends on where searches end, and so on rounding
		t.Errorf("%d logits compared", compared)
	}
}
