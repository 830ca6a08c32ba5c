package corpus

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// skippable returns a skippable zstd frame (RFC 8878, section 3.1.2).
func skippable(kind uint32, content string) []byte {
	frame := binary.LittleEndian.AppendUint32(nil, 0x184D2A50+kind)
	frame = binary.LittleEndian.AppendUint32(frame, uint32(len(content)))
	return append(frame, content...)
}

func documentLine(i int) []byte {
	return fmt.Appendf(nil, `{"id": "%d", "lang": "en", "text": "x"}`+"\n", i)
}

// readAll returns the number of documents that a file holds.
func readAll(t *testing.T, data []byte) (documents int, err error) {
	t.Helper()
	for _, r := range []io.Reader{bytes.NewReader(data), iotest.OneByteReader(bytes.NewReader(data))} {
		var stats ReadStats
		stats, err = ReadFrom("f", r, ReadOptions{}, func(doc Document) error { return nil })
		documents = stats.Documents
	}
	return documents, err
}

// What gzip and zstd files may consist of, and what `gzip -dc` and `zstd -dc`
// make of it.
func TestContainers(t *testing.T) {
	gz := func(i int) []byte { return compressions["gzip"](t, documentLine(i)) }
	zst := func(i int) []byte { return compressions["zstd"](t, documentLine(i)) }
	noGzip, noZstd := compressions["gzip"](t, nil), compressions["zstd"](t, nil)
	zeros := make([]byte, 100_000)
	for name, c := range map[string]struct {
		data      []byte
		documents int
	}{
		"members":                  {slices.Concat(gz(0), gz(1), gz(2)), 3},
		"empty members":            {slices.Concat(noGzip, gz(0), noGzip, noGzip, gz(1), noGzip), 2},
		"an empty member":          {noGzip, 0},
		"zeros behind":             {slices.Concat(gz(0), zeros), 1},
		"zeros between":            {slices.Concat(gz(0), zeros[:1], gz(1), zeros, gz(2), zeros[:511]), 3},
		"zeros behind nothing":     {slices.Concat(noGzip, zeros[:512]), 0},
		"frames":                   {slices.Concat(zst(0), zst(1), zst(2)), 3},
		"an empty frame":           {noZstd, 0},
		"empty frames":             {slices.Concat(noZstd, zst(0), noZstd, zst(1), noZstd), 2},
		"a skippable frame":        {skippable(7, "content"), 0},
		"an empty skippable frame": {slices.Concat(skippable(0, ""), zst(0)), 1},
		"skippable frames": {slices.Concat(skippable(3, "1234"), skippable(4, "x"), zst(0), skippable(0, "5"),
			zst(1), skippable(15, "6")), 2},
		"a long skippable frame":     {slices.Concat(skippable(1, string(zeros)), zst(0)), 1},
		"frames that look like gzip": {slices.Concat(skippable(1, "\x1f\x8b"), zst(0)), 1},
	} {
		if n, err := readAll(t, c.data); err != nil || n != c.documents {
			t.Errorf("%s: %d documents, %v, want %d", name, n, err, c.documents)
		}
	}
	for kind := range uint32(16) {
		if n, err := readAll(t, slices.Concat(skippable(kind, "1234"), zst(0))); err != nil || n != 1 {
			t.Errorf("a skippable frame of kind %d: %d documents, %v", kind, n, err)
		}
	}

	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"text behind a member": {slices.Concat(gz(0), documentLine(1)), "what follows a member is no member"},
		"text behind zeros": {slices.Concat(gz(0), zeros[:9], documentLine(1)),
			"what follows a member is no member"},
		"a frame behind a member": {slices.Concat(gz(0), zst(1)), "what follows a member is no member"},
		"text behind a frame":     {slices.Concat(zst(0), documentLine(1)), "the compressed data are damaged"},
		"zeros behind a frame":    {slices.Concat(zst(0), zeros), "the compressed data are damaged"},
		"a member behind a frame": {slices.Concat(zst(0), gz(1)), "the compressed data are damaged"},
		"text behind a skipped frame": {slices.Concat(zst(0), skippable(0, "1"), documentLine(1)),
			"the compressed data are damaged"},
	} {
		n, err := readAll(t, c.data)
		var bad *LineError
		if n != 1 || !errors.As(err, &bad) || bad.Line != 2 || bad.Reason != Damaged ||
			!strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: after %d documents error %v, want one with %q after 1", name, n, err, c.want)
		}
	}
}

// A file that is cut anywhere but between two members or frames is an error
// that says so.
func TestCutContainers(t *testing.T) {
	for name, parts := range map[string][][]byte{
		"gzip": {compressions["gzip"](t, documentLine(0)), {0}, {0}, compressions["gzip"](t, documentLine(1))},
		"zstd": {
			skippable(0, "1234"), compressions["zstd"](t, documentLine(0)), skippable(9, "56"),
			compressions["zstd"](t, documentLine(1)),
		},
	} {
		data := slices.Concat(parts...)
		whole := map[int]bool{}
		at := 0
		for _, part := range parts {
			at += len(part)
			whole[at] = true
		}
		for n := 4; n < len(data); n++ {
			_, err := readAll(t, data[:n])
			if whole[n] {
				if err != nil {
					t.Errorf("%s: the first %d bytes are whole: %v", name, n, err)
				}
				continue
			}
			if want := fmt.Sprintf("the compressed data are cut short after %d bytes", n); err == nil ||
				!strings.Contains(err.Error(), want) {
				t.Errorf("%s: cut to %d of %d bytes: error %v, want one with %q", name, n, len(data), err, want)
			}
		}
	}
}
