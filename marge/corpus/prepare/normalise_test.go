package prepare

import (
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/marge-go/marge/marge/corpus"
)

func TestNormalise(t *testing.T) {
	for text, want := range map[string]string{
		"a\tb\u00a0 c \r\n\r\n\r\n\u2003d\re ":   "a b c\n\nd\ne",
		"\ufeffso\u00adft ze\u200bro \u0007bell": "soft zero bell",
		"cafe\u0301 u\u200b\u0308":               "café ü",
		"می\u200cخواهم":                          "می\u200cخواهم",
		"a\u2028b\u0085\u2029c\vd":               "a\nb\n\nc\nd",
		"bad \xff\xfe bytes":                     "bad \ufffd\ufffd bytes",
		"\u200f\u202bשלום\u202c":                 "שלום",
		" \n\t\u2003\u200b\x00":                  "",
	} {
		doc, reason := Normalise(corpus.Document{ID: "1", Text: text})
		if doc.Text != want || (reason == NoText) != (want == "") {
			t.Errorf("%q: %q, reason %q; want %q", text, doc.Text, reason, want)
		}
	}
	doc, reason := Normalise(corpus.Document{ID: "a\xff\xfeb", Group: "\xc3", Text: "x"})
	if doc.ID != "a\ufffd\ufffdb" || doc.Group != "\ufffd" || reason != "" {
		t.Errorf("%+q, reason %q", doc, reason)
	}
	if _, reason := Normalise(corpus.Document{Text: "x"}); reason != NoID {
		t.Errorf("without ID: reason %q", reason)
	}
}

func FuzzNormalise(f *testing.F) {
	f.Add("a\u0301 \u2000b\r\n\n\n\x00c\u034f")
	f.Add("e" + strings.Repeat("\u0301", 40) + "\u0300")
	f.Fuzz(func(t *testing.T, text string) {
		doc, reason := Normalise(corpus.Document{ID: "1", Text: text})
		again, reasonAgain := Normalise(doc)
		if again != doc || reason != reasonAgain {
			t.Errorf("%q became %q, then %q", text, doc.Text, again.Text)
		}
		if !utf8.ValidString(doc.Text) || !norm.NFC.IsNormalString(doc.Text) || strings.Contains(doc.Text, "\n\n\n") ||
			strings.Contains(doc.Text, "  ") || strings.TrimSpace(doc.Text) != doc.Text {
			t.Errorf("%q became %q", text, doc.Text)
		}
		// What the other steps make of any text must not panic.
		Sign(doc.Text)
		(&Quality{MinWords: 1}).judge(doc.Text)
	})
}
