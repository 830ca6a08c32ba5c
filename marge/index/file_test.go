package index

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/asm"
)

func testFlat(n, dim int, records bool) *Flat {
	r := rand.New(rand.NewPCG(20, uint64(n*dim)))
	f := NewFlat(dim)
	err := f.Add(gaussian(r, n/3, dim))
	for i := n / 3; i < n && err == nil; i++ {
		if v := gaussian(r, 1, dim); records && i%3 > 0 {
			err = f.AddRecords(v, [][]byte{bytes.Repeat([]byte{byte(i)}, i%7)})
		} else {
			err = f.Add(v)
		}
	}
	if err != nil {
		panic(err)
	}
	f.Origin[n%32] = byte(dim)
	return f
}

// saved returns the path and the content of the file of an index.
func saved(t testing.TB, f *Flat) (path string, data []byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "flat.index")
	if err := f.Save(path); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, data
}

func wantEqual(t testing.TB, got, want *Flat) {
	t.Helper()
	if got.Dim() != want.Dim() || !reflect.DeepEqual(got.stored, want.stored) {
		t.Fatalf("%d vectors of dimension %d differ from the %d of dimension %d", got.Len(), got.Dim(), want.Len(),
			want.Dim())
	}
	for i := range want.Len() {
		if !bytes.Equal(got.Record(i), want.Record(i)) {
			t.Fatalf("record %d is %q, want %q", i, got.Record(i), want.Record(i))
		}
	}
}

func TestSaveAndOpen(t *testing.T) {
	for _, n := range []int{0, 1, 2, 5, 100, writeValues + 1} {
		for _, dim := range []int{1, 3} {
			for _, records := range []bool{false, true} {
				f := testFlat(n, dim, records)
				path, _ := saved(t, f)
				opened, err := OpenFlat(path)
				if err != nil {
					t.Fatal(err)
				}
				wantEqual(t, opened, f)
				if err := opened.Verify(); err != nil {
					t.Error(err)
				}
				query := gaussian(rand.New(rand.NewPCG(1, 1)), 2, dim)
				ids, scores := mustSearch(t, f, asm.Serial, query, 3)
				openedIDs, openedScores := mustSearch(t, opened, asm.Serial, query, 3)
				if !slices.Equal(ids, openedIDs) || !slices.Equal(scores, openedScores) {
					t.Errorf("%d vectors: the opened index finds others", n)
				}
				// An opened index grows in memory and replaces its own file.
				if opened.Origin != f.Origin {
					t.Errorf("%d vectors: origin %x, want %x", n, opened.Origin, f.Origin)
				}
				for _, x := range []*Flat{f, opened} {
					if err := x.AddRecords(make([]float32, 2*dim), [][]byte{[]byte("one"), nil}); err != nil {
						t.Fatal(err)
					}
					mustAdd(t, x, make([]float32, dim))
				}
				wantEqual(t, opened, f)
				if err := opened.Save(path); err != nil {
					t.Fatal(err)
				}
				if err := opened.Close(); err != nil || opened.Len() != 0 {
					t.Errorf("close: %v, leaves %d vectors", err, opened.Len())
				}
				if opened, err = OpenFlat(path); err != nil {
					t.Fatal(err)
				}
				wantEqual(t, opened, f)
				if err := opened.Close(); err != nil {
					t.Error(err)
				}
			}
		}
	}
	mustPanic(t, "record 3 of 3", func() { testFlat(3, 1, true).Record(3) })
	mustPanic(t, "3 values for 2 records are not rows of dimension 2", func() {
		NewFlat(2).AddRecords(make([]float32, 3), make([][]byte, 2))
	})
}

