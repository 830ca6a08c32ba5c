package task

import (
	"errors"
	"io"

	"github.com/marge-go/marge/internal/langtag"
	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/internal/xmltext"
)

// maxTMXBytes is the length of the longest translation unit of ReadTMX.
const maxTMXBytes = 4 << 20

// ReadTMX reads the translation units of a translation memory (TMX 1.1 to 1.4b)
// that have both languages; en also stands for en-US, but not the other way
// round. Of several versions in a language the first counts. The codes of
// inline markup are left out; what is between them stays. The file is streamed,
// in UTF-8, UTF-16 or the encoding that it names. What is not well-formed is an
// error with file and line, as is a file that is no TMX, one without a
// translation, elements that are nested more than 100 deep, and a tag or a unit
// of more than 4 MiB.
func ReadTMX(path, from, to string) (*Translations, error) {
	if err := translationLangs(&from, &to); err != nil {
		return nil, err
	}
	f, err := corpus.OpenText(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var pairs Translations
	seen := map[string]bool{} // languages
	x := xmltext.NewReader(f, maxTMXBytes)
	err = x.ReadTMX(func(line int, versions []xmltext.Version) error {
		var texts [2]string
		for _, v := range versions {
			if tag, err := langtag.Canonical(v.Lang); err == nil {
				seen[tag] = true
			}
			if i, ok := langtag.Match(v.Lang, []string{from, to}); ok && texts[i] == "" {
				texts[i] = v.Text
			}
		}
		pairs.add(texts[0], texts[1], from, to, place(path, line))
		return nil
	})
	if err == io.EOF {
		err = errors.New("the file is empty")
	}
	if err != nil {
		line, err := x.Where(err)
		return nil, lineError(path, line, "%w", err)
	}
	return pairs.checked(path, missingLangs(from, to, seen))
}
