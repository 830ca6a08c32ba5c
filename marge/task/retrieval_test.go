package task

import (
	"compress/gzip"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/eval"
)

// retrievalFiles writes files into a new folder, compressed if their names say so.
func retrievalFiles(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(name, ".gz") {
			z := gzip.NewWriter(f)
			z.Write([]byte(text))
			err = z.Close()
		} else {
			_, err = f.WriteString(text)
		}
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	return dir
}

func TestReadTatoeba(t *testing.T) {
	dir := retrievalFiles(t, map[string]string{
		"tatoeba.deu-eng.deu": "Ja.\r\nNein.\n", "tatoeba.deu-eng.eng": "Yes.\nNo.",
		"tatoeba.cmn-eng.cmn.gz": "是。\n", "tatoeba.cmn-eng.eng.gz": "Yes.\n", "README.md": "",
	})
	want := &RetrievalSet{
		Name:  "tatoeba.deu-eng",
		IDs:   []string{"tatoeba.deu-eng.deu:1", "tatoeba.deu-eng.deu:2", "tatoeba.deu-eng.eng:1", "tatoeba.deu-eng.eng:2"},
		Texts: []string{"Ja.", "Nein.", "Yes.", "No."},
		Docs: []eval.Doc{
			{Lang: "de", Group: "1"}, {Lang: "de", Group: "2"}, {Lang: "en", Group: "1"}, {Lang: "en", Group: "2"},
		},
	}
	for _, lang := range []string{"deu", "eng"} {
		sets, err := ReadRetrieval(filepath.Join(dir, "tatoeba.deu-eng."+lang))
		if err != nil || len(sets) != 1 || !reflect.DeepEqual(sets[0], want) {
			t.Errorf("%s: %+v, error %v", lang, sets, err)
		}
	}
	sets, err := ReadRetrieval(dir)
	if err != nil || len(sets) != 2 || sets[0].Name != "tatoeba.cmn-eng" || !reflect.DeepEqual(sets[1], want) {
		t.Errorf("the folder: %+v, error %v", sets, err)
	}
	if langs := sets[0].Langs(); !slices.Equal(langs, []string{"cmn", "en"}) {
		t.Errorf("languages %v", langs)
	}
}

func TestReadBUCC(t *testing.T) {
	dir := retrievalFiles(t, map[string]string{
		"de-en.training.de":   "de-1\tJa.\nde-2\tEin Satz.\nde-3\tNein.\n",
		"de-en.training.en":   "en-1\tNo.\nen-2\tYes.\tOr so.\n",
		"de-en.training.gold": "de-1\ten-2\nde-3\ten-1\n",
	})
	sets, err := ReadRetrieval(filepath.Join(dir, "de-en.training.gold"))
	want := &RetrievalSet{
		Name: "de-en.training", IDs: []string{"de-1", "de-2", "de-3", "en-1", "en-2"},
		Texts: []string{"Ja.", "Ein Satz.", "Nein.", "No.", "Yes.\tOr so."},
		Docs:  []eval.Doc{{Lang: "de"}, {Lang: "de"}, {Lang: "de"}, {Lang: "en"}, {Lang: "en"}},
		Mining: &eval.MiningSet{From: "de", To: "en", Sources: []int{0, 1, 2}, Targets: []int{3, 4},
			Gold: []eval.Bitext{{Source: 0, Target: 1}, {Source: 2, Target: 0}}},
	}
	if err != nil || len(sets) != 1 || !reflect.DeepEqual(sets[0], want) {
		t.Errorf("%+v, error %v", sets, err)
	}
}

