package marge

import (
	"context"
	"errors"
	"math"
	"slices"

	"github.com/marge-go/marge/attention"
	"github.com/marge-go/marge/marge/tokenizer"
	"github.com/marge-go/marge/tensor"
)

// searchAll carries out searches, some at a time, and returns their outputs.
// Those of similar length come together, so that few hypotheses are left alone.
func (m *Model) searchAll(
	ctx context.Context, searches []*search, never []int32, o *GenerateOptions,
) ([][]Output, error) {
	order := slices.Clone(searches)
	slices.SortStableFunc(order, func(a, b *search) int { return documentTokens(b) - documentTokens(a) })
	d := newDecoding(m, min(o.Batch, len(searches)), never, o)
	defer d.close()
	for batch := range slices.Chunk(order, o.Batch) {
		if err := d.run(ctx, batch); err != nil {
			return nil, err
		}
	}
	outputs := make([][]Output, len(searches))
	for i, s := range searches {
		outputs[i] = s.result()
	}
	return outputs, nil
}

func documentTokens(s *search) int {
	n := 0
	for _, doc := range s.Evidence {
		n += len(doc) + 2
	}
	return n
}

// decoding is what a batch of searches has on the backend. Evidence is encoded and
// projected once. Every step computes the new token of each live hypothesis alone,
// with the keys and values of those before it in caches, and only candidates come
// back to the host.
//
// To the last bit, a hypothesis does not depend on the others: evidence is encoded
// request by request, and steps run on a tape in the mode Generation.
type decoding struct {
	m            *Model
	o            *GenerateOptions
	whole, step  *tensor.Tape // of the batch, and of an encoder pass or a step
	caches       []*attention.Cache
	z            []attention.Evidence // of each layer: all documents of the batch
	documents    tensor.AttentionRowsOptions
	never        *tensor.Tensor // [1, tokens]
	tokens, none *tensor.Tensor // [1, vocabulary]: the numbers of all tokens; [1, 1]: -Inf
	rows         []row
}

// row is a live hypothesis in a step.
type row struct {
	s *search
	h *hypothesis
	i int // among those of s
}

func newDecoding(m *Model, requests int, never []int32, o *GenerateOptions) *decoding {
	b := m.backend
	d := &decoding{m: m, o: o, whole: m.tape(), step: m.tape()}
	d.never = tensor.FromSlice(b, never, 1, len(never))
	d.none = tensor.FromSlice(b, []float32{float32(math.Inf(-1))}, 1, 1)
	numbers := make([]float32, m.Config.VocabSize)
	for i := range numbers {
		numbers[i] = float32(i)
	}
	d.tokens = tensor.FromSlice(b, numbers, 1, len(numbers))
	if requests == 0 {
		return d
	}
	for range len(m.decoder.base) + len(m.decoder.layers) {
		if len(d.caches) == 0 {
			d.caches = append(d.caches, attention.NewCache(b, requests*max(o.Beams, o.Return), o.MaxTokens, m.Config.DModel))
		} else {
			d.caches = append(d.caches, d.caches[0].Layer())
		}
	}
	return d
}

func (d *decoding) close() {
	d.m.tapes.Put(d.whole)
	d.m.tapes.Put(d.step)
}

// run carries out the searches of a batch.
func (d *decoding) run(ctx context.Context, batch []*search) error {
	if err := d.encode(ctx, batch); err != nil {
		return err
	}
	d.gather(batch)
	d.caches[0].Reset(len(d.rows))
	for len(d.rows) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		candidates, err := d.candidates()
		if err != nil {
			return err
		}
		for from := 0; from < len(d.rows); {
			s := d.rows[from].s
			n := len(s.live)
			s.extend(candidates[from : from+n])
			if err := s.send(); err != nil {
				return err
			}
			from += n
		}
		d.reorder(batch)
	}
	return nil
}

// gather lists the live hypotheses.
func (d *decoding) gather(batch []*search) {
	d.rows = d.rows[:0]
	for _, s := range batch {
		for i, h := range s.live {
			d.rows = append(d.rows, row{s, h, i})
		}
	}
}

