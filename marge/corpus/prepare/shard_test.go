package prepare

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/marge-go/marge/marge/corpus"
)

func TestShardKey(t *testing.T) {
	for _, c := range []struct {
		doc  corpus.Document
		want string
	}{
		{corpus.Document{ID: "1", Shard: "s", Date: "2020-06-26", Group: "g"}, "s"},
		{corpus.Document{ID: "1", Date: "2020-06-26", Group: "g"}, "2020-06-26"},
		{corpus.Document{ID: "1", Date: "2020-06-26T10:00:00Z"}, "2020-06-26"},
		{corpus.Document{ID: "1", Date: "June 2020"}, "June 2020"},
		{corpus.Document{ID: "1", Group: "Q42"}, "group-010"},
		{corpus.Document{ID: "2", Group: "Q42"}, "group-010"},
		{corpus.Document{ID: "Q42"}, "group-010"},
		{corpus.Document{ID: "1"}, "group-913"},
	} {
		if got := (Shards{}).Key(&c.doc); got != c.want {
			t.Errorf("%+v: %q, want %q", c.doc, got, c.want)
		}
	}
	if got := (Shards{Groups: 1}).Key(&corpus.Document{ID: "1"}); got != "group-0" {
		t.Errorf("one group: %q", got)
	}
}

// A shard that is too large is cut into parts of about the same size, and a
// group is never cut.
func TestParts(t *testing.T) {
	s, err := Shards{MaxCharacters: 1000}.resolve()
	if err != nil {
		t.Fatal(err)
	}
	sizes, cut := partsOf{limit: s.MaxCharacters}, parts{}
	for _, c := range []struct {
		key   string
		chars int
	}{{"a", 500}, {"a", 500}, {"b", 400}, {"b", 600}, {"b", 1}, {"c", 0}, {"d", 7001}} {
		doc := corpus.Document{ID: "1", Shard: c.key, Text: strings.Repeat("ü", c.chars)}
		if err := sizes.add(s.sizeRecord(&doc), cut.add); err != nil {
			t.Fatal(err)
		}
	}
	if err := sizes.end(cut.add); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(cut); got != "map[b:2 d:8]" {
		t.Errorf("parts are %s", got)
	}
	counts, groups := map[string]int{}, map[string]string{}
	for i := range 8000 {
		doc := corpus.Document{ID: fmt.Sprint(i), Shard: "d", Lang: "en", Group: fmt.Sprint(i / 2), Text: "x"}
		r, err := s.shardRecord(doc, cut)
		if err != nil {
			t.Fatal(err)
		}
		doc, err = decodeDocument(r.value)
		if err != nil {
			t.Fatal(err)
		}
		counts[doc.Shard]++
		if old := groups[doc.Group]; old != "" && old != doc.Shard {
			t.Errorf("group %s is in %s and %s", doc.Group, old, doc.Shard)
		}
		groups[doc.Group] = doc.Shard
	}
	for i := range 8 {
		if n := counts[fmt.Sprintf("d.%d", i)]; n < 800 || n > 1200 {
			t.Errorf("part %d has %d documents of 8000", i, n)
		}
	}
	if sizes.add(record{[]byte("61"), []byte("9223372036854775807")}, cut.add) != nil ||
		sizes.add(record{[]byte("61"), []byte("1")}, cut.add) == nil {
		t.Error("a size overflows")
	}
}

func TestFileName(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{
		"2020-06-26", "group-017.3", "a/b", "../up", ".hidden", "", "A", "a", "Ä", "a b", "x\x00", strings.Repeat("l", 300),
		"shard-" + strings.Repeat("0", 32), fileName("a/b"), strings.TrimSuffix(fileName("a/b"), ".jsonl.zst"),
	} {
		file := fileName(name)
		if filepath.Base(file) != file || len(file) > 120 || file[0] == '.' || strings.ToLower(file) != file ||
			!corpus.IsJSONLines(file) {
			t.Errorf("%q: %q", name, file)
		}
		if old, ok := seen[file]; ok {
			t.Errorf("%q and %q have the same file", name, old)
		}
		seen[file] = name
	}
	if fileName("2020-06-26") != "2020-06-26.jsonl.zst" {
		t.Error("a plain name is not kept")
	}
}

// Files that are not complete never get their names.
func TestShardFilesAbort(t *testing.T) {
	dir := t.TempDir()
	w := shardFiles{dir: dir, done: func(s Shard) { t.Errorf("%+v is done", s) }}
	r, err := Shards{}.shardRecord(corpus.Document{ID: "1", Lang: "en", Date: "2020-06-26", Text: "x"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.add(r); err != nil {
		t.Fatal(err)
	}
	w.abort()
	if files, err := os.ReadDir(dir); err != nil || len(files) > 0 {
		t.Errorf("left: %v, %v", files, err)
	}
	w = shardFiles{dir: filepath.Join(dir, "missing"), done: w.done}
	err = w.add(r)
	if err == nil {
		err = w.close()
	}
	if err == nil || !strings.Contains(err.Error(), `shard "2020-06-26"`) {
		t.Errorf("a missing directory: %v", err)
	}
}
