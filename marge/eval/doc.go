// Package eval measures models.
//
// [Retrieval] measures how well documents find their translations, by language
// pair and with intervals, for dense vectors and for the baselines [TFIDF] and
// [BM25]. [Mine] extracts pairs of translations; [ScoreMining] scores them as
// the shared task of BUCC does.
//
// [Answers] measures answers to questions, equal to the scripts of SQuAD and MLQA.
//
// [Generation] measures generated text by [BLEU] and [ChrF], equal to sacrebleu,
// and by [ROUGE], equal to rouge-score; [CopyEvidence] is the baseline.
//
// [Evidence.Loss] measures how much evidence helps: the loss of held-out
// documents with retrieved, true, random and no evidence.
//
// Intervals are percentiles of a [Bootstrap]. Everything is exact, and the same
// for any number of threads. What takes long has a context, which stops it
// within a second, and a [Progress]. Where the data allow no figure, the error
// is a [NotEvaluatedError]. Results print as text.
package eval
