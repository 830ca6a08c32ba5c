package source

import (
	"bufio"
	"bytes"
	"io"
)

// windowBytes is how far a tape can be rewound. A decompressor notices damage
// at the end of a block: those of bzip2 have up to 900 kB, and those of gzip
// that are no longer deflate end sooner.
const windowBytes = 2 << 20

// A tape is a stream of bytes that counts them, and that can be rewound a
// little.
type tape struct {
	r      io.Reader
	n      int64  // bytes given
	window []byte // the last of them, and those that are given again
	pos    int    // of the next byte in the window
	keep   int64  // what is before this offset is not given again
	failed error  // of r, other than the end
}

func (t *tape) Read(p []byte) (n int, err error) {
	if t.pos < len(t.window) {
		n = copy(p, t.window[t.pos:])
	} else {
		if n, err = t.r.Read(p); err != nil && err != io.EOF {
			t.failed = err
		}
		have, full := len(t.window), len(t.window)+n > 2*windowBytes
		old := int(min(max(t.keep-t.n+int64(have), 0), int64(have)))
		if full {
			old = max(old, have-windowBytes)
		}
		if full || 2*old >= have { // more often, it would be moved all the time
			t.window = t.window[:copy(t.window, t.window[old:])]
			t.pos = len(t.window)
		}
		t.window = append(t.window, p[:n]...)
	}
	t.pos += n
	t.n += int64(n)
	return n, err
}

// rewind goes back to an offset, or as far as is possible.
func (t *tape) rewind(offset int64) {
	back := min(int64(t.pos), t.n-offset)
	t.pos -= int(back)
	t.n -= back
}

// tapeReader reads a tape through a buffer.
type tapeReader struct {
	*bufio.Reader
	tape tape
}

func newTapeReader(r io.Reader) *tapeReader {
	t := &tapeReader{tape: tape{r: r}}
	t.Reader = bufio.NewReaderSize(&t.tape, 1<<16)
	return t
}

// offset returns how many bytes were read.
func (t *tapeReader) offset() int64 { return t.tape.n - int64(t.Buffered()) }

// find goes to the first place from offset on, or as near to that as is
// possible, where bytes begin with mark and starts is true for them and the
// next ones, headBytes together. It goes to the end of the file if there is no
// such place.
func (t *tapeReader) find(offset int64, mark []byte, starts func(head []byte) bool) error {
	t.tape.rewind(offset)
	t.Reset(&t.tape)
	for {
		head, err := t.Peek(t.Size())
		if len(head) == 0 {
			return ignoreEOF(err)
		}
		i := 0
		for {
			k := bytes.Index(head[i:], mark)
			if k < 0 {
				i = max(i, len(head)-len(mark)+1)
				break
			}
			if i += k; len(head)-i < headBytes && err == nil {
				break // of the rest nothing is known yet
			}
			if starts(head[i:min(len(head), i+headBytes)]) {
				t.Discard(i)
				return nil
			}
			i++
		}
		if err != nil {
			t.Discard(len(head)) // what was peeked at is there
			return ignoreEOF(err)
		}
		t.Discard(i)
	}
}

func ignoreEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

// headBytes is how many bytes tell whether something starts.
const headBytes = 1 << 10
