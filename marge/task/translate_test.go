package task

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/marge-go/marge/marge"
)

func pair(source, target string) marge.Pair {
	return marge.Pair{Source: source, Target: target, SourceLang: "de", TargetLang: "en"}
}

func check(t *testing.T, what string, got *Translations, err error, skipped int, want ...marge.Pair) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
		return
	}
	for i := range got.Pairs {
		if got.Pairs[i].Where == "" {
			t.Errorf("%s: pair %d does not tell where it stands", what, i)
		}
		got.Pairs[i].Where = ""
	}
	if !reflect.DeepEqual(got.Pairs, want) || got.Skipped != skipped {
		t.Errorf("%s: %+v, want %d skipped and %+v", what, *got, skipped, want)
	}
}

func TestReadMoses(t *testing.T) {
	de, en := file(t, "x.de", "eins\n\n zwei\ndrei"), file(t, "x.en", gzipped(t, "one\n\ntwo \n\n"))
	got, err := ReadMoses(de, en, "de", "en")
	if want := de + ":3"; err == nil && got.Pairs[1].Where != want {
		t.Errorf("a pair is in %q, want %q", got.Pairs[1].Where, want)
	}
	check(t, "Moses", got, err, 2, pair("eins", "one"), pair("zwei", "two"))
	_, err = ReadMoses(de, file(t, "y.en", "one\n\ntwo\n"), "de", "en")
	failure(t, "unequal", err, "x.de has 4 lines", "y.en 3")
	_, err = ReadMoses(file(t, "y.de", "eins\n"), en, "de", "en")
	failure(t, "unequal", err, "y.de has 1 lines", "x.en 4")
	_, err = ReadMoses(de, file(t, "z.en", "\n\n\n\n"), "de", "en")
	failure(t, "blank", err, "x.de", "z.en", "no pair")
	_, err = ReadMoses(de, de, "de_DE", "de-DE")
	failure(t, "one language", err, "from de-DE to de-DE")
	_, err = ReadMoses(de, de, "de", "no language")
	failure(t, "no language", err, "no language")
}

func TestReadTSV(t *testing.T) {
	got, err := ReadTSV(file(t, "x", "\"eins\tone\"\n\nzwei\t \n"), "de", "en")
	check(t, "TSV", got, err, 1, pair("\"eins", "one\""))
	for text, want := range map[string]string{
		"eins\tone\nzwei\n":           "x:2: 1 columns",
		"eins\tone\n\nzwei\ttwo\t0.5": "x:3: 3 columns",
	} {
		_, err := ReadTSV(file(t, "x", text), "de", "en")
		failure(t, text, err, want)
	}
}

func TestReadParallel(t *testing.T) {
	text := `{"id":"1","lang":"de","group":"a","text":"eins"}
{"id":"2","lang":"en","group":"a","text":"one"}
{"id":"3","lang":"en_US","group":"a","text":"another one"}
{"id":"4","lang":"de-AT","group":"b","text":"zwei"}
{"id":"5","lang":"fr","group":"b","text":"deux"}
{"id":"6","lang":"de-AT","group":"c","text":"drei"}
{"id":"7","lang":"en","group":"c","text":"three"}
`
	path := file(t, "x.jsonl", text)
	got, err := ReadParallel([]string{path}, "de", "en")
	check(t, "documents", got, err, 1, pair("eins", "one"), pair("drei", "three"))
	_, err = ReadParallel([]string{path}, "de", "it")
	failure(t, "no Italian", err, "x.jsonl", "between de and it", "[de de-AT en en-US fr]")
	_, err = ReadParallel([]string{file(t, "y.jsonl", `{"id":"1","lang":"de","text":"eins"}`)}, "de", "it")
	failure(t, "no group", err, "document 1 has no group")
}

const memory = `<?xml version="1.0" encoding="ENCODING"?>
<!DOCTYPE tmx SYSTEM "tmx14.dtd">
<tmx version="1.4"><header srclang="de-AT"><note>nothing &amp; more</note></header>
<body>
<tu tuid="1"><note xml:lang="de">eine Notiz</note><prop type="x">y</prop>
  <tuv xml:lang="de-AT"><prop type="z">w</prop><seg>Der <bpt i="1">&lt;b></bpt>große<ept
  i="1">&lt;/b&gt;</ept> <hi>Hund <ph x="1">{0}<sub
>tief</sub></ph>bellt</hi> &amp; schläft<it pos="begin">\i</it>.</seg></tuv>
  <tuv xml:lang="EN-us"><seg><![CDATA[The big dog]]> barks<ut>{1}</ut> &#x26; sleeps.</seg></tuv>
  <tuv xml:lang="en-gb"><seg>Another</seg></tuv>
</tu>
<tu><tuv lang="de"><seg>eins</seg></tuv><tuv lang="fr"><seg>un</seg></tuv></tu>
<tu><tuv lang="de"><seg>zwei</seg></tuv><tuv lang="en"><seg> </seg></tuv></tu>
<tu><tuv lang="en"><seg>three</seg></tuv><tuv lang="de"><seg>drei</seg></tuv></tu>
</body></tmx>
`

