package tensor

import (
	"sync"

	"github.com/marge-go/marge/asm"
)

// hostPool serves all backends that have no threads on the host.
var hostPool = sync.OnceValue(func() *Pool { return NewPool(0) })

// HostRunner returns threads for work on the host, such as searching an index or
// evaluation: those of the backend, if it has a method Runner() asm.Runner, or
// else a pool of runtime.GOMAXPROCS(0) threads that the whole process shares.
func HostRunner(b Backend) asm.Runner {
	if r, ok := b.(interface{ Runner() asm.Runner }); ok {
		return r.Runner()
	}
	return hostPool()
}
