package gradcheck

import (
	"fmt"
	"math"

	"github.com/marge-go/marge/tensor"
	"github.com/marge-go/marge/tensor/internal/reference"
)

// backend is a tensor.Backend that computes in float64, in plain loops. Its tensors
// are float32 by their type, which says what the tape makes of them; their elements are
// rounded only by Download.
type backend struct{}

// memory is the Device of a storage.
type memory struct {
	f []float64
	i []int32
}

func (backend) Name() string { return "float64" }
func (backend) Close() error { return nil }

func (backend) NewStorage(dt tensor.DType, n int) *tensor.Storage {
	switch dt {
	case tensor.Float32:
		return &tensor.Storage{Device: &memory{f: make([]float64, n)}}
	case tensor.Int32:
		return &tensor.Storage{Device: &memory{i: make([]int32, n)}}
	}
	panic(fmt.Sprintf("gradcheck: storage of type %v", dt))
}

func (backend) Upload(dst *tensor.Tensor, f []float32, i []int32) {
	if dst.DType() == tensor.Int32 {
		copy(ids(dst), i)
		return
	}
	x := values(dst)
	for j, v := range f {
		x[j] = float64(v)
	}
}

func (backend) Download(dst []float32, src *tensor.Tensor) {
	for i, v := range values(src) {
		dst[i] = float32(v)
	}
}

// device returns the memory of a tensor, and the index of its first element there.
func device(t *tensor.Tensor) (*memory, int) {
	s, offset := t.Storage()
	m, ok := s.Device.(*memory)
	if !ok {
		panic(fmt.Sprintf("gradcheck: %v is on backend %s: pass it to the function as an input", t, t.Backend().Name()))
	}
	return m, offset
}

// values returns the elements of a contiguous tensor, nil of nil.
func values(t *tensor.Tensor) []float64 {
	if t == nil {
		return nil
	}
	m, offset := device(t)
	if !t.Contiguous() {
		panic(fmt.Sprintf("gradcheck: %v with strides %v is not contiguous", t, t.Strides()))
	}
	return m.f[offset : offset+t.Len()]
}

func ids(t *tensor.Tensor) []int32 {
	m, offset := device(t)
	return m.i[offset : offset+t.Len()]
}

// matrix is a matrix with adjacent elements in a row.
type matrix struct {
	data             []float64
	rows, cols, step int
}

func matrixOf(t *tensor.Tensor) *matrix {
	if t == nil {
		return nil
	}
	m, offset := device(t)
	return &matrix{m.f[offset:], t.Dim(0), t.Dim(1), t.Strides()[0]}
}

func (m *matrix) row(i int) []float64 { return m.data[i*m.step:][:m.cols] }

// clear sets all elements to zero unless they are to be added to. m can be nil.
func (m *matrix) clear(accumulate bool) {
	if m == nil || accumulate {
		return
	}
	for i := range m.rows {
		clear(m.row(i))
	}
}

// add adds factor*x to y.
func add(y []float64, factor float64, x []float64) {
	for i, v := range x {
		y[i] += factor * v
	}
}

func dot(x, y []float64) (sum float64) {
	for i, v := range x {
		sum += v * y[i]
	}
	return sum
}

// set sets (adds) dst = f(i) for all elements of a contiguous tensor.
func set(dst *tensor.Tensor, accumulate bool, f func(i int) float64) {
	y := values(dst)
	for i := range y {
		v := f(i)
		if accumulate {
			v += y[i]
		}
		y[i] = v
	}
}

// walk calls f for every element of a shape with the places of the operands, which are
// broadcast to it.
func walk(shape []int, operands []*tensor.Tensor, f func(at []int)) {
	at := make([]int, len(operands))
	for k, t := range operands {
		_, at[k] = device(t)
	}
	strides := make([][]int, len(shape))
	for dim := range shape {
		strides[dim] = make([]int, len(operands))
		for k, t := range operands {
			if d := dim - (len(shape) - len(t.Shape())); d >= 0 && t.Shape()[d] != 1 {
				strides[dim][k] = t.Strides()[d]
			}
		}
	}
	var visit func(dim int)
	visit = func(dim int) {
		if dim == len(shape) {
			f(at)
			return
		}
		for range shape[dim] {
			visit(dim + 1)
			for k, stride := range strides[dim] {
				at[k] += stride
			}
		}
		for k, stride := range strides[dim] {
			at[k] -= shape[dim] * stride
		}
	}
	visit(0)
}

