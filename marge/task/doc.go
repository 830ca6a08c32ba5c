// Package task holds what a model is used for after pre-training
// (arXiv:2006.15020, section 4): for each task the loaders of the formats in
// which its data are published, its metric and the baselines that a model has
// to beat.
//
//   - translation: [ReadMoses], [ReadTSV], [ReadTMX], [ReadParallel], all of
//     them by [ReadTranslations]; BLEU and chrF of package eval; the baseline
//     copies the source;
//   - summarisation: [ReadSummaries]; ROUGE of package eval; [FirstSentences]
//     and the bound of extraction, [OracleSummary];
//   - questions: [ReadQuestions]; exact match and F1 of package eval,
//     [ScoreAnswers]; [FirstSentences] and [BestSentence];
//   - paraphrase detection: [ReadParaphrases]; [Accuracy]; [Majority] and
//     [WordOverlap];
//   - retrieval of translations: [ReadTatoeba], [ReadBUCC], [ReadGroups], all of
//     them by [ReadRetrieval]; P@1 and MRR of package eval, F1 of what is mined;
//     TF-IDF and BM25 of package eval.
//
// [NewsTranslations] and its like make all of them of generated news.
//
// Files are plain or compressed with gzip or zstd. Whatever is wrong with one
// is an error that names the file, the line or question, and the reason.
package task

import (
	"fmt"
	"strings"

	"github.com/marge-go/marge/internal/langtag"
)

// lineError says what is wrong with a line.
func lineError(file string, line int, format string, args ...any) error {
	return fmt.Errorf("task: %s: %w", place(file, line), fmt.Errorf(format, args...))
}

// place is the Where of a record.
func place(file string, line int) string { return fmt.Sprintf("%s:%d", file, line) }

func blank(text string) bool { return strings.TrimSpace(text) == "" }

// canonical brings language tags into canonical form.
func canonical(tags ...*string) error {
	for _, tag := range tags {
		lang, err := langtag.Canonical(*tag)
		if err != nil {
			return fmt.Errorf("task: %w", err)
		}
		*tag = lang
	}
	return nil
}
