package prepare

import (
	"cmp"
	"crypto/md5"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/klauspost/compress/gzip"

	"github.com/marge-go/marge/internal/osfile"
)

// A manualPage is a page of a manual in a language. Its group is its name, which
// begins with that of the manual or chapter.
type manualPage struct {
	group, lang string
	paragraphs  []string
}

// A manualRow is a line of JSON Lines.
type manualRow struct {
	ID    string `json:"id"`
	Lang  string `json:"lang"`
	Group string `json:"group"`
	Shard string `json:"shard"`
	Text  string `json:"text"`
}

// A manualSet is a collection of pages.
type manualSet struct {
	name  string
	pages map[[2]string]manualPage // by group and language
}

func newManualSet(name string) *manualSet { return &manualSet{name, map[[2]string]manualPage{}} }

// add adds a page, of which there may be another in the same language: the last
// one counts.
func (s *manualSet) add(p manualPage) { s.pages[[2]string{p.group, p.lang}] = p }

const (
	boilerplatePages = 20 // of a language that may have a paragraph before it is boilerplate
	leastEnglish     = 25 // characters of an English paragraph that is no name
	leastLetters     = 100
	leastIdeographs  = 40 // letters of a page in a language of ideographs
)

// manualDrops count why pages were left out.
type manualDrops struct{ untranslated, short, repeated, script, unknown int }

func (d manualDrops) String() string {
	return fmt.Sprintf("dropped: %d that are hardly translated, %d short, %d repeated, %d in another script, "+
		"%d with words that a machine did not know", d.untranslated, d.short, d.repeated, d.script, d.unknown)
}

// finish returns the documents, by group and language: pages without the
// paragraphs that are on many others, or that were left in English. Pages are
// dropped that are short, equal to another, mostly in English, not in the script
// of their language, or have marks of a machine that translated them.
func (s *manualSet) finish() (rows []manualRow, dropped manualDrops) {
	english := map[string]bool{}
	pagesWith := map[[2]string]int{}
	for _, p := range s.pages {
		seen := map[string]bool{}
		for _, text := range p.paragraphs {
			if !seen[text] {
				seen[text] = true
				pagesWith[[2]string{p.lang, text}]++
			}
			if p.lang == "en" && utf8.RuneCountInString(text) >= leastEnglish {
				english[text] = true
			}
		}
	}
	keys := slices.SortedFunc(maps.Keys(s.pages), func(a, b [2]string) int {
		return cmp.Or(strings.Compare(a[0], b[0]), strings.Compare(a[1], b[1]))
	})
	known := map[[2]string]bool{}
	for _, key := range keys {
		p := s.pages[key]
		all, kept := 0, 0
		var list []string
		for _, text := range p.paragraphs {
			if pagesWith[[2]string{p.lang, text}] > boilerplatePages {
				continue
			}
			n := utf8.RuneCountInString(text)
			all += n
			if p.lang != "en" && (english[text] || isEnglish(text)) {
				continue
			}
			kept += n
			list = append(list, text)
		}
		text := strings.Join(slices.Compact(list), "\n")
		text = lineBreak.ReplaceAllString(text, " ")
		least := leastLetters
		if ideographic[p.lang] {
			least = leastIdeographs
		}
		switch {
		case all == 0 || 2*kept < all:
			dropped.untranslated++
		case letters(text) < least:
			dropped.short++
		case known[[2]string{p.lang, text}]:
			dropped.repeated++
		case !fitsScript(p.lang, text):
			dropped.script++
		case strings.Contains(text, "<unk>"):
			dropped.unknown++
		default:
			known[[2]string{p.lang, text}] = true
			manual, _, _ := strings.Cut(p.group, "/")
			rows = append(rows, manualRow{
				ID: s.name + "/" + p.lang + "/" + p.group, Lang: p.lang, Group: s.name + "/" + p.group,
				Shard: s.name + "/" + manual, Text: text,
			})
		}
	}
	return rows, dropped
}

