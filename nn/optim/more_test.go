package optim

import (
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/internal/isatest"
	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/tensor"
	"github.com/marge-go/marge/tensor/backendtest"
)

func TestLion(t *testing.T) {
	const lr = 1.0 / 64
	isatest.Each(t, func(t *testing.T) {
		params := parameters(1)
		o := NewLion(params, Group{Names: []string{"vector"}, Rate: 0.5})
		o.WeightDecay = 0.25
		ref := newReference(params)
		for step := 1; step <= 8; step++ {
			setGradients(params, step)
			for i, p := range params {
				rate, decay := lr, 0.0
				switch p.Name {
				case "matrix":
					decay = 0.25
				case "vector":
					rate /= 2
				}
				for j, g := range widen(p.Grad().Float32s()) {
					g *= 0.5
					direction := float64(o.Beta1)*ref.m[i][j] + (1-float64(o.Beta1))*g
					ref.p[i][j] -= rate * (math.Copysign(1, direction) + decay*ref.p[i][j])
					ref.m[i][j] = float64(o.Beta2)*ref.m[i][j] + (1-float64(o.Beta2))*g
				}
			}
			o.Step(lr, 0.5)
		}
		for i, p := range params {
			for j, got := range widen(p.Float32s()) {
				if d := math.Abs(got - ref.p[i][j]); !(d <= 8*4*roundoff*(1+math.Abs(ref.p[i][j]))) {
					t.Fatalf("%s[%d] is %v, want %v", p.Name, j, got, ref.p[i][j])
				}
			}
		}
	})
	// Without a direction nothing moves.
	params := parameters(1)
	before := slices.Clone(params[1].Float32s())
	nn.Constant(params[1].Grad(), 0)
	NewLion(params).Step(1, 1)
	if !slices.Equal(params[1].Float32s(), before) {
		t.Error("a gradient of zero moved a parameter")
	}
}

// Every optimiser goes on from saved state bit by bit.
func TestResumeAll(t *testing.T) {
	for name, create := range map[string]func(params []nn.Parameter) Optimizer{
		"AdamW": func(params []nn.Parameter) Optimizer { return NewAdamW(params) },
		"Lion":  func(params []nn.Parameter) Optimizer { return NewLion(params) },
		"SGD": func(params []nn.Parameter) Optimizer {
			o := NewSGD(params)
			o.Momentum = 0.9
			return o
		},
	} {
		t.Run(name, func(t *testing.T) {
			run := func(params []nn.Parameter, o Optimizer, from, to int) {
				for step := from; step <= to; step++ {
					setGradients(params, step)
					o.Step(0.01, 0.75)
				}
			}
			straight := parameters(3)
			o := create(straight)
			run(straight, o, 1, 5)
			resumed := parameters(4)
			for i, p := range resumed {
				p.SetFloat32s(straight[i].Float32s())
			}
			o2 := create(resumed)
			dir := t.TempDir()
			if err := errors.Join(Save(dir, o), Load(dir, o2)); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(o2.Steps(), o.Steps()) {
				t.Errorf("steps %v, want %v", o2.Steps(), o.Steps())
			}
			run(straight, o, 6, 9)
			run(resumed, o2, 6, 9)
			for i, p := range straight {
				if !slices.Equal(p.Float32s(), resumed[i].Float32s()) {
					t.Errorf("%s differs after resuming", p.Name)
				}
			}
		})
	}
}

