package source

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/marge-go/marge/marge/corpus"
)

// mosesLang is a language in the name of a side.
const mosesLang = `([A-Za-z]{2,3}(?:_[A-Za-z]{2,4})?)`

// mosesName is the name of one side of a parallel corpus, as OPUS gives it out in the
// format of Moses: Europarl.de-en.de, beside Europarl.de-en.en.
var mosesName = regexp.MustCompile(`\.` + mosesLang + `-` + mosesLang + `\.` + mosesLang + `$`)

// mosesSides returns the language of a side by its name, and the name of the other side.
func mosesSides(name string) (lang, other string, ok bool) {
	at := mosesName.FindStringSubmatchIndex(name)
	if at == nil {
		return "", "", false
	}
	first, second, lang := name[at[2]:at[3]], name[at[4]:at[5]], name[at[6]:]
	if first == second {
		return "", "", false
	}
	switch lang {
	case first:
		other = second
	case second:
		other = first
	default:
		return "", "", false
	}
	return lang, name[:at[6]] + other, true
}

// ReadMoses calls fn with the lines of one side of a parallel corpus in the format of
// Moses, each a document. name tells the language, as in Europarl.de-en.de. The ID of a
// document is name, '#' and the number of the line, from 1, and its Group the same with *
// for the language: equal in the translations. Lines without text are dropped, and those
// of more than MaxBytes.
//
// If name and the other side are files, they must have the same number of lines; if not,
// that is an error, or counted if the options say SkipBad, and there is no document. An
// error of fn is returned as it is.
func ReadMoses(
	ctx context.Context, name string, r io.Reader, o Options, fn func(corpus.Document) error,
) (Stats, error) {
	base, err := newRecords(ctx, name, o, fn)
	if err != nil {
		return Stats{}, err
	}
	lang, other, ok := mosesSides(name)
	if !ok {
		return Stats{}, fmt.Errorf("source: %s: its name does not tell the languages, as Europarl.de-en.de does", name)
	}
	sides, err := sidesOf(ctx, name, other)
	if err != nil {
		return base.stats, fmt.Errorf("source: %w", err)
	}
	if sides[0].lines != sides[1].lines {
		return base.ended(name, sides[0].bytes, fmt.Errorf("it has %d lines, %s has %d",
			sides[0].lines, filepath.Base(other), sides[1].lines))
	}
	in, group := bufio.NewReaderSize(r, 1<<16), strings.TrimSuffix(name, lang)+"*"
	for number := 1; ; number++ {
		line, long, err := mosesLine(in, base.o.MaxBytes)
		if err != nil && err != io.EOF {
			return base.stats, fmt.Errorf("source: %s: %w", name, err)
		}
		if err == io.EOF && len(line) == 0 && !long {
			break
		}
		if ctxErr := ctx.Err(); ctxErr != nil {
			return base.stats, ctxErr
		}
		if long {
			base.stats.drop(TooLong, 1)
		} else {
			text := strings.TrimSpace(strings.ToValidUTF8(strings.TrimPrefix(string(line), "\ufeff"), "\ufffd"))
			doc := corpus.Document{
				ID: fmt.Sprintf("%s#%d", name, number), Group: fmt.Sprintf("%s#%d", group, number), Lang: lang, Text: text,
			}
			if err := base.emit(doc); err != nil {
				return base.stats, err
			}
		}
		if err == io.EOF {
			break
		}
	}
	if base.stats.Documents == 0 {
		return base.ended(name, 0, errEmpty)
	}
	return base.stats, nil
}

// mosesLine reads a line of at most limit bytes, without its end. Of a longer one
// nothing is kept.
func mosesLine(in *bufio.Reader, limit int) (line []byte, long bool, err error) {
	for {
		piece, err := in.ReadSlice('\n')
		if long = long || len(line)+len(piece) > limit+1; long {
			line = nil
		} else {
			line = append(line, piece...)
		}
		if err != bufio.ErrBufferFull {
			return bytes.TrimSuffix(line, []byte("\n")), long, err
		}
	}
}

// side is the length of a side.
type side struct{ lines, bytes int }

// sidesOf returns the lengths of both sides, or zeros if one of them is no file.
func sidesOf(ctx context.Context, name, other string) (sides [2]side, err error) {
	for i, path := range []string{name, other} {
		if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
			return [2]side{}, nil
		}
		if sides[i], err = lengthOf(ctx, path); err != nil {
			return [2]side{}, err
		}
	}
	return sides, nil
}

func lengthOf(ctx context.Context, path string) (s side, err error) {
	f, err := os.Open(path)
	if err != nil {
		return s, err
	}
	defer f.Close()
	last, buf := byte('\n'), make([]byte, 1<<16)
	for {
		n, err := f.Read(buf)
		if n > 0 {
			s.lines, s.bytes, last = s.lines+bytes.Count(buf[:n], []byte("\n")), s.bytes+n, buf[n-1]
		}
		if err == io.EOF {
			if last != '\n' {
				s.lines++
			}
			return s, nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return s, err
		}
	}
}
