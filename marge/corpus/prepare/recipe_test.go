package prepare

import (
	"archive/tar"
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/marge/corpus"
)

func TestHTMLParagraphs(t *testing.T) {
	for data, want := range map[string][]string{
		"one <b>two</b>\n three<p>four&nbsp;five&amp;<p>six<br/>seven<br>eight</p>": {"one two three", "four five&",
			"six seven eight"},
		"<div><nav>no<p>no</p></nav>yes<pre>no</pre></div><div class='x toc y'>no</div><p class=tocs>Aa\u0308</p>": {
			"yes", "A\u00e4"},
		// A case of a switch, by system.
		`<p>Press <span class="switchinline"><span hidden="true" class="MAC">Cmd</span><span hidden="true" id="a">Ctrl` +
			`</span><span hidden="true">Alt</span></span> now <span hidden="true">here</span></p>`: {"Press Ctrl now here"},
		`<div class="switch"><span hidden="true">a</span></div><div class="switch"><span hidden="true">b</span></div>`: {
			"a", "b"},
		"<ul><li>a<ul><li>b</li></ul>c</li>d</ul>e</p>f":                  {"a", "b", "c", "d", "ef"},
		"<p>soft\u00adhyphen\u200b\x01 ¶</p><p> </p><script>x()</script>": {"softhyphen"},
		"<p>a</b>b<b>c</p>d</b>":                                          {"abc", "d"}, "": nil,
	} {
		got, err := htmlParagraphs([]byte(data))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %q, error %v, want %q", data, got, err, want)
		}
	}
	if _, err := htmlParagraphs([]byte(strings.Repeat("<div>", 1001))); err == nil {
		t.Error("no error of a deep page")
	}
	page := `<page xmlns="http://projectmallard.org/1.0/" xmlns:its="http://www.w3.org/2005/11/its" type="topic" id="x">
<info><title type="link">no</title><desc>no</desc></info><title>A <gui>title</gui></title><title type="sort">no</title>
<p>One <media type="image">no</media><link xref="a"/>two &amp;</p><code>yes</code><screen>no</screen>
<list><item><p>three</p></item></list></page>`
	got, err := mallardParagraphs([]byte(page))
	if err != nil || !slices.Equal(got, []string{"A title", "One two &", "yes", "three"}) {
		t.Errorf("Mallard: %q, error %v", got, err)
	}
	if _, err := mallardParagraphs([]byte("<page><p")); err == nil {
		t.Error("no error of a page that is cut off")
	}
}

const (
	longEnglish = "The council has decided to build a new bridge over the river, which will be open to walkers and " +
		"cyclists. It will cost four million and be ready in three years."
	longGerman = "Der Rat hat beschlossen, eine neue Brücke über den Fluss zu bauen, die für Fußgänger und " +
		"Radfahrer offen ist. Sie kostet vier Millionen und ist in drei Jahren fertig."
	longRussian = "Совет решил построить новый мост через реку, " +
		"который будет открыт для пешеходов и велосипедистов города. " +
		"Он будет стоить четыре миллиона и будет готов через три года."
)

func TestManualSet(t *testing.T) {
	s := newManualSet("m")
	add := func(group, lang string, paragraphs ...string) { s.add(manualPage{group, lang, paragraphs}) }
	add("a/1", "en", "Bridge", longEnglish, longEnglish, "Bridge")
	add("a/1", "de", "Bridge", longGerman, longEnglish[:30], "If this is what you can see, it was not translated")
	add("a/2", "de", longGerman[:50], longEnglish) // hardly translated
	add("a/3", "de", "Zu kurz")
	add("a/4", "de", "Bridge", longGerman)                // as a/1
	add("a/1", "ru", longGerman)                          // in another script
	add("a/5", "de", longGerman+" <unk>")                 // translated by a machine
	add("b/1", "ru", "<br/>", longRussian+" <br> Хорошо") // a break that is shown
	add("b/1", "ja", strings.Repeat("橋を架ける。", 10))
	add("b/2", "ja", strings.Repeat("橋を架ける。", 7)) // short
	for i := range 21 {
		add("c/"+string(rune('a'+i)), "de", "Überall", longGerman+" "+string(rune('a'+i)))
	}
	rows, dropped := s.finish()
	var ids []string
	for _, row := range rows {
		if ids = append(ids, row.ID); strings.HasPrefix(row.ID, "m/de/c/") && strings.Contains(row.Text, "Überall") {
			t.Errorf("%s has what is on 21 pages", row.ID)
		}
	}
	want := []string{"m/de/a/1", "m/en/a/1", "m/ja/b/1", "m/ru/b/1"}
	if !slices.Equal(ids[:4], want) || len(ids) != 25 || (dropped != manualDrops{1, 2, 1, 1, 1}) {
		t.Fatalf("documents %q, %v", ids, dropped)
	}
	if rows[0].Text != "Bridge\n"+longGerman || rows[1].Text != "Bridge\n"+longEnglish+"\nBridge" ||
		rows[3].Text != " \n"+longRussian+"   Хорошо" || rows[0].Group != "m/a/1" || rows[0].Shard != "m/a" {
		t.Errorf("documents %+q", rows[:4])
	}
}

