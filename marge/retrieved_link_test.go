package marge

import (
	"encoding/binary"
	"slices"
	"testing"

	"github.com/marge-go/marge/marge/index"
)

// What another rank tells of its links is read whole, or is an error.
func FuzzDecodeLinks(f *testing.F) {
	l := shardLinks{pairs: []index.Pair{{Target: 1, Evidence: 2, Score: 0.5}, {Target: 3, Evidence: -1, Score: -2}}}
	encoded := l.encode(nil)
	f.Add(encoded)
	f.Add(encoded[:len(encoded)-1])
	f.Add(l.encode([]byte{0, 0, 0, 0}))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 1})
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, data []byte) {
		var l shardLinks
		rest, err := l.decode(data)
		whole := len(data) >= 4 && int64(len(data)-4) >= 12*int64(binary.LittleEndian.Uint32(data))
		if (err == nil) != whole {
			t.Fatalf("%d bytes: error %v", len(data), err)
		}
		if err == nil && !slices.Equal(append(l.encode(nil), rest...), data) {
			t.Fatalf("%v and %d bytes are %v", l.pairs, len(rest), data)
		}
	})
}
