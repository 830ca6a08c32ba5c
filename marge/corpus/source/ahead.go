package source

import "io"

// How far a file is decompressed ahead of what is read of it.
const (
	aheadBuffers = 4
	aheadBytes   = 1 << 16 // of a buffer
)

// readAhead reads from another reader in a goroutine of its own, so that what
// was read is parsed while more is decompressed. It must be closed.
type readAhead struct {
	free  chan []byte    // buffers to read into
	parts chan aheadPart // what was read
	now   aheadPart
	rest  []byte // of now that was not given yet
}

type aheadPart struct {
	buffer []byte
	n      int
	err    error
}

func newReadAhead(r io.Reader) *readAhead {
	// Neither channel ever blocks who sends.
	a := &readAhead{free: make(chan []byte, aheadBuffers), parts: make(chan aheadPart, aheadBuffers)}
	for range aheadBuffers {
		a.free <- make([]byte, aheadBytes)
	}
	go func() {
		defer close(a.parts)
		for buffer := range a.free {
			n, err := r.Read(buffer)
			a.parts <- aheadPart{buffer, n, err}
			if err != nil {
				return
			}
		}
	}()
	return a
}

func (a *readAhead) Read(p []byte) (int, error) {
	for len(a.rest) == 0 {
		if a.now.err != nil {
			return 0, a.now.err
		}
		if a.now.buffer != nil {
			a.free <- a.now.buffer
		}
		a.now = <-a.parts
		a.rest = a.now.buffer[:a.now.n]
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// close ends the reading: the other reader is not used any more when it
// returns.
func (a *readAhead) close() {
	close(a.free)
	for range a.free { // of which the goroutine takes no more
	}
	for range a.parts { // until the goroutine has ended
	}
}
