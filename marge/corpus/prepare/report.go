package prepare

import (
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/text/language"
	"golang.org/x/text/message"

	"github.com/marge-go/marge/internal/osfile"
)

// A Report says what came of a run.
type Report struct {
	Counts
	MadeFrom MadeFrom `json:"made_from"`
}

// ReadReport reads the report of a run that is complete.
func ReadReport(path string) (*Report, error) {
	var r Report
	if err := readJSON(path, &r); err != nil {
		return nil, err
	}
	return &r, nil
}

// write writes the report as text and as JSON, which says that the run is
// complete.
func (r *Report) write(dir string) error {
	data, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	if err := osfile.WriteFile(filepath.Join(dir, "report.txt"), []byte(r.String())); err != nil {
		return err
	}
	return osfile.WriteFile(filepath.Join(dir, ReportName), append(data, '\n'))
}

// LanguagesBySize returns the languages, those with most characters first.
func (c *Counts) LanguagesBySize() []string {
	list := slices.Sorted(maps.Keys(c.Languages))
	slices.SortStableFunc(list, func(a, b string) int {
		return int(min(max(c.Languages[b].Characters-c.Languages[a].Characters, -1), 1))
	})
	return list
}

// String returns the counts as a text of several lines.
func (c *Counts) String() string {
	var b strings.Builder
	p := message.NewPrinter(language.English) // puts commas into numbers
	line := func(n int64, what string, args ...any) {
		p.Fprintf(&b, "%15d  "+what+"\n", append([]any{n}, args...)...)
	}
	line(int64(c.Read), "documents read")
	for _, reason := range slices.Sorted(maps.Keys(c.Unread)) {
		line(int64(c.Unread[reason]), "  records that are no document: %s", reason)
	}
	if c.Damaged > 0 {
		line(int64(c.Damaged), "  damaged places in files (%d bytes lost)", c.LostBytes)
	}
	for _, reason := range reasons {
		if n := c.Dropped[reason]; n > 0 {
			line(int64(n), "  dropped: %s", reason)
		}
	}
	line(int64(c.Kept), "documents kept")
	line(c.Characters, "characters")
	for _, lang := range c.LanguagesBySize() {
		l := c.Languages[lang]
		line(l.Characters, "  %s, in %d documents", lang, l.Documents)
	}
	line(int64(c.Shards), "shards")
	for _, message := range c.Errors {
		fmt.Fprintf(&b, "error: %s\n", message)
	}
	return b.String()
}
