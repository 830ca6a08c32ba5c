package asm

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// portableBits are the checksums of what the portable versions compute from
// portableInput, on every architecture and under every GOAMD64.
var portableBits = map[string]uint32{
	"Exp":                   0x104c27cf,
	"Axpy":                  0xefb2c411,
	"SumSquares":            0xcdf054a0,
	"Dot":                   0x716c7d4c,
	"CrossEntropyGradient":  0x069eb270,
	"Softmax":               0xb6573f33,
	"SoftmaxStream":         0xfbbf660d,
	"LayerNorm":             0xee953375,
	"LayerNormBackward":     0x5607a2b3,
	"AdamW":                 0xcf902e4a,
	"Gemm of a row":         0xb64edd27,
	"Gemm of three rows":    0xc30cb781,
	"Gemm":                  0x4a6d18b1,
	"Attention":             0xd66dd5c1,
	"Attention of bfloat16": 0x848e37a5,
}

// portableInput returns numbers with all bits of their fractions in use.
func portableInput(rng *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = 4*rng.Float32() - 2
	}
	return x
}

// A compiler that fuses a product and a sum changes bits, in one loop and not in
// another: the portable version rounds every product.
func TestPortableBits(t *testing.T) {
	before := Current()
	defer func() { isa = before }()
	isa = Generic
	check := func(name string, outputs ...[]float32) {
		t.Helper()
		hash := crc32.NewIEEE()
		for _, x := range outputs {
			for _, v := range x {
				_ = binary.Write(hash, binary.LittleEndian, math.Float32bits(v))
			}
		}
		if got, want := hash.Sum32(), portableBits[name]; got != want {
			t.Errorf("%s: the checksum of the results is %#08x, want %#08x", name, got, want)
		}
	}
	rng := rand.New(rand.NewPCG(71, 72))
	for _, op := range nanOps {
		switch op.name {
		case "Exp", "Axpy", "Dot", "SumSquares", "Softmax", "SoftmaxStream", "CrossEntropyGradient",
			"LayerNorm", "LayerNormBackward", "AdamW":
			in := make([][]float32, op.inputs)
			for k := range in {
				in[k] = portableInput(rng, 1000)
			}
			check(op.name, op.run(in)...)
		}
	}
	for _, m := range []int{1, 3, 37} {
		c := gemmCase{m: m, n: 29, k: 400, alpha: 0.7, beta: 0.3}
		g := c.args(rng, onHeap)
		Gemm(Serial, g)
		check(map[int]string{1: "Gemm of a row", 3: "Gemm of three rows", 37: "Gemm"}[m], g.C)
	}
	c := attentionCase{queries: 70, keys: 150, width: 20, bias: []float32{1, 2, 0, -3}, dropout: 0.1,
		qOffsets: []int32{0, 9, 70}, kOffsets: []int32{0, 40, 150}}
	a, g := c.data(rng, onHeap)
	check("Attention", slices.Concat(attentionOutputs(a, g)...))
	c.bf16 = true
	a, g = c.data(rng, onHeap)
	check("Attention of bfloat16", slices.Concat(attentionOutputs(a, g)...))
}
