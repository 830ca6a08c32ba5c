package prepare

import (
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"testing"

	"github.com/marge-go/marge/marge/corpus"
)

// What is sorted does not fit in memory: the bands of the documents alone are
// some 23 MB.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("long")
	}
	defer debug.SetGCPercent(debug.SetGCPercent(20))
	dir := t.TempDir()
	path := filepath.Join(dir, "in.jsonl")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(11, 12))
	const documents = 2000
	for i := range documents {
		line, err := encodeDocument(&corpus.Document{ID: strconv.Itoa(i), Lang: "en", Text: prose(r, 60)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(append(line, '\n')); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	live := func() uint64 {
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	before, most := live(), uint64(0)
	o := Options{Threads: 1, Memory: 1 << 20, Shards: Shards{Groups: 2}, partitions: 2}
	o.Progress = func(Progress) { most = max(most, live()) }
	report, err := Run(t.Context(), filepath.Join(dir, "out"), []string{path}, o)
	if err != nil || report.Kept != documents {
		t.Fatalf("%v, %v", report, err)
	}
	if most > before+12<<20 {
		t.Errorf("%d MB of memory, %d before", most>>20, before>>20)
	}
	t.Logf("%d MB of memory, %d before", most>>20, before>>20)
}
