package backendtest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/marge-go/marge/tensor"
)

// Tolerance bounds the errors of a backend: the Euclidean norm of the difference
// from a float64 reference, divided by the norm of the reference. Operations that
// round at most once, such as Add, must have equal bits.
type Tolerance struct {
	Gemm               float64 // products, and what consists of them
	Attention          float64
	AttentionGradients float64
	Other              float64 // everything else
	Loss, Parameters   float64 // of some training steps, against those of tensor.CPU
}

// Float32 is for backends that compute in float32.
var Float32 = Tolerance{
	Gemm: 1e-6, Attention: 2e-6, AttentionGradients: 5e-6, Other: 1e-6, Loss: 1e-5, Parameters: 1e-4,
}

// Run tests every method of a backend over edge sizes, and training on a tape:
// against float64 references, on memory that holds NaN where it must not be read,
// and twice, for equal bits. Each test opens its own backend. With -short large
// products are left out, and with names in only all tests but these; a name that no
// test has is a failure.
func Run(t *testing.T, open func() (tensor.Backend, error), tol Tolerance, only ...string) {
	t.Helper()
	unknown := slices.Clone(only)
	for _, test := range []struct {
		name string
		run  func(s *suite)
	}{
		{"Memory", (*suite).memory},
		{"Elements", (*suite).elements},
		{"Map", (*suite).maps},
		{"Reduce", (*suite).reductions},
		{"Dropout", (*suite).dropout},
		{"Sums", (*suite).sums},
		{"Gemm", (*suite).gemm},
		{"GemmBatches", (*suite).gemmBatches},
		{"GemmRowwise", (*suite).gemmRowwise},
		{"LayerNorm", (*suite).layerNorm},
		{"Gather", (*suite).gather},
		{"Along", (*suite).along},
		{"Order", (*suite).order},
		{"Segments", (*suite).segments},
		{"LinearMax", (*suite).linearMax},
		{"Normalize", (*suite).normalize},
		{"Attention", (*suite).attention},
		{"AttentionGradients", (*suite).attentionGradients},
		{"AttentionRows", (*suite).attentionRows},
		{"CrossEntropy", (*suite).crossEntropy},
		{"CrossEntropyRows", (*suite).crossEntropyRows},
		{"AdamW", (*suite).adamW},
		{"Training", (*suite).training},
	} {
		if len(only) > 0 && !slices.Contains(only, test.name) {
			continue
		}
		unknown = slices.DeleteFunc(unknown, func(name string) bool { return name == test.name })
		t.Run(test.name, func(t *testing.T) {
			b, err := open()
			if err != nil {
				t.Fatal(err)
			}
			defer func() {
				for range 2 { // the second does nothing
					if err := b.Close(); err != nil {
						t.Errorf("close: %v", err)
					}
				}
			}()
			test.run(&suite{TB: t, b: b, tol: tol, rng: rand.New(rand.NewPCG(1, 2))})
		})
	}
	if len(unknown) > 0 {
		t.Errorf("no tests %q", unknown)
	}
}

type suite struct {
	testing.TB
	b   tensor.Backend
	tol Tolerance
	rng *rand.Rand
}

var nan = float32(math.NaN())

// values draws n normally distributed numbers.
func (s *suite) values(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(s.rng.NormFloat64())
	}
	return x
}

// tensor returns a tensor with the given values.
func (s *suite) tensor(values []float32, shape ...int) *tensor.Tensor {
	return tensor.FromSlice(s.b, values, shape...)
}

// random returns a tensor of random values.
func (s *suite) random(shape ...int) (*tensor.Tensor, []float64) {
	x := tensor.New(s.b, tensor.Float32, shape...)
	values := s.values(x.Len())
	x.SetFloat32s(values)
	return x, widen(values)
}

// wideRandom is random for a part of a larger matrix, which holds NaN elsewhere.
func (s *suite) wideRandom(rows, cols int) (*tensor.Tensor, []float64) {
	values := s.values(rows * cols)
	x, _ := s.wide(rows, cols, values)
	return x, widen(values)
}

// margin is how many rows and columns there are around a matrix of wide.
const margin = 3

// wide returns a matrix with the given values as a part of a larger one, which
// holds NaN elsewhere.
func (s *suite) wide(rows, cols int, values []float32) (part, whole *tensor.Tensor) {
	all := make([]float32, (rows+2*margin)*(cols+2*margin))
	for i := range all {
		all[i] = nan
	}
	for i := range rows {
		copy(all[(i+margin)*(cols+2*margin)+margin:][:cols], values[i*cols:])
	}
	whole = s.tensor(all, rows+2*margin, cols+2*margin)
	tp := tensor.NewTape(s.b)
	return tp.Columns(tp.Rows(whole, margin, margin+rows), margin, margin+cols), whole
}