func TestReadGroups(t *testing.T) {
	line := func(id, lang, group, shard string) string {
		return fmt.Sprintf(`{"id": %q, "lang": %q, "group": %q, "shard": %q, "text": "text of %s"}`+"\n",
			id, lang, group, shard, id)
	}
	pairs := line("1", "de", "a", "de-en") + line("2", "en", "a", "de-en") + line("3", "fr", "b", "fr-en") +
		line("4", "en", "b", "fr-en") + line("5", "en", "", "fr-en")
	byPair := map[string][]string{"de-en": {"1", "2"}, "fr-en": {"3", "4", "5"}}
	all := map[string][]string{"docs": {"1", "2", "3", "4", "5", "6"}}
	for name, c := range map[string]struct {
		text string
		want map[string][]string // ids of each set
	}{
		"pairs":            {pairs, byPair},
		"a shard of three": {pairs + line("6", "it", "b", "fr-en"), all},
		"no shard":         {pairs + line("6", "it", "b", ""), all},
		"a pair without":   {pairs + line("6", "it", "c", "it-en") + line("7", "en", "d", "it-en"), byPair},
	} {
		dir := retrievalFiles(t, map[string]string{"docs.jsonl.gz": c.text})
		sets, err := ReadRetrieval(filepath.Join(dir, "docs.jsonl.gz"))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got := map[string][]string{}
		for _, s := range sets {
			got[s.Name] = s.IDs
			if s.Texts[0] != "text of "+s.IDs[0] || s.Docs[0].Group != s.Docs[1].Group {
				t.Errorf("%s: %+v", name, s)
			}
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	dir := retrievalFiles(t, map[string]string{"docs.jsonl": pairs})
	if sets, err := ReadRetrieval(dir); err != nil || len(sets) != 2 || sets[0].Name != "de-en" {
		t.Errorf("a folder: %v, error %v", sets, err)
	}
}

func TestReadRetrievalErrors(t *testing.T) {
	files := func(pairs ...string) map[string]string {
		m := map[string]string{}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return m
	}
	bucc := func(de, en, gold string) map[string]string {
		return files("de-en.x.de", de, "de-en.x.en", en, "de-en.x.gold", gold)
	}
	for name, c := range map[string]struct {
		files map[string]string
		open  string
		want  string
	}{
		"unequal":  {files("t.de-en.de", "a\nb\n", "t.de-en.en", "a\n"), "t.de-en.de", "t.de-en.de has 2 lines and "},
		"no name":  {files("de-en.de", "a\nb\n", "de-en.en", "a\n"), "de-en.en", "de-en.de has 2 lines and "},
		"blank":    {files("t.de-en.de", "a\n \n", "t.de-en.en", "a\nb\n"), "t.de-en.en", "t.de-en.de:2: the line is blank"},
		"empty":    {files("t.de-en.de", "", "t.de-en.en", ""), "t.de-en.de", "t.de-en.de has no texts"},
		"one side": {files("t.de-en.de", "a\n"), "t.de-en.de", "t.de-en.en: no such file"},
		"same":     {files("t.de-deu.de", "a\n", "t.de-deu.deu", "a\n"), "t.de-deu.de", "none of 2 texts has a translation"},
		"language": {files("t.d-en.d", "a\n", "t.d-en.en", "a\n"), "t.d-en.d", `"d" is not a language tag`},
		"utf-8": {files("t.de-en.de", "a\xff\n", "t.de-en.en", "a\n"), "t.de-en.de",
			"t.de-en.de:1: the line is not valid UTF-8"},
		"no tab": {bucc("1\ta\n2 b\n", "1\ta\n", "1\t1\n"), "de-en.x.gold",
			"de-en.x.de:2: want the id and the text of a sentence"},
		"twice": {bucc("1\ta\n", "1\ta\n1\tb\n", "1\t1\n"), "de-en.x.gold", `de-en.x.en:2: the id "1" comes twice`},
		"unknown source": {bucc("1\ta\n", "2\ta\n", "2\t2\n"), "de-en.x.gold",
			`de-en.x.gold:1: no sentence in de has the id "2"`},
		"unknown target": {bucc("1\ta\n", "2\ta\n", "1\t2\n1\t1\n"), "de-en.x.gold",
			`de-en.x.gold:2: no sentence in en has the id "1"`},
		"pair twice": {bucc("1\ta\n", "2\ta\n", "1\t2\n1\t2\n"), "de-en.x.gold", "de-en.x.gold:2: the pair 1, 2 comes twice"},
		"no gold":    {bucc("1\ta\n", "2\ta\n", ""), "de-en.x.gold", "de-en.x.gold has no pairs"},
		"gold line":  {bucc("1\ta\n", "2\ta\n", "1\t\n"), "de-en.x.gold", "de-en.x.gold:1: want the ids of a sentence"},
		"gold name":  {files("x.gold", ""), "x.gold", "the name is not that of BUCC's true pairs"},
		"no group":   {files("a.jsonl", `{"id":"1","lang":"de","text":"a"}`), "a.jsonl", "none of 1 texts has a translation"},
		"bad json":   {files("a.jsonl", "\n{"), "a.jsonl", "a.jsonl:2: bad JSON"},
		"nothing":    {files("a.jsonl", "\n"), "a.jsonl", "a.jsonl has no texts"},
		"not there":  {nil, "b.jsonl", "no such file"},
	} {
		dir := retrievalFiles(t, c.files)
		_, err := ReadRetrieval(filepath.Join(dir, c.open))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want one with %q", name, err, c.want)
		}
	}
	if _, err := ReadTatoeba("a.txt"); err == nil || !strings.Contains(err.Error(), "LANG-LANG.LANG") {
		t.Errorf("another name: error %v", err)
	}
	if _, err := ReadBUCC("de-en.de"); err == nil || !strings.Contains(err.Error(), "true pairs") {
		t.Errorf("another name: error %v", err)
	}
}

func TestRetrievalSet(t *testing.T) {
	s := NewRetrievalSet("docs", []corpus.Document{
		{ID: "1", Lang: "de", Group: "a", Text: "größer"}, {ID: "2", Lang: "en", Group: "a", Text: "greater"},
		{ID: "3", Lang: "fr", Group: "a", Text: "plus"}, {ID: "4", Lang: "it", Text: "più"},
	})
	s.Cut(0)
	only := s.Only(map[string]bool{"de": true, "fr": true})
	only.Cut(4)
	want := &RetrievalSet{
		Name: "docs", IDs: []string{"1", "3"}, Texts: []string{"größ", "plus"},
		Docs: []eval.Doc{{Lang: "de", Group: "a"}, {Lang: "fr", Group: "a"}},
	}
	if !reflect.DeepEqual(only, want) || s.Texts[0] != "größer" || len(s.Docs) != 4 {
		t.Errorf("%+v of %+v", only, s)
	}
	if none := s.Only(map[string]bool{"de": true, "it": true}); none != nil {
		t.Errorf("without translations: %+v", none)
	}
	s.Mining = &eval.MiningSet{From: "de", To: "en"}
	if s.Only(map[string]bool{"de": true, "en": true}) != s || s.Only(map[string]bool{"de": true}) != nil {
		t.Error("a set to mine is not left in or out as a whole")
	}
}
