package index

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// savedParts cuts an index and returns the paths of the files of its parts.
func savedParts(t testing.TB, f *Flat, cuts ...int) (paths []string) {
	t.Helper()
	from := 0
	for _, to := range append(cuts, f.Len()) {
		path, _ := saved(t, f.Part(from, to))
		paths, from = append(paths, path), to
	}
	return paths
}

// The file of merged parts is that of the whole, wherever it is cut and in whatever
// precision parts and whole are.
func TestMerge(t *testing.T) {
	n := 2*convertedRows + 70
	for _, records := range []bool{false, true} {
		whole := testFlat(n, 3, records)
		for p := range Precision(len(precisionNames)) {
			as := mustAs(t, whole, p)
			_, want := saved(t, as)
			for _, from := range []*Flat{whole, as} {
				for _, cuts := range [][]int{nil, {0, 1, 1}, {n / 3, n - 1}, {convertedRows, n}} {
					path := filepath.Join(t.TempDir(), "merged.index")
					if err := Merge(t.Context(), path, savedParts(t, from, cuts...), p); err != nil {
						t.Fatal(err)
					}
					got, err := os.ReadFile(path)
					if err != nil || !bytes.Equal(got, want) {
						t.Errorf("records %v, from %v to %v, cut at %v: another file, error %v",
							records, from.Precision(), p, cuts, err)
					}
				}
			}
		}
	}
}

func TestMergeErrors(t *testing.T) {
	whole := testFlat(20, 3, true)
	parts := savedParts(t, whole, 7, 12)
	dir := t.TempDir()
	path := filepath.Join(dir, "merged.index")
	wantError := func(parts []string, p Precision, want string) {
		t.Helper()
		err := Merge(t.Context(), path, parts, p)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
		if entries, _ := os.ReadDir(dir); len(entries) > 0 {
			t.Errorf("%q: left %v", want, entries)
		}
	}
	wantError(nil, Float32, "there are no parts")
	wider, _ := saved(t, NewFlat(4))
	wantError([]string{parts[0], wider}, Float32,
		fmt.Sprintf("%s: it has vectors of dimension 4, %s of 3", wider, parts[0]))
	other := whole.Part(0, 2)
	other.Origin[0] = 0xab
	stranger, _ := saved(t, other)
	wantError([]string{parts[1], stranger}, Float32, stranger+": it was made by ab00000000000000, "+parts[1]+" by ")
	wantError(append(parts, filepath.Join(dir, "missing")), Float32, "index: merge: index: open: ")
	data, err := os.ReadFile(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	data[headerSize+2] ^= 1
	damaged := filepath.Join(t.TempDir(), "damaged")
	if err := os.WriteFile(damaged, data, 0o666); err != nil {
		t.Fatal(err)
	}
	wantError([]string{parts[0], damaged}, Float32, damaged+": the vectors and records do not match their checksum")
	large := NewFlat(3)
	large.Origin = whole.Origin
	mustAdd(t, large, []float32{0, 1, math.MaxFloat32})
	great, _ := saved(t, large)
	wantError([]string{parts[0], great}, Int8, great+": as int8: from vector 0 on: vector 0 has the value 3.4028235e+38")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Merge(ctx, path, parts, Float32); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	mustPanic(t, "index: merge: no Precision(3)", func() { _ = Merge(t.Context(), path, parts, 3) })
}
