package source

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/marge-go/marge/internal/langtag"
	"github.com/marge-go/marge/marge/corpus"
)

// DefaultMaxBytes is [Options.MaxBytes] if that is 0.
const DefaultMaxBytes = 4 << 20

// A Reason tells why a record of a file, which is intact, is no document.
type Reason int

// The reasons for which records are dropped.
const (
	OtherRecord     Reason = iota // of a kind that holds no text: a request, a page that is no article
	Redirect                      // points to another record
	HTTPStatus                    // an answer other than 200
	NotText                       // an image, a program or the like
	UnknownEncoding               // compressed in a way that is not known
	BadRecord                     // cannot be parsed or decompressed
	TooLong                       // more than Options.MaxBytes
	TooDeep                       // markup nested deeper than any text needs
	NoText                        // nothing is left without the markup
	Untranslated                  // a message without a translation
	Fuzzy                         // a message whose translation awaits review
	Obsolete                      // a message that the program has no more
	PluralForm                    // a form of a message of which another counts
	reasons
)

// String returns the reason in words.
func (r Reason) String() string {
	names := [reasons]string{
		"other records", "redirects", "HTTP status", "not text", "unknown encoding", "bad records", "too long",
		"nested too deep", "no text", "untranslated", "fuzzy", "obsolete", "plural forms",
	}
	if r < 0 || r >= reasons {
		return fmt.Sprintf("reason %d", int(r))
	}
	return names[r]
}

// Stats count what a reader of records found. Records is the sum of Documents
// and Dropped; but the records of a catalog of translations are its messages, of
// which many are a document.
type Stats struct {
	Records   int // that are intact
	Documents int // passed on
	Dropped   [reasons]int
	// Damaged counts the places where the file is damaged or cut, LostBytes the
	// bytes of the file, as they are stored, that were passed over there.
	Damaged   int
	LostBytes int64
}

// Add adds what was counted elsewhere.
func (s *Stats) Add(other Stats) {
	s.Records += other.Records
	s.Documents += other.Documents
	for reason, n := range other.Dropped {
		s.Dropped[reason] += n
	}
	s.Damaged += other.Damaged
	s.LostBytes += other.LostBytes
}

// String returns the counts as a sentence, as in "7 records, 5 documents, 2
// dropped (1 redirects, 1 too long), 1 damaged places, 300 bytes lost".
func (s Stats) String() string {
	var parts []string
	dropped := 0
	for reason, n := range s.Dropped {
		if n > 0 {
			dropped += n
			parts = append(parts, fmt.Sprintf("%d %v", n, Reason(reason)))
		}
	}
	text := fmt.Sprintf("%d records, %d documents, %d dropped", s.Records, s.Documents, dropped)
	if len(parts) > 0 {
		text += " (" + strings.Join(parts, ", ") + ")"
	}
	return text + fmt.Sprintf(", %d damaged places, %d bytes lost", s.Damaged, s.LostBytes)
}

func (s *Stats) drop(reason Reason, n int) {
	s.Records += n
	s.Dropped[reason] += n
}

// records is what the readers of records have in common.
type records struct {
	ctx   context.Context
	name  string
	o     Options
	fn    func(corpus.Document) error
	stats Stats
}

func newRecords(ctx context.Context, name string, o Options, fn func(corpus.Document) error) (*records, error) {
	if o.MaxBytes < 0 {
		return nil, fmt.Errorf("source: MaxBytes is %d", o.MaxBytes)
	}
	o.MaxBytes = cmp.Or(o.MaxBytes, DefaultMaxBytes)
	return &records{ctx: ctx, name: name, o: o, fn: fn}, o.check()
}

// failure returns an error with the name of the file.
func (r *records) failure(offset int64, err error) error {
	return fmt.Errorf("source: %s: at byte %d: %w", r.name, offset, err)
}

// damaged counts a place where the file is damaged. It returns an error if
// reading should not go on.
func (r *records) damaged(offset int64, err error) error {
	r.stats.Damaged++
	return r.o.bad(r.failure(offset, err))
}

// emit passes a record on that is a document.
func (r *records) emit(doc corpus.Document) error {
	if strings.TrimSpace(doc.Text) == "" {
		r.stats.drop(NoText, 1)
		return nil
	}
	r.stats.Records++
	return r.pass(doc)
}

// pass passes a document on. Its language is that of the markup, or it is
// identified.
func (r *records) pass(doc corpus.Document) error {
	lang, err := langtag.Canonical(doc.Lang)
	if err != nil {
		lang = r.o.Lang
	}
	if lang == "" {
		lang = Undetermined
		if found, sure := Identify(doc.Text, nil); sure {
			lang = found
		}
	}
	doc.Lang = lang
	r.stats.Documents++
	return r.fn(doc)
}
