package news

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Headline is a report with its summary in one sentence.
type Headline struct {
	ID, Lang string
	Text     string // as Documents yields it
	Headline string
}

// A Question is a question about a report, in the language of the report, whose
// answer stands in it once.
type Question struct {
	ID, Lang string
	Text     string // as Documents yields it
	Question string
	Answer   string
	Start    int // of the answer in Text, in characters (Unicode code points)
}

// A Translation is a short report in two languages, with the same facts in the
// same order.
type Translation struct {
	ID                     string
	SourceLang, TargetLang string
	Source, Target         string
}

// A Paraphrase is two short reports in one language, of the same facts in other
// words or, if Same is false, with one fact that differs.
type Paraphrase struct {
	ID, Lang string
	A, B     string
	Same     bool
}

// Headlines yields the reports of [Documents], each with a headline. It says what
// happened, where, and how many it concerns, as far as the report does.
func Headlines(o Options) iter.Seq[Headline] {
	g := newGenerator(o)
	return func(yield func(Headline) bool) {
		for id, told := range g.told() {
			if !yield(Headline{ID: id, Lang: told.l.code, Text: told.text, Headline: told.headline()}) {
				return
			}
		}
	}
}

// questionsPerReport is how many questions are asked about a report, if it has
// so many answers.
const questionsPerReport = 3

// Questions yields questions about the reports of [Documents]: about places,
// numbers and names that a report tells. Which of them are asked, up to three, is
// drawn for each report.
func Questions(o Options) iter.Seq[Question] {
	g := newGenerator(o)
	return func(yield func(Question) bool) {
		for id, told := range g.told() {
			asked := 0
			r := randFor(g.seed, purposeQuestions, uint64(told.e.number), told.l.id())
			for _, kind := range r.Perm(int(questionKinds)) {
				answer, start, ok := told.answer(questionKind(kind))
				if !ok || asked == questionsPerReport {
					continue
				}
				asked++
				if !yield(Question{
					ID: fmt.Sprintf("%s/%d", id, asked), Lang: told.l.code, Text: told.text,
					Question: questions[told.l.code][kind], Answer: answer, Start: start,
				}) {
					return
				}
			}
		}
	}
}

// Translations yields every event in short in each pair of its languages, in
// both directions.
func Translations(o Options) iter.Seq[Translation] {
	g := newGenerator(o)
	return func(yield func(Translation) bool) {
		for e := range g.events() {
			chosen := g.languagesOf(e)
			texts := make([]string, len(chosen))
			for i, l := range chosen {
				// Each language makes the same choices.
				r := randFor(g.seed, purposeBrief, uint64(e.number))
				texts[i] = brief(e, l, r, briefFacts(r), nil).text
			}
			for i, from := range chosen {
				for j, to := range chosen {
					if i != j && !yield(Translation{
						ID:         fmt.Sprintf("news/%d/%s-%s", e.number, from.code, to.code),
						SourceLang: from.code, TargetLang: to.code, Source: texts[i], Target: texts[j],
					}) {
						return
					}
				}
			}
		}
	}
}

// Paraphrases yields a pair of short reports for every event and language. In half
// of them, as they are drawn, one fact differs.
func Paraphrases(o Options) iter.Seq[Paraphrase] {
	g := newGenerator(o)
	return func(yield func(Paraphrase) bool) {
		for e := range g.events() {
			for _, l := range g.languagesOf(e) {
				p := paraphrase(e, l, randFor(g.seed, purposeParaphrase, uint64(e.number), l.id()))
				p.ID, p.Lang = reportID(e, l), l.code
				if !yield(p) {
					return
				}
			}
		}
	}
}

// telling is a version with what it tells.
type telling struct {
	version
	e *event
	l *language
}

// told yields the reports of Documents with their IDs.
func (g *generator) told() iter.Seq2[string, telling] {
	return func(yield func(string, telling) bool) {
		for e := range g.events() {
			for _, l := range g.languagesOf(e) {
				if !yield(reportID(e, l), telling{tell(e, l, g.seed), e, l}) {
					return
				}
			}
		}
	}
}

func (t *telling) headline() string {
	topic := &t.l.topics[t.e.facts[factKind]/kindsPerTopic]
	where := ""
	if t.told[factCity] {
		in, _ := t.l.cityForms(cities[t.e.facts[factCity]])
		where = " " + in
	}
	text := strings.TrimSpace(fill(topic.leads[t.e.facts[factKind]%kindsPerTopic][0], "{where}", where, "{when}", ""))
	if t.told[factCount] {
		text += t.l.and + fill(topic.count[t.phrasing[factCount]], "{n}", t.l.number(counts[t.e.facts[factCount]]))
	}
	return capitalize(text)
}

