package main

import (
	"context"
	"fmt"
	"os"

	"github.com/marge-go/marge/nn/dist"
	"github.com/marge-go/marge/nn/dist/mpi"
	"github.com/marge-go/marge/tensor"
)

// join returns the ranks that train together, or nil for this process alone. Of
// several, the first prints.
func (o *options) join() (*dist.Group, error) {
	if o.dist == "none" {
		return nil, nil
	}
	t, err := mpi.Open()
	if err != nil {
		return nil, fmt.Errorf("-dist %s: %w", o.dist, err)
	}
	if t.Rank() > 0 {
		if os.Stdout, err = os.OpenFile(os.DevNull, os.O_WRONLY, 0); err != nil {
			return nil, err
		}
	}
	return dist.New(t, dist.Options{Deadline: o.deadline})
}

// prepareOn reads the model of -init-from and prepares the data on rank 0, and opens
// what that has made on the others.
func prepareOn(ctx context.Context, ranks *dist.Group, o *options, backend tensor.Backend) (d *data, err error) {
	own := func(ctx context.Context) (err error) {
		if err := o.loadInitial(backend); err != nil {
			return err
		}
		d, err = prepare(ctx, o)
		return err
	}
	if err := ranks.Lead(ctx, own); err != nil {
		return nil, err
	}
	err = ranks.Together(ctx, func(ctx context.Context) error {
		if ranks.Rank() == 0 {
			return nil
		}
		return own(ctx)
	})
	return d, err
}
