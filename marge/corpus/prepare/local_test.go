package prepare

import (
	"cmp"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/marge-go/marge/marge/corpus"
)

// numbered gives every word a number.
type numbered struct{}

func (numbered) AppendEncode(dst []int32, text string) []int32 {
	for word := range strings.FieldsSeq(text) {
		dst = append(dst, int32(crc32.ChecksumIEEE([]byte(word))%30000))
	}
	return dst
}

// prose returns running text of n words that no filter drops.
func prose(r *rand.Rand, n int) string {
	var b strings.Builder
	for i := range n {
		switch {
		case i > 0 && i%37 == 0:
			b.WriteString(".\n\n")
		case i > 0:
			b.WriteByte(' ')
		}
		for range 2 + r.IntN(3) {
			b.WriteString([]string{"ba", "de", "fi", "lo", "mu", "ra", "se", "ti", "no", "ku"}[r.IntN(10)])
		}
	}
	return b.String() + "."
}

// changed returns a text with some words replaced.
func changed(r *rand.Rand, text string, n int) string {
	words := strings.Split(text, " ")
	for range n {
		words[r.IntN(len(words))] = fmt.Sprintf("other%d", r.IntN(1000))
	}
	return strings.Join(words, " ")
}

// collection returns documents of which some are dropped for every reason that
// has to do with others.
func collection(seed uint64, n int) (docs []corpus.Document) {
	r := rand.New(rand.NewPCG(seed, 0))
	for i := range n {
		doc := corpus.Document{ID: fmt.Sprintf("doc\t%d", i*7919%n), Lang: "en", Text: prose(r, 60+r.IntN(150))}
		if i > 10 {
			other := docs[r.IntN(len(docs))]
			switch r.IntN(8) {
			case 0:
				doc.Text = other.Text
			case 1:
				doc.Text = changed(r, other.Text, 1+r.IntN(8))
			case 2:
				doc.ID = other.ID
			case 3:
				doc.Text = "too short"
			}
		}
		switch r.IntN(4) {
		case 0:
			doc.Group = fmt.Sprintf("Q%d", r.IntN(20))
		case 1:
			doc.Shard = fmt.Sprintf("Odd / %d", r.IntN(3))
		default:
			doc.Date = fmt.Sprintf("2020-06-%02dT12:%02d:00Z", 1+r.IntN(3), r.IntN(60))
		}
		docs = append(docs, doc)
	}
	return docs
}

// reference applies the rules as they are written down, to every pair.
func reference(docs []corpus.Document, s Shards) (kept []corpus.Document, dropped map[Reason]int) {
	dropped = map[Reason]int{}
	before := func(a, b corpus.Document) int { return cmp.Or(cmp.Compare(a.Date, b.Date), cmp.Compare(a.ID, b.ID)) }
	// pass keeps documents for which no other document of the same pass is a
	// reason to drop them.
	pass := func(reason Reason, over func(a, b *corpus.Document) bool) {
		var left []corpus.Document
		for i := range docs {
			if slices.ContainsFunc(docs, func(o corpus.Document) bool { return over(&o, &docs[i]) }) {
				dropped[reason]++
			} else {
				left = append(left, docs[i])
			}
		}
		docs = left
	}
	o := Options{}
	var clean []corpus.Document
	for _, doc := range docs {
		doc, reason := o.clean(doc)
		if reason != "" {
			dropped[reason]++
			continue
		}
		clean = append(clean, doc)
	}
	docs = clean
	slices.SortFunc(docs, func(a, b corpus.Document) int {
		x, _ := encodeDocument(&a)
		y, _ := encodeDocument(&b)
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Date, b.Date), cmp.Compare(string(x), string(y)))
	})
	docs = slices.CompactFunc(docs, func(a, b corpus.Document) bool {
		if a.ID == b.ID {
			dropped[SameID]++
		}
		return a.ID == b.ID
	})
	pass(ExactDuplicate, func(a, b *corpus.Document) bool { return a.Text == b.Text && before(*a, *b) < 0 })
	sizes := map[string]int64{}
	signatures := map[string]Signature{}
	for _, doc := range docs {
		sizes[s.Key(&doc)] += int64(len([]rune(doc.Text)))
		signatures[doc.ID], _ = Sign(doc.Text)
	}
	slices.SortFunc(docs, before)
	pass(NearDuplicate, func(a, b *corpus.Document) bool {
		x, y := signatures[a.ID], signatures[b.ID]
		if before(*a, *b) >= 0 || x.Similarity(&y) < 0.8 {
			return false
		}
		for i := range bands {
			if slices.Equal(x[i*bandRows:(i+1)*bandRows], y[i*bandRows:(i+1)*bandRows]) {
				return true
			}
		}
		return false
	})
	cut := parts{}
	for key, size := range sizes {
		if n := (size + s.MaxCharacters - 1) / s.MaxCharacters; n > 1 {
			cut[key] = uint64(n)
		}
	}
	for _, doc := range docs {
		r, err := s.shardRecord(doc, cut)
		if err != nil {
			panic(err)
		}
		doc, err = decodeDocument(r.value)
		if err != nil {
			panic(err)
		}
		kept = append(kept, doc)
	}
	return kept, dropped
}

