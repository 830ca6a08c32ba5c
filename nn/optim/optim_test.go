package optim

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/internal/isatest"
	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/tensor"
)

// roundoff is the largest relative error of one float32 operation.
const roundoff = 1.0 / (1 << 24)

// parameters returns a matrix, a vector and a scalar of random values.
func parameters(seed uint64) []nn.Parameter {
	b := tensor.NewCPU(1)
	rng := rand.New(rand.NewPCG(seed, 0))
	params := []nn.Parameter{
		{Name: "matrix", Tensor: nn.NewParameter(b, 7, 11)},
		{Name: "vector", Tensor: nn.NewParameter(b, 35)},
		{Name: "scalar", Tensor: nn.NewParameter(b, 1)},
	}
	for _, p := range params {
		nn.Normal(p.Tensor, rng, 1)
	}
	return params
}

// setGradients draws the gradients of an update.
func setGradients(params []nn.Parameter, step int) {
	rng := rand.New(rand.NewPCG(99, uint64(step)))
	for _, p := range params {
		nn.Normal(p.Grad(), rng, 3)
	}
}

func widen(x []float32) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		y[i] = float64(v)
	}
	return y
}

// reference is AdamW in float64.
type reference struct{ p, m, v [][]float64 }

func newReference(params []nn.Parameter) *reference {
	r := &reference{}
	for _, p := range params {
		r.p = append(r.p, widen(p.Float32s()))
		r.m = append(r.m, make([]float64, p.Len()))
		r.v = append(r.v, make([]float64, p.Len()))
	}
	return r
}

func (r *reference) step(o *AdamW, params []nn.Parameter, t int, lr, gradScale float64) {
	beta1, beta2 := float64(o.Beta1), float64(o.Beta2)
	for i, p := range params {
		rate, decay := lr, 0.0
		if len(p.Shape()) > 1 {
			decay = float64(o.WeightDecay)
		}
		if g := o.groups[i]; g != nil && g.Frozen {
			continue
		} else if g != nil {
			rate *= g.Rate
			decay = max(g.WeightDecay, 0)
		}
		for j, g := range widen(p.Grad().Float32s()) {
			g *= gradScale
			r.m[i][j] = beta1*r.m[i][j] + (1-beta1)*g
			r.v[i][j] = beta2*r.v[i][j] + (1-beta2)*g*g
			m := r.m[i][j] / (1 - math.Pow(beta1, float64(t)))
			v := r.v[i][j] / (1 - math.Pow(beta2, float64(t)))
			r.p[i][j] -= rate*decay*r.p[i][j] + rate*m/(math.Sqrt(v)+float64(o.Eps))
		}
	}
}

func TestAdamW(t *testing.T) {
	const lr = 1.0 / 64
	for _, c := range []struct {
		name      string
		gradScale float32
		change    func(o *AdamW)
		groups    []Group
	}{
		{"defaults", 1, func(*AdamW) {}, nil},
		{"heavy weight decay", 1, func(o *AdamW) { o.WeightDecay = 0.5 }, nil},
		{"clipped gradient, large eps", 0.125, func(o *AdamW) { o.Eps = 0.25 }, nil},
		{"other betas", 1, func(o *AdamW) { o.Beta1, o.Beta2 = 0.5, 0.75 }, nil},
		{"groups", 1, func(o *AdamW) {}, []Group{
			{Names: []string{"s*r"}, Rate: 8, WeightDecay: 0.5},
			{Names: []string{"*"}, Rate: 2, WeightDecay: -1}, // the scalar is in the first
		}},
		{"frozen matrix", 1, func(o *AdamW) {}, []Group{{Names: []string{"matrix"}, Frozen: true}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			isatest.Each(t, func(t *testing.T) {
				params := parameters(1)
				o := NewAdamW(params, c.groups...)
				c.change(o)
				r := newReference(params)
				for step := 1; step <= 12; step++ {
					setGradients(params, step)
					r.step(o, params, step, lr, float64(c.gradScale))
					o.Step(lr, c.gradScale)
					want := []int32{int32(step), int32(step), int32(step)}
					if o.groups[0] != nil && o.groups[0].Frozen {
						want[0] = 0
					}
					if !slices.Equal(o.Steps(), want) {
						t.Fatalf("steps %v, want %v", o.Steps(), want)
					}
					for i, p := range params {
						for j, got := range widen(p.Float32s()) {
							// A step rounds p three times, and its update, at most about lr, some 16 times.
							rate := lr
							if g := o.groups[i]; g != nil {
								rate *= g.Rate
							}
							bound := float64(step) * roundoff * (3*(math.Abs(r.p[i][j])+rate) + 16*rate)
							if d := math.Abs(got - r.p[i][j]); !(d <= bound) {
								t.Fatalf("step %d: %s[%d] is %v, want %v within %.2g", step, p.Name, j, got, r.p[i][j], bound)
							}
						}
					}
				}
			})
		})
	}
}

