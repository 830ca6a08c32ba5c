package optim_test

import (
	"errors"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/nn/optim"
	"github.com/marge-go/marge/tensor"
)

// A training loop: fit y = 3x - 2.
func Example() {
	cpu := tensor.NewCPU(0)
	model := nn.NewLinear(cpu, 1, 1, nil)
	params := model.Parameters(nil, "")
	opt := optim.NewAdamW(params)
	opt.WeightDecay = 0
	const steps = 2000
	schedule := optim.LinearDecay{Peak: 0.05, Warmup: 50, Total: steps}
	tape := tensor.NewTape(cpu)
	for step := 1; step <= steps; step++ {
		nn.ZeroGrad(params)
		tape.Reset(tensor.Training, uint64(step))
		x := float32(step%5) - 2
		y := model.Forward(tape, tape.Floats([]float32{x}, 1, 1))
		off := tape.Add(y, tape.Floats([]float32{2 - 3*x}, 1, 1))
		tape.Backward(tape.MatMul(off, off, true)) // the squared error

		norm, err := optim.GradNorm(params)
		if err != nil {
			log.Fatal(err)
		}
		opt.Step(schedule.LR(step), optim.ClipScale(norm, 1))
	}
	for _, p := range params {
		fmt.Printf("%s %.2f\n", p.Name, p.Float32s())
	}
	// Output:
	// weight [3.00]
	// bias [-2.00]
}

func ExampleLinearDecay() {
	s := optim.LinearDecay{Peak: 1e-3, Warmup: 100, Total: 1000}
	for _, step := range []int{1, 50, 100, 550, 1000} {
		fmt.Printf("%4d %.2e\n", step, s.LR(step))
	}
	// Output:
	//    1 1.00e-05
	//   50 5.00e-04
	//  100 1.00e-03
	//  550 5.00e-04
	// 1000 0.00e+00
}

// The embeddings are frozen, and the new head learns ten times faster than the rest.
func ExampleGroup() {
	cpu := tensor.NewCPU(0)
	params := nn.NewEmbedding(cpu, 10, 4, nil).Parameters(nil, "embed.")
	params = nn.NewLinear(cpu, 4, 4, nil).Parameters(params, "body.")
	params = nn.NewLinear(cpu, 4, 2, nil).Parameters(params, "head.")
	opt := optim.NewAdamW(params,
		optim.Group{Names: []string{"embed.*"}, Frozen: true},
		optim.Group{Names: []string{"head.*"}, Rate: 10},
	)
	for _, p := range params {
		nn.Constant(p.Grad(), 1)
	}
	opt.Step(0.01, 1)
	for _, p := range params {
		fmt.Printf("%s %.2f\n", p.Name, p.Float32s()[0])
	}
	// Output:
	// embed.weight 0.00
	// body.weight -0.01
	// body.bias -0.01
	// head.weight -0.10
	// head.bias -0.10
}

// A training goes on from the files of an earlier one.
func ExampleSave() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	cpu := tensor.NewCPU(0)
	params := nn.NewLinear(cpu, 4, 2, nil).Parameters(nil, "")
	opt := optim.NewAdamW(params)
	for _, p := range params {
		nn.Constant(p.Grad(), 1)
	}
	opt.Step(0.01, 1)
	err = errors.Join(nn.Save(filepath.Join(dir, "model"), params, 0), optim.Save(filepath.Join(dir, "optimizer"), opt))
	if err != nil {
		log.Fatal(err)
	}

	params = nn.NewLinear(cpu, 4, 2, nil).Parameters(nil, "")
	opt = optim.NewAdamW(params)
	_, err = nn.Load(filepath.Join(dir, "model"), params, true)
	if err := errors.Join(err, optim.Load(filepath.Join(dir, "optimizer"), opt)); err != nil {
		log.Fatal(err)
	}
	fmt.Println(opt.Steps(), opt.State()[0].Name)
	// Output: [1 1] m.weight
}

// The average of a parameter that grows follows it.
func ExampleEMA() {
	cpu := tensor.NewCPU(0)
	p := nn.NewParameter(cpu, 1)
	average := optim.NewEMA([]nn.Parameter{{Name: "p", Tensor: p}}, 0.5)
	for i := range 4 {
		nn.Constant(p, float32(i+1))
		average.Update()
	}
	average.Swap() // to evaluate the average
	fmt.Println(p.Float32s())
	average.Swap() // to go on
	fmt.Println(p.Float32s())
	// Output:
	// [3.0625]
	// [4]
}

func ExampleCosineDecay() {
	s := optim.CosineDecay{Peak: 1e-3, Floor: 1e-4, Warmup: 100, Total: 1100}
	for _, step := range []int{50, 100, 600, 1100} {
		fmt.Printf("%4d %.2e\n", step, s.LR(step))
	}
	// Output:
	//   50 5.00e-04
	//  100 1.00e-03
	//  600 5.50e-04
	// 1100 1.00e-04
}
