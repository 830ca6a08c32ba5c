package task

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/marge-go/marge/internal/langtag"
	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/eval"
)

// RetrievalSet is what retrieval is measured on: texts, of which each is to
// find its translations among those of another language.
type RetrievalSet struct {
	Name  string
	IDs   []string
	Texts []string
	Docs  []eval.Doc // language and group of each text; translations have the same group
	// Mining, if not nil, says that most texts have no translation, and which
	// pairs are to be found; see [eval.MiningSet.Mine].
	Mining *eval.MiningSet
}

func (s *RetrievalSet) add(id, lang, group, text string) {
	s.IDs, s.Texts = append(s.IDs, id), append(s.Texts, text)
	s.Docs = append(s.Docs, eval.Doc{Lang: lang, Group: group})
}

// Langs returns the languages of the texts.
func (s *RetrievalSet) Langs() []string {
	langs := make([]string, len(s.Docs))
	for i, d := range s.Docs {
		langs[i] = d.Lang
	}
	return langs
}

// NewRetrievalSet returns documents as a set, in which those of one group are
// translations.
func NewRetrievalSet(name string, docs []corpus.Document) *RetrievalSet {
	s := &RetrievalSet{Name: name}
	for _, d := range docs {
		s.add(d.ID, d.Lang, d.Group, d.Text)
	}
	return s
}

// Only returns the texts of a set that are in some of its languages, or nil if
// no translation is left. A set to mine is left as it is or out, as a whole.
func (s *RetrievalSet) Only(langs map[string]bool) *RetrievalSet {
	if m := s.Mining; m != nil {
		if langs[m.From] && langs[m.To] {
			return s
		}
		return nil
	}
	only := &RetrievalSet{Name: s.Name}
	for i, d := range s.Docs {
		if langs[d.Lang] {
			only.add(s.IDs[i], d.Lang, d.Group, s.Texts[i])
		}
	}
	if only.check(s.Name) != nil {
		return nil
	}
	return only
}

// Cut cuts the texts to a number of characters, unless it is 0.
func (s *RetrievalSet) Cut(chars int) {
	for i, text := range s.Texts {
		if runes := []rune(text); chars > 0 && len(runes) > chars {
			s.Texts[i] = string(runes[:chars])
		}
	}
}

// ReadRetrieval reads what retrieval is measured on, in the format that the
// name tells, plain or with .gz or .zst behind:
//
//   - NAME.LANG-LANG.LANG, as in tatoeba.deu-eng.deu: see [ReadTatoeba];
//   - a folder with such files: all of them;
//   - LANG-LANG.NAME.gold, as in de-en.training.gold: see [ReadBUCC];
//   - JSON Lines, a folder of them or a pattern: see [ReadGroups].
func ReadRetrieval(name string) ([]*RetrievalSet, error) {
	read := func(read func(string) (*RetrievalSet, error), path string) ([]*RetrievalSet, error) {
		set, err := read(path)
		return []*RetrievalSet{set}, err
	}
	if strings.HasSuffix(withoutPacking(name), ".gold") {
		return read(ReadBUCC, name)
	}
	if _, ok := splitTatoeba(name); ok {
		return read(ReadTatoeba, name)
	}
	entries, err := os.ReadDir(name)
	if err != nil {
		return ReadGroups([]string{name}) // no folder
	}
	var sets []*RetrievalSet
	for _, entry := range entries {
		path := filepath.Join(name, entry.Name())
		if p, ok := splitTatoeba(path); !ok || entry.IsDir() || p.lang != p.from {
			continue
		}
		set, err := ReadTatoeba(path)
		if err != nil {
			return nil, err
		}
		sets = append(sets, set)
	}
	if len(sets) == 0 {
		return ReadGroups([]string{name})
	}
	return sets, nil
}

// withoutPacking returns the name that a compressed file has without.
func withoutPacking(name string) string {
	return strings.TrimSuffix(strings.TrimSuffix(name, ".gz"), ".zst")
}

// tatoebaName is the name of a file of sentences: prefix.lang and what packing
// adds, where the prefix is FROM-TO or ends in .FROM-TO.
type tatoebaName struct{ prefix, from, to, lang, packing string }

func splitTatoeba(path string) (n tatoebaName, ok bool) {
	plain := withoutPacking(path)
	n.packing = path[len(plain):]
	n.lang = strings.TrimPrefix(filepath.Ext(plain), ".")
	n.prefix = strings.TrimSuffix(plain, "."+n.lang)
	base := filepath.Base(n.prefix)
	n.from, n.to, ok = strings.Cut(base[strings.LastIndex(base, ".")+1:], "-")
	return n, ok && n.lang != "" && (n.lang == n.from || n.lang == n.to)
}

// ReadTatoeba reads the two files of sentences that LASER publishes as its
// Tatoeba test and XTREME uses: NAME.deu-eng.deu and NAME.deu-eng.eng, of which
// each line of one translates the same line of the other. path names one of the
// two. Blank lines and unequal numbers of lines are errors.
func ReadTatoeba(path string) (*RetrievalSet, error) {
	n, ok := splitTatoeba(path)
	if !ok {
		return nil, fmt.Errorf("task: %s: the name does not end in LANG-LANG.LANG, as in tatoeba.deu-eng.deu", path)
	}
	s := &RetrievalSet{Name: filepath.Base(n.prefix)}
	var files []string
	var lines []int
	for _, tag := range []string{n.from, n.to} {
		file := n.prefix + "." + tag + n.packing
		lang, err := langtag.Canonical(tag)
		if err != nil {
			return nil, fmt.Errorf("task: %s: %w", file, err)
		}
		count := 0
		err = corpus.ReadLines(file, func(number int, line string) error {
			if blank(line) {
				return lineError(file, number, "the line is blank: it has no translation")
			}
			count++
			s.add(fmt.Sprintf("%s.%s:%d", s.Name, tag, number), lang, fmt.Sprint(number), line)
			return nil
		})
		if err != nil {
			return nil, err
		}
		files, lines = append(files, file), append(lines, count)
	}
	if lines[0] != lines[1] {
		return nil, fmt.Errorf("task: %s has %d lines and %s %d: a line of one must translate the same line of the other",
			files[0], lines[0], files[1], lines[1])
	}
	return s, s.check(files[0])
}

