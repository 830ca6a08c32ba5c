package corpus

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// maxZstdWindow is how much earlier output a zstd file may make the decoder
// keep in memory. It is the limit of the zstd program as well.
const maxZstdWindow = 128 << 20

// input counts the bytes of a file and remembers the error that reading it
// failed with.
type input struct {
	r   io.Reader
	n   int64
	err error
}

func (f *input) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	f.n += int64(n)
	if err != nil && err != io.EOF {
		f.err = err
	}
	return n, err
}

// damage says what an error of decompressing the file means.
func (f *input) damage(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("the compressed data are cut short after %d bytes: %w", f.n, err)
	}
	return fmt.Errorf("the compressed data are damaged: %w", err)
}

// decompress returns the content of a file that is plain or compressed with
// gzip or zstd.
func decompress(r io.Reader) (io.ReadCloser, error) {
	b := bufio.NewReaderSize(r, 1<<16)
	head, err := b.Peek(4)
	if err != nil && err != io.EOF {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, err
		}
		z.Multistream(false)
		return &gzipMembers{z, b}, nil
	case isZstd(head):
		z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxZstdWindow))
		if err != nil {
			return nil, err
		}
		return z.IOReadCloser(), nil
	}
	return io.NopCloser(b), nil
}

// isZstd reports whether a file begins with a zstd frame or with a skippable
// frame, as pzstd writes one first (RFC 8878, sections 3.1.1 and 3.1.2).
func isZstd(head []byte) bool {
	return bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}) ||
		len(head) == 4 && head[0]&0xf0 == 0x50 && bytes.Equal(head[1:], []byte{0x2a, 0x4d, 0x18})
}

// gzipMembers reads the members of a gzip file as one text (RFC 1952, section
// 2.2). As in the gzip program, zeros may follow a member: tapes and some
// archives pad to whole blocks.
type gzipMembers struct {
	z  *gzip.Reader // of one member
	in *bufio.Reader
}

func (g *gzipMembers) Close() error { return g.z.Close() }

func (g *gzipMembers) Read(p []byte) (int, error) {
	for {
		n, err := g.z.Read(p)
		if n > 0 || err != io.EOF {
			return n, ignoreEOF(err)
		}
		if err := g.nextMember(); err != nil {
			return 0, err
		}
	}
}

// ignoreEOF leaves the end of a member to the next Read.
func ignoreEOF(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

// nextMember returns io.EOF if there is none.
func (g *gzipMembers) nextMember() error {
	c, err := g.in.ReadByte()
	for err == nil && c == 0 {
		c, err = g.in.ReadByte()
	}
	if err != nil {
		return err
	}
	if err := g.in.UnreadByte(); err != nil {
		return err
	}
	if err := g.z.Reset(g.in); err != nil {
		if errors.Is(err, gzip.ErrHeader) {
			return fmt.Errorf("what follows a member is no member: %w", err)
		}
		return err
	}
	g.z.Multistream(false)
	return nil
}