func TestIsEnglish(t *testing.T) {
	for text, want := range map[string]bool{
		longEnglish: true, longGerman: false, "Click on the button to go": true, "The and to": false,
		"the the the the the": false, "Щёлкните на кнопке the and to be in": false,
		"der Befehl for and der Befehl der Befehl der Befehl der Befehl der Befehl der Befehl": false,
	} {
		if isEnglish(text) != want {
			t.Errorf("%q: %v", text, !want)
		}
	}
}

// TestManualPages: where pages are in packages.
func TestManualPages(t *testing.T) {
	html := "<html><head><title>no</title></head><body><h1>1.2 Eins</h1><h2>A.1. Zwei</h2>" +
		"<p>A word</p><p>3rd</p><p>256 MB</p></body>"
	help := `<p>no</p><div id="DisplayArea"><p>Eins</p></div><div id="SearchFrame"><p>no</p></div>`
	numbered := []string{"Eins", "Zwei", "A word", "3rd", "256 MB"}
	for i, c := range []struct {
		add             func(*manualSet, string, string, []byte) error
		pkg, path, data string
		group, lang     string
		want            []string
	}{
		{addLibreOffice, "", "usr/share/libreoffice/help/pt-BR/text/a/01/x.html", help, "a/01/x", "pt-BR", []string{"Eins"}},
		{addLibreOffice, "", "usr/share/libreoffice/help/en-US/text/a/00/x.html", help, "", "", nil},
		{addLibreOffice, "", "usr/share/libreoffice/help/en-US/index.html", help, "", "", nil},
		{addLibreOffice, "", "usr/share/libreoffice/help/en-US/text/a/01/x.html", "<p>a", "", "", nil},
		{addGnome, "", "usr/share/help/sr@latin/gnome-help/x.page", "<page><p>a</p></page>", "gnome-help/x", "sr-Latn",
			[]string{"a"}},
		{addGnome, "", "usr/share/help/C/gnome-help/index.html", html, "", "", nil},
		{addDebianDocs, "debian-faq-zh-cn", "usr/share/doc/debian/FAQ/zh-cn/x.zh-cn.html", html, "faq/x", "zh", numbered},
		{addDebianDocs, "developers-reference", "usr/share/developers-reference/x.html", html, "devref/x", "en", numbered},
		{addDebianDocs, "maint-guide-zh-tw", "usr/share/doc/maint-guide-zh-tw/html/x.html", html, "maintguide/x", "zh-TW",
			numbered},
		{addDebianDocs, "debian-faq", "usr/share/doc/debian/FAQ/index.en.html", html, "", "", nil},
		{addInstallGuide, "", "usr/share/doc/installation-guide-amd64/zh_CN/ch01.html", html, "ig/ch01", "zh", numbered},
		{addInstallGuide, "", "usr/share/doc/installation-guide-amd64/de/apf.html", html, "", "", nil},
		{addInstallGuide, "", "usr/share/doc/installation-guide-amd64/de/x/apa.html", html, "", "", nil},
		{addHandbook, "", "usr/share/doc/debian-handbook/html/zh-CN/x.html", html, "handbook/x", "zh", numbered},
		{addHandbook, "", "usr/share/doc/debian-handbook/html/pt-BR/x.html", `<body><p>no</p><div class="chapter"><p>no</p>` +
			`<div class="section" lang="x"><p>1. Eins</p>`, "handbook/x", "pt-BR", []string{"Eins"}},
		{addHandbook, "", "usr/share/doc/debian-handbook/html/de-DE/x.html",
			`<body><p>no</p><div class="chapter"><p>Zwei</p>`, "handbook/x", "de", []string{"Zwei"}},
		{addHandbook, "", "usr/share/doc/debian-handbook/html/de-DE/index.html", html, "", "", nil},
		{addHandbook, "", "usr/share/doc/debian-handbook/html/de-DE/ix01.html", html, "", "", nil},
		{addHandbook, "", "usr/share/doc/debian-handbook/html/de-DE/a/x.html", html, "", "", nil},
	} {
		s := newManualSet("m")
		if err := c.add(s, c.pkg, c.path, []byte(c.data)); err != nil {
			t.Errorf("%d: %v", i, err)
		}
		p := s.pages[[2]string{c.group, c.lang}]
		if wanted := min(1, len(c.want)); len(s.pages) != wanted || !slices.Equal(p.paragraphs, c.want) {
			t.Errorf("%d: %+q, want %s, %s, %q", i, s.pages, c.group, c.lang, c.want)
		}
	}
}

