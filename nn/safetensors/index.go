package safetensors

import (
	"fmt"
	"path/filepath"

	"github.com/marge-go/marge/internal/jsonx"
	"github.com/marge-go/marge/internal/osfile"
)

// maxIndex bounds the size of an index, in bytes.
const maxIndex = 1 << 28

// ReadIndex reads the index of a checkpoint in several files, which Hugging Face
// calls model.safetensors.index.json, and returns the name of the file that has
// each tensor. It is an error, which names the tensor, if that is no name of a
// file in the same directory.
func ReadIndex(path string) (files map[string]string, err error) {
	data, err := osfile.ReadFile(path, maxIndex)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	var index struct {
		WeightMap map[string]string `json:"weight_map"`
	}
	if err := jsonx.Unmarshal(data, &index); err != nil {
		return nil, fmt.Errorf("safetensors: %s: %w", path, err)
	}
	if index.WeightMap == nil {
		return nil, fmt.Errorf("safetensors: %s: no weight_map", path)
	}
	for name, file := range index.WeightMap {
		if file != filepath.Base(file) || !filepath.IsLocal(file) || file == "." {
			return nil, fmt.Errorf("safetensors: %s: tensor %q is in %q, which is no name of a file",
				path, shortened(name), shortened(file))
		}
	}
	return index.WeightMap, nil
}
