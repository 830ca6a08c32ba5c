package prepare

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/net/html"
	"golang.org/x/text/unicode/norm"
)

// set returns a set of words.
func setOf(words string) map[string]bool {
	set := map[string]bool{}
	for _, word := range strings.Fields(words) {
		set[word] = true
	}
	return set
}

// Elements that begin a paragraph, those without content, and those, or classes
// of those, that are no text of a manual: navigation, code and what is repeated.
var (
	paragraphTags = setOf("p h1 h2 h3 h4 h5 h6 li td th dt dd div title item note section table tr ul ol dl steps terms " +
		"list tree desc body blockquote figure page sect")
	emptyTags  = setOf("br img meta link hr input col include media_")
	hiddenTags = setOf("script style header aside footer nav pre info code_block head media screen noscript button " +
		"object svg")
	hiddenClass = regexp.MustCompile(`\b(navheader|navfooter|docnav|toc|list-of-\w+|indexterm|banner|programlisting` +
		`|screen|synopsis|footnote|MAC|UNIX|relatedtopics|contents-treeview|headerlink|sphinxsidebar|related|noblefncode` +
		`|bascode|pycode|literalblock|abstract-nav|reportbug|highlight|pagenav|mediaobject)\b`)
)

// maxManualDepth is how deep elements may be nested.
const maxManualDepth = 1000

// paragraphs collects the text of a manual by the tags of elements.
type paragraphs struct {
	list   []string
	text   strings.Builder
	open   []openElement
	hidden int    // open elements that hide their text
	cases  []bool // of open switches of LibreOffice: whether a case was shown
}

type openElement struct {
	name                      string
	hides, paragraph, aSwitch bool
}

// element is what counts of a start tag.
type element struct{ name, class, kind, hidden string }

// begin begins an element.
func (p *paragraphs) begin(e element) error {
	if e.name == "br" {
		p.add(" ")
	}
	if emptyTags[e.name] {
		return nil
	}
	if len(p.open) == maxManualDepth {
		return fmt.Errorf("elements are nested more than %d deep", maxManualDepth)
	}
	o := openElement{
		name: e.name, hides: hiddenTags[e.name] || hiddenClass.MatchString(e.class), paragraph: paragraphTags[e.name],
		aSwitch: e.class == "switch" || e.class == "switchinline",
	}
	// A page of GNOME has titles for lists of links, too.
	if e.name == "title" && (e.kind == "sort" || e.kind == "link" || e.kind == "text") {
		o.hides = true
	}
	if o.aSwitch {
		p.cases = append(p.cases, false)
	} else if n := len(p.cases); n > 0 && e.name == "span" && e.hidden == "true" && !o.hides {
		// Of what differs between systems, the first is as good as the others.
		o.hides, p.cases[n-1] = p.cases[n-1], true
	}
	if o.paragraph {
		p.end()
	}
	if o.hides {
		p.hidden++
	}
	p.open = append(p.open, o)
	return nil
}

// close ends an element, with those in it that have no end.
func (p *paragraphs) close(name string) {
	i := len(p.open) - 1
	for i >= 0 && p.open[i].name != name {
		i--
	}
	if i < 0 {
		return
	}
	for n := len(p.open) - 1; n >= i; n-- {
		o := p.open[n]
		if o.hides {
			p.hidden--
		}
		if o.aSwitch {
			p.cases = p.cases[:len(p.cases)-1]
		}
		if o.paragraph {
			p.end()
		}
	}
	p.open = p.open[:i]
}

func (p *paragraphs) add(text string) {
	if p.hidden == 0 {
		p.text.WriteString(text)
	}
}

// end ends a paragraph.
func (p *paragraphs) end() {
	if p.hidden > 0 {
		return
	}
	if text := cleanParagraph(p.text.String()); text != "" {
		p.list = append(p.list, text)
	}
	p.text.Reset()
}

// cleanParagraph returns a text in NFC with single spaces, without characters
// that are not seen and the mark of Sphinx for links.
func cleanParagraph(text string) string {
	text = strings.ToValidUTF8(text, "\ufffd")
	text = strings.Map(func(r rune) rune {
		switch {
		case strings.ContainsRune("\u00ad\u200b\ufeff¶", r), r < ' ' && r != '\n' && r != '\t':
			return -1
		case unicode.IsSpace(r):
			return ' '
		}
		return r
	}, norm.NFC.String(text))
	return strings.Join(strings.Fields(text), " ")
}

// htmlParagraphs returns the paragraphs of HTML, which may be a part of a page.
func htmlParagraphs(data []byte) ([]string, error) {
	var p paragraphs
	z := html.NewTokenizer(bytes.NewReader(data))
	for {
		switch kind := z.Next(); kind {
		case html.ErrorToken:
			if err := z.Err(); err != io.EOF {
				return nil, err
			}
			p.end()
			return p.list, nil
		case html.TextToken:
			p.add(string(z.Text()))
		case html.StartTagToken, html.SelfClosingTagToken:
			name, more := z.TagName()
			e := element{name: string(name)}
			for more {
				var key, value []byte
				key, value, more = z.TagAttr()
				switch string(key) {
				case "class":
					e.class = string(value)
				case "hidden":
					e.hidden = string(value)
				}
			}
			if kind == html.SelfClosingTagToken && e.name != "br" {
				continue
			}
			if err := p.begin(e); err != nil {
				return nil, err
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			p.close(string(name))
		}
	}
}

// mallardParagraphs returns the paragraphs of a page of Mallard, the markup of
// GNOME's manuals.
func mallardParagraphs(data []byte) ([]string, error) {
	var p paragraphs
	d := xml.NewDecoder(bytes.NewReader(data))
	d.Strict = false
	d.Entity = xml.HTMLEntity
	for {
		token, err := d.Token()
		if err == io.EOF {
			p.end()
			return p.list, nil
		} else if err != nil {
			return nil, err
		}
		switch token := token.(type) {
		case xml.CharData:
			p.add(string(token))
		case xml.StartElement:
			e := element{name: strings.ToLower(token.Name.Local)}
			for _, a := range token.Attr {
				if a.Name.Local == "type" {
					e.kind = a.Value
				}
			}
			if err := p.begin(e); err != nil {
				return nil, err
			}
		case xml.EndElement:
			p.close(strings.ToLower(token.Name.Local))
		}
	}
}
