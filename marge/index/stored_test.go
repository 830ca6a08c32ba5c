package index

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/marge/vectors"
)

var reduced = []Precision{BFloat16, Int8}

func mustAs(t testing.TB, f *Flat, p Precision) *Flat {
	t.Helper()
	as, err := f.As(p)
	if err != nil {
		t.Fatal(err)
	}
	return as
}

// The scores are the inner products of the float32 query with the vectors as they are
// kept, for any number of queries and threads. The values are such that all sums are
// exact: quarters up to 127/4, the scale of int8 being a quarter.
func TestPrecisionSearch(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 1))
	for _, p := range reduced {
		for _, dim := range []int{3, 40, deep} {
			for _, n := range []int{1, 5, 700} {
				rows := make([]float32, n*dim)
				for i := range rows {
					rows[i] = float32(r.IntN(31)-15) / 4
					if i%dim == i/dim%dim {
						rows[i] = 127.0 / 4
					}
				}
				f := mustAs(t, NewFlat(dim), p)
				mustAdd(t, f, rows[:n/2*dim])
				mustAdd(t, f, rows[n/2*dim:])
				if f.Len() != n || f.Dim() != dim || f.Precision() != p {
					t.Fatalf("%v: %d vectors of dimension %d", f.Precision(), f.Len(), f.Dim())
				}
				for i := range n {
					if !slices.Equal(f.Vector(i), rows[i*dim:(i+1)*dim]) {
						t.Fatalf("%v: vector %d is %v, want %v", p, i, f.Vector(i), rows[i*dim:(i+1)*dim])
					}
				}
				for _, q := range []int{1, 3, thinQueries + 1, someQueries + 1} {
					queries := smallIntegers(r, q, dim)
					wantIDs, wantScores := naiveSearch(rows, queries, dim, 4)
					for _, run := range runners {
						ids, scores := mustSearch(t, f, run, queries, 4)
						if !slices.Equal(ids, wantIDs) || !slices.Equal(scores, wantScores) {
							t.Fatalf("%v, %d vectors of %d, %d queries: %v %v, want %v %v", p, n, dim, q, ids, scores, wantIDs, wantScores)
						}
					}
				}
			}
		}
	}
}

// clustered returns unit vectors about common centres, which are hard to tell apart.
func clustered(r *rand.Rand, n, dim, clusters int) []float32 {
	centres, rows := gaussian(r, clusters, dim), gaussian(r, n, dim)
	for i := range n {
		centre := centres[r.IntN(clusters)*dim:][:dim]
		for j := range dim {
			rows[i*dim+j] = 0.5*rows[i*dim+j] + centre[j]
		}
	}
	vectors.Normalize(rows, dim)
	return rows
}

// Of the ten nearest among clustered vectors, at least these shares stay.
func TestPrecisionRecall(t *testing.T) {
	const n, dim, q, k = 4000, 128, 100, 10
	r := rand.New(rand.NewPCG(32, 1))
	rows := clustered(r, n+q, dim, 40)
	f := NewFlat(dim)
	mustAdd(t, f, rows[:n*dim])
	queries := rows[n*dim:]
	want, _ := mustSearch(t, f, asm.Serial, queries, k)
	for p, least := range map[Precision]float64{BFloat16: 0.99, Int8: 0.96} {
		got, _ := mustSearch(t, mustAs(t, f, p), asm.Serial, queries, k)
		found := 0
		for i := range q {
			for _, id := range want[i*k : (i+1)*k] {
				if slices.Contains(got[i*k:(i+1)*k], id) {
					found++
				}
			}
		}
		recall := float64(found) / (q * k)
		t.Logf("%v: recall of %d nearest %.3f", p, k, recall)
		if !(recall >= least) || recall == 1 {
			t.Errorf("%v: recall %.3f, want %.2f, and less than 1", p, recall, least)
		}
	}
}

// Files keep the precision, the vectors and the records, and are smaller.
func TestPrecisionFiles(t *testing.T) {
	for _, n := range []int{0, 1, 7, convertedRows + 3} {
		for _, records := range []bool{false, true} {
			whole := testFlat(n, 5, records)
			for _, p := range reduced {
				f := mustAs(t, whole, p)
				if f.Origin != whole.Origin || f.Len() != n {
					t.Fatalf("%v: %d vectors of origin %x", p, f.Len(), f.Origin)
				}
				path, data := saved(t, f)
				opened, err := OpenFlat(path)
				if err != nil {
					t.Fatal(err)
				}
				if opened.Precision() != p || opened.Origin != f.Origin || opened.Verify() != nil {
					t.Errorf("opened: %v of origin %x, verify: %v", opened.Precision(), opened.Origin, opened.Verify())
				}
				for i := range n {
					if !slices.Equal(opened.Vector(i), f.Vector(i)) || !slices.Equal(opened.Record(i), whole.Record(i)) {
						t.Fatalf("%v: vector %d is %v, want %v", p, i, opened.Vector(i), f.Vector(i))
					}
				}
				if want := headerSize + n*int(p.bytes(5)); !records && len(data) != want {
					t.Errorf("%v: the file of %d vectors has %d bytes, want %d", p, n, len(data), want)
				}
				part := opened.Part(n/2, n)
				mustAdd(t, opened, []float32{1, 2, 3, 4, 5})
				mustAdd(t, part, []float32{1, 2, 3, 4, 5})
				if opened.Len() != n+1 || part.Len() != n-n/2+1 || !slices.Equal(part.Vector(part.Len()-1), opened.Vector(n)) ||
					part.Precision() != p {
					t.Errorf("%v: %d vectors, %d in a part", p, opened.Len(), part.Len())
				}
				if err := opened.Close(); err != nil || opened.Len() != 0 || opened.Precision() != p {
					t.Errorf("closed: %d vectors, error %v", opened.Len(), err)
				}
			}
		}
	}
}

