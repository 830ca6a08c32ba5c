package source

import (
	"bytes"
	"html"
	"strings"
)

// What is between these tags is not wiki markup, and is no text.
var wikiRemoved = set("ref", "references", "math", "chem", "ce", "score", "timeline", "gallery", "imagemap",
	"syntaxhighlight", "source", "hiero", "graph", "mapframe", "maplink", "templatedata", "templatestyles", "inputbox",
	"categorytree", "indicator", "section")

// What is between these tags is text without wiki markup.
var wikiRaw = set("nowiki", "pre")

// Tags around text.
var wikiTags = set("abbr", "b", "bdi", "bdo", "big", "blockquote", "center", "cite", "code", "data", "dd", "del", "dfn",
	"div", "dl", "dt", "em", "font", "h1", "h2", "h3", "h4", "h5", "h6", "i", "includeonly", "ins", "kbd", "langconvert",
	"li", "mark", "noinclude", "ol", "onlyinclude", "p", "poem", "q", "rb", "rp", "rt", "ruby", "s", "samp", "small",
	"span", "strike", "strong", "sub", "sup", "time", "tt", "u", "ul", "var", "wbr")

// Tags that stand between lines.
var wikiBreaks = set("br", "hr", "blockquote", "dd", "div", "dt", "li", "p", "poem", "center")

func set(names ...string) map[string]bool {
	m := map[string]bool{}
	for _, name := range names {
		m[name] = true
	}
	return m
}

// tag handles a comment or a tag. What is neither is text.
func (w *wikitext) tag(rest string) error {
	if strings.HasPrefix(rest, "<!--") {
		w.comment(rest)
		return nil
	}
	begin := 1
	if strings.HasPrefix(rest, "</") {
		begin = 2
	}
	name := tagName(rest[begin:])
	end := begin + len(name)
	if k := strings.IndexAny(rest[end:], "<>"); k < 0 || name == "" || rest[end+k] == '<' {
		w.literal(1)
		return nil
	} else {
		end += k + 1
	}
	closing, single := begin == 2, rest[end-2] == '/'
	switch {
	case name == "table" && closing:
		w.endTable()
	case name == "table" && !single:
		if err := w.push(table, len(w.out), 0); err != nil {
			return err
		}
	case name == "table":
	case (wikiRaw[name] || wikiRemoved[name]) && !closing && !single:
		w.i += end
		w.raw(name)
		return nil
	case !wikiRaw[name] && !wikiRemoved[name] && !wikiTags[name] && !wikiBreaks[name]:
		w.literal(1)
		return nil
	}
	if wikiBreaks[name] {
		w.out = append(w.out, '\n')
	}
	w.i += end
	return nil
}

// tagName returns the name at the beginning of s, in small letters, or "".
func tagName(s string) string {
	n := 0
	for n < min(len(s), 20) && (s[n]|0x20 >= 'a' && s[n]|0x20 <= 'z' || n > 0 && s[n] >= '0' && s[n] <= '9') {
		n++
	}
	return strings.ToLower(s[:n])
}

// comment leaves a comment out, with its line if it is alone there. One that
// does not end takes the rest of the page.
func (w *wikitext) comment(rest string) {
	end := strings.Index(rest, "-->")
	if end < 0 {
		w.i = len(w.in)
		return
	}
	alone := w.i > 0 && w.in[w.i-1] == '\n'
	w.i += end + len("-->")
	if alone && strings.HasPrefix(w.in[w.i:], "\n") {
		w.i++
	}
}

// raw goes behind the closing tag of an element whose content is not wiki
// markup, and writes the content if it is text. Without a closing tag, the
// content counts as markup.
func (w *wikitext) raw(name string) {
	rest := w.in[w.i:]
	for at := 0; !w.endless[name]; {
		k := strings.Index(rest[at:], "</")
		if k < 0 {
			w.endless[name] = true
			return
		}
		content := rest[:at+k]
		at += k + len("</")
		if tagName(rest[at:]) != name {
			continue
		}
		if wikiRaw[name] {
			w.out = append(w.out, html.UnescapeString(content)...)
		}
		at += len(name)
		if k := strings.IndexByte(rest[at:min(len(rest), at+20)], '>'); k >= 0 {
			at += k + 1
		}
		w.i += at
		return
	}
}

// layout makes paragraphs of lines.
func layout(lines []byte) string {
	var l wikiLayout
	l.out.Grow(len(lines))
	for line := range bytes.Lines(lines) {
		line = bytes.TrimSpace(line)
		level := 0
		for level < len(line)/2 && line[level] == '=' && line[len(line)-1-level] == '=' {
			level++
		}
		switch {
		case len(line) == 0:
			l.inside = false
		case level > 0 && len(line) > 2*level:
			l.heading(level, line[level:len(line)-level])
		case bytes.HasPrefix(line, []byte("----")):
			l.inside = false
			l.add(bytes.TrimLeft(line, "-"))
		case strings.IndexByte("*#:;", line[0]) >= 0:
			l.inside = false
			l.add(bytes.TrimLeft(line, "*#:; \t"))
			l.inside = false
		default:
			l.add(line)
		}
	}
	return l.out.String()
}

type wikiLayout struct {
	out      strings.Builder
	inside   bool // a paragraph
	headings []wikiHeading
}

// wikiHeading is a heading below which there is no text yet.
type wikiHeading struct {
	level int
	text  []byte
}

func (l *wikiLayout) heading(level int, text []byte) {
	l.inside = false
	for n := len(l.headings); n > 0 && l.headings[n-1].level >= level; n-- {
		l.headings = l.headings[:n-1]
	}
	l.headings = append(l.headings, wikiHeading{level, text})
}

// add adds a line to the paragraph, or begins one.
func (l *wikiLayout) add(line []byte) {
	words := strings.FieldsFunc(string(line), func(r rune) bool { return r <= ' ' })
	text := strings.Join(words, " ")
	// What was in brackets was a template.
	text = strings.ReplaceAll(strings.ReplaceAll(text, " ( )", ""), " ()", "")
	if text == "" {
		return
	}
	headings := l.headings
	l.headings = nil
	for _, h := range headings {
		l.inside = false
		l.add(h.text)
		l.inside = false
	}
	if l.out.Len() > 0 {
		if l.inside {
			l.out.WriteByte(' ')
		} else {
			l.out.WriteString("\n\n")
		}
	}
	l.inside = true
	l.out.WriteString(text)
}
