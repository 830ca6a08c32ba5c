package prepare

import (
	"bytes"
	"io"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"
)

// A packer compresses as the pages of Parquet are.
type packer struct {
	codec format.CompressionCodec
	pack  func(t *testing.T, data []byte) []byte
}

var codecs = map[string]packer{
	"gzip":   {format.Gzip, packTo(func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil })},
	"zstd":   {format.Zstd, packTo(func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) })},
	"brotli": {format.Brotli, packTo(func(w io.Writer) (io.WriteCloser, error) { return brotli.NewWriter(w), nil })},
	"snappy": {format.Snappy, func(_ *testing.T, data []byte) []byte { return snappy.Encode(nil, data) }},
	"lz4": {format.Lz4Raw, func(t *testing.T, data []byte) []byte {
		packed := make([]byte, lz4.CompressBlockBound(len(data)))
		n, err := lz4.CompressBlock(data, packed, nil)
		if err != nil {
			t.Fatal(err)
		}
		return packed[:n]
	}},
}

func packTo(open func(io.Writer) (io.WriteCloser, error)) func(*testing.T, []byte) []byte {
	return func(t *testing.T, data []byte) []byte {
		var b bytes.Buffer
		w, err := open(&b)
		if err == nil {
			_, err = w.Write(data)
		}
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
}
