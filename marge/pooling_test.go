package marge

import (
	"bytes"
	"context"
	"math"
	"strings"
	"testing"

	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/tensor"
)

// poolings are all ways of g to sum up a document.
func poolings(threads int) map[string]Config {
	configs := map[string]Config{}
	for _, pooling := range []string{PoolFirst, PoolMean, PoolMax} {
		c := testConfig(threads)
		c.RetrievalPooling = pooling
		if pooling == PoolMax {
			c.RetrievalDim = 72
		}
		configs[pooling] = c
	}
	return configs
}

func TestPoolings(t *testing.T) {
	ctx := context.Background()
	docs := [][]int32{{10, 11, 12, 13, 14}, {20, 21, 22}, {10, 11, 12, 13, 15}, {30}}
	for pooling, c := range poolings(2) {
		t.Run(pooling, func(t *testing.T) {
			m := testModel(t, c)
			d := c.EmbeddingDim()
			g, err := m.Embed(ctx, docs)
			if err != nil {
				t.Fatal(err)
			}
			if len(g) != len(docs)*d {
				t.Fatalf("%d values of %d documents, want %d of each", len(g), len(docs), d)
			}
			f := func(i, j int) (cos float64) {
				for k := range d {
					cos += float64(g[i*d+k]) * float64(g[j*d+k])
				}
				return cos
			}
			for i := range docs {
				if math.Abs(f(i, i)-1) > 1e-5 {
					t.Errorf("document %d has length %v", i, math.Sqrt(f(i, i)))
				}
			}
			if f(0, 2) <= f(0, 1) || f(0, 2) <= f(0, 3) {
				t.Errorf("f of documents that differ in a token is %v, of others %v and %v", f(0, 2), f(0, 1), f(0, 3))
			}
			for i := range docs {
				alone, err := m.Embed(ctx, docs[i:i+1])
				if err != nil {
					t.Fatal(err)
				}
				for j, v := range alone {
					if math.Abs(float64(v-g[i*d+j])) > 1e-5 {
						t.Fatalf("g of document %d differs alone and among others", i)
					}
				}
			}

			x, err := m.NewIndex(ctx, docs, nil)
			if err != nil {
				t.Fatal(err)
			}
			hits, err := m.Retrieve(ctx, docs[0], x, 2)
			if err != nil || hits[0].Document != 0 || hits[1].Document != 2 {
				t.Errorf("Retrieve: %+v, %v", hits, err)
			}

			dir := t.TempDir()
			if err := m.Save(dir); err != nil {
				t.Fatal(err)
			}
			loaded, err := Load(dir)
			if err != nil {
				t.Fatal(err)
			}
			again, err := loaded.Embed(ctx, docs)
			if err != nil {
				t.Fatal(err)
			}
			for i := range g {
				if g[i] != again[i] {
					t.Fatalf("value %d is %v before and %v after saving", i, g[i], again[i])
				}
			}
		})
	}
}

// The gradient of the loss by every parameter of g is not zero, and has the
// same bits for any number of threads.
func TestPoolingGradient(t *testing.T) {
	for pooling := range poolings(1) {
		t.Run(pooling, func(t *testing.T) {
			var want []byte
			for _, threads := range []int{1, 2, 3} {
				m := testModel(t, poolings(threads)[pooling])
				tp := tensor.NewTape(m.backend)
				tp.Reset(tensor.Training, 5)
				nn.ZeroGrad(m.params)
				b := &Batch{
					Evidence: [][]int32{{10, 11, 12}, {20, 21, 22, 23}, {10, 30}}, Targets: [][]int32{{10, 12, 31}, {20, 23}},
					Languages: []int32{5, 6}, Own: [][2]int{{1, 1}},
				}
				tp.Backward(m.Forward(tp, b, 0).Loss)
				var got bytes.Buffer
				for _, p := range m.retrievalParameters() {
					grad := make([]float32, p.Len())
					p.Grad().CopyTo(grad)
					norm := 0.0
					for _, v := range grad {
						norm += float64(v) * float64(v)
						bits := math.Float32bits(v)
						got.Write([]byte{byte(bits), byte(bits >> 8), byte(bits >> 16), byte(bits >> 24)})
					}
					if norm == 0 {
						t.Errorf("%s has no gradient", p.Name)
					}
				}
				if want == nil {
					want = got.Bytes()
				} else if !bytes.Equal(want, got.Bytes()) {
					t.Errorf("%d threads: other bits than with one", threads)
				}
			}
		})
	}
}

func TestRetrievalDimErrors(t *testing.T) {
	for _, x := range []struct {
		pooling string
		dim     int
	}{{PoolMax, 0}, {PoolMax, -1}, {PoolMean, 64}, {"", 64}} {
		c := testConfig(1)
		c.RetrievalPooling, c.RetrievalDim = x.pooling, x.dim
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), "retrieval_dim") {
			t.Errorf("retrieval_pooling %q, retrieval_dim %d: %v", x.pooling, x.dim, err)
		}
	}
}
