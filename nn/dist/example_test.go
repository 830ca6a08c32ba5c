package dist_test

import (
	"fmt"

	"github.com/marge-go/marge/nn/dist"
	"github.com/marge-go/marge/nn/dist/disttest"
)

// Four ranks add up what each has.
func Example() {
	errs := disttest.Run(4, dist.Options{}, nil, func(g *dist.Group) error {
		x := []float32{float32(g.Rank()), 1}
		err := g.AllReduce(x)
		if g.Rank() == 0 {
			fmt.Println(x)
		}
		return err
	})
	fmt.Println(disttest.FirstError(errs))
	// Output:
	// [6 4]
	// <nil>
}