// reorder makes the caches those of the live hypotheses.
func (d *decoding) reorder(batch []*search) {
	first := map[*search]int{} // row of the step before
	for i, r := range d.rows {
		if r.i == 0 {
			first[r.s] = i
		}
	}
	d.gather(batch)
	order := make([]int32, len(d.rows))
	for i, r := range d.rows {
		order[i] = int32(first[r.s] + r.h.parent)
	}
	d.caches[0].Reorder(order)
}

// encode computes the keys and values of the evidence of a batch, request by
// request.
func (d *decoding) encode(ctx context.Context, batch []*search) error {
	d.whole.Reset(tensor.Inference, 0)
	n, beta := 0, d.m.Beta()
	o := tensor.AttentionRowsOptions{Offsets: []int32{0}, Bias: []float32{}}
	for _, s := range batch {
		s.segment = len(o.Bias)
		for j, doc := range s.Evidence {
			n += len(doc) + 2
			o.Offsets = append(o.Offsets, int32(n))
			bias := float32(0)
			if s.Relevance != nil {
				bias = beta * s.Relevance[j]
			}
			o.Bias = append(o.Bias, bias)
		}
	}
	for i := range n {
		o.Rows = append(o.Rows, int32(i))
	}
	d.documents, d.z = o, nil
	for range d.m.decoder.layers {
		d.z = append(d.z, attention.Evidence{K: d.whole.New(n, d.m.Config.DModel), V: d.whole.New(n, d.m.Config.DModel)})
	}
	for _, s := range batch {
		if err := ctx.Err(); err != nil {
			return err
		}
		if len(s.Evidence) == 0 {
			continue
		}
		d.step.Reset(tensor.Inference, 0)
		docs := packEncoder(d.step, s.Evidence)
		x, _ := d.m.retrieval(d.step, docs)
		from := int(o.Offsets[s.segment])
		for i, z := range d.m.project(d.step, d.m.encode(d.step, x, docs.offsets), docs.offsets) {
			d.copyRows(d.z[i].K, from, z.K)
			d.copyRows(d.z[i].V, from, z.V)
		}
	}
	return nil
}

// copyRows copies x to the rows of dst from one on.
func (d *decoding) copyRows(dst *tensor.Tensor, from int, x *tensor.Tensor) {
	d.m.backend.Scale(d.whole.Rows(dst, from, from+x.Dim(0)), 1, x)
}

// forward computes the logits of the next token of each live hypothesis: [rows,
// vocabulary]. mass has the attention to the evidence in each layer, see
// attention.MultiHead.CrossRows, if it is asked for.
func (d *decoding) forward() (logits *tensor.Tensor, mass []*tensor.Tensor) {
	tp, m := d.step, d.m
	tp.Reset(tensor.Generation, 0)
	ids, positions, offsets := make([]int32, len(d.rows)), make([]int32, len(d.rows)), make([]int32, 1, len(d.rows)+1)
	documents := d.documents
	documents.Seen = make([]int32, 0, 2*len(d.rows))
	for i, r := range d.rows {
		n := len(r.h.tokens)
		ids[i], positions[i] = r.s.Language, int32(n)
		if n > 0 {
			ids[i] = r.h.tokens[n-1]
		}
		offsets = append(offsets, int32(i+1))
		documents.Seen = append(documents.Seen, int32(r.s.segment), int32(r.s.segment+len(r.s.Evidence)))
	}
	x := m.embed(tp, &m.decoder.embedder, packed{tp.Ints(ids), tp.Ints(positions), offsets})
	for i, l := range m.decoder.base {
		x = l.feedForward(tp, l.selfCached(tp, x, offsets, d.caches[i]))
	}
	for i, l := range m.decoder.layers {
		x = l.selfCached(tp, x, offsets, d.caches[len(m.decoder.base)+i])
		y, sums := l.cross.CrossRows(tp, l.crossNorm.Forward(tp, x), d.z[i], d.o.Attention, documents)
		x = l.feedForward(tp, tp.AddDropout(x, y, l.dropout))
		mass = append(mass, sums)
	}
	return m.logits(tp, m.decoder.norm.Forward(tp, x)), mass
}

