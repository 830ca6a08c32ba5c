package source

import (
	"compress/gzip"
	"context"
	"errors"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"github.com/marge-go/marge/marge/corpus"
)

// folder makes files with the given contents and goes there.
func folder(t *testing.T, files map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, content := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

func collect(docs iter.Seq2[corpus.Document, error]) (list []corpus.Document, err error) {
	for doc, err := range docs {
		if err != nil {
			return list, err
		}
		list = append(list, doc)
	}
	return list, nil
}

const (
	english = "The council has decided to build a new bridge over the river, which will be open to walkers and cyclists."
	german  = "Der Rat hat beschlossen, eine neue Brücke über den Fluss zu bauen, die für Fußgänger offen ist."
	russian = "Совет решил построить новый мост через реку, который будет открыт для пешеходов и велосипедистов."
	persian = "شورا تصمیم گرفته است پلی تازه بر روی رودخانه بسازد که برای پیاده ها و دوچرخه سواران باز خواهد بود."
)

func compressed(t *testing.T, text string) string {
	t.Helper()
	var b strings.Builder
	z := gzip.NewWriter(&b)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func mustEncode(t *testing.T, encode func(string) (string, error), text string) string {
	t.Helper()
	encoded, err := encode(text)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

func TestDocuments(t *testing.T) {
	article := strings.Repeat("<p>"+english+"</p>\n", 6)
	text := strings.TrimSpace(strings.Repeat(english+"\n\n", 6))
	latin1 := charmap.Windows1252.NewEncoder().String
	utf16 := unicode.UTF16(unicode.LittleEndian, unicode.UseBOM).NewEncoder().String
	line := `{"id": "7", "lang": "de_at", "text": "Eins", "group": "g"}` + "\n"
	folder(t, map[string]string{
		"a/deep/en.txt": english, "a/de.TXT": "\ufeff" + german, "a/ru.text": russian, "a/fa.txt": persian,
		"a/short.txt": "Ok", "a/notes": "not taken", "a/.hidden.txt": "not taken", "a/pic.png": "\x89PNG\r\n\x1a\n",
		"b/latin1.txt": mustEncode(t, latin1, german), "b/utf16.txt": mustEncode(t, utf16, german),
		"b/koi8.html":   "<meta charset=koi8-r><p>" + mustEncode(t, charmap.KOI8R.NewEncoder().String, russian),
		"c/lines.jsonl": line, "c/lines.ndjson.gz": compressed(t, line),
		"d/readme.md": "# Title *one*\n\nSome `code`,\nmore [text](http://x.test).\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n" +
			"```\nx  =  1\n  y\n```\n\n- first\n- second<br>line\n",
		"e/article.html": "<html lang=fr-ca><head><title>Bridge</title><script>no()</script></head><body>" +
			"<nav>Home About</nav><article><h1>Bridge</h1>" + article + "</article><footer>Imprint</footer></body></html>",
		"e/short.htm": "<html lang='?'><body><p>One  two<p>three&nbsp;four<style>no</style><b>fi</b>ve</body>",
		"plain":       "given by its name",
	})
	files, err := Expand([]string{"b", "a", "c", "d", "e", "plain"})
	if err != nil {
		t.Fatal(err)
	}
	docs, err := collect(Documents(t.Context(), files, Options{}))
	if err != nil {
		t.Fatal(err)
	}
	want := []corpus.Document{
		{ID: "b/koi8.html", Lang: "ru", Text: russian},
		{ID: "b/latin1.txt", Lang: "de", Text: german},
		{ID: "b/utf16.txt", Lang: "de", Text: german},
		{ID: "a/de.TXT", Lang: "de", Text: german},
		{ID: "a/deep/en.txt", Lang: "en", Text: english},
		{ID: "a/fa.txt", Lang: "fa", Text: persian},
		{ID: "a/ru.text", Lang: "ru", Text: russian},
		{ID: "a/short.txt", Lang: "und", Text: "Ok"},
		{ID: "c/lines.jsonl#7", Lang: "de-AT", Text: "Eins", Group: "g"},
		{ID: "c/lines.ndjson.gz#7", Lang: "de-AT", Text: "Eins", Group: "g"},
		{ID: "d/readme.md", Lang: "und", Text: "Title one\n\nSome code, more text.\n\na b\n\n1 2\n\nx  =  1\n  y\n\n" +
			"first\n\nsecond\nline"},
		{ID: "e/article.html", Lang: "fr-CA", Text: "Bridge\n\n" + text},
		{ID: "e/short.htm", Lang: "en", Text: "One two\n\nthree\u00a0fourfive"},
		{ID: "plain", Lang: "und", Text: "given by its name"},
	}
	if len(docs) != len(want) {
		t.Fatalf("%d documents, want %d: %q", len(docs), len(want), docs)
	}
	for i, doc := range docs {
		if doc != want[i] {
			t.Errorf("document %d is %+q, want %+q", i, doc, want[i])
		}
	}

	// A language that is given stands behind that of the file.
	docs, err = collect(Documents(t.Context(), []string{"a/ru.text", "e/article.html", "e/short.htm", "c/lines.jsonl"},
		Options{Lang: "PT_br"}))
	if err != nil {
		t.Fatal(err)
	}
	for i, lang := range []string{"pt-BR", "fr-CA", "pt-BR", "de-AT"} {
		if docs[i].Lang != lang {
			t.Errorf("%s is in %s, want %s", docs[i].ID, docs[i].Lang, lang)
		}
	}

	sources, err := Sources(t.Context(), files)
	if err != nil || len(sources) != len(files) || sources[13].SHA256 == "" || sources[13].Name != "plain" {
		t.Errorf("sources %v, error %v", sources, err)
	}
}

func TestBadFiles(t *testing.T) {
	folder(t, map[string]string{
		"good.txt": english, "empty.txt": "", "space.md": " \n", "zero.txt": "abc" + strings.Repeat("text ", 200) + "\x00",
		"paper.txt": "%PDF-1.7 text", "binary.md": "\x00\x01\x02\x03", "nothing.html": "<html><script>x()</script></html>",
		"empty.jsonl": "\n", "bad.jsonl": `{"id": "1", "lang": "de", "text": "eins"}` + "\n{}\n", "none/x.doc": "",
		"folder.txt/x": "", "nested.html": strings.Repeat("<div>", 3000) + "x",
	})
	bad := map[string]string{
		"empty.txt": "empty.txt: it has no text", "space.md": "space.md: it has no text",
		"zero.txt": "zero.txt: it is not text: it has zero bytes", "paper.txt": "seems to be application/pdf",
		"binary.md": "binary.md: it is not text", "nothing.html": "nothing.html: it has no text",
		"empty.jsonl": "empty.jsonl: it has no text", "bad.jsonl": "bad.jsonl:2: id is missing",
		"none.txt": "open none.txt: no such file", "folder.txt": "folder.txt: is a directory",
		"nested.html": "nested.html: ",
	}
	var all []string
	for file, want := range bad {
		_, err := collect(Documents(t.Context(), []string{"good.txt", file}, Options{}))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want one with %q", file, err, want)
		}
		all = append(all, file)
	}
	slices.Sort(all)
	var skipped []string
	docs, err := collect(Documents(t.Context(), append(all, "good.txt"), Options{SkipBad: true, OnBad: func(err error) {
		skipped = append(skipped, err.Error())
	}}))
	if err != nil || len(docs) != 2 || docs[0].ID != "bad.jsonl#1" || docs[1].ID != "good.txt" ||
		len(skipped) != len(bad) {
		t.Errorf("documents %q, skipped %q, error %v", docs, skipped, err)
	}
	for i, file := range all {
		if i < len(skipped) && !strings.Contains(skipped[i], bad[file]) {
			t.Errorf("skipped %q, want %q", skipped[i], bad[file])
		}
	}
	if _, err := collect(Documents(t.Context(), all, Options{SkipBad: true})); err != nil {
		t.Errorf("skipped without a report: error %v", err)
	}

	if _, err := Expand([]string{"none"}); err == nil || !strings.Contains(err.Error(), "folder none has no file named") {
		t.Errorf("a folder without documents: error %v", err)
	}
	if _, err := Expand([]string{"missing"}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: error %v", err)
	}
	if _, err := collect(Documents(t.Context(), nil, Options{Lang: "?"})); err == nil ||
		!strings.Contains(err.Error(), "source: Lang: ") {
		t.Errorf("no language: error %v", err)
	}
	if err := os.Truncate("good.txt", MaxFileBytes+1); err != nil {
		t.Fatal(err)
	}
	if _, err := collect(Documents(t.Context(), []string{"good.txt"}, Options{})); err == nil ||
		!strings.Contains(err.Error(), "good.txt: it is longer than") {
		t.Errorf("a long file: error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = collect(Documents(ctx, []string{"bad.jsonl"}, Options{SkipBad: true}))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v", err)
	}
}

// TestStop: a loop may end early, and begin again.
func TestStop(t *testing.T) {
	folder(t, map[string]string{"1.txt": "one", "2.txt": "two"})
	docs := Documents(t.Context(), []string{"1.txt", "2.txt"}, Options{})
	for range 2 {
		for doc, err := range docs {
			if err != nil || doc.Text != "one" {
				t.Fatalf("%+v, error %v", doc, err)
			}
			break
		}
	}
}

func TestGuarded(t *testing.T) {
	_, _, err := guarded(func([]byte) (string, string, error) { panic("no element") }, nil)
	if err == nil || err.Error() != "it cannot be parsed: no element" {
		t.Errorf("error %v", err)
	}
}

func TestIdentify(t *testing.T) {
	for text, want := range map[string]string{
		english: "en", german: "de", russian: "ru", persian: "fa", "ひらがなとカタカナ": "ja", "": "", "123 456": "",
		strings.Repeat(german, 60) + strings.Repeat(russian, 500): "de",
	} {
		if lang, sure := Identify(text, nil); lang != want || sure != (want != "") {
			t.Errorf("%.20q: %q, sure: %v, want %q", text, lang, sure, want)
		}
	}
	for _, c := range []struct {
		text  string
		among []string
		want  string
	}{
		{english, []string{"de", "pt-BR", "en"}, "en"}, {german, []string{"en"}, "en"}, {german, []string{"xx"}, ""},
		{russian, []string{"en", "de"}, ""}, {"ひらがな", []string{"en", "de"}, ""}, {german, []string{}, ""},
	} {
		if lang, _ := Identify(c.text, c.among); lang != c.want {
			t.Errorf("%.20q among %q: %q, want %q", c.text, c.among, lang, c.want)
		}
	}
}

func FuzzFormats(f *testing.F) {
	for _, seed := range []string{"", "<p>a<p>b", "# a\n* b", "\xff\xfea\x00", "<html lang=de><article><p>x</article>",
		"<pre>\n a\n\n<b>c</b>\n</pre>", "<table><tr><td>1<td>2"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for name, format := range formats {
			text, _, err := format(data)
			if err != nil {
				continue
			}
			if strings.ToValidUTF8(text, "") != text || strings.ContainsRune(text, 0) {
				t.Errorf("%s: %q is not text", name, text)
			}
		}
	})
}
