package source

import (
	"errors"
	"strings"
	"testing"
)

var wikiNames = map[string]bool{"file": true, "datei": true, "category": true}

func textOf(markup string) (string, error) {
	return wikiText(markup, func(prefix string) bool { return wikiNames[prefix] })
}

func TestWikiText(t *testing.T) {
	for markup, want := range map[string]string{
		"":                            "",
		"one\ntwo\n\nthree\n\n\nfour": "one two\n\nthree\n\nfour",
		"'''Bold''' and ''italic'', '''''both''''', l''''x''' ''''''y": "Bold and italic, both, l'x 'y",
		"a [[b]] [[c|d]] [[e|]] [[:f]] [[#g|h]] [[i]]s [[j:k]]":        "a b d e f h is j:k",
		"a [[Datei:x.jpg|thumb|200px|b [[c]] [http://d e] {{f}}]] g":   "a g",
		"a [[ Category : x]] [[:Category:y]] [[:category:z|w]] b":      "a Category:y w b",
		"a\n[[de:Seite]]\n[[zh-min-nan:x]]\n[[fr:Page|page]]":          "a\n\npage",
		"a [http://x.test/?a=b c ''d''] [https://x.test] [//x y] [z]":  "a c d y [z]",
		"a [http://x.test b\nc] d":                                     "a b c] d",
		"[http://x [[b]]] c":                                           "b c",
		"a{{b}}c{{d|{{e|{{{f|{{g}}}}}}}}}h":                            "ach",
		"a {{{b}}} {{{{{d}}}}} {{{{{{e}}}}}} f":                        "a f",
		"a {{b|[[c}} d":                                                "a d",
		"a {{b} c}} d":                                                 "a d",
		"a }} b ]] c } d ]":                                            "a }} b ]] c } d ]",
		"a {{b":                                                        "a {{b",
		"a [[b":                                                        "a [[b",
		"a\n{| class=x\n! b\n|-\n| c {{d|\n|}} [[e|f]]\n|}\ng":         "a\n\ng",
		"a\n{|\n| b\n :{|\n| c\n|}\n|}\n\nd":                           "a\n\nd",
		"a\n{{b|\n{|\n| c\n|}\n}}\nd":                                  "a\n\nd",
		"a {| b |} c":                                                  "a {| b |} c",
		"a<ref>b {{c}}</ref> d<ref name=e/><REF name='f'>g</Ref > h":   "a d h",
		"a <math>\\frac{{b}}</math> c <nowiki>[[d]] '' &lt;e</nowiki>": "a c [[d]] '' <e",
		"a <!-- b {{ --> c\n<!-- d -->\ne":                             "a c e",
		"a <!-- b":                                                     "a",
		"a <b>c</b> <span style='x'>d</span> <foo>e</foo> 1 < 2 <3":    "a c d <foo>e</foo> 1 < 2 <3",
		"a<br>b<br/>c<p>d</p>":                                         "a b c d",
		"a <table><tr><td>b<table>c</table></table> d </table> e":      "a d e",
		"a <ref>b": "a b",
		"a &amp; b &lt;ref&gt; &#233;&nbsp;c &foo; & d &#1;e": "a & b <ref> é\u00a0c &foo; & d e",
		"a & <!-- b -->&lt;":                 "a & <",
		"__NOTOC__a __b__ c_d __ΧΩΡΙΣ__":     "a __b__ c_d",
		"* a\n** b\n# c\n; d : e\n: f\ng\nh": "a\n\nb\n\nc\n\nd : e\n\nf\n\ng h",
		"----\na\n---- b":                    "a\n\nb",
		"a\n== b ==\nc\n=== d ===\n=== e ===\nf\n== g ==\n=== h ===\n{{x}}\n== i ==": "a\n\nb\n\nc\n\ne\n\nf",
		"==a==\n===b===\nc":               "a\n\nb\n\nc",
		"=\n==\na=b":                      "= == a=b",
		"Berlin ({{IPA|x}}) is ( {{y}} )": "Berlin is",
	} {
		if text, err := textOf(markup); err != nil || text != want {
			t.Errorf("%q: %q, want %q, error %v", markup, text, want, err)
		}
	}
}

// TestWikiTextHostile: no markup takes long, or needs a deep stack.
func TestWikiTextHostile(t *testing.T) {
	const n = 1 << 18
	for _, part := range []string{"{{", "{", "}", "[[", "[[a|", "]]", "[http://a ", "\n{|", "\n|}", "<ref>", "<!--",
		"<", "<a ",
		"<table>", "&", "&#", "'", "__", "__A", "\n=", "\n*", "=", "</", "</ref>", "{{a}}", "[[a]]", "}}{{", "  :", "\n: {|",
		"<math></ref>", "<nowiki>", "[[File:a|[[b]]"} {
		for _, markup := range []string{strings.Repeat(part, n/len(part)), "{{" + strings.Repeat(part, n/len(part)),
			strings.Repeat("[[", maxWikiDepth-1) + strings.Repeat(part, n/len(part))} {
			if _, err := textOf(markup); err != nil && !errors.Is(err, errTooDeep) {
				t.Errorf("%q: %v", part, err)
			}
		}
	}
	deep := strings.Repeat("{{b|", maxWikiDepth)
	if text, err := textOf(deep + "a" + strings.Repeat("}}", maxWikiDepth)); err != nil || text != "" {
		t.Errorf("%d levels: %q, error %v", maxWikiDepth, text, err)
	}
	if _, err := textOf("{{a|" + strings.Repeat("[[a", maxWikiDepth)); !errors.Is(err, errTooDeep) {
		t.Errorf("more levels: error %v", err)
	}
}

func FuzzWikiText(f *testing.F) {
	f.Add("{{a|[[b|c]]}} {| \n|} <ref>x</ref> '''b''' &amp; == c ==\n* [http://d e]")
	f.Add("{{{{{a}}}}} <nowiki>{{</nowiki> <!-- --> <table></table> __TOC__")
	f.Fuzz(func(t *testing.T, markup string) {
		markup = strings.ToValidUTF8(markup, "")
		text, err := textOf(markup)
		if err != nil && !errors.Is(err, errTooDeep) {
			t.Fatal(err)
		}
		if strings.ToValidUTF8(text, "") != text || strings.Contains(text, "\n\n\n") || strings.TrimSpace(text) == "" &&
			text != "" {
			t.Errorf("%q becomes %q", markup, text)
		}
		// Below one template, nothing is left of what does not close it.
		if inner := strings.NewReplacer("{", "", "}", "", "<", "").Replace(markup); err == nil {
			if text, err := textOf("a {{" + inner + "}} b"); err != nil && !errors.Is(err, errTooDeep) || err == nil &&
				text != "a b" {
				t.Errorf("%q in a template: %q, error %v", inner, text, err)
			}
		}
	})
}