// selfCached is selfAttend for new tokens of the sequences in a cache.
func (l *encoderLayer) selfCached(
	tp *tensor.Tape, x *tensor.Tensor, offsets []int32, c *attention.Cache,
) *tensor.Tensor {
	return tp.AddDropout(x, l.attn.SelfCached(tp, l.attnNorm.Forward(tp, x), offsets, c), l.dropout)
}

// candidates takes a step and returns the tokens that may follow each live
// hypothesis, the likeliest first: those that a search can use, or the one that was
// drawn or is forced.
func (d *decoding) candidates() ([][]candidate, error) {
	logits, mass := d.forward()
	tp, n, v := d.step, len(d.rows), d.m.Config.VocabSize
	// log p(token) = its logit - the greatest - the loss of the greatest.
	greatest := tp.ArgMax(logits, 1, true)
	back := []*tensor.Tensor{d.losses(logits, greatest), tp.TakeAlongDim(logits, 1, greatest)}
	forced, banned := d.restrictions()
	if forced != nil {
		back = append(back, tp.TakeAlongDim(logits, 1, tp.Reshape(tp.Ints(forced), n, 1)))
	}
	d.ruleOut(logits, d.never)
	if banned != nil {
		d.ruleOut(logits, tp.Reshape(tp.Ints(banned), n, len(banned)/n))
	}
	k, draws := 2*d.o.Beams, []float64(nil)
	if d.o.Temperature > 0 {
		k, draws = d.o.TopK, make([]float64, n)
		for i, r := range d.rows {
			draws[i] = r.s.draws[r.s.outputs[r.i]].Float64()
		}
		if k == 0 {
			k = firstDrawn
			scaled := tp.Scale(float32(1/d.o.Temperature), tp.Sub(logits, tp.Max(logits, true, 1)))
			back = append(back, d.losses(scaled, tp.ArgMax(scaled, 1, true)))
		}
	}
	d.attended(mass)
	for {
		k = min(k, v)
		values, ids := tp.TopK(logits, k)
		numbers := tp.TakeAlongDim(tp.Expand(d.tokens, n, v), 1, ids)
		table := download(tp.Concat(1, append(slices.Clip(back), values, numbers)...))
		lists, enough, err := d.read(table, k, forced, draws)
		if enough || err != nil {
			return lists, err
		}
		k *= 4
	}
}

// firstDrawn is how many of the likeliest tokens sampling from all tokens looks at
// first. Only if what it draws is not among them it looks at more.
const firstDrawn = 64

// losses returns -log p of a token of each row of logits: [rows, 1].
func (d *decoding) losses(logits, tokens *tensor.Tensor) *tensor.Tensor {
	o := tensor.CrossEntropyOptions{Reduction: tensor.ReductionNone}
	return d.step.Reshape(d.step.CrossEntropyLoss(logits, d.step.Reshape(tokens, len(d.rows)), o), len(d.rows), 1)
}

// ruleOut sets the logits of tokens [rows or 1, n] to -Inf.
func (d *decoding) ruleOut(logits, tokens *tensor.Tensor) {
	d.m.backend.ScatterAlong(logits, d.step.Expand(d.none, len(d.rows), tokens.Dim(1)), tokens, 1, true)
}

// restrictions returns the tokens that are forced, for each row one or a negative
// number, and those that are ruled out, for each row as many; or nil.
func (d *decoding) restrictions() (forced, banned []int32) {
	lists, most, any := make([][]int32, len(d.rows)), 0, false
	for i, r := range d.rows {
		if id := r.s.forced(r.h); id >= 0 {
			any = true
		}
		lists[i] = r.s.banned(nil, r.h)
		most = max(most, len(lists[i]))
	}
	for i, r := range d.rows {
		if any {
			forced = append(forced, max(r.s.forced(r.h), 0))
		}
		banned = append(banned, lists[i]...)
		for range most - len(lists[i]) {
			banned = append(banned, tokenizer.BOS) // which never follows
		}
	}
	return forced, banned
}

