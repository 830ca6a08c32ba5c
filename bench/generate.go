package bench

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/tensor"
)

// int8s is the Precision of generations by models of int8 matrices.
const int8s = "int8"

// generateWorkloads returns generations of 128 tokens from documents of 64: by greedy
// search and by 4 beams, for one request and for eight at once; by beams also of models
// of int8 matrices.
func generateWorkloads() []Workload {
	var list []Workload
	for _, size := range []string{"small", "base"} {
		for _, beams := range []int{1, 4} {
			for _, requests := range []int{1, 8} {
				name := fmt.Sprintf("%s/greedy/%d", size, requests)
				if beams > 1 {
					name = fmt.Sprintf("%s/beam%d/%d", size, beams, requests)
				}
				s := Spec{Op: "generate", Kind: size, M: requests, N: 64, K: 128, Batch: beams}
				list = append(list, Workload{
					Spec: s, Name: name, Group: size, Tokens: requests * s.K, Quick: size == "small",
					Flops: float64(requests*beams*s.K) * stepFlops(generateConfig(size)),
				})
				if beams > 1 {
					w := list[len(list)-1]
					w.Precision, w.Name, w.Group = int8s, w.Name+" "+int8s, w.Group+" "+int8s
					list = append(list, w)
				}
			}
		}
	}
	return list
}

// stepFlops returns the operations that the matrices of a decoder take for a token.
func stepFlops(c marge.Config) float64 {
	layer := 6*c.DModel*c.DModel + 2*c.DModel*c.DecoderFFNDim
	return 2 * float64(c.DecoderLayers*layer+c.DModel*c.VocabSize)
}

// generateConfig is a preset without base layers: with beta 0 it is mBART.
func generateConfig(size string) marge.Config {
	c := marge.Presets()[size]
	c.DecoderBaseLayers, c.Seed = 0, 1
	return c
}

func generateModel(size string, b tensor.Backend) (*marge.Model, error) {
	c := generateConfig(size)
	c.Backend = b
	return marge.New(c)
}

// SaveGenerateModels writes the models of the section generate to folders of their
// names, for peers to convert.
func SaveGenerateModels(dir string) error {
	for _, size := range []string{"small", "base"} {
		m, err := generateModel(size, nil)
		if err != nil {
			return err
		}
		if err := m.Save(filepath.Join(dir, size)); err != nil {
			return err
		}
	}
	return nil
}

// startGenerate prepares a generation on a backend.
func startGenerate(s *Spec, b tensor.Backend) (run func(), err error) {
	m, err := generateModel(s.Kind, b)
	if err != nil {
		return nil, err
	}
	if s.Precision == int8s {
		if err := m.Quantize(); err != nil {
			return nil, err
		}
	}
	var requests []marge.TokenRequest
	for i := range s.M {
		doc := make([]int32, s.N-2) // the encoder adds <s> and </s>
		for j := range doc {
			doc[j] = int32(100 + (i*7919+j*104729)%7000)
		}
		requests = append(requests, marge.TokenRequest{Evidence: [][]int32{doc}, Language: 5})
	}
	o := marge.GenerateOptions{Beams: s.Batch, MaxTokens: s.K, MinTokens: s.K}
	return func() {
		if _, err := m.GenerateAllTokens(context.Background(), requests, o); err != nil {
			panic(fmt.Sprintf("bench: generate %s: %v", s.Kind, err))
		}
	}, nil
}
