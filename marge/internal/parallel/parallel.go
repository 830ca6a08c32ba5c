// Package parallel runs work on an [asm.Runner] that a context can stop.
package parallel

import (
	"context"

	"github.com/marge-go/marge/asm"
)

// Run calls do with 0 to parts-1, each once, unless ctx is cancelled first: then
// it leaves out the calls that have not begun and returns the context's error.
// A call that takes long must look at ctx itself. Results must not depend on
// which thread makes which call.
func Run(ctx context.Context, run asm.Runner, parts int, do func(part int)) error {
	run.Run(parts, task(func(part int) {
		if ctx.Err() == nil {
			do(part)
		}
	}))
	return ctx.Err()
}

type task func(part int)

func (t task) Do(part int) { t(part) }
