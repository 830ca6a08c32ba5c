package task

import (
	"reflect"
	"slices"
	"testing"

	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/eval"
)

const pawsHeader = "id\tsentence1\tsentence2\tlabel\n"

func TestReadParaphrases(t *testing.T) {
	path := file(t, "x.tsv", pawsHeader+
		"1\t\"He said \"\"no\"\".\"\tHe said ``no''.\t1\n"+
		"2\tNS\tsomething\t0\n"+
		"3\tsomething\t \t0\n"+
		"4\t\"Yes\" or \"no\"\t\"\t0\n")
	got, skipped, err := ReadParaphrases(path, "ko_KR")
	want := []marge.Labeled{
		{Text: `He said "no".`, Other: "He said ``no''.", Lang: "ko-KR", Label: "1", Where: path + ":2"},
		{Text: `"Yes" or "no"`, Other: `"`, Lang: "ko-KR", Label: "0", Where: path + ":5"},
	}
	if err != nil || skipped != 2 || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %d skipped, %v", got, skipped, err)
	}
	for text, wrong := range map[string]string{
		pawsHeader:                           "x.tsv has no pair",
		pawsHeader + "1\tNS\tNS\t1\n":        "x.tsv has no pair",
		pawsHeader + "1\ta\tb\t2\n":          `x.tsv:2: the label is "2", want 0 or 1`,
		pawsHeader + "1\ta\tb\t\n":           `x.tsv:2: the label is ""`,
		pawsHeader + "1\ta\tb\t1\n2\ta\tb\n": "x.tsv:3: 3 columns",
		pawsHeader + "1\ta\tb\t1\t\n":        "x.tsv:2: 5 columns",
		"1\ta\tb\t1\n":                       "x.tsv:1: the columns are",
		"id\tsentence1\tsentence2\tgold\n":   "x.tsv:1: the columns are",
	} {
		_, _, err := ReadParaphrases(file(t, "x.tsv", text), "en")
		failure(t, text, err, wrong)
	}
	noisy := file(t, "x", "id\tsentence1\tsentence2\tnoisy_label\r\n1\ta\tb\t1\r\n")
	if got, _, err := ReadParaphrases(noisy, "en"); err != nil || got[0].Label != "1" {
		t.Errorf("%v, %v", got, err)
	}
	_, _, err = ReadParaphrases(file(t, "x", pawsHeader), "?")
	failure(t, "language", err, "not a language tag")
}

func TestParaphraseBaselines(t *testing.T) {
	var train []marge.Labeled
	for _, p := range [][3]string{
		{"a b c d", "a b c d", "1"}, {"a b c", "a b c x", "1"}, {"a b", "a b c d", "0"},
		{"a", "b", "0"}, {"a b c", "a b x", "1"},
	} {
		train = append(train, marge.Labeled{Text: p[0], Other: p[1], Label: p[2]})
	}
	if got := Majority(train); got != "1" {
		t.Errorf("majority %q", got)
	}
	if got := Majority(train[2:]); got != "0" {
		t.Errorf("majority %q", got)
	}
	if got := Majority(train[1:3]); got != "0" {
		t.Errorf("majority of a tie %q", got)
	}
	// Overlaps are 1, 3/4, 1/2, 0 and 1/2: a threshold of 3/4 is right four
	// times, and so is 1/2.
	w, err := NewWordOverlap(train)
	if err != nil || w.Threshold != 0.75 {
		t.Fatalf("%+v, %v", w, err)
	}
	labels := w.Labels(train)
	if want := []string{"1", "1", "0", "0", "0"}; !slices.Equal(labels, want) {
		t.Errorf("labels %v", labels)
	}
	score, err := Accuracy(t.Context(), train, labels, &eval.Bootstrap{Folds: 200})
	if err != nil || score.N != 5 || score.Accuracy != 0.8 || score.Interval == nil || score.Interval.High != 1 {
		t.Errorf("%v, %v", score, err)
	}
	score.Interval = nil
	if score.String() != "80.0%" {
		t.Errorf("prints %q", score)
	}
	// Where no threshold is better than none, nothing is a paraphrase.
	none, err := NewWordOverlap(train[3:4])
	if err != nil || none.Labels(train)[0] != "0" {
		t.Errorf("%+v, %v", none, err)
	}
	_, err = NewWordOverlap(nil)
	failure(t, "no pairs", err, "no pairs")
	_, err = NewWordOverlap([]marge.Labeled{{Label: "yes"}})
	failure(t, "label", err, `label of pair 0 is "yes"`)
	_, err = Accuracy(t.Context(), train, labels[1:], nil)
	failure(t, "lengths", err, "5 pairs, 4 labels")
	_, err = Accuracy(t.Context(), nil, nil, nil)
	failure(t, "nothing", err, "there are no pairs")
}