// With a gradient of zero only weight decay changes parameters, and without a
// gradient nothing does.
func TestWeightDecayOfMatricesOnly(t *testing.T) {
	params := parameters(2)
	before := make([][]float32, len(params))
	for i, p := range params {
		before[i] = slices.Clone(p.Float32s())
		p.ZeroGrad()
	}
	idle := NewAdamW(params)
	idle.WeightDecay = 0.5
	idle.Step(0.5, 1)
	for i, p := range params {
		if !slices.Equal(p.Float32s(), before[i]) {
			t.Errorf("%s was changed without a gradient", p.Name)
		}
		p.Grad() // zero
	}
	o := NewAdamW(params)
	o.WeightDecay = 0.5
	o.Step(0.5, 1)
	for i, p := range params {
		for j, got := range p.Float32s() {
			want := before[i][j]
			if p.Name == "matrix" {
				want *= 0.75
			}
			if got != want {
				t.Fatalf("%s[%d] went from %v to %v, want %v", p.Name, j, before[i][j], got, want)
			}
		}
	}
}

func TestStateNames(t *testing.T) {
	params := parameters(1)
	var names []string
	for i, s := range NewAdamW(params).State() {
		names = append(names, s.Name)
		if want := params[i/2].Shape(); !slices.Equal(s.Shape(), want) {
			t.Errorf("%s has shape %v, want %v", s.Name, s.Shape(), want)
		}
	}
	if got := strings.Join(names, " "); got != "m.matrix v.matrix m.vector v.vector m.scalar v.scalar" {
		t.Errorf("state %s", got)
	}
}

// An optimiser that takes over parameters, moments and the number of updates
// continues bit by bit like the one that it took them from.
func TestResume(t *testing.T) {
	run := func(params []nn.Parameter, o *AdamW, from, to int) {
		for step := from; step <= to; step++ {
			setGradients(params, step)
			o.Step(0.01/float64(step), 0.75)
		}
	}
	isatest.Each(t, func(t *testing.T) {
		straight := parameters(3)
		run(straight, NewAdamW(straight), 1, 20)

		first := parameters(3)
		o := NewAdamW(first)
		run(first, o, 1, 9)
		second := parameters(4)
		for i, p := range second {
			p.SetFloat32s(first[i].Float32s())
		}
		resumed := NewAdamW(second)
		if err := resumed.SetSteps(o.Steps()); err != nil {
			t.Fatal(err)
		}
		saved := o.State()
		for i, s := range resumed.State() {
			s.SetFloat32s(saved[i].Float32s())
		}
		run(second, resumed, 10, 20)
		for i, p := range straight {
			if !slices.Equal(p.Float32s(), second[i].Float32s()) {
				t.Errorf("%s differs after resuming", p.Name)
			}
		}
	})
}

// The first update of a parameter is one of step 1, whenever it comes: as in PyTorch, it
// moves the parameter by the learning rate.
func TestStepsCountPerParameter(t *testing.T) {
	const lr = 1.0 / 1024
	params := parameters(5)
	o := NewAdamW(params)
	o.Beta2 = 0.999
	for step := 1; step <= 100; step++ {
		setGradients(params, step)
		params[1].ZeroGrad() // frozen
		o.Step(lr, 1)
	}
	if want := []int32{100, 0, 100}; !slices.Equal(o.Steps(), want) {
		t.Errorf("steps %v, want %v", o.Steps(), want)
	}
	before := slices.Clone(params[1].Float32s())
	nn.ZeroGrad(params)
	nn.Constant(params[1].Grad(), 1)
	o.Step(lr, 1)
	for i, v := range params[1].Float32s() {
		if moved := float64(before[i] - v); math.Abs(moved-lr) > 8*roundoff*(math.Abs(float64(before[i]))+1) {
			t.Fatalf("the first update moved [%d] by %v, want %v", i, moved, lr)
		}
	}
	if want := []int32{100, 1, 100}; !slices.Equal(o.Steps(), want) {
		t.Errorf("steps %v, want %v", o.Steps(), want)
	}
}

