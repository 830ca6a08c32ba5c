package news

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestQuestions checks that answers stand where they are said to, once, in all
// languages and for every kind of question, and that the texts are those of
// Documents.
func TestQuestions(t *testing.T) {
	o := Options{Seed: 3, Events: 150}
	texts := map[string]string{}
	for d := range Documents(o) {
		texts[d.ID] = d.Text
	}
	asked, perReport := map[string]int{}, map[string]int{}
	ids := map[string]bool{}
	for q := range Questions(o) {
		report := q.ID[:strings.LastIndexByte(q.ID, '/')]
		if texts[report] != q.Text || !strings.HasSuffix(report, "/"+q.Lang) || ids[q.ID] {
			t.Errorf("%s: not the text of the report, or an ID twice", q.ID)
		}
		ids[q.ID] = true
		perReport[report]++
		characters := []rune(q.Text)
		if got := string(characters[q.Start : q.Start+utf8.RuneCountInString(q.Answer)]); got != q.Answer || q.Answer == "" {
			t.Errorf("%s: at %d stands %q, not %q", q.ID, q.Start, got, q.Answer)
		}
		kinds := questions[q.Lang]
		asked[q.Lang+string(rune('0'+slices.Index(kinds[:], q.Question)))]++
	}
	if len(asked) != len(languages)*int(questionKinds) {
		t.Errorf("%d of %d kinds of questions are asked", len(asked), len(languages)*int(questionKinds))
	}
	for kind, n := range asked {
		if n < 15 {
			t.Errorf("%s is asked %d times", kind, n)
		}
	}
	if len(perReport) < len(texts)*99/100 {
		t.Errorf("%d of %d reports have questions", len(perReport), len(texts))
	}
	for report, n := range perReport {
		if n > questionsPerReport {
			t.Errorf("%s has %d questions", report, n)
		}
	}
}

// TestAnswersAreRight compares answers with the facts of the event.
func TestAnswersAreRight(t *testing.T) {
	e := &event{}
	e.facts[factCount] = slices.Index(counts, 35)
	e.facts[factAge] = 35 - minAge
	e.facts[factAmount] = slices.Index(amounts, 35)
	e.facts[factCity], e.facts[factOrigin] = 1, 0
	for _, c := range []struct {
		text string
		kind questionKind
		want string
		at   int
	}{
		{"In Berlin hat es gebrannt.", askCity, "In Berlin", 0},
		{"Es hat in Berlin gebrannt.", askCity, "in Berlin", 7},
		{"Es hat in Berlin und in Berlin gebrannt.", askCity, "", 0},
		{"Die Firma Norvik aus Athen", askOrigin, "aus Athen", 17},
		{"Die Firma Norvik aus Athenau", askOrigin, "", 0},
		{"Ein Schaden von 3,5 Millionen Euro, 35 Gäste", askCount, "35", 36},
		{"Ein Schaden von 3,5 Millionen Euro, 35 Gäste", askAmount, "3,5 Millionen Euro", 16},
		{"Ein Schaden von 3,5 Mio. Euro, 35 Gäste", askAmount, "3,5 Mio. Euro", 16},
		{"um 9.35 Uhr 1.350 und 35.000", askCount, "", 0},
		{"um 9.35 Uhr: 35.", askCount, "35", 13},
		{"Größe 35", askAge, "35", 6},
		{"35 Gäste, Meier (35)", askAge, "", 0},
	} {
		v := telling{version{text: c.text}, e, &german}
		if answer, _, ok := v.answer(c.kind); ok || answer != "" {
			t.Errorf("%q: %q is the answer, though nothing is told", c.text, answer)
		}
		v.told[c.kind.fact()] = true
		answer, at, ok := v.answer(c.kind)
		if ok != (c.want != "") || ok && (answer != c.want || at != c.at) {
			t.Errorf("%q: answer %q at %d (%v), want %q at %d", c.text, answer, at, ok, c.want, c.at)
		}
	}
}

func TestHeadlines(t *testing.T) {
	o := Options{Seed: 1, Events: 100}
	n, longer := 0, 0
	for h := range Headlines(o) {
		n++
		if strings.ContainsAny(h.Headline, "{}") || strings.HasSuffix(h.Headline, ".") ||
			utf8.RuneCountInString(h.Headline) < 10 {
			t.Errorf("%s: headline %q", h.ID, h.Headline)
		}
		if len(h.Headline) >= len(h.Text) {
			longer++
		}
		if _, second, ok := strings.Cut(h.Headline, ", and "); ok && h.Lang == "en" &&
			!strings.Contains(strings.ToLower(h.Text), strings.ToLower(second)) {
			t.Errorf("%s: headline %q, text %q", h.ID, h.Headline, h.Text)
		}
		// What a headline says of numbers stands in the report.
		for _, w := range words(h.Headline) {
			if w[0] >= '0' && w[0] <= '9' && !slices.Contains(words(h.Text), w) {
				t.Errorf("%s: %q has a number that is not in %q", h.ID, h.Headline, h.Text)
			}
		}
	}
	if n != 100*len(languages) || longer > n/20 {
		t.Errorf("%d headlines, %d of them longer than the report", n, longer)
	}
}

