package parallel

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/marge-go/marge/asm"
)

func TestRun(t *testing.T) {
	var done []int
	if err := Run(t.Context(), asm.Serial, 4, func(part int) { done = append(done, part) }); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(done, []int{0, 1, 2, 3}) {
		t.Errorf("called with %v", done)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done = nil
	err := Run(ctx, asm.Serial, 4, func(part int) {
		done = append(done, part)
		if part == 1 {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) || !slices.Equal(done, []int{0, 1}) {
		t.Errorf("cancelled in part 1: called with %v, error %v", done, err)
	}
}
