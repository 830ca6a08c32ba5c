//go:build !cuda

package gpu

import (
	"errors"

	"github.com/marge-go/marge/tensor"
)

func init() {
	tensor.Register("cuda", func() (tensor.Backend, error) {
		return nil, errors.New("built without the tag cuda, see package gpu")
	})
}