// What does not fit changes nothing.
func TestLoadRefuses(t *testing.T) {
	trained := NewAdamW(parameters(1))
	if err := trained.SetSteps([]int32{1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	cpu := trained.State()[0].Backend()
	save := func(change func(state []nn.Parameter) []nn.Parameter) string {
		dir := t.TempDir()
		steps := tensor.FromSlice(cpu, []float32{1, 2, 3}, 3)
		state := change(append(trained.State(), nn.Parameter{Name: "step", Tensor: steps}))
		if err := nn.Save(dir, state, 0); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	last := func(state []nn.Parameter) *tensor.Tensor { return state[len(state)-1].Tensor }
	for want, dir := range map[string]string{
		"model.safetensors": t.TempDir(),
		`missing ["step"]`:  save(func(state []nn.Parameter) []nn.Parameter { return state[:len(state)-1] }),
		"1.5 updates": save(func(state []nn.Parameter) []nn.Parameter {
			last(state).SetFloat32s([]float32{1, 1.5, 3})
			return state
		}),
		"is -1": save(func(state []nn.Parameter) []nn.Parameter {
			last(state).SetFloat32s([]float32{1, -1, 3})
			return state
		}),
		`missing ["m.`: save(func(state []nn.Parameter) []nn.Parameter { return state[1:] }),
		"shape [2]": save(func(state []nn.Parameter) []nn.Parameter {
			state[len(state)-1].Tensor = tensor.Ones(cpu, 2)
			return state
		}),
	} {
		o := NewAdamW(parameters(1))
		if err := o.SetSteps([]int32{7, 7, 7}); err != nil {
			t.Fatal(err)
		}
		nn.Constant(o.State()[0].Tensor, 7)
		if err := Load(dir, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q in it", err, want)
		}
		if v := o.State()[0].Float32s()[0]; v != 7 || !slices.Equal(o.Steps(), []int32{7, 7, 7}) {
			t.Errorf("%s: the state has changed: %v, steps %v", want, v, o.Steps())
		}
	}
	if err := trained.SetSteps([]int32{1, 1<<24 + 1, 0}); err != nil {
		t.Fatal(err)
	}
	if err := Save(t.TempDir(), trained); err == nil || !strings.Contains(err.Error(), "16777217 updates") {
		t.Errorf("error %v of too many updates", err)
	}
	for _, err := range []error{Save(t.TempDir(), NewAdamW(nil)), Load(t.TempDir(), NewAdamW(nil))} {
		if err == nil || !strings.Contains(err.Error(), "without parameters") {
			t.Errorf("error %v of no parameters", err)
		}
	}
}

func TestGroupPanics(t *testing.T) {
	for pattern, want := range map[string]string{"vectors": `like "vectors"`, "[": `pattern "["`} {
		t.Run(pattern, func(t *testing.T) {
			defer func() {
				if got, _ := recover().(string); !strings.Contains(got, want) {
					t.Errorf("panic %q, want %q in it", got, want)
				}
			}()
			NewSGD(parameters(1), Group{Names: []string{"vector", pattern}})
		})
	}
}

func TestEMA(t *testing.T) {
	params := parameters(1)
	want := make([][]float64, len(params))
	for i, p := range params {
		want[i] = widen(p.Float32s())
	}
	e := NewEMA(params, 0.75)
	for step := range uint64(3) {
		for i, p := range parameters(step + 2) {
			params[i].SetFloat32s(p.Float32s())
			for j, v := range widen(p.Float32s()) {
				want[i][j] = 0.75*want[i][j] + 0.25*v
			}
		}
		e.Update()
	}
	last := parameters(4)
	check := func(when string, got []nn.Parameter, want [][]float64) {
		t.Helper()
		for i, p := range got {
			for j, v := range widen(p.Float32s()) {
				if math.Abs(v-want[i][j]) > 8*roundoff*(1+math.Abs(want[i][j])) {
					t.Fatalf("%s: %s[%d] is %v, want %v", when, p.Name, j, v, want[i][j])
				}
			}
		}
	}
	check("average", e.State(), want)
	if name := e.State()[0].Name; name != "ema.matrix" {
		t.Errorf("state %s", name)
	}
	e.Swap()
	check("parameters after Swap", params, want)
	e.Swap()
	check("average after two", e.State(), want)
	for i, p := range params {
		if !slices.Equal(p.Float32s(), last[i].Float32s()) {
			t.Errorf("%s is not what it was before two swaps", p.Name)
		}
	}
}

func TestClipAndStep(t *testing.T) {
	one, two := parameters(1), parameters(1)
	setGradients(one, 1)
	setGradients(two, 1)
	norm, err := ClippedStep(NewSGD(one), one, 0.5, 0.25)
	want, _ := GradNorm(two)
	if err != nil || norm != want {
		t.Errorf("norm %v, error %v, want %v", norm, err, want)
	}
	NewSGD(two).Step(0.5, float32(0.25/want))
	nn.Constant(one[2].Grad(), float32(math.NaN()))
	if _, err := ClippedStep(NewSGD(one), one, 0.5, 0.25); err == nil || !strings.Contains(err.Error(), "scalar") {
		t.Errorf("error %v of a gradient that is NaN", err)
	}
	for i, p := range one {
		if !slices.Equal(p.Float32s(), two[i].Float32s()) {
			t.Errorf("%s differs", p.Name)
		}
	}
}

func TestSchedules(t *testing.T) {
	for _, c := range []struct {
		s    Schedule
		step int
		want float64
	}{
		{CosineDecay{8, 2, 4, 12}, 0, 0},
		{CosineDecay{8, 2, 4, 12}, 3, 6},
		{CosineDecay{8, 2, 4, 12}, 4, 8},
		{CosineDecay{8, 2, 4, 12}, 6, 2 + 3*(1+math.Sqrt2/2)},
		{CosineDecay{8, 2, 4, 12}, 8, 5},
		{CosineDecay{8, 2, 4, 12}, 12, 2},
		{CosineDecay{8, 2, 4, 12}, 100, 2},
		{CosineDecay{8, 2, 4, 4}, 4, 2},
		{CosineDecay{8, 0, 0, 2}, 1, 4},
		{Constant{8, 4}, 1, 2},
		{Constant{8, 4}, 4, 8},
		{Constant{8, 0}, 1, 8},
		{Constant{8, 4}, 1000, 8},
		{InverseSquareRoot{8, 4}, 1, 2},
		{InverseSquareRoot{8, 4}, 4, 8},
		{InverseSquareRoot{8, 4}, 16, 4},
		{InverseSquareRoot{8, 0}, 1, 8},
		{InverseSquareRoot{8, 0}, 4, 4},
		{InverseSquareRoot{8, 0}, 0, 0},
	} {
		if got := c.s.LR(c.step); math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%#v: rate at step %d is %v, want %v", c.s, c.step, got, c.want)
		}
	}
}

// Updates have the same bits on a device.
func TestOnADevice(t *testing.T) {
	cpu := tensor.NewCPU(1)
	defer cpu.Close()
	device := backendtest.Opaque(tensor.NewCPU(1))
	defer device.Close()
	run := func(b tensor.Backend) (all []float32) {
		for _, create := range []func(params []nn.Parameter) Optimizer{
			func(params []nn.Parameter) Optimizer { return NewAdamW(params) },
			func(params []nn.Parameter) Optimizer { return NewLion(params) },
			func(params []nn.Parameter) Optimizer {
				o := NewSGD(params)
				o.Momentum, o.Nesterov, o.WeightDecay = 0.9, true, 0.1
				return o
			},
		} {
			params := []nn.Parameter{{Name: "p", Tensor: nn.NewParameter(b, 5, 7)}}
			nn.Normal(params[0].Tensor, rand.New(rand.NewPCG(1, 0)), 1)
			o, average := create(params), NewEMA(params, 0.5)
			for step := range 3 {
				setGradients(params, step)
				o.Step(0.01, 0.5)
				average.Update()
			}
			average.Swap()
			for _, p := range append(params, append(o.State(), average.State()...)...) {
				values := make([]float32, p.Len())
				p.CopyTo(values)
				all = append(all, values...)
			}
		}
		return all
	}
	if !slices.Equal(run(device), run(cpu)) {
		t.Error("a device gives other bits")
	}
}
