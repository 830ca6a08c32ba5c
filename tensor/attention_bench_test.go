package tensor

import (
	"fmt"
	"math"
	"testing"
)

// attentionShape is attention of the documents of a batch: on their own where
// keys is 0, else of all targets over all the evidence, with a bias a pair.
type attentionShape struct {
	name         string
	heads, width int
	docs, tokens int // of the queries
	keys         int // of each of docs evidence documents
	causal       bool
	dropout      float32
}

func attentionShapes() []attentionShape {
	var shapes []attentionShape
	for _, width := range []int{32, 64} {
		for _, n := range []int{128, 512, 1024, 2048, 4096} {
			size := fmt.Sprintf("width=%d/length=%d", width, n)
			shapes = append(shapes,
				attentionShape{name: "self/" + size, heads: 4, width: width, docs: 1, tokens: n},
				attentionShape{name: "causal/" + size, heads: 4, width: width, docs: 1, tokens: n, causal: true},
				attentionShape{name: "biased/" + size, heads: 4, width: width, docs: 4, tokens: n / 4, keys: n / 4})
		}
	}
	// Layers of the training steps: documents have two more tokens in the
	// encoder and one more in the decoder.
	for _, s := range []attentionShape{
		{name: "tiny", heads: 4, width: 32, docs: 8, tokens: 64},
		{name: "small", heads: 4, width: 64, docs: 4, tokens: 128},
		{name: "base", heads: 8, width: 64, docs: 4, tokens: 256},
		{name: "paper", heads: 16, width: 64, docs: 2, tokens: 512},
	} {
		self, causal, cross := s, s, s
		self.name, causal.name, cross.name = s.name+"/encoder", s.name+"/decoder", s.name+"/cross"
		self.tokens, causal.tokens, cross.tokens = s.tokens+2, s.tokens+1, s.tokens+1
		causal.causal, cross.keys = true, s.tokens+2
		dropout := causal
		dropout.name, dropout.dropout = s.name+"/dropout", 0.1
		shapes = append(shapes, self, causal, cross, dropout)
	}
	return shapes
}

// BenchmarkAttention times attention forward and backward. A pair of query
// and key that sees it counts 4 and 10 operations times the head's width.
func BenchmarkAttention(b *testing.B) {
	for _, s := range attentionShapes() {
		for _, threads := range []int{1, 2} {
			b.Run(fmt.Sprintf("%s/threads=%d", s.name, threads), func(b *testing.B) { s.run(b, threads) })
		}
	}
}

func (s attentionShape) run(b *testing.B, threads int) {
	cpu := NewCPU(threads)
	defer cpu.Close()
	keys := max(s.keys, s.tokens)
	rows, keyRows := s.docs*s.tokens, s.docs*keys
	scale := float32(1 / math.Sqrt(float64(s.width)))
	o := AttentionOptions{Heads: s.heads, Causal: s.causal, Scale: scale, Dropout: s.dropout}
	for i := range s.docs + 1 {
		o.QOffsets = append(o.QOffsets, int32(i*s.tokens))
		o.KOffsets = append(o.KOffsets, int32(i*keys))
	}
	d := s.heads * s.width
	random := func(shape ...int) *Tensor {
		x := New(cpu, Float32, shape...)
		for i := range x.Float32s() {
			x.Float32s()[i] = float32(math.Sin(float64(i * i)))
		}
		return x
	}
	q, k, v, dout := random(rows, d), random(keyRows, d), random(keyRows, d), random(rows, d)
	out, lse := New(cpu, Float32, rows, d), New(cpu, Float32, s.heads, rows)
	dq, dk, dv := New(cpu, Float32, rows, d), New(cpu, Float32, keyRows, d), New(cpu, Float32, keyRows, d)
	var bias, dbias *Tensor
	pairs := rows * keys
	if s.keys > 0 {
		bias, dbias = random(s.docs, s.docs), New(cpu, Float32, s.docs, s.docs)
		pairs *= s.docs
	}
	if s.causal {
		pairs = s.docs * s.tokens * (s.tokens + 1) / 2
	}
	for b.Loop() {
		cpu.Attention(out, lse, q, k, v, bias, &o)
		cpu.AttentionBackward(dq, dk, dv, dbias, dout, out, lse, q, k, v, bias, &o, [4]bool{})
	}
	b.ReportMetric(14*float64(d)*float64(pairs)*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
}