// The bytes of a file, which other machines read.
func TestPrecisionFormat(t *testing.T) {
	f := NewFlat(2)
	mustAdd(t, f, []float32{127, -2, 0.5, 0})
	for p, want := range map[Precision]string{
		BFloat16: "\xfe\x42\x00\xc0\x00\x3f\x00\x00",
		Int8:     "\x00\x00\x80\x3f\x04\x02\x81\x3b\x7f\xfe\x7f\x00",
	} {
		_, data := saved(t, mustAs(t, f, p))
		if got := string(data[headerSize:]); got != want || string(data[8:12]) != "\x03\x00"+string(rune(p))+"\x00" {
			t.Errorf("%v: the file has %q after %q, want %q", p, got, data[:12], want)
		}
		unaligned := append([]byte{0}, data...)[1:]
		again, err := decodeFlat(unaligned)
		if err != nil || !reflect.DeepEqual(again.Vector(0), []float32{127, -2}) {
			t.Errorf("%v: unaligned: error %v", p, err)
		}
	}
	_, data := saved(t, f)
	for version, want := range map[string]string{
		"\x03\x00\x00\x00": "precision 0 that version 3", "\x02\x00\x01\x00": "precision 1 that version 2",
		"\x03\x00\x03\x00": "precision 3 that version 3", "\x04\x00\x01\x00": "version 4",
	} {
		if _, err := decodeFlat([]byte(string(data[:8]) + version + string(data[12:]))); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", version, err, want)
		}
	}
}

func TestPrecisionErrors(t *testing.T) {
	f := NewFlat(2)
	mustAdd(t, f, []float32{0, 1, math.MaxFloat32, 3})
	for _, p := range reduced {
		if _, err := f.As(p); err == nil ||
			!strings.Contains(err.Error(), "vector 1 has the value 3.4028235e+38 at position 0") {
			t.Errorf("%v: error %v", p, err)
		}
		g := mustAs(t, NewFlat(2), p)
		if err := g.Add([]float32{0, -3.39e38}); err == nil || !strings.Contains(err.Error(), p.String()+" does not hold") ||
			g.Len() != 0 {
			t.Errorf("%v: error %v", p, err)
		}
		if err := g.Add([]float32{0, float32(math.NaN())}); err == nil || !strings.Contains(err.Error(), "value NaN") {
			t.Errorf("%v: error %v", p, err)
		}
		if got, err := ParsePrecision(p.String()); got != p || err != nil {
			t.Errorf("%v is parsed as %v, error %v", p, got, err)
		}
		mustAdd(t, g, []float32{3.37e38, 1})
		path, data := saved(t, g)
		data = append(data[:headerSize], strings.Repeat("\xff", len(data)-headerSize)...)
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		damaged, err := OpenFlat(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := damaged.Search(t.Context(), asm.Serial, []float32{1, 1}, 1); err == nil ||
			!strings.Contains(err.Error(), "vector 0 is NaN") {
			t.Errorf("%v: damaged: error %v", p, err)
		}
		damaged.Close()
	}
	if _, err := ParsePrecision("int4"); err == nil || !strings.Contains(err.Error(), `"int4"`) {
		t.Errorf("error %v", err)
	}
	mustPanic(t, "index: as: no Precision(3)", func() { _, _ = f.As(3) })
}

// Bytes a vector, and searches of one query and of some.
func BenchmarkSearchPrecision(b *testing.B) {
	const n, dim = 20_000, 1024
	rows := clustered(rand.New(rand.NewPCG(33, 1)), n, dim, 100)
	whole := NewFlat(dim)
	mustAdd(b, whole, rows)
	for _, p := range []Precision{Float32, BFloat16, Int8} {
		f := mustAs(b, whole, p)
		for _, q := range []int{1, 64} {
			b.Run(fmt.Sprintf("%v/queries=%d", p, q), func(b *testing.B) {
				for b.Loop() {
					mustSearch(b, f, asm.Serial, rows[:q*dim], 10)
				}
				b.ReportMetric(float64(p.bytes(dim)), "bytes/vector")
			})
		}
	}
}
