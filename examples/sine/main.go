// Sine trains a network with one hidden layer, by operations of package tensor alone.
package main

import (
	"fmt"

	"github.com/marge-go/marge/tensor"
)

func main() {
	cpu := tensor.NewCPU(0)
	x := tensor.Arange(cpu, -3, 3, 0.01)
	w, b, v := tensor.Randn(cpu, 1, 32, 1), tensor.Randn(cpu, 2, 32), tensor.Zeros(cpu, 1, 32)
	params := []*tensor.Tensor{w, b, v}
	for _, p := range params {
		p.SetRequiresGrad(true)
	}
	tape := tensor.NewTape(cpu)
	for step := range 2001 {
		tape.Reset(tensor.Training, uint64(step)) // forgets the step before
		column := tape.Unsqueeze(x, 1)
		hidden := tape.Tanh(tape.Linear(column, w, b))
		loss := tape.MSE(tape.Linear(hidden, v, nil), tape.Sin(column), tensor.ReductionMean)
		tape.Backward(loss)
		for _, p := range params {
			cpu.Axpy(-0.05, p.Grad(), p) // p -= 0.05 * gradient
			p.ZeroGrad()
		}
		if step%500 == 0 {
			fmt.Printf("step %4d: loss %.4f\n", step, loss.Item())
		}
	}
	fmt.Printf("%v\n%+v\n", b, b) // type and shape, and the values
}
