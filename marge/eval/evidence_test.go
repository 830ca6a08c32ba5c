package eval

import (
	"context"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// evidenceCase has 40 groups in de, en and fr; some documents have no
// equivalent. Scores fall with the distance of the groups' numbers.
func evidenceCase() ([]Doc, Scorer) {
	var docs []Doc
	for g := range 40 {
		for _, lang := range []string{"de", "en", "fr"} {
			docs = append(docs, Doc{lang, fmt.Sprint(g)})
		}
	}
	docs = append(docs, Doc{"de", "alone"}, Doc{"de", "alone"}, Doc{"en", ""}, Doc{"fr", ""})
	s := make(table, len(docs))
	for i := range s {
		for j := range docs {
			score := -float32(math.Abs(float64(i/3 - j/3)))
			if i%7 == 3 && j%5 == 0 {
				score = float32(math.NaN())
			}
			s[i] = append(s[i], score)
		}
	}
	return docs, s
}

func TestSelectEvidence(t *testing.T) {
	docs, s := evidenceCase()
	targets := Targets(docs, 7, 1)
	for _, opt := range []EvidenceOptions{{}, {Documents: 2, Seed: 3}, {CrossLingual: true, Documents: 6},
		{Documents: 1000}} {
		e := must(SelectEvidence(t.Context(), docs, targets, s, opt))
		documents := opt.Documents
		if documents == 0 {
			documents = 4
		}
		if !slices.Equal(e.Targets, targets) {
			t.Errorf("%+v: targets %v, want %v", opt, e.Targets, targets)
		}
		for i, target := range e.Targets {
			d := docs[target]
			check := func(kind string, evidence []int, eligible func(j int) bool) {
				t.Helper()
				available := 0
				for j := range docs {
					if j != target && eligible(j) {
						available++
					}
				}
				seen := slices.Clone(evidence)
				slices.Sort(seen)
				if len(evidence) != min(documents, available) || len(slices.Compact(seen)) != len(evidence) {
					t.Errorf("%+v: %s evidence %v of %d, %d available", opt, kind, evidence, target, available)
				}
				for _, j := range evidence {
					if j == target || !eligible(j) {
						t.Errorf("%+v: %s evidence %v of %d", opt, kind, evidence, target)
					}
				}
			}
			other := func(j int) bool { return !opt.CrossLingual || docs[j].Lang != d.Lang }
			check("oracle", e.Oracle[i], func(j int) bool { return docs[j].Group == d.Group && docs[j].Lang != d.Lang })
			check("random", e.Random[i], func(j int) bool { return docs[j].Group != d.Group && other(j) })
			check("retrieved", e.Retrieved[i], other)

			var want []int
			for j := range docs {
				if j != target && other(j) {
					want = append(want, j)
				}
			}
			row := s.(table)[target]
			slices.SortStableFunc(want, func(a, b int) int {
				x, y := float64(row[a]), float64(row[b])
				if math.IsNaN(x) {
					x = math.Inf(-1)
				}
				if math.IsNaN(y) {
					y = math.Inf(-1)
				}
				return int(math.Copysign(1, y-x)) * map[bool]int{true: 0, false: 1}[x == y]
			})
			if got := e.Retrieved[i]; !slices.Equal(got, want[:len(got)]) {
				t.Errorf("%+v: retrieved %v for %d, want %v", opt, got, target, want[:len(got)])
			}
		}
		if again := must(SelectEvidence(t.Context(), docs, targets, s, opt)); !reflect.DeepEqual(e, again) {
			t.Errorf("%+v: not repeatable", opt)
		}
	}
	a, b := must(SelectEvidence(t.Context(), docs, targets, s, EvidenceOptions{})),
		must(SelectEvidence(t.Context(), docs, targets, s, EvidenceOptions{Seed: 1}))
	if reflect.DeepEqual(a.Random, b.Random) || !reflect.DeepEqual(a.Retrieved, b.Retrieved) {
		t.Error("the seed has no influence, or on what is retrieved")
	}
	if e := must(SelectEvidence(t.Context(), nil, nil, s, EvidenceOptions{})); len(e.Targets)+len(e.Retrieved) != 0 {
		t.Errorf("of nothing: %+v", e)
	}
	// A document without an equivalent, among others without a group.
	alone := []Doc{{"de", "a"}, {"en", ""}, {"fr", ""}, {"en", "b"}}
	e := must(SelectEvidence(t.Context(), alone, []int{0}, table{{3, 1, 2, 0}}, EvidenceOptions{Documents: 2}))
	if len(e.Oracle[0]) != 0 || len(e.Random[0]) != 2 || !slices.Equal(e.Retrieved[0], []int{2, 1}) {
		t.Errorf("without an equivalent: %+v", e)
	}
}

func TestTargets(t *testing.T) {
	docs, _ := evidenceCase()
	all := Targets(docs, 0, 5)
	if slices.IsSorted(all) {
		t.Error("the order is not random")
	}
	if slices.Equal(all, Targets(docs, 0, 6)) || !slices.Equal(all, Targets(docs, 0, 5)) {
		t.Error("the order does not depend on the seed, or on more")
	}
	sorted := slices.Clone(all)
	slices.Sort(sorted)
	for i, target := range sorted { // the last four have no equivalent in another language
		if i != target || len(sorted) != 120 {
			t.Fatalf("targets %v, want 0 to 119", sorted)
		}
	}
	// Of each language the first in the same order.
	var want []int
	count := map[string]int{}
	for _, i := range all {
		if lang := docs[i].Lang; count[lang] < 7 {
			count[lang]++
			want = append(want, i)
		}
	}
	if got := Targets(docs, 7, 5); !slices.Equal(got, want) || len(got) != 21 {
		t.Errorf("7 of a language: %v, want %v", got, want)
	}
	if got := Targets(nil, 0, 0); len(got) != 0 {
		t.Errorf("of nothing: %v", got)
	}
}

func TestEvidenceLoss(t *testing.T) {
	docs, s := evidenceCase()
	e := must(SelectEvidence(t.Context(), docs, Targets(docs, 0, 0), s, EvidenceOptions{}))
	kinds := map[string]float64{}
	// A target of n tokens loses n times: 1 from its oracle, 2 from what was
	// retrieved, 3 from random documents (in English 1), 4 from none.
	loss := func(target int, evidence []int) (float64, int, error) {
		n := 1 + target%5
		at := slices.IndexFunc(e.Targets, func(x int) bool { return x == target })
		per := 4.0
		switch {
		case slices.Equal(evidence, e.Oracle[at]):
			per = 1
		case slices.Equal(evidence, e.Retrieved[at]):
			per = 2
		case slices.Equal(evidence, e.Random[at]):
			per = 3
			if docs[target].Lang == "en" {
				per = 1
			}
		}
		kinds[fmt.Sprint(per)]++
		return per * float64(n), n, nil
	}
	got, err := e.Loss(t.Context(), loss, Bootstrap{Folds: 100}, nil)
	if err != nil {
		t.Fatal(err)
	}
	tokens := func(lang string) (n int) {
		for _, target := range e.Targets {
			if lang == "" || docs[target].Lang == lang {
				n += 1 + target%5
			}
		}
		return n
	}
	for _, lang := range []string{"de", "en", "fr"} {
		want := EvidenceLoss{40, tokens(lang), 2, 1, 3, 4, Interval{1, 1}, Interval{2, 2}}
		if lang == "en" {
			want.Random, want.OverRandom = 1, Interval{-1, -1}
		}
		if l := got.ByLanguage[lang]; l != want {
			t.Errorf("%s: %+v, want %+v", lang, l, want)
		}
	}
	random := 3 - 2*float64(tokens("en"))/float64(tokens(""))
	if l := got.All; l.Targets != 120 || l.Tokens != tokens("") || math.Abs(l.Random-random) > 1e-12 ||
		!(l.OverRandom.Low < random-2 && random-2 < l.OverRandom.High) || l.OverNone != (Interval{2, 2}) ||
		len(got.ByLanguage) != 3 {
		t.Errorf("all: %+v, want random %v", l, random)
	}
	var reason *NotEvaluatedError
	for want, docs := range map[string][]Doc{
		"no document has an equivalent in another language":           nil,
		"none of 2 targets has retrieved, oracle and random evidence": {{"de", "a"}, {"en", "a"}},
	} {
		e := must(SelectEvidence(t.Context(), docs, Targets(docs, 0, 0), table{{1, 1}, {1, 1}}, EvidenceOptions{}))
		report, err := e.Loss(t.Context(), loss, Bootstrap{}, nil)
		if report != nil || !errors.As(err, &reason) || reason.Reason != want {
			t.Errorf("%v: %v, error %v, want one with %q", docs, report, err, want)
		}
	}
	// A target that lacks evidence of a kind is in no figure.
	missing := *e
	missing.Random = slices.Clone(e.Random)
	missing.Random[0] = nil
	var progress []int
	some := must(missing.Loss(t.Context(), loss, Bootstrap{Folds: 10}, func(done, total int) {
		if total != 120 {
			t.Errorf("%d of %d targets", done, total)
		}
		progress = append(progress, done)
	}))
	if some.All.Targets != 119 || some.All.Tokens != tokens("")-1-e.Targets[0]%5 {
		t.Errorf("without random evidence for a target: %v", some.All)
	}
	if len(progress) != 120 || progress[0] != 1 || progress[119] != 120 {
		t.Errorf("progress %v", progress)
	}
	for _, nats := range []float64{math.NaN(), math.Inf(1)} {
		bad := func(int, []int) (float64, int, error) { return nats, 1, nil }
		if _, err := e.Loss(t.Context(), bad, Bootstrap{}, nil); err == nil ||
			!strings.Contains(err.Error(), fmt.Sprintf("the loss is %v", nats)) {
			t.Errorf("loss of %v: error %v", nats, err)
		}
	}

	failure := errors.New("too long")
	fails := func(int, []int) (float64, int, error) { return 0, 0, failure }
	if _, err := e.Loss(t.Context(), fails, Bootstrap{}, nil); !errors.Is(err, failure) ||
		!strings.Contains(err.Error(), fmt.Sprintf("document %d from", e.Targets[0])) {
		t.Errorf("error %v", err)
	}
	calls := 0
	grows := func(int, []int) (float64, int, error) { calls++; return 1, calls, nil }
	if _, err := e.Loss(t.Context(), grows, Bootstrap{}, nil); err == nil ||
		!strings.Contains(err.Error(), "has 1 and then 2 tokens") {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := e.Loss(ctx, loss, Bootstrap{}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