func (backend) Map(dst *tensor.Tensor, e *tensor.Expr, in []*tensor.Tensor, accumulate bool) {
	operands := append([]*tensor.Tensor{dst}, in...)
	mem := make([][]float64, len(operands))
	for k, t := range operands {
		m, _ := device(t)
		mem[k] = m.f
	}
	x := make([]float64, len(in))
	walk(dst.Shape(), operands, func(at []int) {
		for k := range in {
			x[k] = mem[k+1][at[k+1]]
		}
		v := e.Eval(x)
		if accumulate {
			v += mem[0][at[0]]
		}
		mem[0][at[0]] = v
	})
}

func (b backend) Reduce(dst *tensor.Tensor, op tensor.ReduceOp, x *tensor.Tensor, accumulate bool) {
	from, _ := device(x)
	to, _ := device(dst)
	results := tensor.New(b, tensor.Float32, dst.Shape()...)
	y := values(results)
	for i := range y {
		y[i] = map[tensor.ReduceOp]float64{tensor.ReduceMax: math.Inf(-1), tensor.ReduceMin: math.Inf(1)}[op]
	}
	walk(x.Shape(), []*tensor.Tensor{results, x}, func(at []int) {
		v := &y[at[0]]
		switch op {
		case tensor.ReduceSum:
			*v += from.f[at[1]]
		case tensor.ReduceMax:
			*v = max(*v, from.f[at[1]])
		case tensor.ReduceMin:
			*v = min(*v, from.f[at[1]])
		}
	})
	walk(dst.Shape(), []*tensor.Tensor{dst, results}, func(at []int) {
		v := y[at[1]]
		if accumulate {
			v += to.f[at[0]]
		}
		to.f[at[0]] = v
	})
}

func (backend) Fill(dst *tensor.Tensor, value float32) {
	set(dst, false, func(int) float64 { return float64(value) })
}

func (backend) Add(dst, a, b *tensor.Tensor) {
	x, y := values(a), values(b)
	set(dst, false, func(i int) float64 { return x[i] + y[i] })
}

func (backend) Axpy(alpha float32, x, y *tensor.Tensor) {
	v := values(x)
	set(y, true, func(i int) float64 { return float64(alpha) * v[i] })
}

func (backend) Scale(dst *tensor.Tensor, alpha float32, x *tensor.Tensor) {
	v := values(x)
	set(dst, false, func(i int) float64 { return float64(alpha) * v[i] })
}

func (backend) MulScalar(dst, x, s *tensor.Tensor, accumulate bool) {
	v, factor := values(x), values(s)[0]
	set(dst, accumulate, func(i int) float64 { return factor * v[i] })
}

func (backend) AddDot(dst, x, y *tensor.Tensor, accumulate bool) {
	sum := dot(values(x), values(y))
	set(dst, accumulate, func(int) float64 { return sum })
}

func (backend) AddRows(dst, x *tensor.Tensor, accumulate bool) {
	y, m := values(dst), matrixOf(x)
	if !accumulate {
		clear(y)
	}
	for i := range m.rows {
		add(y, 1, m.row(i))
	}
}

func (backend) SumSquares(x *tensor.Tensor) float64 { return dot(values(x), values(x)) }

