package prepare

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// itemsTable is a dump of page_props with a row for each page and its item.
func itemsTable(t *testing.T, rows ...string) []byte {
	return zipped(t, "CREATE TABLE `page_props` (\n  `pp_page` int NOT NULL,\n  `pp_propname` varbinary(60),\n"+
		"  `pp_value` blob,\n) ENGINE=InnoDB;\n\nLOCK TABLES `page_props` WRITE;\n"+
		"INSERT INTO `page_props` VALUES "+strings.Join(rows, ",")+";\nUNLOCK TABLES;\n")
}

func item(page int, item string) string { return fmt.Sprintf("(%d,'wikibase_item','%s')", page, item) }

// writeWikis writes dumps of two wikis with pages 1 to 3.
func writeWikis(t *testing.T) (dir string) {
	dir = t.TempDir()
	r := rand.New(rand.NewPCG(1, 2))
	for _, lang := range []string{"de", "en"} {
		dump := `<mediawiki xml:lang="` + lang + `"><siteinfo><dbname>` + lang + `wiki</dbname></siteinfo>`
		for page := range 3 {
			dump += fmt.Sprintf(`<page><title>T%d</title><ns>0</ns><id>%d</id><revision><text>%s</text></revision></page>`,
				page, page+1, prose(r, 80))
		}
		write(t, filepath.Join(dir, lang+"wiki-20260901-pages-articles.xml"), []byte(dump+"</mediawiki>"))
	}
	return dir
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
}

// Articles about the same, in two languages, are a group, and in one shard.
func TestItems(t *testing.T) {
	dir := writeWikis(t)
	de := filepath.Join(dir, "dewiki-20260901-page_props.sql.gz")
	en := filepath.Join(dir, "enwiki-20260901-page_props.sql.gz")
	write(t, de, itemsTable(t, item(2, "Q7"), item(1, "Q12345"), "(1,'displaytitle','x')"))
	write(t, en, itemsTable(t, item(1, "Q7"), item(3, "Q12345"), item(4, "Q8")))
	dumps := filepath.Join(dir, "*.xml")
	for _, patterns := range [][]string{{dir}, {dumps}, {dumps, de}} {
		out := t.TempDir()
		o := small(2)
		o.Shards.Groups = 1 << 30
		if _, err := Run(t.Context(), out, patterns, o); err != nil {
			t.Fatal(err)
		}
		var got []string
		shards := map[string]map[string]bool{}
		for _, doc := range readShards(t, out) {
			got = append(got, doc.ID+" "+doc.Group)
			if shards[doc.Group] == nil {
				shards[doc.Group] = map[string]bool{}
			}
			shards[doc.Group][doc.Shard] = true
		}
		slices.Sort(got)
		want := []string{"dewiki:1 Q12345", "dewiki:2 Q7", "dewiki:3 ", "enwiki:1 Q7", "enwiki:2 ", "enwiki:3 Q12345"}
		if !slices.Equal(got, want) || len(shards["Q7"]) != 1 || len(shards["Q12345"]) != 1 {
			t.Errorf("%q: %q in %v, want %q", patterns, got, shards, want)
		}
	}
}

func TestItemsErrors(t *testing.T) {
	whole := itemsTable(t, item(1, "Q1"))
	for want, table := range map[string][]byte{
		"unexpected EOF":             whole[:len(whole)/2],
		`page 1 has the item "P1"`:   itemsTable(t, item(1, "P1")),
		`has the item "Q4294967296"`: itemsTable(t, item(1, "Q4294967296")),
	} {
		dir := writeWikis(t)
		write(t, filepath.Join(dir, "dewiki-20260901-page_props.sql.gz"), table)
		_, err := Run(t.Context(), t.TempDir(), []string{dir}, small(2))
		if err == nil || !errors.As(err, new(tableError)) || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), "dewiki-20260901-page_props.sql.gz") {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	if got, err := withItems([]string{"news-pages.jsonl", "pages-articles.xml"}); err != nil || len(got) != 2 {
		t.Errorf("%q, %v", got, err)
	}
}
