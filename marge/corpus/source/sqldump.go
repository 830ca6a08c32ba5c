package source

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
)

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
			ahead := newReadAhead(z)
			defer ahead.close()
			d.in = bufio.NewReaderSize(ahead, 1<<16)
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
		if ended, err := d.quickRows(); ended || err != nil {
			return err
		}
		if err := d.slowRow(); err != nil {
			return err
		}
		if err := d.use(); err != nil {
			return err
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

// use calls fn with the columns of a row.
func (d *sqlDump) use() error {
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
	return nil
}

// quickRows reads rows without copying them, up to the first that is not in the
// buffer as a whole, or that is not as most are. It reports whether the last one
// of the statement was read.
func (d *sqlDump) quickRows() (ended bool, err error) {
	text, _ := d.in.Peek(d.in.Buffered())
	if escape := bytes.IndexByte(text, '\\'); escape >= 0 {
		text = text[:escape]
	}
	n := 0 // bytes of rows
	for !ended && err == nil {
		size := d.quickRow(text[n:])
		if size == 0 || n+size == len(text) || text[n+size] != ',' && text[n+size] != ';' {
			break
		}
		err = d.use()
		n += size + 1
		ended = text[n-1] == ';'
	}
	d.line += bytes.Count(text[:n], []byte{'\n'})
	d.in.Discard(n) // what was peeked at is there
	return ended, err
}

// quickRow returns the length of the row that text, without escapes, begins with.
// It is 0 if there is none, or one for slowRow.
func (d *sqlDump) quickRow(text []byte) (n int) {
	before := byte('(')
	for i := range d.row {
		if n+1 >= len(text) || text[n] != before {
			return 0
		}
		before = ','
		n++
		begin := n
		switch text[n] {
		case '\'':
			begin++
			k := bytes.IndexByte(text[begin:], '\'')
			if n = begin + k + 1; k < 0 || k > maxValueBytes || n == len(text) || text[n] == '\'' {
				return 0
			}
			d.row[i] = text[begin : n-1]
			continue
		case 'N':
			if !bytes.HasPrefix(text[n:], []byte("NULL")) {
				return 0
			}
			d.row[i] = nil
			n += len("NULL")
			continue
		}
		for n < len(text) && numeric[text[n]] {
			n++
		}
		if n == begin || n-begin > maxValueBytes {
			return 0
		}
		d.row[i] = text[begin:n]
	}
	if n >= len(text) || text[n] != ')' {
		return 0
	}
	return n + 1
}

// numeric are the bytes of numbers.
var numeric = bytesOf("0123456789-+.eE")

func bytesOf(list string) (set [256]bool) {
	for _, c := range []byte(list) {
		set[c] = true
	}
	return set
}

func isNumber(value []byte) bool {
	for _, c := range value {
		if !numeric[c] {
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
	numberEnd  = bytesOf(",)")
	stringStop = bytesOf("'\\\n")
)

// span returns how many bytes come before the first that is in stop.
func span(text []byte, stop *[256]bool) int {
	for i, c := range text {
		if stop[c] {
			return i
		}
	}
	return len(text)
}

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
