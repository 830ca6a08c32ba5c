// Package eval measures models.
//
// How well documents find their translations: [Retrieval], by language pair and
// with intervals, for dense vectors and for the baselines [TFIDF] and [BM25],
// and [Mine], which extracts pairs of translations and scores them as the
// shared task of BUCC does.
//
// How good generated text is: [BLEU] and [ChrF], equal to sacrebleu, [ROUGE],
// equal to rouge-score, all of them in [Generation], and [CopyEvidence], the
// baseline.
//
// What evidence is worth: [Evidence.Loss], the loss of held-out documents with
// retrieved, true, random and no evidence.
//
// Intervals are percentiles of a [Bootstrap]. Everything is exact, and the same
// for any number of threads.
package eval
