package prepare

import (
	"fmt"

	"github.com/marge-go/marge/internal/langtag"
	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/marge/corpus/source"
)

// Languages says which languages are kept.
type Languages struct {
	// Keep are language tags (BCP 47): de keeps de-AT too, but not the other way
	// round. nil keeps all.
	Keep []string `json:"keep,omitempty"`
}

func (l Languages) check() error {
	for _, tag := range l.Keep {
		if _, err := langtag.Canonical(tag); err != nil {
			return fmt.Errorf("prepare: languages to keep: %w", err)
		}
	}
	return nil
}

// Language makes the Lang of a document canonical, or identifies it from the
// text ([source.Identify]) if it is empty or [source.Undetermined]. A language
// that is not sure is [UnsureLanguage], and one that is not kept [OtherLanguage].
// What a document says of itself is believed.
func (l Languages) Language(doc corpus.Document) (corpus.Document, Reason) {
	lang, err := langtag.Canonical(doc.Lang)
	if err != nil || lang == source.Undetermined {
		sure := false
		if lang, sure = source.Identify(doc.Text, nil); !sure {
			return doc, UnsureLanguage
		}
	}
	doc.Lang = lang
	if l.Keep != nil {
		if _, ok := langtag.Match(lang, l.Keep); !ok {
			return doc, OtherLanguage
		}
	}
	return doc, ""
}
