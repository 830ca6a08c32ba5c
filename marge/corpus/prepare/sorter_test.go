package prepare

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// randomRecords returns records with keys that are often equal, and some that
// are empty or long.
func randomRecords(r *rand.Rand, n int) (list []record) {
	for range n {
		key := fmt.Appendf(nil, "%02x %d", r.IntN(40), r.IntN(5))
		value := make([]byte, r.IntN(30))
		if r.IntN(50) == 0 {
			value = make([]byte, 3000)
		}
		for i := range value {
			value[i] = byte(r.IntN(256))
		}
		list = append(list, record{key, value})
	}
	return append(list, record{[]byte("0"), nil}, record{nil, []byte("no key")})
}

func segments(dir string, part, parts int) (list []segment) {
	files, _ := filepath.Glob(filepath.Join(dir, "run-*"))
	for _, f := range files {
		list = append(list, segment{f, part, parts})
	}
	return list
}

// Runs merge to what sorting in memory gives, part by part.
func TestSorter(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for _, c := range []struct{ records, limit, parts, runs int }{
		{2*fanIn + 5, 1, 3, 2*fanIn + 5}, {3000, 20_000, 7, 5}, {3000, 1 << 20, 2, 1}, {0, 1, 1, 1},
	} {
		dir := t.TempDir()
		list := randomRecords(r, c.records)
		s := &sorter{dir: dir, prefix: "run", parts: c.parts, limit: c.limit}
		for _, rec := range list {
			if err := s.add(rec); err != nil {
				t.Fatal(err)
			}
			if used := len(s.arena) + entryBytes*len(s.entries); len(s.entries) > 1 && used > c.limit {
				t.Fatalf("%d bytes in memory, limit %d", used, c.limit)
			}
		}
		if err := s.spill(); err != nil {
			t.Fatal(err)
		}
		if s.runs < c.runs {
			t.Errorf("%d runs, want %d", s.runs, c.runs)
		}
		slices.SortFunc(list, record.compare)
		for part := range c.parts {
			var want []record
			for _, rec := range list {
				if partOf(rec.group(), c.parts) == part {
					want = append(want, rec)
				}
			}
			i := 0
			err := merge(t.Context(), dir, segments(dir, part, c.parts), func(rec record) error {
				if i >= len(want) || rec.compare(want[i]) != 0 {
					return fmt.Errorf("record %d is %q", i, rec)
				}
				i++
				return nil
			})
			if err != nil || i != len(want) {
				t.Fatalf("part %d: %d records of %d, %v", part, i, len(want), err)
			}
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "merged-*")); left != nil {
			t.Errorf("%d files are left", len(left))
		}
	}
}

// A run that was damaged or cut anywhere is an error, never other records.
func TestDamagedRun(t *testing.T) {
	dir := t.TempDir()
	s := &sorter{dir: dir, prefix: "run", parts: 2, limit: 1 << 20}
	list := randomRecords(rand.New(rand.NewPCG(7, 8)), 60)
	for _, rec := range list {
		if err := s.add(rec); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.spill(); err != nil {
		t.Fatal(err)
	}
	runs := segments(dir, 0, 2)
	whole, err := os.ReadFile(runs[0].path)
	if err != nil {
		t.Fatal(err)
	}
	read := func(data []byte) (out []byte, err error) {
		if err := os.WriteFile(runs[0].path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		for part := range 2 {
			err = errors.Join(err, merge(t.Context(), dir, segments(dir, part, 2), func(r record) error {
				out = append(append(append(out, r.key...), 0), r.value...)
				return nil
			}))
		}
		return out, err
	}
	want, err := read(whole)
	if err != nil {
		t.Fatal(err)
	}
	for i := range whole {
		flipped := bytes.Clone(whole)
		flipped[i] ^= 1 << (i % 8)
		if got, err := read(flipped); err == nil && !bytes.Equal(got, want) {
			t.Errorf("bit %d of byte %d of %d: other records without an error", i%8, i, len(whole))
		}
		if _, err := read(whole[:i]); err == nil {
			t.Errorf("cut at %d of %d: no error", i, len(whole))
		}
	}
}

func TestMergeStops(t *testing.T) {
	dir := t.TempDir()
	s := &sorter{dir: dir, prefix: "run", parts: 1, limit: 1}
	for _, rec := range randomRecords(rand.New(rand.NewPCG(7, 8)), 50) {
		if err := s.add(rec); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	nothing := func(record) error { return nil }
	if err := merge(ctx, dir, segments(dir, 0, 1), nothing); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	mine := errors.New("mine")
	if err := merge(t.Context(), dir, segments(dir, 0, 1), func(record) error { return mine }); err != mine {
		t.Errorf("an error of the function became %v", err)
	}
}
