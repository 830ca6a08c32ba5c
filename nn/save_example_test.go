package nn_test

import (
	"fmt"
	"log"
	"os"

	"github.com/marge-go/marge/nn"
	"github.com/marge-go/marge/tensor"
)

// A network takes the weights of another one, but for its last layer.
func ExampleLoad() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	cpu := tensor.NewCPU(0)
	weight := func(value float32) *tensor.Tensor {
		t := tensor.Full(cpu, value, 2, 2)
		t.SetRequiresGrad(true)
		return t
	}
	trained := []nn.Parameter{{Name: "fc1.weight", Tensor: weight(1)}, {Name: "lm_head.weight", Tensor: weight(2)}}
	if err := nn.Save(dir, trained, 0); err != nil {
		log.Fatal(err)
	}

	params := []nn.Parameter{{Name: "fc1.weight", Tensor: weight(0)}, {Name: "classifier.weight", Tensor: weight(0)}}
	difference, err := nn.Load(dir, params, false)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(difference)
	fmt.Printf("%+v\n", params[0])
	// Output:
	// 1 parameters missing ["classifier.weight"], 1 tensors unexpected ["lm_head.weight"]
	// [[1. 1.]
	//  [1. 1.]]
}
