//go:build unix && !aix && !solaris

package corpus

import (
	"path/filepath"
	"strings"
	"testing"
)

// Of two Builds at a time, one fails and leaves the other alone.
func TestBuildAtATime(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "store")
	s, err := Build(dir, func(yield func(Document, error) bool) {
		for _, doc := range testDocuments() {
			if _, err := Build(dir, sequence(testDocuments(), nil), runes{}, BuildOptions{}); err == nil ||
				!strings.Contains(err.Error(), "another process is writing there") {
				t.Errorf("second build: %v", err)
			}
			if !yield(doc, nil) {
				return
			}
		}
	}, runes{}, BuildOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if s.Documents() != len(testDocuments()) {
		t.Errorf("%d documents, want %d", s.Documents(), len(testDocuments()))
	}
}