// lineBreak is one that a page shows as text.
var lineBreak = regexp.MustCompile(`<br ?/?>`)

func isLetter(r rune) bool { return unicode.In(r, unicode.L, unicode.Nl, unicode.No) }

func letters(text string) (n int) {
	for _, r := range text {
		if isLetter(r) {
			n++
		}
	}
	return n
}

// englishWords are frequent in English texts, and rare in others.
var englishWords = setOf("the and to are that this with you can be or will if not which from by it your when has " +
	"have should for")

// isEnglish reports whether a paragraph was left in English.
func isEnglish(text string) bool {
	latin := 0
	for i := range len(text) {
		if c := text[i]; 'a' <= c && c <= 'z' {
			latin++
		}
	}
	if 2*latin < letters(text) {
		return false
	}
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return !isLetter(r) })
	found := map[string]bool{}
	n := 0
	for _, word := range words {
		if englishWords[word] {
			found[word] = true
			n++
		}
	}
	return len(words) >= 4 && len(found) >= 2 && float64(n) >= 0.15*float64(len(words))
}

// Scripts of languages that are not written in Latin letters.
var (
	// With the mark of long vowels, which is in no script.
	kana        = &unicode.RangeTable{R16: []unicode.Range16{{Lo: 0x3040, Hi: 0x30ff, Stride: 1}}}
	ideographic = setOf("ja ko zh zh-TW")
	scripts     = map[string][]*unicode.RangeTable{
		"ja": {kana, unicode.Han}, "zh": {unicode.Han}, "zh-TW": {unicode.Han},
		"ko": {unicode.Hangul}, "ru": {unicode.Cyrillic}, "uk": {unicode.Cyrillic}, "bg": {unicode.Cyrillic},
		"sr": {unicode.Cyrillic}, "el": {unicode.Greek}, "ar": {unicode.Arabic}, "fa": {unicode.Arabic},
		"he": {unicode.Hebrew}, "hi": {unicode.Devanagari}, "mr": {unicode.Devanagari}, "ta": {unicode.Tamil},
		"te": {unicode.Telugu}, "gu": {unicode.Gujarati}, "as": {unicode.Bengali},
	}
)

// fitsScript reports whether enough of a text is in the script of its language:
// half of the letters, or less of a language whose texts have many names.
func fitsScript(lang, text string) bool {
	tables := scripts[lang]
	if tables == nil {
		return true
	}
	n := 0
	for _, r := range text {
		if unicode.In(r, tables...) {
			n++
		}
	}
	share := 0.5
	if ideographic[lang] {
		share = 0.3
	}
	return float64(n) >= share*float64(letters(text))
}

// heldOut reports whether a page is for evaluation: a twelfth of the pages, in
// all languages, chosen by their names.
func heldOut(group string) bool {
	sum := md5.Sum([]byte(group)) // of which nobody could make use
	rest := 0
	for _, b := range sum {
		rest = (rest*256 + int(b)) % 12
	}
	return rest == 0
}

// writeManuals writes documents as name.jsonl.gz, and of the help of LibreOffice
// some pages as name-heldout.jsonl.gz.
func writeManuals(dir, name string, rows []manualRow) error {
	parts := map[string][]manualRow{name: rows}
	if name == "lohelp" {
		parts = map[string][]manualRow{}
		for _, row := range rows {
			part := name
			if heldOut(strings.TrimPrefix(row.Group, name+"/")) {
				part += "-heldout"
			}
			parts[part] = append(parts[part], row)
		}
	}
	for part, rows := range parts {
		if err := writeRows(filepath.Join(dir, part+".jsonl.gz"), rows); err != nil {
			return err
		}
	}
	return nil
}

// writeRows writes a file, whole or not at all.
func writeRows(path string, rows []manualRow) error {
	return osfile.Replace(path, func(f *os.File) error {
		z := gzip.NewWriter(f)
		e := jsontext.NewEncoder(z)
		for _, row := range rows {
			if err := json.MarshalEncode(e, row); err != nil {
				return err
			}
		}
		return z.Close()
	})
}
