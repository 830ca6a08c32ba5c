package source

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"github.com/marge-go/marge/marge/corpus"
)

type catalogReader func(context.Context, string, io.Reader, CatalogOptions, func(corpus.Document) error) (Stats, error)

func readCatalog(t testing.TB, read catalogReader, name, data string, o CatalogOptions) (docs []corpus.Document,
	stats Stats, err error) {
	t.Helper()
	stats, err = read(t.Context(), name, strings.NewReader(data), o, func(doc corpus.Document) error {
		docs = append(docs, doc)
		return nil
	})
	return docs, stats, err
}

const poHead = `# A comment
msgid ""
msgstr ""
"Project-Id-Version: x\n"
"Language: de\n"
"Content-Type: text/plain; charset=UTF-8\n"

`

const po = poHead + `#: main.c:1
msgctxt "menu"
msgid "Open the file"
msgstr "Öffne die Datei"

#, c-format
msgid ""
"Save %s\n"
"now \"\\\t\303\244"
msgstr "Jetzt "
"%s sichern"

#, c-format, fuzzy
#| msgid "Qit"
msgid "Quit"
msgstr "Beenden?"

msgid "Help"
msgstr ""
#. next
msgid "%d file"
msgid_plural "%d files"
msgstr[0] "%d Datei"
msgstr[1] "%d Dateien"
msgid "Close"
msgstr "Schließen"

#~ msgid "Old"
#~ msgstr "Alt"
#~| msgid "Older"
`

func TestPO(t *testing.T) {
	latin1, err := charmap.ISO8859_1.NewEncoder().String(strings.Replace(po, "UTF-8", "ISO-8859-1", 1))
	if err != nil {
		t.Fatal(err)
	}
	for _, data := range []string{po, latin1, strings.ReplaceAll(po, "\n", "\r\n"), "\ufeff" + po} {
		docs, stats, err := readCatalog(t, ReadPO, "a/de/b.po", data, CatalogOptions{})
		var want Stats
		want.Records, want.Documents = 8, 2
		want.Dropped[Fuzzy], want.Dropped[Untranslated], want.Dropped[PluralForm], want.Dropped[Obsolete] = 1, 1, 1, 1
		if err != nil || stats != want || len(docs) != 2 {
			t.Fatalf("%q, %v, want %v, error %v", docs, stats, want, err)
		}
		if want := (corpus.Document{ID: "a/de/b.po#source", Lang: "en", Group: "a/*/b.po", Source: "a/*/b.po#en",
			Text: "Open the file\n\nSave %s\nnow \"\\\tä\n\nQuit\n\nHelp\n\n%d files\n\nClose"}); docs[0] != want {
			t.Errorf("source %+q, want %+q", docs[0], want)
		}
		if want := (corpus.Document{ID: "a/de/b.po#target", Lang: "de", Group: "a/*/b.po", Source: "a/*/b.po#de",
			Text: "Öffne die Datei\n\nJetzt %s sichern\n\n%d Dateien\n\nSchließen"}); docs[1] != want {
			t.Errorf("target %+q, want %+q", docs[1], want)
		}
	}
	template := strings.NewReplacer("Language: de", "Language: ", "UTF-8", "CHARSET").Replace(poHead) +
		"msgid \"a\"\nmsgstr \"\"\n"
	docs, stats, err := readCatalog(t, ReadPO, "x.pot", template, CatalogOptions{SourceLang: "fr", Group: "g"})
	if err != nil || len(docs) != 1 || docs[0].Lang != "fr" || docs[0].Group != "g" || stats.Dropped[Untranslated] != 1 {
		t.Errorf("a template: %+q, %v, error %v", docs, stats, err)
	}
	docs, _, err = readCatalog(t, ReadPO, "x.po", "msgid \"a\"\nmsgstr \""+german+"\"\n", CatalogOptions{})
	if err != nil || len(docs) != 2 || docs[1].Lang != "de" || docs[1].Source != "" || docs[1].Group != "x.po" {
		t.Errorf("without a header: %+q, error %v", docs, err)
	}
}

