package source

import (
	"bytes"
	"errors"
	"html"
	"strings"
	"unicode/utf8"
)

// maxWikiDepth is how deep templates, tables and links may be nested in each
// other. MediaWiki itself stops at 40 templates.
const maxWikiDepth = 200

var errTooDeep = errors.New("markup is nested too deep")

// Wiki markup that may hold other markup.
type wikiKind int

const (
	template wikiKind = iota // {{...}} and {{{...}}}
	table                    // {|...|} and <table>
	link                     // [[...]]
	external                 // [http://... ...]
	wikiKinds
)

// wikiFrame is markup that is open.
type wikiFrame struct {
	kind   wikiKind
	at     int // where it begins in the output
	braces int // of a template, to be closed
}

// wikitext turns the markup of MediaWiki into text, from left to right and
// without recursion: where templates and tables close, what was written since
// they opened is taken back.
type wikitext struct {
	in      string
	i       int
	out     []byte
	stack   []wikiFrame
	open    [wikiKinds]int  // in stack
	endless map[string]bool // marks that do not occur in the rest of in
	removed func(prefix string) bool
}

// wikiSpecial are the bytes at which something may happen.
var wikiSpecial = [256]bool{
	'{': true, '}': true, '[': true, ']': true, '|': true, '<': true, '&': true, '\'': true, '_': true, '\n': true,
}

// wikiText returns the text of a page: of links what is shown, and no
// templates, tables, references, comments, pictures or categories. A paragraph,
// a heading or an item of a list is a line, with an empty line between two.
// Headings without text below them are left out. removed tells the prefixes of
// links to pictures and categories, in small letters.
func wikiText(in string, removed func(prefix string) bool) (string, error) {
	w := wikitext{in: in, out: make([]byte, 0, len(in)), endless: map[string]bool{}, removed: removed}
	for w.i < len(in) {
		start := w.i
		for w.i < len(in) && !wikiSpecial[in[w.i]] {
			w.i++
		}
		w.out = append(w.out, in[start:w.i]...)
		if w.i < len(in) {
			if err := w.special(); err != nil {
				return "", err
			}
		}
	}
	return layout(w.out), nil
}

// special handles what begins with a special byte.
func (w *wikitext) special() error {
	rest := w.in[w.i:]
	switch rest[0] {
	case '{':
		return w.openBraces(run(rest))
	case '}':
		w.closeBraces(run(rest))
	case '[':
		return w.openLink(rest)
	case ']':
		w.closeLink(rest)
	case '|':
		if !w.closesTable(rest) {
			w.literal(1)
		}
	case '<':
		return w.tag(rest)
	case '&':
		w.entity(rest)
	case '\'':
		// Two are italic, three bold, five both; the others are apostrophes.
		n := run(rest)
		w.i += n
		if n == 4 || n == 1 {
			n = 1
		} else {
			n = max(0, n-5)
		}
		w.out = append(w.out, rest[:n]...)
	case '_':
		if n := magicWord(rest); n > 0 {
			w.i += n
		} else {
			w.literal(1)
		}
	case '\n':
		w.pop(external)
		w.literal(1)
	}
	return nil
}

// run returns how often the first byte of a text is repeated.
func run(s string) int {
	n := 1
	for n < len(s) && s[n] == s[0] {
		n++
	}
	return n
}

// literal writes n bytes as they are.
func (w *wikitext) literal(n int) {
	w.out = append(w.out, w.in[w.i:w.i+n]...)
	w.i += n
}

func (w *wikitext) push(kind wikiKind, at, braces int) error {
	if len(w.stack) == maxWikiDepth {
		return errTooDeep
	}
	w.stack = append(w.stack, wikiFrame{kind, at, braces})
	w.open[kind]++
	return nil
}

// pop closes the last frame if it is of a kind.
func (w *wikitext) pop(kind wikiKind) (wikiFrame, bool) {
	if n := len(w.stack); n > 0 && w.stack[n-1].kind == kind {
		f := w.stack[n-1]
		w.stack = w.stack[:n-1]
		w.open[kind]--
		return f, true
	}
	return wikiFrame{}, false
}

// popTo closes frames down to the last one of a kind, which there is.
func (w *wikitext) popTo(kind wikiKind) wikiFrame {
	for {
		if f, ok := w.pop(kind); ok {
			return f
		}
		w.pop(w.stack[len(w.stack)-1].kind)
	}
}

// lineStart reports whether nothing but blanks or an indent stands before the
// next byte in its line.
func (w *wikitext) lineStart() bool {
	before := strings.TrimRight(w.in[:w.i], " \t:")
	return before == "" || before[len(before)-1] == '\n'
}

// openBraces opens a table or the templates that n braces may stand for: how
// they pair is known where they close.
func (w *wikitext) openBraces(n int) error {
	at := len(w.out)
	isTable := n == 1 && strings.HasPrefix(w.in[w.i+1:], "|") && w.lineStart()
	w.literal(n)
	switch {
	case isTable:
		return w.push(table, at, 0)
	case n > 1:
		return w.push(template, at, n)
	}
	return nil
}