// TestFormat has the bytes of a file: other programs and later versions read it.
func TestFormat(t *testing.T) {
	f := NewFlat(2)
	f.Origin = [32]byte([]byte("sixteen bytes of" + " another sixteen"))
	if err := f.AddRecords([]float32{1, -2, 0.5, 0}, [][]byte{[]byte("ab"), []byte("c")}); err != nil {
		t.Fatal(err)
	}
	_, data := saved(t, f)
	body := "\x00\x00\x80\x3f\x00\x00\x00\xc0\x00\x00\x00\x3f\x00\x00\x00\x00" +
		"\x02\x00\x00\x00\x00\x00\x00\x00\x03\x00\x00\x00\x00\x00\x00\x00" + "abc"
	sum := sha256.Sum256([]byte(body))
	sizes := "\x02\x00\x00\x00" + "\x02\x00\x00\x00\x00\x00\x00\x00" + "\x03\x00\x00\x00\x00\x00\x00\x00"
	file := func(version, origin string) string {
		head := "MARGEFLT" + version + "\x00\x00\x00" + sizes + string(sum[:]) + origin
		headSum := sha256.Sum256([]byte(head))
		return head + string(headSum[:]) + body
	}
	if want := file("\x02", string(f.Origin[:])); string(data) != want {
		t.Errorf("the file is\n%q, want\n%q", data, want)
	}
	old, err := decodeFlat([]byte(file("\x01", strings.Repeat("\x00", 32))))
	if err != nil {
		t.Fatal(err)
	}
	wantEqual(t, old, f)
	if old.Origin != [32]byte{} {
		t.Errorf("a file of version 1 has the origin %x", old.Origin)
	}
	unaligned := append([]byte{0}, data...)[1:]
	if !slices.Equal(numbers[float32](unaligned[headerSize:headerSize+16]), f.stored.f32) {
		t.Errorf("unaligned values read as %v", numbers[float32](unaligned[headerSize:headerSize+16]))
	}
}

// withHeader returns a file with a valid header of the given numbers.
func withHeader(dim uint32, count, recordBytes uint64, body string) []byte {
	h := header{dim: dim, count: count, recordBytes: recordBytes, sum: sha256.Sum256([]byte(body))}
	return append(h.encode(), body...)
}

func ends(e ...uint64) string {
	var b []byte
	for _, end := range e {
		b = binary.LittleEndian.AppendUint64(b, end)
	}
	return string(b)
}

