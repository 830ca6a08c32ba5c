//go:build !mpi

package mpi

import (
	"strings"
	"testing"
)

func TestWithoutTag(t *testing.T) {
	if tr, err := Open(); tr != nil || err == nil || !strings.Contains(err.Error(), "built without the tag mpi") {
		t.Errorf("%v, error %v", tr, err)
	}
}
