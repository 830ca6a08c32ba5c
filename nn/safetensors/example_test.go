package safetensors_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/marge-go/marge/nn/safetensors"
)

func Example() {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "model.safetensors")

	out, err := os.Create(path)
	if err != nil {
		log.Fatal(err)
	}
	err = safetensors.Write(out, []safetensors.Tensor{
		safetensors.Float32("fc1.weight", []int{2, 3}, []float32{1, 2, 3, 4, 5, 6}),
		safetensors.Int64("step", nil, []int64{1000}),
	}, map[string]string{"format": "pt"})
	if err != nil {
		log.Fatal(err)
	}
	if err := out.Close(); err != nil {
		log.Fatal(err)
	}

	file, err := safetensors.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	weight, err := file.Float32s("fc1.weight")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(file.Names(), weight)
	// Output: [step fc1.weight] [1 2 3 4 5 6]
}