func TestReadTar(t *testing.T) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, text := range map[string]string{"./usr/a.html": "eins", "./usr/b.page": "zwei", "./usr/c.png": "no"} {
		if err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(text)), Typeflag: tar.TypeReg}); err != nil {
			t.Fatal(err)
		}
		w.Write([]byte(text))
	}
	if err := w.WriteHeader(&tar.Header{Name: "./x.html", Typeflag: tar.TypeSymlink, Linkname: "/a.html"}); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	data := b.Bytes()
	got := map[string]string{}
	read := func(data []byte) error {
		return readTar(bytes.NewReader(data), func(path string, data []byte) error {
			got[path] = string(data)
			return nil
		})
	}
	if err := read(data); err != nil || len(got) != 2 || got["usr/a.html"] != "eins" || got["usr/b.page"] != "zwei" {
		t.Errorf("%q, error %v", got, err)
	}
	if err := read(data[:513]); err == nil {
		t.Error("no error of an archive that is cut off")
	}
	var long bytes.Buffer
	w = tar.NewWriter(&long)
	if err := w.WriteHeader(&tar.Header{Name: "a.html", Size: 1 << 40, Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	if err := read(long.Bytes()); err == nil || !strings.Contains(err.Error(), "a.html is longer than") {
		t.Errorf("a long file: error %v", err)
	}
}

// TestReadPackage reads a package that dpkg-deb made.
func TestReadPackage(t *testing.T) {
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip("there is no dpkg-deb")
	}
	dir := t.TempDir()
	for name, text := range map[string]string{
		"p/DEBIAN/control": "Package: p\nVersion: 1\nArchitecture: all\nMaintainer: M <m@x.test>\nDescription: d\n",
		"p/usr/x.html":     "eins",
	} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("dpkg-deb", "--build", dir+"/p", dir+"/p_1_all.deb").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	file, err := packageFile(dir, "p")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	read := func() error {
		return readPackage(t.Context(), file, func(path string, data []byte) error {
			got[path] = string(data)
			return nil
		})
	}
	if err := read(); err != nil || len(got) != 1 || got["usr/x.html"] != "eins" {
		t.Errorf("%q, error %v", got, err)
	}
	if err := os.Truncate(file, 300); err != nil {
		t.Fatal(err)
	}
	if err := read(); err == nil {
		t.Error("no error of a package that is cut off")
	}
	if _, err := packageFile(dir, "q"); err == nil {
		t.Error("no error of a package that is not there")
	}
}

func TestHeldOut(t *testing.T) {
	n := 0
	for i := range 1200 {
		if heldOut(strings.Repeat("x", i)) {
			n++
		}
	}
	// The MD5 of "" is d41d8cd98f00b204e9800998ecf8427e, 6 more than a multiple of 12.
	if n < 60 || n > 140 || heldOut("") {
		t.Errorf("%d of 1200 pages are held out", n)
	}
}

func TestWriteManuals(t *testing.T) {
	dir := t.TempDir()
	var rows []manualRow
	for i := range 100 {
		page := "a/" + strings.Repeat("x", i)
		rows = append(rows, manualRow{"lohelp/de/" + page, "de", "lohelp/" + page, "lohelp/a", "Text <b> & \"x\""})
	}
	if err := writeManuals(dir, "lohelp", rows); err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for _, part := range []string{"lohelp", "lohelp-heldout"} {
		for doc, err := range corpus.Files([]string{filepath.Join(dir, part+".jsonl.gz")}, corpus.ReadOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
			if found[part]++; doc.Text != rows[0].Text || doc.Shard != "lohelp/a" || doc.Lang != "de" ||
				heldOut(strings.TrimPrefix(doc.Group, "lohelp/")) != (part == "lohelp-heldout") {
				t.Errorf("%s: %+q", part, doc)
			}
		}
	}
	if found["lohelp"]+found["lohelp-heldout"] != 100 || found["lohelp-heldout"] == 0 {
		t.Errorf("%v documents", found)
	}
}

// TestDebianManuals fetches the packages into a directory, MARGE_RECIPE_DIR.
func TestDebianManuals(t *testing.T) {
	dir := os.Getenv("MARGE_RECIPE_DIR")
	if dir == "" {
		t.Skip("MARGE_RECIPE_DIR is not set")
	}
	if err := Recipes["debian-manuals"](t.Context(), dir, func(text string) { t.Log(text) }); err != nil {
		t.Fatal(err)
	}
	for _, m := range manuals {
		languages, n := map[string]bool{}, 0
		for doc, err := range corpus.Files([]string{filepath.Join(dir, m.name+".jsonl.gz")}, corpus.ReadOptions{}) {
			if err != nil {
				t.Fatal(err)
			}
			languages[doc.Lang] = true
			n++
		}
		if len(languages) < 10 || n < 200 {
			t.Errorf("%s: %d documents in %d languages", m.name, n, len(languages))
		}
	}
}

func FuzzParagraphs(f *testing.F) {
	f.Add([]byte("<p class=toc>a<p>b<span class=switch><span hidden=true>c</span></p></b>&#0;\xff<br/>"))
	f.Fuzz(func(t *testing.T, data []byte) {
		list, _ := htmlParagraphs(data)
		more, _ := mallardParagraphs(data)
		for _, text := range append(list, more...) {
			if text == "" || strings.TrimSpace(text) != text || strings.ContainsAny(text, "\n\x00\ufeff") ||
				strings.ToValidUTF8(text, "") != text {
				t.Errorf("%+q", text)
			}
		}
	})
}