func TestSetStepsRefuses(t *testing.T) {
	o := NewAdamW(parameters(1))
	set := []int32{3, 4, 5}
	if err := o.SetSteps(set); err != nil {
		t.Fatal(err)
	}
	set[0] = 100 // the optimiser has a copy
	for _, c := range []struct {
		steps []int32
		want  string
	}{
		{[]int32{1, 2}, "2 parameters for 3"},
		{nil, "0 parameters for 3"},
		{[]int32{1, -1, 2}, "vector is -1"},
	} {
		if err := o.SetSteps(c.steps); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: error %v, want %q in it", c.steps, err, c.want)
		}
	}
	steps := o.Steps()
	if !slices.Equal(steps, []int32{3, 4, 5}) {
		t.Errorf("steps %v after refused ones", steps)
	}
	steps[0] = 100
	if o.Steps()[0] != 3 {
		t.Error("Steps returns the optimiser's own memory")
	}
}

// batching is a backend with calls for all parameters at once.
type batching struct {
	*tensor.CPU
	norms, updates []int // how many tensors each call had
}

func (b *batching) SumSquaresAll(x []*tensor.Tensor) []float64 {
	b.norms = append(b.norms, len(x))
	sums := make([]float64, len(x))
	for i, t := range x {
		sums[i] = b.SumSquares(t)
	}
	return sums
}

func (b *batching) AdamWAll(calls []tensor.AdamWCall) {
	b.updates = append(b.updates, len(calls))
	for _, c := range calls {
		b.AdamW(c.P, c.G, c.M, c.V, c.Options)
	}
}

// A backend that can takes one call for the norm of all gradients and one for all updates.
func TestOneCallForAllParameters(t *testing.T) {
	run := func(b tensor.Backend) (values []float32, norm float64) {
		rng := rand.New(rand.NewPCG(1, 0))
		var params []nn.Parameter
		for _, name := range []string{"a", "b", "c"} {
			params = append(params, nn.Parameter{Name: name, Tensor: nn.NewParameter(b, 5, 7)})
			nn.Normal(params[len(params)-1].Tensor, rng, 1)
		}
		setGradients(params, 1)
		params[1].ZeroGrad()
		norm, err := GradNorm(params)
		if err != nil {
			t.Fatal(err)
		}
		NewAdamW(params).Step(0.01, 0.5)
		for _, p := range params {
			values = append(values, p.Float32s()...)
		}
		return values, norm
	}
	cpu := tensor.NewCPU(1)
	defer cpu.Close()
	want, wantNorm := run(cpu)
	b := &batching{CPU: cpu}
	got, norm := run(b)
	if !slices.Equal(got, want) || norm != wantNorm {
		t.Errorf("parameters %v, norm %v, want %v, %v", got, norm, want, wantNorm)
	}
	if !slices.Equal(b.norms, []int{2}) || !slices.Equal(b.updates, []int{2}) {
		t.Errorf("calls of the norm with %v tensors, of updates with %v, want one of 2 each", b.norms, b.updates)
	}

	// Parameters of several backends take the calls of each.
	params := []nn.Parameter{{Name: "a", Tensor: nn.NewParameter(b, 2)}, {Name: "b", Tensor: nn.NewParameter(cpu, 2)}}
	setGradients(params, 1)
	if _, err := GradNorm(params); err != nil {
		t.Fatal(err)
	}
	NewAdamW(params).Step(0.01, 1)
	if len(b.norms) != 1 || len(b.updates) != 1 {
		t.Error("a backend was called with tensors of another one")
	}
}

func TestGradNorm(t *testing.T) {
	params := parameters(1)
	for _, p := range params {
		nn.Constant(p.Grad(), 0)
	}
	params[0].Grad().Float32s()[5] = 2
	params[1].Grad().Float32s()[34] = -3
	params[2].Grad().Float32s()[0] = 6
	if norm, err := GradNorm(params); err != nil || norm != 7 {
		t.Errorf("norm %v, error %v, want 7", norm, err)
	}
	nn.ZeroGrad(params)
	if norm, err := GradNorm(params); err != nil || norm != 0 {
		t.Errorf("norm %v, error %v of no gradient, want 0", norm, err)
	}
	// Squares overflow float32, but not the norm.
	params[1].Grad().Float32s()[0] = 1e30
	if norm, err := GradNorm(params); err != nil || norm != float64(float32(1e30)) {
		t.Errorf("norm %v, error %v, want 1e30", norm, err)
	}
}

