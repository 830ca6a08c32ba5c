package safetensors

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// exampleTensors are the tensors that testdata/make.py writes.
func exampleTensors() []Tensor {
	matrix := make([]float32, 12)
	for i := range matrix {
		matrix[i] = float32(i-6) / 8
	}
	halves := []uint16{0x3c00, 0xc100, 0x7bff, 0x0001, 0x0400, 0xfc00, 0x8000}
	return []Tensor{
		Float32("matrix", []int{3, 4}, matrix),
		BFloat16("brain", []int{5}, []uint16{0x3f80, 0xc020, 0x7f62, 0x7f80, 0x8000}),
		{Name: "half", DType: F16, Shape: []int{7}, Data: littleEndian(halves)},
		Int32("counts", []int{2, 2}, []int32{1, -2, math.MaxInt32, math.MinInt32}),
		Int64("steps", []int{2}, []int64{1 << 62, -1}),
		Uint8("bytes", []int{3}, []uint8{0, 127, 255}),
		Float32("scalar", nil, []float32{2.5}),
		Float32("empty", []int{0, 7}, nil),
	}
}

var exampleMetadata = map[string]string{"format": "pt", "note": "Grüße <&>"}

func checkExample(t *testing.T, f *File) {
	t.Helper()
	want := exampleTensors()
	if got := f.Names(); len(got) != len(want) {
		t.Errorf("names %v, want %d of them", got, len(want))
	}
	for _, w := range want {
		g, ok := f.Tensor(w.Name)
		if !ok {
			t.Errorf("no tensor %q", w.Name)
			continue
		}
		if g.Name != w.Name || g.DType != w.DType || !slices.Equal(g.Shape, w.Shape) || !bytes.Equal(g.Data, w.Data) {
			t.Errorf("tensor %q = %v, want %v", w.Name, g, w)
		}
	}
	if !maps.Equal(f.Metadata(), exampleMetadata) {
		t.Errorf("metadata %q, want %q", f.Metadata(), exampleMetadata)
	}
	for name, want := range map[string][]float32{
		"scalar": {2.5},
		"brain":  {1, -2.5, math.Float32frombits(0x7f62 << 16), float32(math.Inf(1)), float32(math.Copysign(0, -1))},
		"half":   {1, -2.5, 65504, 0x1p-24, 0x1p-14, float32(math.Inf(-1)), float32(math.Copysign(0, -1))},
	} {
		got, err := f.Float32s(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if !slices.EqualFunc(got, want, func(a, b float32) bool { return math.Float32bits(a) == math.Float32bits(b) }) {
			t.Errorf("%s = %v, want %v", name, got, want)
		}
	}
	if got, err := f.Int32s("counts"); err != nil || !slices.Equal(got, []int32{1, -2, math.MaxInt32, math.MinInt32}) {
		t.Errorf("counts = %v, %v", got, err)
	}
	if got, err := f.Int64s("steps"); err != nil || !slices.Equal(got, []int64{1 << 62, -1}) {
		t.Errorf("steps = %v, %v", got, err)
	}
}

func writeFile(t *testing.T, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func open(t *testing.T, path string) *File {
	t.Helper()
	f, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

func TestReadReferenceFile(t *testing.T) {
	checkExample(t, open(t, filepath.Join("testdata", "reference.safetensors")))
}

func TestRoundTrip(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, exampleTensors(), exampleMetadata); err != nil {
		t.Fatal(err)
	}
	f := open(t, writeFile(t, b.Bytes()))
	checkExample(t, f)
	if n := binary.LittleEndian.Uint64(b.Bytes()); n%8 != 0 {
		t.Errorf("header of %d bytes leaves the data section unaligned", n)
	}
	if got, want := f.Names(), []string{"steps", "counts", "empty", "matrix", "scalar", "brain", "half",
		"bytes"}; !slices.Equal(got, want) {
		t.Errorf("order %v, want %v", got, want)
	}

	reversed := exampleTensors()
	slices.Reverse(reversed)
	var c bytes.Buffer
	if err := Write(&c, reversed, exampleMetadata); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(b.Bytes(), c.Bytes()) {
		t.Error("the file depends on the order of the tensors")
	}
}

// Tensors that are written when it is their turn give the same file.
func TestWriteWith(t *testing.T) {
	var want, got bytes.Buffer
	if err := Write(&want, exampleTensors(), exampleMetadata); err != nil {
		t.Fatal(err)
	}
	var tensors []Tensor
	data := map[string][]byte{}
	for _, x := range exampleTensors() {
		if data[x.Name] = x.Data; x.Name != "half" {
			x.Data = nil
		}
		tensors = append(tensors, x)
	}
	var turns []string
	err := WriteWith(&got, tensors, exampleMetadata, func(w io.Writer, x Tensor) error {
		turns = append(turns, x.Name)
		_, err := w.Write(data[x.Name])
		return err
	})
	if err != nil || !bytes.Equal(got.Bytes(), want.Bytes()) {
		t.Errorf("another file, error %v", err)
	}
	if want := []string{"steps", "counts", "empty", "matrix", "scalar", "brain", "bytes"}; !slices.Equal(turns, want) {
		t.Errorf("turns %v, want %v", turns, want)
	}
	for _, c := range []struct {
		data func(w io.Writer, x Tensor) error
		want string
	}{
		{func(w io.Writer, x Tensor) error { return nil },
			`safetensors: write tensor "steps": 0 bytes were written, but shape [2] of I64 needs 16`},
		{func(w io.Writer, x Tensor) error { return errors.New("gone") }, `safetensors: write tensor "steps": gone`},
	} {
		if err := WriteWith(io.Discard, tensors, nil, c.data); err == nil || err.Error() != c.want {
			t.Errorf("error %v, want %s", err, c.want)
		}
	}
}

func TestWriteNothing(t *testing.T) {
	var b bytes.Buffer
	if err := Write(&b, nil, nil); err != nil {
		t.Fatal(err)
	}
	f := open(t, writeFile(t, b.Bytes()))
	if len(f.Names()) != 0 || f.Metadata() != nil {
		t.Errorf("read %v, %v from an empty file", f.Names(), f.Metadata())
	}
}

// TestHalf compares every binary16 value with its definition in float64.
func TestHalf(t *testing.T) {
	for h := range 1 << 16 {
		sign, exponent, fraction := 1-2*float64(h>>15), h>>10&31, float64(h&0x3ff)
		got := float64(halfToFloat(uint16(h)))
		var want float64
		switch {
		case exponent == 31 && fraction != 0:
			if !math.IsNaN(got) {
				t.Fatalf("%#04x = %g, want NaN", h, got)
			}
			continue
		case exponent == 31:
			want = math.Inf(int(sign))
		case exponent == 0:
			want = sign * math.Ldexp(fraction, -24)
		default:
			want = sign * math.Ldexp(1024+fraction, exponent-25)
		}
		if got != want || math.Signbit(got) != (sign < 0) {
			t.Fatalf("%#04x = %g, want %g", h, got, want)
		}
	}
}

func TestUnalignedData(t *testing.T) {
	header := `{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},` +
		`"b":{"dtype":"F32","shape":[2],"data_offsets":[1,9]},"c":{"dtype":"I64","shape":[1],"data_offsets":[9,17]}}`
	file := rawFile(header, 17)
	binary.LittleEndian.PutUint32(file[len(file)-16:], math.Float32bits(1.5))
	binary.LittleEndian.PutUint32(file[len(file)-12:], math.Float32bits(-3))
	binary.LittleEndian.PutUint64(file[len(file)-8:], 77)
	f := open(t, writeFile(t, file))
	if got, err := f.Float32s("b"); err != nil || !slices.Equal(got, []float32{1.5, -3}) {
		t.Errorf("b = %v, %v", got, err)
	}
	if got, err := f.Int64s("c"); err != nil || !slices.Equal(got, []int64{77}) {
		t.Errorf("c = %v, %v", got, err)
	}
}

// TestByteOrder runs the path of big-endian machines on little-endian data:
// reversing each element twice must give it back.
func TestByteOrder(t *testing.T) {
	native := hostIsLittleEndian
	defer func() { hostIsLittleEndian = native }()
	hostIsLittleEndian = !native
	want := []int32{1, -2, 0x01020304}
	x := Int32("x", []int{3}, want)
	if got, err := x.Int32s(); err != nil || !slices.Equal(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	if last := []byte{1, 2, 3, 4}; native && !bytes.Equal(x.Data[8:], last) {
		t.Errorf("last element is stored as % x, want % x", x.Data[8:], last)
	}
	if want[2] != 0x01020304 {
		t.Error("the caller's data was changed")
	}
}

func TestAccessErrors(t *testing.T) {
	path := filepath.Join("testdata", "reference.safetensors")
	f := open(t, path)
	for _, c := range []struct {
		err  error
		want string
	}{
		{second(f.Float32s("nothing")), `no tensor "nothing"`},
		{second(f.Float32s("counts")), `tensor "counts" has type I32, want F32, BF16, F16, F64, F8_E4M3, F8_E5M2 or BOOL`},
		{second(f.Int32s("steps")), `tensor "steps" has type I64, want I32`},
		{second(f.Int64s("matrix")), `tensor "matrix" has type F32, want I64`},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) || !strings.Contains(c.err.Error(), path) {
			t.Errorf("error %v, want %s: %s", c.err, path, c.want)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestOpenErrors(t *testing.T) {
	if _, err := Open(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	if _, err := Open(t.TempDir()); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("directory: %v", err)
	}
	for n := range 8 {
		if _, err := Open(writeFile(t, make([]byte, n))); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

// TestTruncation cuts the reference file at every length.
func TestTruncation(t *testing.T) {
	whole, err := os.ReadFile(filepath.Join("testdata", "reference.safetensors"))
	if err != nil {
		t.Fatal(err)
	}
	for n := range whole {
		if err := new(File).parse(whole[:n]); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("first %d of %d bytes: %v", n, len(whole), err)
		}
	}
	if err := new(File).parse(append(whole, 0)); err == nil {
		t.Error("a byte too many was accepted")
	}
}

// rawFile returns a file with the given header and zeros as data.
func rawFile(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, data)...)
}

func TestHostileHeaders(t *testing.T) {
	one := func(dtype, shape, offsets string) string {
		return fmt.Sprintf(`{"w":{"dtype":%s,"shape":%s,"data_offsets":%s}}`, dtype, shape, offsets)
	}
	for _, c := range []struct {
		header string
		want   string
	}{
		{``, "not a JSON object"},
		{` {}`, "not a JSON object"},
		{`[]`, "not a JSON object"},
		{`{"w"}`, "invalid character"},
		{`{1:2}`, "must be a string"},
		{`{"w":{},}`, `tensor "w": no dtype`},
		{`{"w":1}`, `tensor "w": found 1 instead of an object`},
		{`{} x`, "after the JSON object"},
		{"{\"\xff\":{}}", "UTF-8"},
		{`{"__metadata__":{"a":1}}`, `__metadata__: "a" is not a string`},
		{`{"__metadata__":{"a":"","a":""}}`, `"a" occurs twice`},
		{`{"__metadata__":{},"__metadata__":{}}`, `"__metadata__" occurs twice`},
		{`{"w":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"w":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}}`,
			`"w" occurs twice`},
		{`{"w":{"dtype":"U8","dtype":"U8","shape":[8],"data_offsets":[0,8]}}`, `"dtype" occurs twice`},
		{`{"w":{"DType":"U8","shape":[8],"data_offsets":[0,8]}}`, `tensor "w": no dtype`},
		{`{"w":{"dtype":"U8","SHAPE":[8],"data_offsets":[0,8]}}`, `tensor "w": no shape`},
		{`{"w":{"dtype":null,"shape":[8],"data_offsets":[0,8]}}`, `tensor "w": no dtype`},
		{`{"w":{"dtype":"U8","shape":[8],"data_offsets":null}}`, `tensor "w": no data_offsets`},
		{`{"w":{"dtype":"U8","shape":[8],"shape":[8],"data_offsets":[0,8]}}`, `"shape" occurs twice`},
		{`{"w":{"dtype":"U8","shape":[8],"data_offsets":[0,8],"data_offsets":[0,8]}}`, `"data_offsets" occurs twice`},
		{`{"w":null}`, "the tensors take 0 bytes, but the data section has 8"},
		{`{"w":{"x":` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}}`,
			`tensor "w": jsontext: exceeded max depth`},
		{`{"__metadata__":{"a":null}}`, `"a" is not a string`},
		{`{"\ud800":{}}`, "invalid surrogate"},
		{`{"w":{"shape":[8],"data_offsets":[0,8]}}`, "no dtype"},
		{`{"w":{"dtype":"U8","data_offsets":[0,8]}}`, "no shape"},
		{`{"w":{"dtype":"U8","shape":[8]}}`, "data_offsets"},
		{one(`"F31"`, `[2]`, `[0,9]`), "exceed the data section of 8 bytes"},
		{one(`"F31"`, `[2]`, `[8,0]`), "reversed"},
		{one(`"F31"`, `[2]`, `[4,8]`), "leave a hole from 0"},
		{one(`"F31"`, `[2]`, `[0,4]`), "the tensors take 4 bytes, but the data section has 8"},
		{one(`7`, `[2]`, `[0,8]`), `tensor "w"`},
		{one(`"F32"`, `null`, `[0,8]`), "no shape"},
		{one(`"F32"`, `[null]`, `[0,8]`), "shape: null is not an integer"},
		{one(`"F32"`, `{}`, `[0,8]`), "shape: found { instead of an array"},
		{one(`"U8"`, `[`+strings.Repeat("1,", 64)+`8]`, `[0,8]`), "more than 64 dimensions"},
		{one(`"F32"`, `[-2]`, `[0,8]`), "-2"},
		{one(`"F32"`, `[2.5]`, `[0,8]`), "2.5"},
		{one(`"F32"`, `[1e1]`, `[0,8]`), "1e1"},
		{one(`"F32"`, `[9223372036854775808]`, `[0,8]`), "dimension 0"},
		{one(`"F32"`, `[18446744073709551616]`, `[0,8]`), "18446744073709551616"},
		{one(`"F32"`, `[4294967296,4294967296,4294967296]`, `[0,8]`), "overflows"},
		{one(`"F32"`, `[4611686018427387904]`, `[0,0]`), "overflows"},
		{one(`"F32"`, `[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,3]`, `[0,8]`), "and 3 more]"},
		{one(`"F32"`, `[2]`, `[0]`), "data_offsets"},
		{one(`"F32"`, `[2]`, `[0,8,8]`), "data_offsets"},
		{one(`"F32"`, `[2]`, `[0,null]`), "data_offsets"},
		{one(`"F32"`, `[2]`, `[8,0]`), "reversed"},
		{one(`"F32"`, `[4]`, `[0,16]`), "exceed the data section of 8 bytes"},
		{one(`"F32"`, `[2]`, `[18446744073709551608,18446744073709551615]`), "exceed"},
		{one(`"F32"`, `[3]`, `[0,8]`), "needs 12"},
		{one(`"F16"`, `[2]`, `[0,8]`), "needs 4"},
		{one(`"F32"`, `[1]`, `[4,8]`), "leave a hole from 0"},
		{one(`"F32"`, `[1]`, `[0,4]`), "the tensors take 4 bytes, but the data section has 8"},
		{`{"v":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}`,
			`tensor "w": data offsets [4 8] overlap`},
		{`{"v":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"w":{"dtype":"U8","shape":[5],"data_offsets":[3,8]}}`,
			`tensor "w": data offsets [3 8] leave a hole from 2`},
	} {
		path := writeFile(t, rawFile(c.header, 8))
		f, err := Open(path)
		if err == nil {
			f.Close()
			t.Errorf("%s: accepted", c.header)
			continue
		}
		if !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: error %q does not hold %q and the path", c.header, err, c.want)
		}
	}
	long := rawFile(`{"`+strings.Repeat("x", 1<<16)+`":{"dtype":"U8","shape":[8],"data_offsets":[0,9]}}`, 8)
	if err := new(File).parse(long); err == nil || len(err.Error()) > 1000 {
		t.Errorf("a name of 64 KiB: error of %d bytes", len(err.Error()))
	}
	huge := rawFile(`{}`, 0)
	binary.LittleEndian.PutUint64(huge, math.MaxUint64)
	if err := new(File).parse(huge); err == nil || !strings.Contains(err.Error(), "exceeds the format's limit") {
		t.Errorf("huge header length: %v", err)
	}
}

// TestNewerFiles reads files of newer versions of the format, and what other
// programs add to a header: the tensor w can be read.
func TestNewerFiles(t *testing.T) {
	const w = `"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}`
	for _, c := range []struct {
		header string
		data   int
		other  string // name of another tensor
	}{
		{`{` + w + `,"s":{"dtype":"F8_E8M0","shape":[3],"data_offsets":[8,11]}}`, 11, "s"},
		{`{"c":{"dtype":"C64","shape":[2],"data_offsets":[8,24]},` + w + `}`, 24, "c"},
		{`{` + w + `,"f":{"dtype":"F4","shape":[2,4],"data_offsets":[8,12]}}`, 12, "f"}, // half a byte an element
		{`{` + w + `,"q":{"dtype":"Q\u0034","shape":[9223372036854775807,2],"data_offsets":[8,8]}}`,
			8, "q"},
		{`{` + w + `,"n":null}`, 8, ""},
		{`{"__metadata__":null,` + w + `}`, 8, ""},
		{`{"w":{"dtype":"F32","DTYPE":"I64","order":{"dtype":[null,{"a":"b"}]},"shape":[2],"data_offsets":[0,8],"x":null}}`,
			8, ""},
	} {
		file := rawFile(c.header, c.data)
		data := file[len(file)-c.data:]
		binary.LittleEndian.PutUint32(data, math.Float32bits(1.5))
		binary.LittleEndian.PutUint32(data[4:], math.Float32bits(-2))
		f := open(t, writeFile(t, file))
		if got, err := f.Float32s("w"); err != nil || !slices.Equal(got, []float32{1.5, -2}) {
			t.Errorf("%s: w = %v, %v", c.header, got, err)
		}
		want := []string{"w"}
		if c.other != "" {
			want = append(want, c.other)
			x, ok := f.Tensor(c.other)
			if !ok || x.DType == "" || len(x.Data) != c.data-8 {
				t.Errorf("%s: tensor %v", c.header, x)
			}
			if _, err := f.Float32s(c.other); err == nil ||
				!strings.Contains(err.Error(), fmt.Sprintf("tensor %q has type %s", c.other, x.DType)) {
				t.Errorf("%s: reading it: %v", c.header, err)
			}
		}
		if got := f.Names(); !slices.Equal(got, want) {
			t.Errorf("%s: names %v, want %v", c.header, got, want)
		}
	}
}

// TestHostileMemory bounds what parsing allocates by the length of the header.
func TestHostileMemory(t *testing.T) {
	const n = 1 << 21
	many := func(before, item, after string) string {
		return before + strings.Repeat(item, n/len(item)) + after
	}
	numbered := func(before, format, after string) string {
		b := []byte(before)
		for i := 0; len(b) < n; i++ {
			b = fmt.Appendf(b, format, i)
		}
		return string(b) + after
	}
	entry := `"dtype":"U8","shape":[0],"data_offsets":[0,0]`
	for name, header := range map[string]string{
		"tensors":      numbered(`{`, `"%x":{`+entry+`},`, `"w":{`+entry+`}}`),
		"shape":        many(`{"w":{"dtype":"U8","shape":[`, `1,`, `1],"data_offsets":[0,0]}}`),
		"offsets":      many(`{"w":{"dtype":"U8","shape":[1],"data_offsets":[`, `1,`, `1]}}`),
		"name":         many(`{"`, `\n`, `":{`+entry+`}}`),
		"type":         many(`{"w":{"dtype":"`, `x`, `","shape":[0],"data_offsets":[0,0]}}`),
		"metadata":     numbered(`{"__metadata__":{`, `"%x":"",`, `"w":""}}`),
		"false counts": many(`{"w":{"x":[`, `"data_offsets",`, `0],`+entry+`}}`),
		"deep arrays":  many(`{"w":{"x":`, `[`, ``),
		"deep objects": many(`{"w":{"x":`, `{"":`, ``),
		"unknown":      many(`{"w":{"x":[`, `{},`, `{}],`+entry+`}}`),
		"members":      numbered(`{"w":{`, `"%x":0,`, entry+`}}`),
		"nulls":        many(`{`, `"":null,`, `"w":{`+entry+`}}`),
	} {
		file := rawFile(header, 0)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_ = new(File).parse(file)
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; got > uint64(12*len(header)) {
			t.Errorf("%s: %d bytes are allocated for a header of %d", name, got, len(header))
		}
	}
}

func TestWriteErrors(t *testing.T) {
	for _, c := range []struct {
		tensors  []Tensor
		metadata map[string]string
		want     string
	}{
		{[]Tensor{Float32("w", []int{2, 3}, make([]float32, 5))}, nil,
			`tensor "w": 20 bytes of data, but shape [2 3] of F32 needs 24`},
		{[]Tensor{Float32("w", nil, nil), Float32("w", nil, nil)}, nil, `tensor "w": 0 bytes`},
		{[]Tensor{Uint8("w", []int{0}, nil), Uint8("w", []int{0}, nil)}, nil, `two tensors are named "w"`},
		{[]Tensor{Uint8("w", []int{-1}, nil)}, nil, "negative dimension"},
		{[]Tensor{Uint8("w", []int{math.MaxInt, math.MaxInt}, nil)}, nil, "overflows"},
		{[]Tensor{{Name: "w", DType: "complex"}}, nil, `unknown type "complex"`},
		{[]Tensor{Uint8("__metadata__", []int{0}, nil)}, nil, "reserved"},
		{[]Tensor{Uint8("\xff", []int{0}, nil)}, nil, "UTF-8"},
		{nil, map[string]string{"a": "\xff"}, "UTF-8"},
	} {
		var b bytes.Buffer
		if err := Write(&b, c.tensors, c.metadata); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %s", err, c.want)
		}
		if b.Len() > 0 {
			t.Errorf("%s: %d bytes were written", c.want, b.Len())
		}
	}
}

// A limitedWriter fails after some bytes.
type limitedWriter int

func (w *limitedWriter) Write(p []byte) (int, error) {
	if len(p) > int(*w) {
		return 0, io.ErrShortWrite
	}
	*w -= limitedWriter(len(p))
	return len(p), nil
}

func TestWriterFails(t *testing.T) {
	var whole bytes.Buffer
	if err := Write(&whole, exampleTensors(), nil); err != nil {
		t.Fatal(err)
	}
	for n := range whole.Len() {
		w := limitedWriter(n)
		if err := Write(&w, exampleTensors(), nil); !errors.Is(err, io.ErrShortWrite) {
			t.Fatalf("writer that takes %d bytes: %v", n, err)
		}
	}
}

// TestWriteDoesNotCopy bounds what writing a large tensor allocates.
func TestWriteDoesNotCopy(t *testing.T) {
	tensors := []Tensor{Float32("w", []int{1 << 20}, make([]float32, 1<<20))}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := Write(io.Discard, tensors, nil); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 1<<16 {
		t.Errorf("writing a tensor of 4 MiB allocates %d bytes", n)
	}
}

func FuzzParse(f *testing.F) {
	reference, err := os.ReadFile(filepath.Join("testdata", "reference.safetensors"))
	if err != nil {
		f.Fatal(err)
	}
	header := reference[8 : 8+binary.LittleEndian.Uint64(reference)]
	f.Add(header, len(reference)-8-len(header))
	f.Add([]byte(`{"w":{"dtype":"U8","shape":[2,3],"data_offsets":[0,6]}}`), 6)
	f.Add([]byte(`{"w":{"dtype":"F32","shape":[4294967296,4294967296,0],"data_offsets":[0,0]}}`), 0)
	f.Fuzz(func(t *testing.T, header []byte, data int) {
		if data < 0 || data > 1<<12 {
			return
		}
		var got File
		if err := got.parse(rawFile(string(header), data)); err != nil {
			return
		}
		got.tensors = slices.DeleteFunc(got.tensors,
			func(x Tensor) bool { return x.DType.Size() == 0 }) // cannot be written
		var again bytes.Buffer
		if err := Write(&again, got.tensors, got.metadata); err != nil {
			t.Fatalf("accepted %q, but cannot write it: %v", header, err)
		}
		var reread File
		if err := reread.parse(again.Bytes()); err != nil {
			t.Fatalf("%q: written file: %v", header, err)
		}
		for _, x := range got.tensors {
			y, ok := reread.Tensor(x.Name)
			if !ok || x.DType != y.DType || !slices.Equal(x.Shape, y.Shape) || !bytes.Equal(x.Data, y.Data) {
				t.Fatalf("%q: tensor %q changed from %v to %v", header, x.Name, x, y)
			}
		}
	})
}