// writeLines writes documents to a file of JSON Lines.
func writeLines(t testing.TB, path string, docs []corpus.Document) {
	t.Helper()
	var out []byte
	for _, doc := range docs {
		line, err := encodeDocument(&doc)
		if err != nil {
			t.Fatal(err)
		}
		out = append(append(out, line...), '\n')
	}
	if strings.HasSuffix(path, ".zst") {
		z, err := zstd.NewWriter(nil)
		if err != nil {
			t.Fatal(err)
		}
		out = z.EncodeAll(out, nil)
	}
	if err := os.WriteFile(path, out, 0o666); err != nil {
		t.Fatal(err)
	}
}

// fingerprint builds a store of what a run left.
func fingerprint(t testing.TB, dir string) string {
	t.Helper()
	files := corpus.Files([]string{filepath.Join(dir, ShardsName)}, corpus.ReadOptions{})
	store, err := corpus.Build(filepath.Join(t.TempDir(), "store"), files, numbered{}, corpus.BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	return store.Fingerprint()
}

// readShards returns the documents of a run by file, which must be sorted.
func readShards(t testing.TB, dir string) (docs []corpus.Document) {
	t.Helper()
	last, number := corpus.Document{}, 0
	files := corpus.Files([]string{filepath.Join(dir, ShardsName)}, corpus.ReadOptions{})
	for doc, err := range files {
		if err != nil {
			t.Fatal(err)
		}
		if number > 0 && doc.Shard == last.Shard && doc.ID <= last.ID {
			t.Errorf("shard %q: %q comes after %q", doc.Shard, doc.ID, last.ID)
		}
		last, number = doc, number+1
		docs = append(docs, doc)
	}
	return docs
}

func total(m map[Reason]int) (n int) {
	for _, k := range m {
		n += k
	}
	return n
}

// small are options for tests: several runs, parts of shards, and few files.
func small(threads int) Options {
	return Options{Threads: threads, Memory: 300_000, Shards: Shards{Groups: 3, MaxCharacters: 60_000}, partitions: 3}
}

// The result is that of the rules, whatever the threads, the memory, the order
// of the documents and the files that they are in.
func TestRun(t *testing.T) {
	docs := collection(1, 500)
	want, dropped := reference(slices.Clone(docs), small(1).Shards)
	slices.SortFunc(want, func(a, b corpus.Document) int {
		return cmp.Or(cmp.Compare(a.Shard, b.Shard), cmp.Compare(a.ID, b.ID))
	})
	for _, reason := range []Reason{TooShort, SameID, ExactDuplicate, NearDuplicate} {
		if dropped[reason] < 10 {
			t.Errorf("the collection has %d documents that are dropped as %q", dropped[reason], reason)
		}
	}
	var first string
	for i, variant := range []struct {
		files   int
		options Options
	}{
		{1, small(1)}, {5, small(8)},
		{7, Options{Threads: 2, Shards: small(1).Shards, partitions: 1}},
		{3, Options{Threads: 3, Memory: 100_000, Shards: small(1).Shards, partitions: 4, splitBytes: 1}},
	} {
		in, out := t.TempDir(), t.TempDir()
		r := rand.New(rand.NewPCG(uint64(i), 1))
		r.Shuffle(len(docs), func(i, j int) { docs[i], docs[j] = docs[j], docs[i] })
		for k := range variant.files {
			name := fmt.Sprintf("%d.jsonl%s", k, []string{"", ".zst"}[k%2])
			from, to := k*len(docs)/variant.files, (k+1)*len(docs)/variant.files
			writeLines(t, filepath.Join(in, name), docs[from:to])
		}
		report, err := Run(t.Context(), out, []string{in}, variant.options)
		if err != nil {
			t.Fatal(err)
		}
		if report.Read != len(docs) || report.Kept != len(want) || report.Read != report.Kept+total(report.Dropped) {
			t.Errorf("variant %d: %d read, %d kept, %v dropped; want %d, %d, %v",
				i, report.Read, report.Kept, report.Dropped, len(docs), len(want), dropped)
		}
		for reason, n := range dropped {
			if report.Dropped[reason] != n {
				t.Errorf("variant %d: %d dropped as %q, want %d", i, report.Dropped[reason], reason, n)
			}
		}
		got := readShards(t, out)
		slices.SortFunc(got, func(a, b corpus.Document) int {
			return cmp.Or(cmp.Compare(a.Shard, b.Shard), cmp.Compare(a.ID, b.ID))
		})
		if !slices.Equal(got, want) {
			t.Errorf("variant %d: other documents than those of the rules", i)
		}
		f := fingerprint(t, out)
		if first = cmp.Or(first, f); f != first {
			t.Errorf("variant %d: fingerprint %s, want %s", i, f, first)
		}
		if _, err := os.Stat(filepath.Join(out, workName)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("variant %d: %s is left: %v", i, workName, err)
		}
	}
}