// download returns the elements of a tensor.
func download(t *tensor.Tensor) []float32 {
	data := make([]float32, t.Len())
	t.CopyTo(data)
	return data
}

// read makes candidates of what came back from a step, of each row: the loss of the
// greatest logit; that logit; of a forced token; the loss of the greatest scaled
// logit, if tokens are drawn from all; the k greatest that are not ruled out; their
// tokens. It is not enough if what is drawn may not be among these.
func (d *decoding) read(table []float32, k int, forced []int32, draws []float64) (
	lists [][]candidate, enough bool, err error) {
	v, width := d.m.Config.VocabSize, len(table)/len(d.rows)
	for i, r := range d.rows {
		line := table[i*width : (i+1)*width]
		values, ids := line[width-2*k:width-k], line[width-k:]
		loss, greatest, rest := float64(line[0]), float64(line[1]), line[2:width-2*k]
		if !finite(loss) || !finite(greatest) {
			return nil, false, errors.New(
				"a score of a token is not finite: a weight of the model is not, or the scores overflow")
		}
		logProb := func(logit float32) float64 { return float64(logit) - greatest - loss }
		if id := r.s.forced(r.h); id >= 0 {
			lists = append(lists, []candidate{{id, logProb(rest[0])}})
			continue
		}
		if forced != nil {
			rest = rest[1:]
		}
		for len(values) > 0 && math.IsInf(float64(values[len(values)-1]), -1) {
			values = values[:len(values)-1]
		}
		if draws != nil && len(values) > 0 {
			all := k == v || len(values) < k || d.o.TopK > 0
			total := math.NaN()
			if len(rest) > 0 {
				total = math.Exp(float64(rest[0]))
			}
			at := draw(values, d.o, draws[i], total, all)
			if at < 0 {
				return nil, false, nil
			}
			values, ids = values[at:at+1], ids[at:]
		}
		var list []candidate
		for j, value := range values {
			list = append(list, candidate{int32(ids[j]), logProb(value)})
		}
		lists = append(lists, list)
	}
	return lists, true, nil
}

// draw returns which token a number u of [0, 1) stands for, given the greatest logits
// and the sum over all tokens of the exponentials of (logit - greatest)/Temperature,
// or -1 if it may be a token with a smaller logit. If all is set, none can be drawn
// but these, and the sum is theirs.
func draw(logits []float32, o *GenerateOptions, u, total float64, all bool) int {
	sums, sum := make([]float64, len(logits)), 0.0
	for i, logit := range logits {
		sum += math.Exp((float64(logit) - float64(logits[0])) / o.Temperature)
		sums[i] = sum
	}
	if all {
		total = sum
	}
	if o.TopP < 1 {
		n, _ := slices.BinarySearch(sums, o.TopP*total)
		if n == len(sums) && !all {
			return -1
		}
		sums = sums[:min(n+1, len(sums))]
		total = sums[len(sums)-1]
	}
	at, _ := slices.BinarySearchFunc(sums, u*total, func(sum, want float64) int {
		if sum <= want {
			return -1
		}
		return 1
	})
	if at < len(sums) {
		return at
	}
	if all || o.TopP < 1 {
		return len(sums) - 1
	}
	return -1
}

// attended tells the searches what their hypotheses attend to.
func (d *decoding) attended(mass []*tensor.Tensor) {
	if !d.o.Attention {
		return
	}
	all := d.step.Concat(0, mass...) // [layers*heads, documents that the rows see]
	sums, seen, heads, at := download(all), all.Dim(1), all.Dim(0), 0
	for _, r := range d.rows {
		if r.i == 0 {
			r.s.attended = make([][]float64, len(r.s.live))
		}
		row := make([]float64, len(r.s.Evidence))
		for j := range row {
			for h := range heads {
				row[j] += float64(sums[h*seen+at+j])
			}
			row[j] /= float64(heads)
		}
		r.s.attended[r.i] = row
		at += len(row)
	}
}
