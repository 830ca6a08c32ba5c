package source

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
)

// sqlTable is a dump as mysqldump writes it.
func sqlTable(table, columns, inserts string) string {
	return "-- MySQL dump\n/*!40101 SET NAMES utf8 */;\nDROP TABLE IF EXISTS `" + table + "`;\nCREATE TABLE `" + table +
		"` (\n" +
		columns + "  KEY `x` (`y`)\n) ENGINE=InnoDB;\n\nLOCK TABLES `" + table + "` WRITE;\n" + inserts +
		"/*!40000 ALTER TABLE */;\nUNLOCK TABLES;\n-- Dump completed\n"
}

const propColumns = "  `pp_page` int NOT NULL,\n  `pp_propname` varbinary(60),\n" +
	"  `pp_value` blob,\n  `pp_sortkey` float,\n"

func props(inserts string) string { return sqlTable("page_props", propColumns, inserts) }

func readProps(t testing.TB, data []byte) (list []string, stats Stats, err error) {
	return readPropsFrom(t, bytes.NewReader(data))
}

func readPropsFrom(t testing.TB, r io.Reader) (list []string, stats Stats, err error) {
	stats, err = ReadPageProps(t.Context(), "x.sql", r, func(page int64, item string) error {
		list = append(list, fmt.Sprintf("%d=%s", page, item))
		return nil
	})
	return list, stats, err
}

func TestPageProps(t *testing.T) {
	dump := props("INSERT INTO `page_props` VALUES (1,'wikibase_item','Q1',NULL)," +
		"(2,'defaultsort','a\\'b'',(\\n\n',-1.5e3);\n" +
		"INSERT INTO `page_props` VALUES (3,'wikibase_item','Q\\\\3',0);\n")
	for _, data := range [][]byte{[]byte(dump), zip(dump), zip(dump[:200], dump[200:])} {
		list, stats, err := readProps(t, data)
		if err != nil || strings.Join(list, " ") != `1=Q1 3=Q\3` || stats.Records != 3 || stats.Dropped[OtherRecord] != 1 {
			t.Errorf("%q, %v, error %v", list, stats, err)
		}
	}
	// Columns are found by name.
	other := sqlTable("page_props", "  `pp_value` blob,\n  `pp_propname` blob,\n  `pp_page` int,\n",
		"INSERT INTO `page_props` VALUES ('Q7','wikibase_item',5);\n")
	if list, _, err := readProps(t, []byte(other)); err != nil || strings.Join(list, " ") != "5=Q7" {
		t.Errorf("another order of columns: %q, error %v", list, err)
	}
}

func TestSQLErrors(t *testing.T) {
	const insert = "INSERT INTO `page_props` VALUES "
	for dump, want := range map[string]string{
		"": "x.sql:1: there is no table `page_props`", "hello": "there is no table", insert +
			"(1);": "rows stand before CREATE TABLE",
		sqlTable("page_props", "  `pp_page` int,\n",
			""): "x.sql:7: the table `page_props` has no column `pp_propname`",
		props(insert + "(1,'a','b');\n"):                                    "x.sql:13: ')' in row 1, want ','",
		props(insert + "(1,'a','b',NULL,2);\n"):                             "',' in row 1, want ')'",
		props(insert + "(1,'a','b',NULL) (2);\n"):                           "' ' follows a row",
		props(insert + "(1,'a','b',NIL);\n"):                                `the value "NIL" in row 1 is no number`,
		props(insert + "(1,'a\n','b\n',NULL),(1,'a','b',NIL);\n"):           `x.sql:15: the value "NIL" in row 2`,
		props(insert + "(,'a','b',1);\n"):                                   `the value "" in row 1`,
		props(insert + "1;\n"):                                              "'1' in row 1, want '('",
		props(insert + "('x','wikibase_item','b',1);\n"):                    `the ID of a page is "x"`,
		props(insert + "(1,'" + strings.Repeat("1", maxValueBytes+1) + "'"): "a value in row 1 is longer than",
		props(insert + "(" + strings.Repeat("1", maxValueBytes+1)):          "a value in row 1 is longer than",
		sqlTable("page_props", strings.Repeat("  `a` int,\n", 101), ""):     "more than 100 columns",
		"CREATE TABLE `page_props` (\n  `a" + strings.Repeat("a", 1<<17):    "buffer full",
		"\x1f\x8bxx": "unexpected EOF", string(zip(props(""))[:150]): "unexpected EOF",
	} {
		if _, _, err := readProps(t, []byte(dump)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q: error %v, want %q", dump, err, want)
		}
	}
	dump := props(insert + "(1,'wikibase_item','Q1',NULL),(2,'wikibase_item','Q2',NULL);\n")
	end := strings.Index(dump, "UNLOCK TABLES")
	for cut := range end {
		if list, _, err := readProps(t, []byte(dump[:cut])); err == nil {
			t.Errorf("%d of %d bytes: %q, no error", cut, len(dump), list)
		}
	}
	packed := zip(dump)
	for cut := range packed {
		if list, _, err := readProps(t, packed[:cut]); err == nil {
			t.Errorf("%d of %d bytes, compressed: %q, no error", cut, len(packed), list)
		}
	}
	stop := errors.New("enough")
	_, err := ReadPageProps(t.Context(), "x", strings.NewReader(dump), func(int64, string) error { return stop })
	if err != stop {
		t.Errorf("stopped: error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = ReadPageProps(ctx, "x", strings.NewReader(dump), nil)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: error %v", err)
	}
}