func TestPOErrors(t *testing.T) {
	for data, want := range map[string]string{
		"": "x.po:1: it has no text", "hello\n": "x.po:1: \"hello\" is no line",
		"\n\"a\"\n": "x.po:2: a string without msgid",
		"msgid \"a": "x.po:1: \"\\\"a\" has no end", "msgid \"\\q\"": "is no string", "msgid \"a\"b\"": "is no string",
		"msgid \"a\"\n": "x.po:2: a message has no msgstr", "msgctxt \"a\"\n": "x.po:2: a message has no msgstr",
		"msgstr \"a\"\n": "\"msgstr\" is not expected", "msgid \"a\"\nmsgid \"b\"\n": "x.po:2: \"msgid\" is not expected",
		"msgid \"a\"\nmsgstr[0] \"b\"\n":                     "not expected",
		"msgid \"a\"\nmsgid_plural \"b\"\nmsgstr[1] \"b\"\n": "not expected",
		"msgid \"a\"\nmsgstr \"b\"\nmsgstr \"c\"\n":          "x.po:3: \"msgstr\" is not expected",
		"foo \"a\"\n":       "\"foo\" is not expected",
		"\x89PNG\r\n\x1a\n": "it is not text", "#~ msgid\n": "no line",
	} {
		if _, _, err := readCatalog(t, ReadPO, "x.po", data, CatalogOptions{}); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want %q", data, err, want)
		}
		o := CatalogOptions{Options: Options{SkipBad: true}}
		docs, stats, err := readCatalog(t, ReadPO, "x.po", data, o)
		if err != nil || len(docs) != 0 || stats.Damaged != 1 || stats.LostBytes != int64(len(data)) {
			t.Errorf("%q: %q, %v, error %v", data, docs, stats, err)
		}
	}
	// Where no line is cut, and every message has a msgstr, it may be the end.
	whole := map[string]int{}
	for cut := range po {
		docs, stats, err := readCatalog(t, ReadPO, "x.po", po[:cut], CatalogOptions{})
		line := po[:cut][strings.LastIndexByte(po[:cut], '\n')+1:]
		if err == nil && line != "" && !strings.HasPrefix(line, "#") && !strings.HasSuffix(line, `"`) {
			t.Errorf("cut behind %q: %q, %v, no error", line, docs, stats)
		}
		if err == nil {
			whole[line]++
		}
	}
	if len(whole) < 5 {
		t.Errorf("whole files: %v", whole)
	}
	testStops(t, ReadPO, po)
}

// testStops has readers that fail, and callers that want no more.
func testStops(t *testing.T, read catalogReader, data string) {
	t.Helper()
	stop := errors.New("enough")
	nothing := func(corpus.Document) error { return nil }
	for _, o := range []CatalogOptions{{}, {Options: Options{SkipBad: true}}} {
		failing := io.MultiReader(strings.NewReader(data[:200]), iotest.ErrReader(io.ErrClosedPipe))
		if _, err := read(t.Context(), "x", failing, o, nothing); !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("a file that cannot be read: error %v", err)
		}
		_, err := read(t.Context(), "x", strings.NewReader(data), o, func(corpus.Document) error { return stop })
		if err != stop {
			t.Errorf("stopped: error %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := read(ctx, "x", strings.NewReader(data), o, nothing); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: error %v", err)
		}
		o.Lang = "?"
		if _, err := read(t.Context(), "x", strings.NewReader(data), o, nothing); err == nil {
			t.Error("no error of Lang")
		}
	}
}

const xliff1 = `<?xml version="1.0"?>
<xliff version="1.2" xmlns="urn:oasis:names:tc:xliff:document:1.2">
<file original="menu.c" source-language="en-US" target-language="de" datatype="plaintext">
<header><note>x</note></header><body>
<group id="g"><trans-unit id="1"><source>Open <g id="1">the <x id="2"/>file</g><ph id="3">%s<sub>no</sub></ph></source>
<target state="translated">Öffne <bpt id="1">&lt;b></bpt>die<ept id="1">&lt;/b></ept> Datei</target>
<alt-trans><source>no</source><target>nein</target></alt-trans></trans-unit></group>
<trans-unit id="2"><source>Quit</source><target state="needs-review-translation">Beenden?</target></trans-unit>
<trans-unit id="3" approved="no"><source>Stop</source><target>Halt?</target></trans-unit>
<trans-unit id="4"><source>Help</source></trans-unit>
<trans-unit id="5" translate="no"><source>XML</source><target>XML</target></trans-unit>
<trans-unit id="6"><source>Close</source><target>Schließen</target></trans-unit>
</body></file>
<file original="b" source-language="en"><body><trans-unit id="1"><source>b</source></trans-unit></body></file>
</xliff>
`

const xliff2 = `<xliff xmlns="urn:oasis:names:tc:xliff:document:2.0" version="2.0" srcLang="en" trgLang="fr">
<file id="f1"><notes><note>x</note></notes><unit id="1">
<segment state="final"><source>One <pc id="1">two</pc></source>
<target>Un <pc id="1">deux</pc></target></segment>
<ignorable><source> </source></ignorable><segment state="initial"><source>Three</source><target>Three</target></segment>
<mtc:matches xmlns:mtc="m"><mtc:match><source>no</source><target>non</target></mtc:match></mtc:matches></unit>
<unit id="2" translate="no"><segment><source>XML</source></segment></unit></file></xliff>`

