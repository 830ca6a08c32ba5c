package source

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"
)

// TestTape rewinds a tape, as far back as it must be possible.
func TestTape(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, 10*windowBytes)
	for i := range data {
		data[i] = byte(rng.Uint32())
	}
	for _, c := range []struct {
		kept int64 // how far behind what was read
		most int   // bytes of memory
	}{{0, 1 << 18}, {100, 1 << 18}, {1 << 18, 1 << 21}, {windowBytes, 3 * windowBytes}, {1 << 60, 3 * windowBytes}} {
		tape := &tape{r: bytes.NewReader(data)}
		p, most := make([]byte, 1<<16), int64(0)
		for tape.n < int64(len(data)) {
			if rng.IntN(100) == 0 {
				to := min(tape.n, max(0, tape.keep, most-windowBytes))
				if tape.rewind(to); tape.n != to {
					t.Fatalf("%d bytes kept: rewound to %d, want %d", c.kept, tape.n, to)
				}
			}
			from := tape.n
			n, err := tape.Read(p[:1+rng.IntN(len(p))])
			if err != nil || !bytes.Equal(p[:n], data[from:from+int64(n)]) || tape.n != from+int64(n) {
				t.Fatalf("%d bytes kept: %d bytes at %d, error %v", c.kept, n, from, err)
			}
			most = max(most, tape.n)
			tape.keep = max(0, most-c.kept)
		}
		if _, err := tape.Read(p); err != io.EOF || cap(tape.window) > c.most {
			t.Errorf("%d bytes kept: room for %d, want at most %d, error %v", c.kept, cap(tape.window), c.most, err)
		}
	}
}