func TestOpenDamaged(t *testing.T) {
	_, good := saved(t, testFlat(20, 3, true))
	changed := func(at int, b byte) []byte {
		data := slices.Clone(good)
		data[at] = b
		return data
	}
	cases := []struct {
		data []byte
		want string
	}{
		{nil, "has 0 bytes, too few for the header"},
		{[]byte("MARG"), "has 4 bytes, too few for the header"},
		{[]byte("PK\x03\x04 and so on"), `begins with "PK\x03\x04 and"`},
		{good[:headerSize-1], "has 127 bytes, too few"},
		{good[:len(good)-1], fmt.Sprintf("has %d bytes, but 20 vectors of dimension 3 and", len(good)-1)},
		{append(slices.Clone(good), 0), "bytes of records take"},
		{changed(8, 4), "has version 4 of the format, want 1 to 3"},
		{changed(8, 0), "has version 0 of the format"},
		{changed(12, 4), "the header does not match its checksum"},
		{changed(90, 4), "the header does not match its checksum"},
		{withHeader(0, 0, 0, ""), "0 vectors of dimension 0"},
		{withHeader(math.MaxUint32, 1, 0, ""), "dimension 4294967295"},
		{withHeader(4, 1<<62, 0, ""), "4611686018427387904 vectors"},
		{withHeader(1<<30, 1<<31-1, 0, ""), "take 9223372032559808640"},
		{withHeader(1<<31-1, 1<<31-1, math.MaxUint64, ""), "exceed any file"},
		{withHeader(1, 0, math.MaxUint64, ""), "exceed any file"},
		{withHeader(1, 2, 3, "12345678"+ends(4, 3)+"abc"), "record 0 goes from 0 to 4 of 3 bytes"},
		{withHeader(1, 2, 3, "12345678"+ends(2, 1)+"abc"), "record 1 goes from 2 to 1 of 3 bytes"},
		{withHeader(1, 2, 3, "12345678"+ends(1, 2)+"abc"), "last record ends at 2 of 3 bytes"},
		{withHeader(1, 0, 3, "abc"), "last record ends at 0 of 3 bytes"},
	}
	path := filepath.Join(t.TempDir(), "flat.index")
	for _, c := range cases {
		if err := os.WriteFile(path, c.data, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenFlat(path); err == nil || !strings.Contains(err.Error(), c.want) ||
			!strings.Contains(err.Error(), path) {
			t.Errorf("error %v, want one with %q and the path", err, c.want)
		}
	}
	if _, err := OpenFlat(filepath.Join(t.TempDir(), "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := OpenFlat(t.TempDir()); err == nil {
		t.Error("a directory opens")
	}
	for _, at := range []int{headerSize, len(good) - 1} {
		if err := os.WriteFile(path, changed(at, good[at]^1), 0o666); err != nil {
			t.Fatal(err)
		}
		f, err := OpenFlat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Verify(); err == nil ||
			!strings.Contains(err.Error(), path+": the vectors and records do not match their checksum") {
			t.Errorf("byte %d changed: verify: %v", at, err)
		}
		f.Close()
	}
}

// TestVerifyFinite has a file with a valid checksum and a vector that no Flat
// takes.
func TestVerifyFinite(t *testing.T) {
	f := testFlat(5, 2, false)
	f.stored.f32[7] = float32(math.NaN())
	path, _ := saved(t, f)
	opened, err := OpenFlat(path)
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	if err := opened.Verify(); err == nil ||
		!strings.Contains(err.Error(), path+": vector 3 has the value NaN at position 1") {
		t.Errorf("verify: error %v", err)
	}
	if _, _, err := opened.Search(t.Context(), asm.Serial, []float32{1, 1}, 1); err == nil ||
		!strings.Contains(err.Error(), "vector 3 is NaN") {
		t.Errorf("search: error %v", err)
	}
}

func TestSaveFails(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{dir, filepath.Join(dir, "none", "flat.index")} {
		if err := testFlat(30, 3, true).Save(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("save to %s: %v", path, err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("a failed Save leaves %v, %v", entries, err)
	}
}

func FuzzOpenFlat(f *testing.F) {
	for _, flat := range []*Flat{testFlat(0, 1, false), testFlat(3, 2, false), testFlat(9, 2, true)} {
		_, data := saved(f, flat)
		f.Add(data[8:headerSize], data[headerSize:])
		for _, p := range []Precision{BFloat16, Int8} {
			as, err := flat.As(p)
			if err != nil {
				f.Fatal(err)
			}
			_, data := saved(f, as)
			f.Add(data[8:headerSize], data[headerSize:])
		}
	}
	f.Add([]byte{1, 0, 0, 0, 255, 255, 255, 127, 255, 255, 255, 127}, []byte("1234"))
	f.Fuzz(func(t *testing.T, head, body []byte) {
		// Random headers would fail by their checksum.
		data := make([]byte, headerSize)
		copy(data[copy(data, magic):headerSize-sha256.Size], head)
		sum := sha256.Sum256(data[:headerSize-sha256.Size])
		copy(data[headerSize-sha256.Size:], sum[:])
		flat, err := decodeFlat(append(data, body...))
		if err != nil {
			return
		}
		h, _ := decodeHeader(flat.file)
		bytesOfAll := 0
		for i := range flat.Len() {
			bytesOfAll += len(flat.Record(i))
		}
		if bytesOfAll != len(flat.records) || uint64(flat.Len()) != h.count {
			t.Errorf("%d bytes in records of %d, %d vectors of %d", bytesOfAll, len(flat.records), flat.Len(), h.count)
		}
		path, saved := saved(t, flat)
		if flat.Verify() == nil && !bytes.Equal(saved[headerSize:], body) {
			t.Errorf("saved again, the file %s differs", path)
		}
	})
}
