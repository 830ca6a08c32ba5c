//go:build !cuda

package gpu

import (
	"strings"
	"testing"

	"github.com/marge-go/marge/tensor"
)

func TestWithoutTheTag(t *testing.T) {
	if _, err := tensor.Open("cuda"); err == nil || !strings.Contains(err.Error(), "built without the tag cuda") {
		t.Errorf("error %v", err)
	}
}