// TestTranslations checks that both sides have the same numbers and names of
// organisations, and that all pairs come in both directions.
func TestTranslations(t *testing.T) {
	pairs := map[string]int{}
	for tr := range Translations(Options{Seed: 1, Events: 60, Languages: []string{"en", "es", "el"}}) {
		pairs[tr.SourceLang+tr.TargetLang]++
		for _, org := range organisations {
			if strings.Contains(tr.Source, org) != strings.Contains(tr.Target, org) {
				t.Errorf("%s: %s on one side only: %q, %q", tr.ID, org, tr.Source, tr.Target)
			}
		}
		if a, b := strings.Count(tr.Source, ". "), strings.Count(tr.Target, ". "); a != b &&
			!strings.Contains(tr.Source+tr.Target, "mill. ") && !strings.Contains(tr.Source+tr.Target, "εκατ. ") {
			t.Errorf("%s: %q has another number of sentences than %q", tr.ID, tr.Source, tr.Target)
		}
	}
	if len(pairs) != 6 || pairs["enes"] != 60 || pairs["elen"] != 60 {
		t.Errorf("pairs %v", pairs)
	}
}

// TestParaphrases checks that about half of the pairs are paraphrases, that none
// is a copy, and that words alone do not tell.
func TestParaphrases(t *testing.T) {
	same, n := 0, 0
	overlaps := map[bool][]int{}
	for p := range Paraphrases(Options{Seed: 1, Events: 200}) {
		n++
		if p.Same {
			same++
		}
		if p.A == p.B {
			t.Errorf("%s: twice %q", p.ID, p.A)
		}
		common := 0
		for _, w := range words(p.A) {
			if slices.Contains(words(p.B), w) {
				common++
			}
		}
		overlaps[p.Same] = append(overlaps[p.Same], 100*common/len(words(p.A)))
	}
	if n != 200*len(languages) || same < n*45/100 || same > n*55/100 {
		t.Errorf("%d of %d pairs are paraphrases", same, n)
	}
	for label, list := range overlaps {
		slices.Sort(list)
		if median := list[len(list)/2]; median < 50 || median > 95 {
			t.Errorf("paraphrases: %v: half of the pairs share %d%% of their words", label, median)
		}
	}
}

// TestNearMiss checks that another value of a fact is another one, of the same
// topic, and that all can be drawn.
func TestNearMiss(t *testing.T) {
	r := randFor(1, purposeParaphrase)
	seen := map[int]bool{}
	for range 2000 {
		kind := other(r, factKind, 7)
		if kind/kindsPerTopic != 1 || kind == 7 {
			t.Fatalf("kind 7 became %d", kind)
		}
		seen[kind] = true
		if v := other(r, factOrg, 0); v < 1 || v >= len(organisations) {
			t.Fatalf("organisation 0 became %d", v)
		}
	}
	if len(seen) != kindsPerTopic-1 {
		t.Errorf("kinds %v", seen)
	}
	for _, l := range languages {
		e := event{date: dayOf(3, false)}
		e.facts[factOrigin] = 1
		for range 50 {
			p := paraphrase(&e, l, r)
			a, b := facts(p.A, l), facts(p.B, l)
			if p.Same != (a == b) {
				t.Errorf("%s: paraphrase: %v, but\n%s %s\n%s %s", l.code, p.Same, p.A, a, p.B, b)
			}
		}
	}
}

// facts are the names, kinds and numbers that a text tells, in any wording.
func facts(text string, l *language) string {
	var found []string
	lower := strings.ToLower(text)
	has := func(what, phrase string) {
		if _, _, ok := locate(lower, strings.ToLower(phrase)); ok {
			found = append(found, what+phrase)
		}
	}
	for _, c := range cities {
		in, from := l.cityForms(c)
		has("in ", in)
		has("from ", from)
	}
	for _, p := range people {
		has("", p.name[l.script])
	}
	for _, org := range organisations {
		has("", org)
	}
	for _, n := range counts {
		has("n ", l.number(n))
	}
	for age := minAge; age <= maxAge; age++ {
		has("n ", l.number(age))
	}
	for _, n := range amounts {
		full, short := l.amount(n, 0, false), l.amount(n, 0, true)
		if _, _, ok := locate(lower, strings.ToLower(full), strings.ToLower(short)); ok {
			found = append(found, full)
		}
	}
	for _, place := range l.places {
		has("", place)
	}
	for _, m := range clocks {
		has("", l.clock(m/60, m%60))
	}
	for i := range len(wordedDurations) + len(longDurations) {
		words, digits := l.duration(i, false), l.duration(i, true)
		if _, _, ok := locate(lower, strings.ToLower(words), strings.ToLower(digits)); ok {
			found = append(found, words)
		}
	}
	// told reports that all words of a phrase are told, but for its slots.
	told := func(phrase string) bool {
		slots := strings.NewReplacer("{where}", "|", "{when}", "|", "{n}", "|", "{m}", "|",
			"{org}", "|", "{from}", "|", "{dur}", "|")
		for part := range strings.SplitSeq(strings.ToLower(slots.Replace(phrase)), "|") {
			if !strings.Contains(lower, strings.Trim(part, " ,")) {
				return false
			}
		}
		return true
	}
	for _, topic := range l.topics {
		for _, lead := range topic.leads {
			if told(lead[0]) || told(lead[1]) {
				found = append(found, lead[0])
			}
		}
		for _, phrasings := range [][2]string{topic.count, topic.money, topic.org, topic.lasts} {
			for _, phrase := range phrasings {
				if told(phrase) {
					found = append(found, phrase)
				}
			}
		}
	}
	slices.Sort(found)
	return strings.Join(found, "|")
}

func TestQuestionsInEveryLanguage(t *testing.T) {
	for _, l := range languages {
		seen := map[string]bool{}
		for kind, q := range questions[l.code] {
			if q == "" || seen[q] {
				t.Errorf("%s: question %d is %q", l.code, kind, q)
			}
			seen[q] = true
		}
	}
	if len(questions) != len(languages) {
		t.Errorf("questions in %d languages", len(questions))
	}
}