// closeBraces closes templates: three braces are closed by three, two by two.
func (w *wikitext) closeBraces(n int) {
	for left := n; left > 1 && w.open[template] > 0; {
		f := w.popTo(template)
		matched := min(f.braces, left, 3)
		left -= matched
		w.i += matched
		n -= matched
		w.out = w.out[:f.at]
		for range f.braces - matched {
			w.out = append(w.out, '{')
		}
		if f.braces -= matched; f.braces > 1 {
			w.stack = append(w.stack, f) // there was room
			w.open[template]++
		}
	}
	w.literal(n)
}

// closesTable takes a table back where it ends. What looks like the end of a
// table in a template may be its last parameter, which is empty.
func (w *wikitext) closesTable(rest string) bool {
	if !strings.HasPrefix(rest, "|}") || w.open[table] == 0 || !w.lineStart() ||
		strings.HasPrefix(rest, "|}}") && w.open[template] > 0 || !w.endTable() {
		return false
	}
	w.i += 2
	return true
}

// endTable takes back the last table, unless a template is open in it.
func (w *wikitext) endTable() bool {
	for i := len(w.stack) - 1; i >= 0 && w.stack[i].kind != template; i-- {
		if w.stack[i].kind == table {
			w.out = w.out[:w.popTo(table).at]
			return true
		}
	}
	return false
}

// openLink opens a link to a page or, with one bracket, to an address.
func (w *wikitext) openLink(rest string) error {
	if n := run(rest); n > 1 {
		w.literal(n - 2)
		w.literal(2)
		return w.push(link, len(w.out)-2, 0)
	}
	address := rest[1:]
	for _, scheme := range []string{"http:", "https:", "ftp:", "mailto:", "//"} {
		if !strings.HasPrefix(address, scheme) {
			continue
		}
		end := 1 + strings.IndexAny(address, " \t\n]<[{}")
		if end == 0 {
			end = len(rest)
		}
		w.i += end
		if strings.HasPrefix(rest[end:], "]") {
			w.i++
			return nil
		}
		return w.push(external, len(w.out), 0)
	}
	w.literal(1)
	return nil
}

// closeLink writes what a link shows.
func (w *wikitext) closeLink(rest string) {
	if _, ok := w.pop(external); ok {
		w.i++
		return
	}
	if !strings.HasPrefix(rest, "]]") {
		w.literal(1)
		return
	}
	f, ok := w.pop(link)
	if !ok {
		w.literal(2)
		return
	}
	w.i += 2
	inner := w.out[f.at+len("[["):]
	w.out = append(w.out[:f.at], w.shown(inner)...) // moved to the left
}

// shown returns what a link shows: a part of what is in its brackets.
func (w *wikitext) shown(inner []byte) []byte {
	target, text, piped := bytes.Cut(inner, []byte("|"))
	target = bytes.TrimSpace(target)
	if shown, ok := bytes.CutPrefix(target, []byte(":")); ok {
		target = shown // a link to a picture or another language, not what it stands for
	} else if prefix, _, ok := bytes.Cut(target, []byte(":")); ok {
		prefix := strings.ToLower(string(bytes.TrimSpace(prefix)))
		if w.removed(prefix) || !piped && isWikiLanguage(prefix) {
			return nil
		}
	}
	if text = bytes.TrimSpace(text); piped && len(text) > 0 {
		return text
	}
	return target
}

// isWikiLanguage reports whether a prefix is that of a wiki in another language,
// to which links at the end of a page lead.
func isWikiLanguage(prefix string) bool {
	first, _, _ := strings.Cut(prefix, "-")
	return (len(first) == 2 || len(first) == 3) && strings.Trim(first, "abcdefghijklmnopqrstuvwxyz") == "" ||
		first == "simple"
}

// entity writes the character that an entity stands for.
func (w *wikitext) entity(rest string) {
	end := 1
	for end < min(len(rest), 32) && (rest[end] == '#' || rest[end]|0x20 >= 'a' && rest[end]|0x20 <= 'z' ||
		rest[end] >= '0' && rest[end] <= '9') {
		end++
	}
	if end == len(rest) || rest[end] != ';' {
		w.literal(1)
		return
	}
	w.i += end + 1
	w.out = append(w.out, html.UnescapeString(rest[:end+1])...)
}

// magicWord returns the length of a word like __NOTOC__, or 0.
func magicWord(s string) int {
	if !strings.HasPrefix(s, "__") {
		return 0
	}
	n := 2
	for n < min(len(s), 60) && (s[n] >= 'A' && s[n] <= 'Z' || s[n] >= utf8.RuneSelf) {
		n++
	}
	if n == 2 || !strings.HasPrefix(s[n:], "__") {
		return 0
	}
	return n + 2
}
