package source

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/klauspost/compress/gzip"
)

// ReadPageProps calls fn with the Wikidata item of every page that has one, as
// Q42, from a dump of the table page_props (page_props.sql.gz): pages of the
// same item, in different languages, are about the same. The dump is that of
// mysqldump, plain or compressed with gzip, and is streamed. What is damaged or
// cut short, before the UNLOCK TABLES behind the rows, is an error with file
// and line: what was passed on before is not all, and may be wrong. An error of
// fn is returned as it is.
func ReadPageProps(
	ctx context.Context, name string, r io.Reader, fn func(page int64, item string) error,
) (Stats, error) {
	columns := []string{"pp_page", "pp_propname", "pp_value"}
	return readTable(ctx, name, r, "page_props", columns, func(row [][]byte) (bool, error) {
		if string(row[1]) != "wikibase_item" {
			return false, nil
		}
		page, err := pageID(row[0])
		if err != nil {
			return false, err
		}
		return true, stopped(fn(page, string(row[2])))
	})
}

// ReadLangLinks calls fn with the links from pages to those about the same in
// other languages, from a dump of the table langlinks (langlinks.sql.gz), as
// ReadPageProps does. lang is the code of the other wiki, such as de or simple.
func ReadLangLinks(
	ctx context.Context, name string, r io.Reader, fn func(page int64, lang, title string) error,
) (Stats, error) {
	columns := []string{"ll_from", "ll_lang", "ll_title"}
	return readTable(ctx, name, r, "langlinks", columns, func(row [][]byte) (bool, error) {
		page, err := pageID(row[0])
		if err != nil || len(row[2]) == 0 {
			return false, err
		}
		title := strings.ReplaceAll(string(row[2]), "_", " ")
		return true, stopped(fn(page, string(row[1]), title))
	})
}

// ReadPageTable calls fn with the articles of a wiki, without redirects, from a
// dump of the table page (page.sql.gz), as ReadPageProps does.
func ReadPageTable(
	ctx context.Context, name string, r io.Reader, fn func(page int64, title string) error,
) (Stats, error) {
	columns := []string{"page_id", "page_namespace", "page_title", "page_is_redirect"}
	return readTable(ctx, name, r, "page", columns, func(row [][]byte) (bool, error) {
		page, err := pageID(row[0])
		if err != nil || string(row[1]) != "0" || string(row[3]) != "0" {
			return false, err
		}
		return true, stopped(fn(page, strings.ReplaceAll(string(row[2]), "_", " ")))
	})
}