// ReadBUCC reads a set of BUCC (Zweigenbaum et al. 2017), of which path names
// the true pairs: de-en.training.gold beside the sentences
// de-en.training.de and de-en.training.en. Lines of sentences are an id, a
// tabulator and the text; true pairs are the id of a sentence of the first
// language, a tabulator and that of one of the second. An id that comes twice
// or is not known and a pair that comes twice are errors.
func ReadBUCC(path string) (*RetrievalSet, error) {
	plain := withoutPacking(path)
	prefix, packing := strings.TrimSuffix(plain, ".gold"), path[len(plain):]
	pair, _, _ := strings.Cut(filepath.Base(prefix), ".")
	from, to, ok := strings.Cut(pair, "-")
	if !ok || prefix == plain {
		return nil, fmt.Errorf("task: %s: the name is not that of BUCC's true pairs, as in de-en.training.gold", path)
	}
	s := &RetrievalSet{Name: filepath.Base(prefix), Mining: &eval.MiningSet{}}
	var known [2]map[string]int // positions in sources and targets
	for i, tag := range []string{from, to} {
		file := prefix + "." + tag + packing
		lang, err := langtag.Canonical(tag)
		if err != nil {
			return nil, fmt.Errorf("task: %s: %w", file, err)
		}
		known[i] = map[string]int{}
		err = readPairs(file, "the id and the text of a sentence", func(number int, id, text string) error {
			if _, twice := known[i][id]; twice {
				return lineError(file, number, "the id %q comes twice", id)
			}
			known[i][id] = len(known[i])
			s.add(id, lang, "", text)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	m := s.Mining
	for i, d := range s.Docs {
		if i < len(known[0]) {
			m.From, m.Sources = d.Lang, append(m.Sources, i)
		} else {
			m.To, m.Targets = d.Lang, append(m.Targets, i)
		}
	}
	seen := map[eval.Bitext]bool{}
	err := readPairs(path, "the ids of a sentence and its translation", func(number int, source, target string) error {
		pair := eval.Bitext{Source: known[0][source], Target: known[1][target]}
		if _, ok := known[0][source]; !ok {
			return lineError(path, number, "no sentence in %s has the id %q", from, source)
		}
		if _, ok := known[1][target]; !ok {
			return lineError(path, number, "no sentence in %s has the id %q", to, target)
		}
		if seen[pair] {
			return lineError(path, number, "the pair %s, %s comes twice", source, target)
		}
		seen[pair] = true
		m.Gold = append(m.Gold, pair)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(m.Gold) == 0 {
		return nil, fmt.Errorf("task: %s has no pairs", path)
	}
	return s, nil
}

// readPairs reads lines of two columns.
func readPairs(path, what string, fn func(number int, a, b string) error) error {
	return corpus.ReadLines(path, func(number int, line string) error {
		a, b, ok := strings.Cut(line, "\t")
		if !ok || blank(a) || blank(b) {
			return lineError(path, number, "want %s with a tabulator between them", what)
		}
		return fn(number, a, b)
	})
}

// ReadGroups reads documents, see [corpus.Read], of which those of one group
// translate each other. They search among all documents of the other language.
// But if there are shards and each has two languages, as pairs of Tatoeba do, a
// shard is a set of its own, in the order in which they begin, unless it has no
// translation. It is an error if no document has one.
func ReadGroups(patterns []string) ([]*RetrievalSet, error) {
	name := strings.Join(patterns, ", ")
	all := &RetrievalSet{Name: strings.TrimSuffix(withoutPacking(filepath.Base(name)), ".jsonl")}
	var shards []string // of the documents
	langs := map[string]map[string]bool{}
	_, err := corpus.Read(patterns, corpus.ReadOptions{}, func(d corpus.Document) error {
		all.add(d.ID, d.Lang, d.Group, d.Text)
		shards = append(shards, d.Shard)
		if langs[d.Shard] == nil {
			langs[d.Shard] = map[string]bool{}
		}
		langs[d.Shard][d.Lang] = true
		return nil
	})
	if err == nil {
		err = all.check(name)
	}
	if err != nil {
		return nil, err
	}
	for shard, of := range langs {
		if shard == "" || len(of) != 2 {
			return []*RetrievalSet{all}, nil
		}
	}
	byShard := map[string]*RetrievalSet{}
	var sets []*RetrievalSet
	for i, shard := range shards {
		s := byShard[shard]
		if s == nil {
			s = &RetrievalSet{Name: shard}
			byShard[shard] = s
			sets = append(sets, s)
		}
		s.add(all.IDs[i], all.Docs[i].Lang, all.Docs[i].Group, all.Texts[i])
	}
	return slices.DeleteFunc(sets, func(s *RetrievalSet) bool { return s.check(name) != nil }), nil
}

// check returns an error if no text has a translation.
func (s *RetrievalSet) check(file string) error {
	if len(s.Docs) == 0 {
		return fmt.Errorf("task: %s has no texts", file)
	}
	if len(eval.Targets(s.Docs, 1, 0)) == 0 {
		return fmt.Errorf("task: %s: none of %d texts has a translation: one of the same group in another language",
			file, len(s.Docs))
	}
	return nil
}
