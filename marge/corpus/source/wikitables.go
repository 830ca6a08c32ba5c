package source

import (
	"context"
	"fmt"
	"io"
	"math"
	"strings"
)

// ReadPageProps calls fn with the Wikidata item of every page that has one, as
// Q42, from a dump of the table page_props (page_props.sql.gz): pages of the
// same item, in different languages, are about the same. The dump is that of
// mysqldump, plain or compressed with gzip, and is streamed; a goroutine, which
// has ended when ReadPageProps returns, decompresses a little ahead. What is
// damaged or cut short, before the UNLOCK TABLES behind the rows, is an error
// with file and line: what was passed on before is not all, and may be wrong. An
// error of fn is returned as it is.
func ReadPageProps(
	ctx context.Context, name string, r io.Reader, fn func(page int64, item string) error,
) (Stats, error) {
	columns := []string{"pp_page", "pp_propname", "pp_value"}
	var made values
	return readTable(ctx, name, r, "page_props", columns, func(row [][]byte) (bool, error) {
		if string(row[1]) != "wikibase_item" {
			return false, nil
		}
		page, err := pageID(row[0])
		if err != nil {
			return false, err
		}
		return true, stopped(fn(page, made.text(row[2])))
	})
}

// ReadLangLinks calls fn with the links from pages to those about the same in
// other languages, from a dump of the table langlinks (langlinks.sql.gz), as
// ReadPageProps does. lang is the code of the other wiki, such as de or simple.
func ReadLangLinks(
	ctx context.Context, name string, r io.Reader, fn func(page int64, lang, title string) error,
) (Stats, error) {
	columns := []string{"ll_from", "ll_lang", "ll_title"}
	var made values
	return readTable(ctx, name, r, "langlinks", columns, func(row [][]byte) (bool, error) {
		page, err := pageID(row[0])
		if err != nil || len(row[2]) == 0 {
			return false, err
		}
		return true, stopped(fn(page, made.text(row[1]), made.title(row[2])))
	})
}

// ReadPageTable calls fn with the articles of a wiki, without redirects, from a
// dump of the table page (page.sql.gz), as ReadPageProps does.
func ReadPageTable(
	ctx context.Context, name string, r io.Reader, fn func(page int64, title string) error,
) (Stats, error) {
	columns := []string{"page_id", "page_namespace", "page_title", "page_is_redirect"}
	var made values
	return readTable(ctx, name, r, "page", columns, func(row [][]byte) (bool, error) {
		page, err := pageID(row[0])
		if err != nil || string(row[1]) != "0" || string(row[3]) != "0" {
			return false, err
		}
		return true, stopped(fn(page, made.title(row[2])))
	})
}

// values makes strings of values. Up to a kilobyte of them share a piece of
// memory: a dump has a hundred million, and to allocate each would take as long
// as to read it.
type values struct{ piece strings.Builder }

func (v *values) text(value []byte) string {
	if v.piece.Cap()-v.piece.Len() < len(value) {
		v.piece.Reset()
		v.piece.Grow(max(1<<10, len(value)))
	}
	begin := v.piece.Len()
	v.piece.Write(value)
	return v.piece.String()[begin:]
}

// title returns a title with spaces instead of underscores. It changes the value,
// which nobody reads again.
func (v *values) title(value []byte) string {
	for i, c := range value {
		if c == '_' {
			value[i] = ' '
		}
	}
	return v.text(value)
}

func pageID(value []byte) (int64, error) {
	id := int64(0)
	for _, c := range value {
		if c < '0' || c > '9' || id > (math.MaxInt64-9)/10 {
			id = -1
			break
		}
		id = id*10 + int64(c-'0')
	}
	if id < 0 || len(value) == 0 {
		return 0, fmt.Errorf("the ID of a page is %q", value)
	}
	return id, nil
}

func stopped(err error) error {
	if err != nil {
		return stopError{err}
	}
	return nil
}

// WikiGroups finds the articles that say the same in several languages by the
// links between them: articles that are linked, directly or by others, are a
// group. The memory needed is that of the titles and some 50 bytes for each.
type WikiGroups struct {
	node   map[string]int32
	parent []int32
	least  []string // title of a group, at its root
}

// WikiTitle is the name of an article in WikiGroups, such as de:Fluss.
func WikiTitle(lang, title string) string { return lang + ":" + title }

// Link adds a link between two articles, named by WikiTitle.
func (g *WikiGroups) Link(a, b string) {
	i, j := g.root(g.add(a)), g.root(g.add(b))
	if g.least[j] < g.least[i] {
		i, j = j, i
	}
	g.parent[j] = i
}

func (g *WikiGroups) add(name string) int32 {
	if i, ok := g.node[name]; ok {
		return i
	}
	if g.node == nil {
		g.node = map[string]int32{}
	}
	i := int32(len(g.parent))
	g.node[name] = i
	g.parent = append(g.parent, i)
	g.least = append(g.least, name)
	return i
}

// root returns the node that stands for the group of node i, and makes the ways
// there shorter.
func (g *WikiGroups) root(i int32) int32 {
	for g.parent[i] != i {
		g.parent[i] = g.parent[g.parent[i]]
		i = g.parent[i]
	}
	return i
}

// Group returns the group of an article: the least name of its articles, in
// whatever order they were linked. It is "" if the article has no link.
func (g *WikiGroups) Group(name string) string {
	i, ok := g.node[name]
	if !ok {
		return ""
	}
	return g.least[g.root(i)]
}
