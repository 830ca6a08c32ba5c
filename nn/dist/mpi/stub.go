//go:build !mpi

package mpi

import (
	"errors"

	"github.com/marge-go/marge/nn/dist"
)

// Open joins the ranks that a launcher such as mpirun has started. This program is
// built without the tag mpi: it returns an error that says so.
func Open() (dist.Transport, error) {
	return nil, errors.New("mpi: built without the tag mpi: go build -tags mpi, with Open MPI installed " +
		"(Debian: openmpi-bin libopenmpi-dev)")
}