// answer returns the answer to a question and where it begins, in characters. ok
// is false if the report does not tell it, or if it stands there more than once.
func (t *telling) answer(kind questionKind) (answer string, start int, ok bool) {
	e, l := t.e, t.l
	if !t.told[kind.fact()] {
		return "", 0, false
	}
	switch kind {
	case askCity:
		in, _ := l.cityForms(cities[e.facts[factCity]])
		return locate(t.text, in, capitalize(in))
	case askOrigin:
		_, from := l.cityForms(cities[e.facts[factOrigin]])
		return locate(t.text, from, capitalize(from))
	case askClock:
		minutes := clocks[e.facts[factClock]]
		return locate(t.text, l.clock(minutes/60, minutes%60))
	case askCount:
		return locate(t.text, l.number(counts[e.facts[factCount]]))
	case askAmount:
		tenths, currency := amounts[e.facts[factAmount]], e.facts[factCurrency]
		return locate(t.text, l.amount(tenths, currency, false), l.amount(tenths, currency, true))
	case askOrg:
		return locate(t.text, organisations[e.facts[factOrg]])
	case askPerson:
		return locate(t.text, people[e.facts[factPerson]].name[l.script])
	case askAge:
		return locate(t.text, fmt.Sprint(minAge+e.facts[factAge]))
	default: // askDuration
		words, digits := l.duration(e.facts[factDuration], false), l.duration(e.facts[factDuration], true)
		return locate(t.text, words, capitalize(words), digits)
	}
}

// locate returns which of some phrases stands in a text, and at which character,
// if exactly one does, once.
func locate(text string, phrases ...string) (phrase string, start int, ok bool) {
	at := -1
	for i, p := range phrases {
		if i > 0 && p == phrases[i-1] || i > 1 && p == phrases[i-2] {
			continue
		}
		for from := 0; ; {
			found := strings.Index(text[from:], p)
			if found < 0 {
				break
			}
			found += from
			from = found + len(p)
			if insideWord(text, found) || insideWord(text, from) {
				continue
			}
			if at >= 0 {
				return "", 0, false
			}
			phrase, at = p, found
		}
	}
	return phrase, utf8.RuneCountInString(text[:max(at, 0)]), at >= 0
}

// insideWord reports whether a place in a text is between two letters or
// digits, or in a number with a separator.
func insideWord(text string, at int) bool {
	before, size := utf8.DecodeLastRuneInString(text[:at])
	after, sizeAfter := utf8.DecodeRuneInString(text[at:])
	word := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }
	if word(before) && word(after) {
		return true
	}
	separator := func(r rune) bool { return strings.ContainsRune(".,:\u00a0", r) }
	digitBefore, _ := utf8.DecodeLastRuneInString(text[:at-size])
	digitAfter, _ := utf8.DecodeRuneInString(text[at+sizeAfter:])
	return separator(before) && unicode.IsDigit(after) && unicode.IsDigit(digitBefore) ||
		separator(after) && unicode.IsDigit(before) && unicode.IsDigit(digitAfter)
}

// briefFacts draws which of the sentences behind the lead a short report has, one
// or two of five, in the order of its telling.
func briefFacts(r *rand.Rand) []int { return r.Perm(5)[:1+r.IntN(2)] }

// brief tells an event in a lead and the sentences drawn by briefFacts, whose
// phrasings are fixed if fixed is not nil.
func brief(e *event, l *language, r *rand.Rand, which []int, fixed *[numFacts]int) version {
	t := newTeller(e, l, r)
	t.fixed = fixed
	sentences := []string{t.lead()}
	for _, i := range which {
		sentence := [...]func(float64) string{t.count, t.money, t.org, t.quote, t.lasts}[i]
		sentences = append(sentences, sentence(1))
	}
	return t.version(sentences)
}

// paraphrase tells an event twice, the second time in half of the cases with
// one fact changed.
func paraphrase(e *event, l *language, r *rand.Rand) Paraphrase {
	which := briefFacts(r)
	first := brief(e, l, r, which, nil)
	p := Paraphrase{A: first.text, Same: r.IntN(2) == 0}
	second := *e
	if !p.Same {
		var told []fact
		for f := range fact(numDistinctive) {
			if first.told[f] {
				told = append(told, f)
			}
		}
		f := told[r.IntN(len(told))]
		second.facts[f] = other(r, f, e.facts[f])
	}
	// The phrasings of a sentence tell different things about its facts, but for
	// the lead and the quotation.
	for {
		fixed := first.phrasing
		fixed[factPerson] = r.IntN(2)
		r.Shuffle(len(which), func(i, j int) { which[i], which[j] = which[j], which[i] })
		if v := brief(&second, l, r, which, &fixed); v.told == first.told && v.text != first.text {
			p.B = v.text
			return p
		}
	}
}

// other draws another value of a fact. Another kind of event is one of the same
// topic.
func other(r *rand.Rand, f fact, value int) int {
	first, n := 0, drawn[f].values
	if f == factKind {
		first, n = value/kindsPerTopic*kindsPerTopic, kindsPerTopic
	}
	return first + (value-first+1+r.IntN(n-1))%n
}
