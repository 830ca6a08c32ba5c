package source

import (
	"strings"
	"testing"

	"golang.org/x/text/encoding/unicode"

	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/internal/xmltext"
)

const tmx = `<?xml version="1.0"?>
<tmx version="1.4"><header srclang="de"><note>not a text</note></header><body>
<tu><tuv xml:lang="DE"><seg>Das <bpt i="1">code</bpt>große<ept i="1">code</ept> <hi>Haus</hi></seg></tuv>
  <tuv xml:lang="en-us"><seg> The big house </seg></tuv></tu>
<tu><prop>x</prop><tuv xml:lang="de"><seg>eins</seg></tuv><tuv xml:lang="de"><seg>ein</seg></tuv>
  <tuv lang="fr"><seg>un</seg></tuv></tu>
<tu><tuv xml:lang="de"><seg> </seg></tuv><tuv xml:lang="en-US"><seg/></tuv></tu>
<tu><tuv xml:lang="en-US"><seg>two</seg></tuv><tuv xml:lang="not a tag"><seg>2</seg></tuv></tu>
</body></tmx>
`

func TestTMX(t *testing.T) {
	want := []corpus.Document{
		{ID: "d/x.tmx#de", Lang: "de", Text: "Das große Haus\n\neins", Group: "d/x.tmx", Source: "d/x.tmx#de"},
		{ID: "d/x.tmx#en-US", Lang: "en-US", Text: "The big house\n\ntwo", Group: "d/x.tmx", Source: "d/x.tmx#en-US"},
		{ID: "d/x.tmx#fr", Lang: "fr", Text: "un", Group: "d/x.tmx", Source: "d/x.tmx#fr"},
		{ID: "d/x.tmx#not a tag", Lang: "und", Text: "2", Group: "d/x.tmx", Source: "d/x.tmx#not a tag"},
	}
	sixteen := mustEncode(t, unicode.UTF16(unicode.BigEndian, unicode.UseBOM).NewEncoder().String, tmx)
	for _, data := range []string{tmx, sixteen} {
		docs, stats, err := readCatalog(t, ReadTMX, "d/x.tmx", data, CatalogOptions{})
		if err != nil || len(docs) != len(want) || stats.Records != 4 || stats.Dropped[NoText] != 1 ||
			stats.Documents != 4 {
			t.Fatalf("%+q, %v, error %v", docs, stats, err)
		}
		for i, doc := range docs {
			if doc != want[i] {
				t.Errorf("document %d is %+q, want %+q", i, doc, want[i])
			}
		}
	}
	docs, _, err := readCatalog(t, ReadTMX, "x", tmx, CatalogOptions{Group: "g"})
	if err != nil || docs[0].Group != "g" || docs[0].Source != "g#de" {
		t.Errorf("with a group: %+q, error %v", docs, err)
	}
}

func TestTMXErrors(t *testing.T) {
	unit := "<tmx><body><tu>"
	for data, want := range map[string]string{
		"": "x.tmx:1: it has no text", "<xliff/>": "the root is <xliff>",
		unit + "\n</body>":                                              "x.tmx:2: element <tu> closed by",
		unit + "<tuv><seg>x":                                            "<tuv> has no xml:lang",
		"<tmx>" + strings.Repeat("<a>", 200):                            "more than 100 deep",
		unit + "<prop>" + strings.Repeat("<a>", 200):                    "more than 100 deep",
		"<tmx a='" + strings.Repeat("x", 1<<20):                         "a tag or a text is longer than 65536 bytes",
		unit + "<prop>" + strings.Repeat("x", 1<<20):                    "a tag or a text is longer than 65536 bytes",
		unit + strings.Repeat("<tuv lang='de'/>", 1<<12):                "a translation unit is longer than 65536 bytes",
		unit + "<tuv lang='de'><seg>" + strings.Repeat("x<ph/>", 1<<17): "a text is longer than 65536 bytes",
	} {
		o := CatalogOptions{Options: Options{MaxBytes: 1 << 16}}
		docs, _, err := readCatalog(t, ReadTMX, "x.tmx", data, o)
		if err == nil || !strings.Contains(err.Error(), want) || len(docs) > 0 {
			t.Errorf("%.40q: error %v, want %q", data, err, want)
		}
		o.SkipBad = true
		docs, stats, err := readCatalog(t, ReadTMX, "x.tmx", data, o)
		if err != nil || stats.Damaged != 1 || stats.LostBytes == 0 || len(docs) > 0 {
			t.Errorf("%.40q: %v, error %v", data, stats, err)
		}
	}
	end := len(strings.TrimSpace(tmx))
	for cut := range end {
		if docs, _, err := readCatalog(t, ReadTMX, "x.tmx", tmx[:cut], CatalogOptions{}); err == nil {
			t.Errorf("%d of %d bytes: %q, no error", cut, end, docs)
		}
	}
	testStops(t, ReadTMX, tmx)
}

// TestTMXLimit checks that neither texts nor languages need memory without bound.
func TestTMXLimit(t *testing.T) {
	for _, left := range []int{0, languageBytes, languageBytes + 10} {
		m := memory{records: &records{}, index: map[string]int{}, bytes: MaxFileBytes - left}
		err := m.unit([]xmltext.Version{{Lang: "de", Text: "eins"}})
		if (err == nil) != (left > languageBytes) {
			t.Errorf("%d bytes left: error %v", left, err)
		}
	}
}

func FuzzTMX(f *testing.F) {
	f.Add([]byte(tmx))
	f.Fuzz(func(t *testing.T, data []byte) { checkCatalog(t, ReadTMX, data) })
}
