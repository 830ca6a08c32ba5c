package source

import (
	"bytes"
	"errors"
	"io"
	"sync/atomic"
	"testing"
	"testing/iotest"
)

// countingReader counts the reads, of which the last one fails.
type countingReader struct {
	reads atomic.Int64
	most  int64
}

func (r *countingReader) Read(p []byte) (int, error) {
	n := r.reads.Add(1)
	if n > r.most {
		return 0, io.ErrClosedPipe
	}
	return copy(p, []byte{byte(n)}), nil
}

func TestReadAhead(t *testing.T) {
	data := bytes.Repeat([]byte(english), 10000)
	for _, r := range []io.Reader{
		bytes.NewReader(data), iotest.DataErrReader(bytes.NewReader(data)), iotest.HalfReader(bytes.NewReader(data)),
	} {
		a := newReadAhead(r)
		if err := iotest.TestReader(a, data); err != nil {
			t.Error(err)
		}
		a.close()
	}
	failing := &countingReader{most: 10}
	a := newReadAhead(failing)
	got, err := io.ReadAll(a)
	if len(got) != 10 || err != io.ErrClosedPipe {
		t.Errorf("%d bytes, error %v", len(got), err)
	}
	if _, again := a.Read(make([]byte, 1)); !errors.Is(again, io.ErrClosedPipe) || failing.reads.Load() != 11 {
		t.Errorf("again: error %v after %d reads", again, failing.reads.Load())
	}
	a.close()
	// It reads no further than its buffers, and nothing once it is closed.
	endless := &countingReader{most: 1 << 60}
	a = newReadAhead(endless)
	if _, err := io.ReadFull(a, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	a.close()
	reads := endless.reads.Load()
	if reads < 5 || reads > 5+aheadBuffers {
		t.Errorf("%d reads for 5 bytes", reads)
	}
	if again := endless.reads.Load(); again != reads {
		t.Errorf("%d reads after %d", again, reads)
	}
}
