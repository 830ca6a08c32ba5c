package source

import (
	"strings"
	"time"
	"unicode"

	"codeberg.org/readeck/go-readability/v2"
	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// page is the format of HTML pages.
func page(data []byte) (text, lang string, err error) {
	text, err = decodeText(data, "")
	if err != nil {
		return "", "", err
	}
	main, err := mainContent(text)
	return main.text, main.lang, err
}

// content is what a page says.
type content struct {
	text, lang string
	published  time.Time // zero if the page does not say
}

// mainContent returns the article of an HTML page, or all of it.
func mainContent(text string) (content, error) {
	root, err := parse(text)
	if err != nil {
		return content{}, err
	}
	c := content{lang: language(root)}
	article, err := readability.FromDocument(root, nil) // of a copy
	if err != nil {
		return content{}, err
	}
	if t, err := article.PublishedTime(); err == nil {
		c.published = t
	}
	if article.Node == nil {
		c.text = visibleText(root)
		return c, nil
	}
	c.text = visibleText(article.Node)
	if title := strings.TrimSpace(article.Title()); title != "" && !strings.HasPrefix(c.text, title) {
		c.text = title + "\n\n" + c.text
	}
	return c, nil
}

func parse(text string) (*html.Node, error) { return html.Parse(strings.NewReader(text)) }

// language returns the attribute lang of the element <html>, or "".
func language(root *html.Node) string {
	for n := range root.ChildNodes() {
		for _, a := range n.Attr {
			if n.DataAtom == atom.Html && (a.Key == "lang" || a.Key == "xml:lang") {
				return strings.TrimSpace(a.Val)
			}
		}
	}
	return ""
}

// What is not seen of a page, and what stands on lines of its own.
var (
	hidden = atoms(atom.Head, atom.Script, atom.Style, atom.Noscript, atom.Template, atom.Iframe, atom.Svg, atom.Object,
		atom.Select, atom.Textarea)
	blocks = atoms(atom.Address, atom.Article, atom.Aside, atom.Blockquote, atom.Body, atom.Caption, atom.Dd,
		atom.Details, atom.Div, atom.Dl, atom.Dt, atom.Figcaption, atom.Figure, atom.Footer, atom.Form, atom.H1, atom.H2,
		atom.H3, atom.H4, atom.H5, atom.H6, atom.Header, atom.Hr, atom.Li, atom.Main, atom.Nav, atom.Ol, atom.P, atom.Pre,
		atom.Section, atom.Summary, atom.Table, atom.Tr, atom.Ul)
	cells = atoms(atom.Td, atom.Th)
)

func atoms(list ...atom.Atom) map[atom.Atom]bool {
	set := map[atom.Atom]bool{}
	for _, a := range list {
		set[a] = true
	}
	return set
}

// visibleText returns the text below a node: white space is as a browser shows
// it, and an empty line separates blocks.
func visibleText(n *html.Node) string {
	var v visible
	v.add(n, false)
	return v.out.String()
}

// visible collects text.
type visible struct {
	out   strings.Builder
	space string // to write before the next character, if there was one
}

// need asks for white space before the next character: the widest counts.
func (v *visible) need(space string) {
	if len(space) > len(v.space) {
		v.space = space
	}
}

func (v *visible) write(text string) {
	if v.out.Len() > 0 {
		v.out.WriteString(v.space)
	}
	v.space = ""
	v.out.WriteString(text)
}

// add adds a node and those below it. In preformatted text, white space stays.
func (v *visible) add(n *html.Node, preformatted bool) {
	switch n.Type {
	case html.TextNode:
		v.addText(n.Data, preformatted)
		return
	case html.ElementNode:
		switch {
		case hidden[n.DataAtom]:
			return
		case blocks[n.DataAtom]:
			v.need("\n\n")
			defer v.need("\n\n")
		case cells[n.DataAtom]:
			v.need(" ")
			defer v.need(" ")
		case n.DataAtom == atom.Br:
			v.need("\n")
		}
		preformatted = preformatted || n.DataAtom == atom.Pre
	}
	for c := range n.ChildNodes() {
		v.add(c, preformatted)
	}
}

func (v *visible) addText(text string, preformatted bool) {
	if preformatted {
		if strings.HasPrefix(text, "\n") {
			v.need("\n")
		}
		if line := strings.Trim(text, "\n"); line != "" {
			v.write(line)
		}
		if strings.HasSuffix(text, "\n") {
			v.need("\n")
		}
		return
	}
	// No-break spaces are characters.
	isSpace := func(r rune) bool { return unicode.IsSpace(r) && r != '\u00a0' }
	if strings.TrimLeftFunc(text, isSpace) != text {
		v.need(" ")
	}
	for i, word := range strings.FieldsFunc(text, isSpace) {
		if i > 0 {
			v.need(" ")
		}
		v.write(word)
	}
	if strings.TrimRightFunc(text, isSpace) != text {
		v.need(" ")
	}
}