func pageID(value []byte) (int64, error) {
	id, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil || id < 0 {
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

// maxValueBytes is the length of the longest value of a dump of a table.
const maxValueBytes = 64 << 10

// maxColumns is how many columns a table may have.
const maxColumns = 100

// readTable calls fn with columns of the rows of a table; NULL is nil. fn
// returns whether the row was of use.
func readTable(
	ctx context.Context, name string, r io.Reader, table string, columns []string, fn func([][]byte) (bool, error),
) (Stats, error) {
	d := sqlDump{ctx: ctx, line: 1, table: table, columns: columns, fn: fn, wanted: make([][]byte, len(columns))}
	in := bufio.NewReaderSize(r, 1<<16)
	d.in = in
	var err error
	if head, _ := in.Peek(2); string(head) == "\x1f\x8b" {
		var z *gzip.Reader
		if z, err = gzip.NewReader(in); err == nil {
			d.in = bufio.NewReaderSize(z, 1<<16)
		}
	}
	if err == nil {
		err = d.read()
	}
	var stop stopError
	if errors.As(err, &stop) {
		return d.stats, stop.error
	} else if err != nil {
		err = fmt.Errorf("source: %s:%d: %w", name, d.line, err)
	}
	return d.stats, err
}

// sqlDump reads the output of mysqldump: of its statements, those that create
// the table, that insert rows, and that unlock the table behind the last one.
type sqlDump struct {
	ctx      context.Context
	in       *bufio.Reader
	line     int
	table    string
	columns  []string
	position []int    // of columns in a row
	count    int      // of the columns of the table
	row      [][]byte // the values; those of NULL are nil
	buffers  [][]byte // of values that are not in the buffer of in as they are
	wanted   [][]byte // those of columns
	fn       func([][]byte) (bool, error)
	stats    Stats
}

func (d *sqlDump) read() error {
	create, insert := "CREATE TABLE `"+d.table+"` (", "INSERT INTO `"+d.table+"` VALUES "
	finished := false
	for {
		head, err := d.in.Peek(max(len(create), len(insert)))
		if len(head) == 0 {
			if err != io.EOF {
				return err
			}
			break
		}
		is := func(prefix string) bool { return bytes.HasPrefix(head, []byte(prefix)) }
		switch {
		case is(insert) && d.position == nil:
			return fmt.Errorf("rows stand before CREATE TABLE `%s`", d.table)
		case is(insert):
			d.in.Discard(len(insert)) // what was peeked at is there
			if err := d.rows(); err != nil {
				return noEOF(err)
			}
		case is(create):
			if err := d.createTable(); err != nil {
				return noEOF(err)
			}
		case is("UNLOCK TABLES"), is("-- Dump completed"):
			finished = true
		}
		if err := d.skipLine(); err != nil {
			return err
		}
	}
	if d.position == nil {
		return fmt.Errorf("there is no table `%s`", d.table)
	}
	if !finished {
		return errors.New("the dump is cut short: UNLOCK TABLES is missing")
	}
	return nil
}

// skipLine goes to the next line, or the end.
func (d *sqlDump) skipLine() error {
	for {
		_, err := d.in.ReadSlice('\n')
		if err == io.EOF {
			return nil
		}
		if err == nil {
			d.line++
			return nil
		}
		if err != bufio.ErrBufferFull {
			return err
		}
	}
}

// createTable finds out where the columns are in a row: each is a line that
// begins with its name.
func (d *sqlDump) createTable() error {
	d.position = make([]int, len(d.columns))
	for i := range d.position {
		d.position[i] = -1
	}
	for d.count = 0; ; {
		if err := d.skipLine(); err != nil {
			return err
		}
		line, err := d.in.Peek(1)
		if err != nil {
			return err
		}
		if line[0] == ')' {
			break
		}
		line, err = d.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		d.in.UnreadByte() // the end of the line, for skipLine
		name, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("`"))
		if !ok {
			continue // a key
		}
		name, _, _ = bytes.Cut(name, []byte("`"))
		for i, column := range d.columns {
			if column == string(name) {
				d.position[i] = d.count
			}
		}
		if d.count++; d.count > maxColumns {
			return fmt.Errorf("the table has more than %d columns", maxColumns)
		}
	}
	for i, at := range d.position {
		if at < 0 {
			return fmt.Errorf("the table `%s` has no column `%s`", d.table, d.columns[i])
		}
	}
	d.row, d.buffers = make([][]byte, d.count), make([][]byte, d.count)
	return nil
}

// rows reads the rows of an INSERT, up to its semicolon.
func (d *sqlDump) rows() error {
	for {
		if err := d.ctx.Err(); err != nil {
			return stopError{err}
		}
		if !d.quickRow() {
			if err := d.slowRow(); err != nil {
				return err
			}
		}
		for i, at := range d.position {
			d.wanted[i] = d.row[at]
		}
		used, err := d.fn(d.wanted)
		if err != nil {
			return err
		}
		if used {
			d.stats.Records++
			d.stats.Documents++
		} else {
			d.stats.drop(OtherRecord, 1)
		}
		c, err := d.in.ReadByte()
		switch {
		case err != nil:
			return err
		case c == ';':
			return nil
		case c != ',':
			return fmt.Errorf("%q follows a row, want ',' or ';'", c)
		}
	}
}

// quickRow reads a row without copying it, if all of it is in the buffer and no
// value has escapes or is too long. It reports whether that is so; if not,
// nothing was read.
func (d *sqlDump) quickRow() bool {
	row, _ := d.in.Peek(d.in.Buffered())
	n := 0 // bytes of the row
	take := func(want byte) bool {
		n++
		return n <= len(row) && row[n-1] == want
	}
	if !take('(') {
		return false
	}
	for i := range d.row {
		if i > 0 && !take(',') {
			return false
		}
		begin, stop := n, &numberEnd
		text := take('\'')
		if text {
			begin, stop = n, &stringStop
		} else {
			n = begin
		}
		n += span(row[min(n, len(row)):], stop)
		if n >= len(row) || n-begin > maxValueBytes {
			return false
		}
		switch value := row[begin:n]; {
		case text:
			if !take('\'') || n >= len(row) || row[n] == '\'' {
				return false
			}
			d.row[i] = value
		case string(value) == "NULL":
			d.row[i] = nil
		case !isNumber(value):
			return false
		default:
			d.row[i] = value
		}
	}
	if !take(')') {
		return false
	}
	d.in.Discard(n) // what was peeked at is there
	return true
}

// span returns how many bytes come before the first that is in stop.
func span(text []byte, stop *[256]bool) int {
	for i, c := range text {
		if stop[c] {
			return i
		}
	}
	return len(text)
}

func isNumber(value []byte) bool {
	for _, c := range value {
		if (c < '0' || c > '9') && strings.IndexByte("-+.eE", c) < 0 {
			return false
		}
	}
	return len(value) > 0
}

// slowRow reads any row.
func (d *sqlDump) slowRow() error {
	if err := d.expect('('); err != nil {
		return err
	}
	for i := range d.row {
		if i > 0 {
			if err := d.expect(','); err != nil {
				return err
			}
		}
		d.buffers[i] = d.buffers[i][:0]
		null, err := d.value(i)
		if err != nil {
			return err
		}
		if d.row[i] = d.buffers[i]; null {
			d.row[i] = nil
		}
	}
	return d.expect(')')
}

func (d *sqlDump) expect(want byte) error {
	c, err := d.in.ReadByte()
	if err == nil && c != want {
		err = fmt.Errorf("%q in row %d, want %q", c, d.stats.Records+1, want)
	}
	return err
}

// value reads a value of a row: a string in quotes, a number or NULL.
func (d *sqlDump) value(i int) (null bool, err error) {
	c, err := d.in.ReadByte()
	if err != nil {
		return false, err
	}
	if c == '\'' {
		return false, d.quoted(i)
	}
	if err := d.in.UnreadByte(); err != nil {
		return false, err
	}
	if err := d.until(i, &numberEnd); err != nil {
		return false, err
	}
	value := d.buffers[i]
	null = string(value) == "NULL"
	if !null && !isNumber(value) {
		return false, fmt.Errorf("the value %.40q in row %d is no number", value, d.stats.Records+1)
	}
	return null, nil
}

// Bytes that end a number, and that are not themselves in a string.
var (
	numberEnd  = [256]bool{',': true, ')': true}
	stringStop = [256]bool{'\'': true, '\\': true, '\n': true}
)

// until reads the bytes of a value up to one of those in stop.
func (d *sqlDump) until(i int, stop *[256]bool) error {
	for {
		if _, err := d.in.Peek(1); err != nil {
			return err
		}
		part, _ := d.in.Peek(d.in.Buffered())
		n := span(part, stop)
		if len(d.buffers[i])+n > maxValueBytes {
			return fmt.Errorf("a value in row %d is longer than %d bytes", d.stats.Records+1, maxValueBytes)
		}
		d.buffers[i] = append(d.buffers[i], part[:n]...)
		d.in.Discard(n) // what was peeked at is there
		if n < len(part) {
			return nil
		}
	}
}

// quoted reads the rest of a string.
func (d *sqlDump) quoted(i int) error {
	for {
		if err := d.until(i, &stringStop); err != nil {
			return err
		}
		c, err := d.in.ReadByte()
		if err != nil {
			return err
		}
		switch c {
		case '\'':
			next, err := d.in.Peek(1)
			if err != nil || next[0] != '\'' {
				return err
			}
			d.in.ReadByte() // two quotes are one
		case '\\':
			if c, err = d.in.ReadByte(); err != nil {
				return err
			}
			if k := strings.IndexByte("0bnrtZ", c); k >= 0 {
				c = "\x00\b\n\r\t\x1a"[k]
			}
		case '\n':
			d.line++
		}
		d.buffers[i] = append(d.buffers[i], c)
	}
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