// TestWikiGroups: the order of links does not matter.
func TestWikiGroups(t *testing.T) {
	pages := sqlTable("page",
		"  `page_id` int,\n  `page_namespace` int,\n  `page_title` blob,\n  `page_is_redirect` int,\n",
		"INSERT INTO `page` VALUES (1,0,'Der_Fluss',0),(2,1,'Der_Fluss',0),(3,0,'Fluß',1),(4,0,'Haus',0),(5,0,'Allein',0);\n")
	links := sqlTable("langlinks", "  `ll_from` int,\n  `ll_lang` blob,\n  `ll_title` blob,\n",
		"INSERT INTO `langlinks` VALUES (1,'en','River'),(4,'en','House_(home)'),(1,'fr','Rivière'),(4,'fr','');\n")
	titles := map[int64]string{}
	stats, err := ReadPageTable(t.Context(), "x", strings.NewReader(pages), func(page int64, title string) error {
		titles[page] = title
		return nil
	})
	if err != nil || len(titles) != 3 || stats.Dropped[OtherRecord] != 2 {
		t.Fatalf("%v, %v, error %v", titles, stats, err)
	}
	list := [][2]string{{"fr:Rivière", "cs:Řeka"}, {"cs:Řeka", "fr:Rivière"}, {"a:1", "b:2"}}
	_, err = ReadLangLinks(t.Context(), "x", strings.NewReader(links), func(page int64, lang, title string) error {
		list = append(list, [2]string{WikiTitle("de", titles[page]), WikiTitle(lang, title)})
		return nil
	})
	if err != nil || len(list) != 6 {
		t.Fatalf("%q, error %v", list, err)
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for range 20 {
		var g WikiGroups
		rng.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
		for _, link := range list {
			g.Link(link[0], link[1])
		}
		for name, want := range map[string]string{
			"de:Der Fluss": "cs:Řeka", "fr:Rivière": "cs:Řeka", "en:House (home)": "de:Haus", "de:Haus": "de:Haus",
			"de:Allein": "",
		} {
			if group := g.Group(name); group != want {
				t.Errorf("%q: the group of %s is %q, want %q", list, name, group, want)
			}
		}
	}
}

func FuzzSQL(f *testing.F) {
	f.Add("(1,'wikibase_item','Q1',NULL),(2,'a\\'','b''',1e3);\n")
	f.Add("(1,'wikibase_item")
	f.Add("(1,'wikibase_item','Q1',NULL),(1,'wikibase_item','',-),(,'a',1);\n")
	f.Add("(1,'wikibase_item','Q''1',1),(1,'wikibase_item','Q\n2',1),(1,'wikibase_item',NULL,1)," +
		"('1','wikibase_item',2,3);\n")
	f.Fuzz(func(t *testing.T, rows string) {
		dump := props("INSERT INTO `page_props` VALUES " + rows)
		list, stats, err := readProps(t, []byte(dump))
		if err == nil && (stats.Records == 0 || len(list) != stats.Documents) {
			t.Errorf("%q: %q, %v", rows, list, stats)
		}
		// Rows that are never in the buffer as a whole are read alike.
		slow, slowStats, slowErr := readPropsFrom(t, iotest.OneByteReader(strings.NewReader(dump)))
		if !slices.Equal(slow, list) || slowStats != stats || fmt.Sprint(slowErr) != fmt.Sprint(err) {
			t.Errorf("%q: %q, %v, error %v; byte by byte %q, %v, error %v", rows, list, stats, err, slow, slowStats, slowErr)
		}
	})
}

// TestValues: strings stay as they are when others follow.
func TestValues(t *testing.T) {
	var v values
	var got, want []string
	for i := range 300 {
		value := strings.Repeat(fmt.Sprint(i), i%50)
		got, want = append(got, v.text([]byte(value))), append(want, value)
	}
	long := strings.Repeat("x_", 1<<12)
	got, want = append(got, v.title([]byte(long))), append(want, strings.ReplaceAll(long, "_", " "))
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestPageID(t *testing.T) {
	for value, want := range map[string]int64{
		"0": 0, "0042": 42, "922337203685477579": 922337203685477579, "": -1, "-1": -1, "+1": -1, "1x": -1, "1e3": -1,
		"9223372036854775808": -1, "99999999999999999999": -1,
	} {
		if id, err := pageID([]byte(value)); (err != nil) != (want < 0) || err == nil && id != want {
			t.Errorf("%q: %d, error %v, want %d", value, id, err, want)
		}
	}
}