func (s *suite) ints(values ...int32) *tensor.Tensor {
	return tensor.FromSlice(s.b, values, len(values))
}

func widen(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// output is a tensor that an operation sets, or adds to.
type output struct {
	shape      []int
	want       []float64 // what is set or added
	tol        float64   // 0: equal bits
	accumulate bool
	strided    bool    // a part of a larger matrix
	nil        bool    // not wanted
	size       float64 // of terms that may cancel, added to the norm of the result
}

// check runs an operation twice, on outputs that hold NaN or, if it accumulates,
// values to add to, and compares the results.
func (s *suite) check(name string, outputs []output, launch func(out []*tensor.Tensor)) {
	s.Helper()
	var before [][]float32
	for _, o := range outputs {
		b := s.values(len(o.want))
		for i := range b {
			if !o.accumulate {
				b[i] = nan
			}
		}
		before = append(before, b)
	}
	var first [][]float32
	for run := range 2 {
		out, whole := make([]*tensor.Tensor, len(outputs)), make([]*tensor.Tensor, len(outputs))
		for i, o := range outputs {
			switch {
			case o.nil:
			case o.strided:
				out[i], whole[i] = s.wide(o.shape[0], o.shape[1], before[i])
			default:
				out[i] = s.tensor(before[i], o.shape...)
			}
		}
		launch(out)
		for i, o := range outputs {
			what := fmt.Sprintf("%s: output %d", name, i)
			var got []float32
			switch {
			case o.nil:
			case o.strided:
				got = s.inside(what, whole[i], o.shape[0], o.shape[1])
			default:
				got = download(out[i])
			}
			if run == 0 {
				s.compare(what, got, o, before[i])
				first = append(first, got)
			} else if !equalBits(got, first[i]) {
				s.Errorf("%s differs in a second run", what)
			}
		}
	}
}

// inside returns the values of a part made by wide, and checks that the rest of
// the matrix is untouched.
func (s *suite) inside(what string, whole *tensor.Tensor, rows, cols int) []float32 {
	s.Helper()
	var part []float32
	width := cols + 2*margin
	for i, v := range download(whole) {
		row, col := i/width-margin, i%width-margin
		if row >= 0 && row < rows && col >= 0 && col < cols {
			part = append(part, v)
		} else if v == v {
			s.Errorf("%s: (%d, %d) outside of it was set to %v", what, row, col, v)
		}
	}
	return part
}

func (s *suite) compare(what string, got []float32, o output, before []float32) {
	s.Helper()
	if o.nil {
		return
	}
	diff, norm := 0.0, o.size*o.size
	for i, v := range o.want {
		if o.accumulate {
			v += float64(before[i])
		}
		if o.tol == 0 && math.Float32bits(got[i]) != math.Float32bits(float32(v)) {
			s.Errorf("%s: [%d] is %v, want %v", what, i, got[i], float32(v))
			return
		}
		d := float64(got[i]) - v
		if math.IsInf(v, 0) && float64(got[i]) == v {
			continue
		}
		diff += d * d
		norm += v * v
	}
	if o.tol > 0 && !(math.Sqrt(diff) <= o.tol*math.Sqrt(norm)) {
		s.Errorf("%s: error %.2g of %.3g, want at most %g of it", what, math.Sqrt(diff), math.Sqrt(norm), o.tol)
	}
}

func equalBits(x, y []float32) bool {
	return slices.EqualFunc(x, y, func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) })
}

// derivatives returns those of the sum of w*f() by the numbers x, which f reads.
func derivatives(x, w []float64, f func() []float64) []float64 {
	sum := func() float64 {
		total := 0.0
		for i, v := range f() {
			total += w[i] * v
		}
		return total
	}
	const h = 1e-5
	d := make([]float64, len(x))
	for i, keep := range x {
		x[i] = keep + h
		up := sum()
		x[i] = keep - h
		down := sum()
		x[i] = keep
		d[i] = (up - down) / (2 * h)
	}
	return d
}

// mustPanic fails unless f panics.
func (s *suite) mustPanic(what string, f func()) {
	s.Helper()
	defer func() {
		if recover() == nil {
			s.Errorf("%s: no panic", what)
		}
	}()
	f()
}

// length returns the Euclidean norm of x.
func length(x []float64) float64 {
	sum := 0.0
	for _, v := range x {
		sum += v * v
	}
	return math.Sqrt(sum)
}