func TestGradNormNotFinite(t *testing.T) {
	for _, bad := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		for _, name := range []string{"matrix", "vector", "scalar"} {
			isatest.Each(t, func(t *testing.T) {
				params := parameters(1)
				setGradients(params, 1)
				at := slices.IndexFunc(params, func(p nn.Parameter) bool { return p.Name == name })
				for _, p := range params[at:] { // the first is named
					g := p.Grad().Float32s()
					g[len(g)-1] = float32(bad)
				}
				norm, err := GradNorm(params)
				if err == nil || !strings.Contains(err.Error(), "gradient of "+name+" ") {
					t.Errorf("%v in %s: error %v", bad, name, err)
				}
				if !math.IsNaN(norm) {
					t.Errorf("%v in %s: norm %v, want NaN", bad, name, norm)
				}
			})
		}
	}
}

func TestClipScale(t *testing.T) {
	for _, c := range []struct {
		norm, limit float64
		want        float32
	}{
		{4, 1, 0.25},
		{1, 1, 1},
		{0.5, 1, 1},
		{0, 1, 1},
		{1e30, 0, 1},
		{math.Nextafter(2, 3), 2, 1},
		{8, 2, 0.25},
	} {
		if got := ClipScale(c.norm, c.limit); got != c.want {
			t.Errorf("norm %v, limit %v: %v, want %v", c.norm, c.limit, got, c.want)
		}
	}
}

// Clipping bounds what a first moment can become.
func TestClippedStep(t *testing.T) {
	params := parameters(1)
	setGradients(params, 1)
	norm, err := GradNorm(params)
	if err != nil {
		t.Fatal(err)
	}
	o := NewAdamW(params)
	o.Beta1 = 0.5
	o.Step(0.01, ClipScale(norm, 1))
	sum := 0.0
	for _, s := range o.State() {
		if strings.HasPrefix(s.Name, "m.") {
			for _, m := range widen(s.Float32s()) {
				sum += 4 * m * m
			}
		}
	}
	if d := math.Abs(math.Sqrt(sum) - 1); d > 8*roundoff {
		t.Errorf("the clipped gradient has norm %v, want 1", math.Sqrt(sum))
	}
}

func TestLinearDecay(t *testing.T) {
	for _, c := range []struct {
		s    LinearDecay
		step int
		want float64
	}{
		{LinearDecay{8, 4, 12}, 0, 0},
		{LinearDecay{8, 4, 12}, 1, 2},
		{LinearDecay{8, 4, 12}, 3, 6},
		{LinearDecay{8, 4, 12}, 4, 8},
		{LinearDecay{8, 4, 12}, 5, 7},
		{LinearDecay{8, 4, 12}, 11, 1},
		{LinearDecay{8, 4, 12}, 12, 0},
		{LinearDecay{8, 4, 12}, 1000, 0},
		{LinearDecay{8, 0, 4}, 0, 8},
		{LinearDecay{8, 0, 4}, 1, 6},
		{LinearDecay{8, 0, 4}, 4, 0},
		{LinearDecay{8, 1, 5}, 1, 8},
		{LinearDecay{8, 4, 4}, 3, 6},
		{LinearDecay{8, 4, 4}, 4, 0},
		{LinearDecay{8, 4, 0}, 2, 4},
		{LinearDecay{8, 4, 0}, 4, 8},
		{LinearDecay{8, 4, 0}, 1_000_000, 8},
		{LinearDecay{8, 8, 4}, 2, 2},
		{LinearDecay{8, 8, 4}, 4, 0},
		{LinearDecay{8, 8, 4}, 6, 0},
		{LinearDecay{8, 0, 0}, 1, 8},
	} {
		var s Schedule = c.s
		if got := s.LR(c.step); got != c.want {
			t.Errorf("%+v: rate at step %d is %v, want %v", c.s, c.step, got, c.want)
		}
	}
}
