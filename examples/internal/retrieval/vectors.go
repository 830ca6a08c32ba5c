package retrieval

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/marge-go/marge/internal/jsonx"
	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/task"
	"github.com/marge-go/marge/marge/vectors"
)

// ReadVectors reads vectors that another program made, JSON Lines with the id
// of a text and its vector, plain or compressed. The encoder has the name of
// the file and fails at a text without a vector. A vector of another length
// than the first, one that is not finite and an id that comes twice are errors.
func ReadVectors(path string) (Encoder, error) {
	dim := 0
	byID := map[string][]float32{}
	err := corpus.ReadLines(path, func(number int, line string) error {
		var v struct {
			ID     string    `json:"id"`
			Vector []float32 `json:"vector"`
		}
		if err := jsonx.Unmarshal([]byte(line), &v); err != nil {
			return fmt.Errorf("%s:%d: %w", path, number, err)
		}
		if dim == 0 {
			dim = len(v.Vector)
		}
		_, twice := byID[v.ID]
		switch {
		case len(v.Vector) == 0 || len(v.Vector) != dim:
			return fmt.Errorf("%s:%d: the vector of %q has %d values, want %d", path, number, v.ID, len(v.Vector), max(dim, 1))
		case twice:
			return fmt.Errorf("%s:%d: the id %q comes twice", path, number, v.ID)
		}
		if err := vectors.CheckFinite(v.Vector, dim); err != nil {
			return fmt.Errorf("%s:%d: %w", path, number, err)
		}
		vectors.Normalize(v.Vector, dim)
		byID[v.ID] = v.Vector
		return nil
	})
	if err != nil {
		return Encoder{}, err
	}
	if len(byID) == 0 {
		return Encoder{}, fmt.Errorf("%s has no vectors", path)
	}
	name, _, _ := strings.Cut(filepath.Base(path), ".")
	return Encoder{name, func(_ context.Context, set *task.RetrievalSet) ([]float32, int, error) {
		var rows []float32
		for _, id := range set.IDs {
			v, ok := byID[id]
			if !ok {
				return nil, 0, fmt.Errorf("%s has no vector of %q", path, id)
			}
			rows = append(rows, v...)
		}
		return rows, dim, nil
	}}, nil
}
