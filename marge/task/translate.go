package task

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/marge-go/marge/internal/langtag"
	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/corpus"
)

// Translations are what a loader has read.
type Translations struct {
	Pairs []marge.Pair
	// Skipped counts what holds no pair: lines and units with a blank side,
	// units and groups of documents without one of the languages.
	Skipped int
}

// add adds a pair that stands somewhere, unless a side is blank.
func (t *Translations) add(source, target, from, to, where string) {
	if blank(source) || blank(target) {
		t.Skipped++
		return
	}
	t.Pairs = append(t.Pairs, marge.Pair{
		Source: strings.TrimSpace(source), Target: strings.TrimSpace(target), SourceLang: from, TargetLang: to,
		Where: where,
	})
}

// checked returns the translations of a file, or an error if there are none.
func (t *Translations) checked(file, what string) (*Translations, error) {
	if len(t.Pairs) == 0 {
		return nil, fmt.Errorf("task: %s has no %s", file, what)
	}
	return t, nil
}

// translationLangs brings two languages into canonical form.
func translationLangs(from, to *string) error {
	if err := canonical(from, to); err != nil {
		return err
	}
	if *from == *to {
		return fmt.Errorf("task: translation from %s to %s", *from, *to)
	}
	return nil
}

// ReadTranslations reads translations between two languages, BCP 47 tags, in
// the format that the name tells, plain or with .gz or .zst behind:
//
//   - NAME.tmx, see [ReadTMX];
//   - NAME.tsv, see [ReadTSV];
//   - NAME.jsonl, .ndjson or .json, a folder of them, or a pattern, see
//     [ReadParallel];
//   - SOURCE,TARGET, two files, see [ReadMoses];
//   - any other PREFIX, where there are two files PREFIX.LANG, as Moses names
//     them.
func ReadTranslations(name, from, to string) (*Translations, error) {
	if source, target, ok := strings.Cut(name, ","); ok {
		return ReadMoses(source, target, from, to)
	}
	plain := name
	for _, packed := range packings {
		plain = strings.TrimSuffix(plain, packed)
	}
	switch filepath.Ext(plain) {
	case ".tmx":
		return ReadTMX(name, from, to)
	case ".tsv":
		return ReadTSV(name, from, to)
	case ".jsonl", ".ndjson", ".json":
		return ReadParallel([]string{name}, from, to)
	}
	source, found := withLanguage(name, from)
	target, foundToo := withLanguage(name, to)
	if found && foundToo {
		return ReadMoses(source, target, from, to)
	}
	if info, err := os.Stat(name); err == nil && info.IsDir() || strings.ContainsAny(name, "*?[") {
		return ReadParallel([]string{name}, from, to)
	}
	return nil, fmt.Errorf("task: %s: want NAME.tmx, NAME.tsv, NAME.jsonl, SOURCE,TARGET, or files %s.%s and %s.%s, "+
		"plain or with .gz or .zst", name, name, from, name, to)
}

// packings end the names of files, plain or compressed.
var packings = []string{"", ".gz", ".zst"}

func withLanguage(prefix, lang string) (path string, ok bool) {
	for _, packed := range packings {
		path := prefix + "." + lang + packed
		if _, err := os.Stat(path); err == nil {
			return path, true
		}
	}
	return "", false
}

// ReadMoses reads two files of which each line of one translates the same line
// of the other, as Moses, OPUS and WMT publish them. It is an error that says
// both numbers if one has more lines than the other, blank ones included, and
// if there is no pair.
func ReadMoses(source, target, from, to string) (*Translations, error) {
	if err := translationLangs(&from, &to); err != nil {
		return nil, err
	}
	var sides [2][]string
	for i, path := range []string{source, target} {
		err := corpus.ReadLines(path, func(_ int, line string) error {
			sides[i] = append(sides[i], line)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	if len(sides[0]) != len(sides[1]) {
		return nil, fmt.Errorf("task: %s has %d lines and %s %d: a line of one must translate the same line of the other",
			source, len(sides[0]), target, len(sides[1]))
	}
	var t Translations
	for i, line := range sides[0] {
		t.add(line, sides[1][i], from, to, place(source, i+1))
	}
	return t.checked(source+" and "+target, "pair of lines")
}

// ReadTSV reads a file of lines with a text, a tabulator and its translation.
// Quotation marks have no meaning. Blank lines do not count; a line with more or
// fewer columns is an error, and a file without a pair.
func ReadTSV(path, from, to string) (*Translations, error) {
	if err := translationLangs(&from, &to); err != nil {
		return nil, err
	}
	var t Translations
	err := corpus.ReadLines(path, func(number int, line string) error {
		if blank(line) {
			return nil
		}
		columns := strings.Split(line, "\t")
		if len(columns) != 2 {
			return lineError(path, number, "%d columns, want a text and its translation", len(columns))
		}
		t.add(columns[0], columns[1], from, to, place(path, number))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return t.checked(path, "translation")
}

// ReadParallel reads documents, see [corpus.Read]. Documents of one group
// translate each other; of several in the same language, as where there are
// two references, the first counts. Documents without a group are an error, as
// is it if no group has both languages.
func ReadParallel(patterns []string, from, to string) (*Translations, error) {
	if err := translationLangs(&from, &to); err != nil {
		return nil, err
	}
	type versions [2]string
	groups := map[string]*versions{}
	var order []string // of groups
	seen := map[string]bool{}
	_, err := corpus.Read(patterns, corpus.ReadOptions{}, func(d corpus.Document) error {
		if d.Group == "" {
			return fmt.Errorf("task: document %s has no group, which tells its translations", d.ID)
		}
		seen[d.Lang] = true
		v := groups[d.Group]
		if v == nil {
			v = &versions{}
			groups[d.Group] = v
			order = append(order, d.Group)
		}
		if i, ok := langtag.Match(d.Lang, []string{from, to}); ok && v[i] == "" {
			v[i] = d.Text
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var t Translations
	for _, group := range order {
		t.add(groups[group][0], groups[group][1], from, to, "group "+group)
	}
	if len(order) == 0 {
		return nil, errors.New("task: " + strings.Join(patterns, ", ") + " has no documents")
	}
	return t.checked(strings.Join(patterns, ", "), missingLangs(from, to, seen))
}

// missingLangs says what a corpus of the languages seen does not have.
func missingLangs(from, to string, seen map[string]bool) string {
	return fmt.Sprintf("translation between %s and %s, its languages are %v", from, to, slices.Sorted(maps.Keys(seen)))
}
