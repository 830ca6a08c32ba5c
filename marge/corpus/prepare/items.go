package prepare

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/corpus/source"
)

// wikiFile is the name of a dump of articles, or of a part of one; its first group is
// what the dumps of the tables of the same wiki and day begin with.
var wikiFile = regexp.MustCompile(`^(.+)-pages-[^/]*\.xml`)

// itemsSuffix is how the names of tables of items end, see itemsFile.
const itemsSuffix = "-page_props.sql.gz"

// noDocuments is the reader of a file that the reader of another one needs.
func noDocuments(context.Context, string, readOptions, *Counts, func(corpus.Document) error) error {
	return nil
}

// itemsFile returns the path of the table that tells the Wikidata items of the pages of
// a dump: dewiki-20261101-page_props.sql.gz beside dewiki-20261101-pages-articles.xml.bz2.
func itemsFile(dump string) string {
	match := wikiFile.FindStringSubmatch(filepath.Base(dump))
	if match == nil {
		return ""
	}
	return filepath.Join(filepath.Dir(dump), match[1]+itemsSuffix)
}

// withItems adds the tables that are there for dumps to the files to read.
func withItems(files []string) ([]string, error) {
	have := map[string]bool{}
	for _, file := range files {
		have[file] = true
	}
	all := slices.Clone(files)
	for _, file := range files {
		table := itemsFile(file)
		if table == "" || have[table] {
			continue
		}
		have[table] = true
		switch _, err := os.Stat(table); {
		case err == nil:
			all = append(all, table)
		case !errors.Is(err, fs.ErrNotExist):
			return nil, fmt.Errorf("prepare: %w", err)
		}
	}
	return all, nil
}

// tableError is the error of a table of items. It ends a run: without the table, the
// articles would be in other groups.
type tableError struct{ error }

func (e tableError) Unwrap() error { return e.error }

// itemTables are the tables of items that were read. It is safe for concurrent use.
type itemTables struct {
	mu sync.Mutex
	of map[string]*itemTable
}

type itemTable struct {
	once  sync.Once
	err   error
	items []uint64 // number of a page, and of its item in the lower half, in ascending order
}

// group returns what tells the group of a page of a dump: the item of Wikidata that it
// is about, as Q42, or "". It is nil where there is no table.
func (t *itemTables) group(ctx context.Context, dump string) (func(page int64, title string) string, error) {
	path := itemsFile(dump)
	if path == "" {
		return nil, nil
	}
	t.mu.Lock()
	table := t.of[path]
	if table == nil {
		if t.of == nil {
			t.of = map[string]*itemTable{}
		}
		table = &itemTable{}
		t.of[path] = table
	}
	t.mu.Unlock()
	table.once.Do(func() { table.err = table.read(ctx, path) })
	if errors.Is(table.err, fs.ErrNotExist) {
		return nil, nil
	}
	if table.err != nil {
		return nil, tableError{fmt.Errorf("the items of the articles: %w", table.err)}
	}
	return table.group, nil
}

func (t *itemTable) read(ctx context.Context, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = source.ReadPageProps(ctx, path, f, func(page int64, item string) error {
		number, err := strconv.ParseUint(strings.TrimPrefix(item, "Q"), 10, 32)
		if err != nil || page > math.MaxUint32 {
			return fmt.Errorf("%s: page %d has the item %q, want Q and a number", path, page, item)
		}
		t.items = append(t.items, uint64(page)<<32|number)
		return nil
	})
	slices.Sort(t.items)
	return err
}

func (t *itemTable) group(page int64, _ string) string {
	i, _ := slices.BinarySearchFunc(t.items, page, func(x uint64, page int64) int {
		return cmp.Compare(int64(x>>32), page)
	})
	if i == len(t.items) || int64(t.items[i]>>32) != page {
		return ""
	}
	return "Q" + strconv.FormatUint(t.items[i]&math.MaxUint32, 10)
}