func (backend) Gemm(c, a, b *tensor.Tensor, o tensor.GemmOptions) {
	x, _ := device(a)
	y, _ := device(b)
	z, _ := device(c)
	rank := max(len(a.Shape()), len(b.Shape()), len(c.Shape()))
	batch := make([]int, rank) // and 1, 1
	for d := range batch {
		batch[d] = 1
	}
	for _, t := range []*tensor.Tensor{a, b, c} {
		shape := t.Shape()
		for d, n := range shape[:len(shape)-2] {
			if n != 1 {
				batch[rank-len(shape)+d] = n
			}
		}
	}
	walk(c.Shape(), []*tensor.Tensor{c}, func(at []int) {
		if o.Beta == 0 {
			z.f[at[0]] = 0
		}
		z.f[at[0]] *= float64(o.Beta)
	})
	steps := func(t *tensor.Tensor, transposed bool) (row, col int) {
		row, col = t.Strides()[len(t.Shape())-2], t.Strides()[len(t.Shape())-1]
		if transposed {
			return col, row
		}
		return row, col
	}
	arow, acol := steps(a, o.TransA)
	brow, bcol := steps(b, o.TransB)
	crow, ccol := steps(c, false)
	inner := a.Dim(-1)
	if o.TransA {
		inner = a.Dim(-2)
	}
	rows, cols := c.Dim(-2), c.Dim(-1)
	each(batch, func(index []int) {
		af, bf, cf := place(a, index), place(b, index), place(c, index)
		for i := range rows {
			for j := range cols {
				sum := 0.0
				for k := range inner {
					sum += x.f[af+i*arow+k*acol] * y.f[bf+k*brow+j*bcol]
				}
				z.f[cf+i*crow+j*ccol] += float64(o.Alpha) * sum
			}
		}
	})
	if o.Bias == nil && !o.GELU {
		return
	}
	bias, pre, m := values(o.Bias), values(o.PreActivation), matrixOf(c)
	for i := range rows {
		for j, v := range m.row(i) {
			if bias != nil {
				v += bias[j]
			}
			if pre != nil {
				pre[i*cols+j] = v
			}
			if o.GELU {
				v = reference.GELU(v)
			}
			m.row(i)[j] = v
		}
	}
}

func (backend) GELU(dst, x *tensor.Tensor) {
	v := values(x)
	set(dst, false, func(i int) float64 { return reference.GELU(v[i]) })
}

func (backend) GELUBackward(dx, dy, x *tensor.Tensor, accumulate bool) {
	v, d := values(x), values(dy)
	set(dx, accumulate, func(i int) float64 {
		density := math.Exp(-v[i]*v[i]/2) / math.Sqrt(2*math.Pi)
		return d[i] * (0.5*math.Erfc(-v[i]/math.Sqrt2) + v[i]*density)
	})
}

// dropoutStream is the number of elements of a stream, see tensor.Backend.
const dropoutStream = 1 << 36

func (backend) Dropout(dst, x *tensor.Tensor, p float32, seed, stream uint64) {
	v, m := values(x), reference.DropoutMask(x.Len(), p, seed, stream*dropoutStream)
	set(dst, false, func(i int) float64 { return drop(v[i], m[i]) })
}

func (backend) AddDropout(dst, x, y *tensor.Tensor, p float32, seed, stream uint64) {
	v, w, m := values(x), values(y), reference.DropoutMask(x.Len(), p, seed, stream*dropoutStream)
	set(dst, false, func(i int) float64 { return v[i] + drop(w[i], m[i]) })
}

// drop returns x times a factor of dropout, 0 whatever x is if that is 0.
func drop(x, factor float64) float64 {
	if factor == 0 {
		return 0
	}
	return factor * x
}

func (backend) AdamW(p, g, m, v *tensor.Tensor, o tensor.AdamWOptions) {
	beta1, beta2, step := float64(o.Beta1), float64(o.Beta2), float64(o.Step)
	param, first, second := values(p), values(m), values(v)
	for i, d := range values(g) {
		d *= float64(o.GradScale)
		first[i] = beta1*first[i] + (1-beta1)*d
		second[i] = beta2*second[i] + (1-beta2)*d*d
		mean, square := first[i]/(1-math.Pow(beta1, step)), second[i]/(1-math.Pow(beta2, step))
		decay := float64(o.WeightDecay) * param[i]
		param[i] -= float64(o.LR) * (mean/(math.Sqrt(square)+float64(o.Eps)) + decay)
	}
}