func TestXLIFF(t *testing.T) {
	utf16, err := unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewEncoder().String(
		strings.Replace(xliff1, `version="1.0"`, `version="1.0" encoding="UTF-16"`, 1))
	if err != nil {
		t.Fatal(err)
	}
	latin1, err := charmap.ISO8859_1.NewEncoder().String(strings.Replace(xliff1, `"1.0"`, `"1.0" encoding="iso-8859-1"`,
		1))
	if err != nil {
		t.Fatal(err)
	}
	for _, data := range []string{xliff1, utf16, latin1} {
		docs, stats, err := readCatalog(t, ReadXLIFF, "de.xlf", data, CatalogOptions{})
		var want Stats
		want.Records, want.Documents = 7, 3
		want.Dropped[Fuzzy], want.Dropped[Untranslated], want.Dropped[OtherRecord] = 2, 2, 1
		if err != nil || stats != want || len(docs) != 3 {
			t.Fatalf("%q, %v, want %v, error %v", docs, stats, want, err)
		}
		for i, want := range []corpus.Document{
			{ID: "de.xlf#menu.c#source", Lang: "en-US", Group: "*.xlf#menu.c", Source: "*.xlf#menu.c#en-US",
				Text: "Open the file\n\nQuit\n\nStop\n\nHelp\n\nClose"},
			{ID: "de.xlf#menu.c#target", Lang: "de", Group: "*.xlf#menu.c", Source: "*.xlf#menu.c#de",
				Text: "Öffne die Datei\n\nSchließen"},
			{ID: "de.xlf#b#source", Lang: "en", Group: "de.xlf#b", Source: "de.xlf#b#en", Text: "b"},
		} {
			if docs[i] != want {
				t.Errorf("document %d: %+q, want %+q", i, docs[i], want)
			}
		}
	}
	docs, stats, err := readCatalog(t, ReadXLIFF, "x.xlf", xliff2, CatalogOptions{Group: "g"})
	if err != nil || len(docs) != 2 || docs[0].Text != "One two\n\nThree" || docs[1].Text != "Un deux" ||
		docs[1].Lang != "fr" ||
		docs[1].Group != "g#f1" || stats.Dropped[Untranslated] != 1 || stats.Dropped[OtherRecord] != 1 {
		t.Errorf("XLIFF 2.0: %+q, %v, error %v", docs, stats, err)
	}
}

func TestXLIFFErrors(t *testing.T) {
	for data, want := range map[string]string{
		"": "x.xlf:1: it has no text", "<tmx/>": "the root is <tmx>",
		"<xliff>\n<a></xliff>":                                           "x.xlf:2: element <a> closed by",
		"<xliff>" + strings.Repeat("<a>", 200):                           "more than 100 deep",
		"<xliff><file><trans-unit><source>" + strings.Repeat("<g>", 200): "more than 100 deep",
		"<xliff a='" + strings.Repeat("x",
			1<<20): "a tag or a text is longer than 65536 bytes",
		"<xliff><file><trans-unit><source>" + strings.Repeat(strings.Repeat("x", 900)+"<x/>",
			1000): "a text is longer than 65536",
		"<?xml version='1.0' encoding='foo'?><xliff/>": "foo",
	} {
		o := CatalogOptions{Options: Options{MaxBytes: 1 << 16}}
		if _, _, err := readCatalog(t, ReadXLIFF, "x.xlf", data, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: error %v, want %q", data, err, want)
		}
		o.SkipBad = true
		if _, stats, err := readCatalog(t, ReadXLIFF, "x.xlf", data, o); err != nil || stats.Damaged != 1 ||
			stats.LostBytes == 0 {
			t.Errorf("%.40q: %v, error %v", data, stats, err)
		}
	}
	end := len(strings.TrimSpace(xliff1))
	for cut := range end {
		if docs, _, err := readCatalog(t, ReadXLIFF, "x.xlf", xliff1[:cut], CatalogOptions{}); err == nil {
			t.Errorf("%d of %d bytes: %q, no error", cut, end, docs)
		}
	}
	testStops(t, ReadXLIFF, xliff1)
	used := peak(func() {
		attributes := "<xliff " + strings.Repeat(`a="" `, 1<<20)
		if _, _, err := readCatalog(t, ReadXLIFF, "x", attributes,
			CatalogOptions{Options: Options{MaxBytes: 1 << 18}}); err == nil {
			t.Error("no error of many attributes")
		}
	})
	if used > 80<<20 {
		t.Errorf("many attributes: %d bytes in use", used)
	}
}

func FuzzPO(f *testing.F) {
	f.Add([]byte(po))
	f.Add([]byte("#, fuzzy\nmsgctxt \"a\"\nmsgid \"b\"\nmsgid_plural \"c\"\nmsgstr[0] \"\\x41\\101\"\n#~ msgid \"d\""))
	f.Fuzz(func(t *testing.T, data []byte) { checkCatalog(t, ReadPO, data) })
}

func FuzzXLIFF(f *testing.F) {
	f.Add([]byte(xliff1))
	f.Add([]byte(xliff2))
	f.Fuzz(func(t *testing.T, data []byte) { checkCatalog(t, ReadXLIFF, data) })
}

func checkCatalog(t *testing.T, read catalogReader, data []byte) {
	docs, stats, err := readCatalog(t, read, "x", string(data), CatalogOptions{Options: Options{MaxBytes: 1 << 14}})
	if err == nil && stats.Documents != len(docs) || stats.Damaged > 1 || (err != nil) != (stats.Damaged == 1) {
		t.Errorf("%d documents, %v, error %v", len(docs), stats, err)
	}
	for _, doc := range docs {
		if !bytes.Equal(bytes.ToValidUTF8([]byte(doc.Text), nil), []byte(doc.Text)) || doc.Lang == "" || doc.Group == "" {
			t.Errorf("document %+q", doc)
		}
	}
}