func TestReadTMX(t *testing.T) {
	want := []marge.Pair{
		pair("Der große Hund bellt & schläft.", "The big dog barks & sleeps."), pair("drei", "three"),
	}
	utf8 := strings.Replace(memory, "ENCODING", "UTF-8", 1)
	sixteen := "\xff\xfe"
	for _, unit := range utf16.Encode([]rune(strings.Replace(memory, "ENCODING", "UTF-16", 1))) {
		sixteen += string([]byte{byte(unit), byte(unit >> 8)})
	}
	for what, text := range map[string]string{"UTF-8": utf8, "UTF-16": sixteen, "UTF-16 in gzip": gzipped(t, sixteen)} {
		got, err := ReadTMX(file(t, "x.tmx", text), "de", "en")
		check(t, what, got, err, 2, want...)
	}
	got, err := ReadTMX(file(t, "x.tmx", utf8), "de-AT", "en-GB")
	if err == nil && !strings.HasSuffix(got.Pairs[0].Where, "x.tmx:5") {
		t.Errorf("a pair is in %q", got.Pairs[0].Where)
	}
	check(t, "by region", got, err, 3, marge.Pair{
		Source: want[0].Source, Target: "Another", SourceLang: "de-AT", TargetLang: "en-GB",
	})
	for text, wrong := range map[string]string{
		strings.Replace(utf8, "</hi>", "", 1):               "x.tmx:8: element <hi> closed by </seg>",
		utf8[:strings.Index(utf8, "<tu><tuv lang=\"en\">")]: "x.tmx:14: unexpected EOF",
		strings.Replace(utf8, "&amp; more", "& more", 1):    "x.tmx:3: invalid character entity",
		strings.Replace(utf8, "xml:lang=\"EN-us\"", "", 1):  "x.tmx:9: <tuv> has no xml:lang",
		strings.Replace(utf8, "UTF-8", "klingon", 1):        `x.tmx:1: xml: opening charset "klingon"`,
		"<xliff></xliff>": "x.tmx:1: the root is <xliff>",
		"\n\n":            "x.tmx:3: the file is empty",
		strings.Replace(utf8, "drei", "dr\xffei", 1): "x.tmx:14: invalid UTF-8",
	} {
		_, err := ReadTMX(file(t, "x.tmx", text), "de", "en")
		failure(t, wrong, err, wrong)
	}
	_, err = ReadTMX(file(t, "x.tmx", utf8), "de", "ru")
	failure(t, "no Russian", err, "between de and ru", "[de de-AT en en-GB en-US fr]")
	// What is not XML for long, or deep, ends.
	deep := strings.Replace(utf8, "<hi>", strings.Repeat("<hi>", 20000), 1)
	_, err = ReadTMX(file(t, "x.tmx", deep), "de", "en")
	failure(t, "deep", err, "x.tmx:7: elements are nested more than 100 deep")
	latin := strings.NewReplacer("ENCODING", "iso-8859-1", "große", "gro\xdfe", "schläft", "schl\xe4ft").Replace(memory)
	got, err = ReadTMX(file(t, "x.tmx", latin), "de", "en")
	check(t, "Latin-1", got, err, 2, want...)
	for what, huge := range map[string]string{
		"a tag or a text is longer":    "<tuv xml:lang=\"" + strings.Repeat("x", 5<<20),
		"a text is longer":             "<tuv xml:lang=\"de\"><seg>" + strings.Repeat(strings.Repeat("x", 99)+"<ph/>", 5<<14),
		"a translation unit is longer": strings.Repeat("<tuv xml:lang=\"de\"><seg>x</seg></tuv>", 1<<16),
	} {
		_, err := ReadTMX(file(t, "x.tmx", "<tmx><body><tu>"+huge), "de", "en")
		failure(t, what, err, "x.tmx:1: "+what)
	}
	bomb := `<!DOCTYPE tmx [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>` + "\n" +
		"<tmx><body><tu><tuv lang=\"de\"><seg>&b;</seg></tuv></tu></body></tmx>"
	_, err = ReadTMX(file(t, "x.tmx", bomb), "de", "en")
	failure(t, "entities", err, "x.tmx:2: invalid character entity &b;")
}

// TestReadTranslations checks that the name of a file tells its format.
func TestReadTranslations(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	for name, text := range map[string]string{
		"a.de": "eins\nzwei\n", "a.en.gz": gzipped(t, "one\ntwo\n"), "a.tsv.gz": gzipped(t, good["TSV"]),
		"a.tmx.zst": zstded(t, good["TMX"]), "docs/a.jsonl": good["documents"],
	} {
		if err := os.MkdirAll(filepath.Dir(at(name)), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at(name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{
		at("a"), at("a.de") + "," + at("a.en.gz"), at("a.tsv.gz"), at("a.tmx.zst"), at("docs/a.jsonl"),
		at("docs"), at("docs/*"),
	} {
		got, err := ReadTranslations(name, "de", "en")
		check(t, name, got, err, 0, pair("eins", "one"), pair("zwei", "two"))
	}
	for _, name := range []string{at("b"), at("a.de"), at("b.tsv"), at("b.jsonl"), at("a.de") + ","} {
		if got, err := ReadTranslations(name, "de", "en"); err == nil {
			t.Errorf("%s: %v", name, got)
		}
	}
	_, err := ReadTranslations(at("a"), "de", "fr")
	failure(t, "no French", err, "a.fr")
}
