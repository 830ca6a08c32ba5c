package news

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"unicode"
	"unicode/utf8"
)

// The probability that a version of a report tells a fact. The kind of event is
// always told.
const (
	cityChance   = 0.93
	placeChance  = 0.30
	clockChance  = 0.85
	countChance  = 0.92
	amountChance = 0.92
	orgChance    = 0.85
	quoteChance  = 0.70
	lastsChance  = 0.70

	joinChance       = 0.3 // that count and amount share a sentence without need
	leadSecondChance = 0.2 // that the lead follows another sentence
)

// version is an event told in one language.
type version struct {
	text string
	told [numFacts]bool // the facts that the text tells
	// phrasing is which of two phrasings the sentences have, by the first fact
	// that each tells.
	phrasing [numFacts]int
}

// tell writes an event in a language. Wording, order and what is left out
// depend on the seed, the event and the language only.
func tell(e *event, l *language, seed uint64) version {
	t := newTeller(e, l, randFor(seed, purposeVersion, uint64(e.number), l.id()))
	lead := t.lead()
	count, money, org, quote, lasts := t.count(countChance), t.money(amountChance), t.org(orgChance), t.quote(quoteChance),
		t.lasts(lastsChance)

	rest := []string{count, money, org, quote, lasts}
	left := 0
	for _, s := range rest {
		if s != "" {
			left++
		}
	}
	// At most five sentences with the lead, and, if it can be, at least three.
	joins := t.r.Float64() < joinChance && left >= 3 || left == len(rest)
	if joins && count != "" && money != "" {
		rest[0], rest[1] = count+l.and+money, ""
	}
	t.r.Shuffle(len(rest), func(i, j int) { rest[i], rest[j] = rest[j], rest[i] })
	sentences := append([]string{lead}, rest...)
	if t.r.Float64() < leadSecondChance {
		sentences[0], sentences[1] = sentences[1], sentences[0]
	}
	return t.version(sentences)
}

// teller writes one version.
type teller struct {
	e     *event
	l     *language
	r     *rand.Rand
	topic *topic
	fixed *[numFacts]int // phrasings, if not nil

	told     [numFacts]bool
	phrasing [numFacts]int
}

func newTeller(e *event, l *language, r *rand.Rand) *teller {
	return &teller{e: e, l: l, r: r, topic: &l.topics[e.facts[factKind]/kindsPerTopic]}
}

// version returns what the teller has told in some sentences.
func (t *teller) version(sentences []string) version {
	return version{text: join(sentences), told: t.told, phrasing: t.phrasing}
}

// lead returns the sentence that says what happened, where and when.
func (t *teller) lead() string {
	t.told[factKind] = true
	where, when := "", ""
	if t.told[factCity] = t.r.Float64() < cityChance; t.told[factCity] {
		in, _ := t.l.cityForms(cities[t.e.facts[factCity]])
		where = " " + in
	}
	// Without the city, the place has to answer where.
	if t.told[factPlace] = t.r.Float64() < placeChance || where == ""; t.told[factPlace] {
		where += " " + t.l.places[t.e.facts[factPlace]]
	}
	switch t.told[factDate] = true; t.r.IntN(8) {
	case 0:
		when = " " + t.l.fullDate(t.e.date)
	case 1, 2:
		when = " " + t.l.weekdays[t.e.date.Weekday()]
	default:
		t.told[factDate] = false
	}
	if t.told[factClock] = t.r.Float64() < clockChance; t.told[factClock] {
		minutes := clocks[t.e.facts[factClock]]
		when += " " + t.l.clock(minutes/60, minutes%60)
	}
	phrase := t.topic.leads[t.e.facts[factKind]%kindsPerTopic][t.r.IntN(2)]
	return strings.TrimSpace(fill(phrase, "{where}", where, "{when}", when))
}

// The sentences about other facts, each told with a chance.

func (t *teller) count(chance float64) string {
	return t.sentence(chance, t.topic.count, []fact{factCount}, func() []string {
		return []string{"{n}", t.l.number(counts[t.e.facts[factCount]])}
	})
}

func (t *teller) money(chance float64) string {
	return t.sentence(chance, t.topic.money, []fact{factAmount, factCurrency}, func() []string {
		return []string{"{m}", t.l.amount(amounts[t.e.facts[factAmount]], t.e.facts[factCurrency], t.r.Float64() < 0.3)}
	})
}

func (t *teller) org(chance float64) string {
	return t.sentence(chance, t.topic.org, []fact{factOrg, factOrigin}, func() []string {
		_, from := t.l.cityForms(cities[t.e.facts[factOrigin]])
		return []string{"{org}", fill(t.l.company, "{org}", organisations[t.e.facts[factOrg]]), "{from}", from}
	})
}

func (t *teller) quote(chance float64) string {
	return t.sentence(chance, t.l.says, []fact{factPerson, factAge, factRole, factQuote}, func() []string {
		p := people[t.e.facts[factPerson]]
		gender := 0
		if p.female {
			gender = 1
		}
		return []string{
			"{quote}", capitalize(t.topic.quotes[t.e.facts[factQuote]]),
			"{who}", fmt.Sprintf("%s %s (%d)", t.topic.roles[t.e.facts[factRole]][gender], p.name[t.l.script],
				minAge+t.e.facts[factAge]),
		}
	})
}

func (t *teller) lasts(chance float64) string {
	return t.sentence(chance, t.topic.lasts, []fact{factDuration}, func() []string {
		return []string{"{dur}", t.l.duration(t.e.facts[factDuration], t.r.IntN(2) == 0)}
	})
}

// sentence returns one of the phrasings with its slots filled, or, with the
// rest of the chance, nothing.
func (t *teller) sentence(chance float64, phrasings [2]string, facts []fact, slots func() []string) string {
	if t.r.Float64() >= chance {
		return ""
	}
	for _, f := range facts {
		t.told[f] = true
	}
	phrasing := t.r.IntN(2)
	if t.fixed != nil {
		phrasing = t.fixed[facts[0]]
	}
	t.phrasing[facts[0]] = phrasing
	return fill(phrasings[phrasing], slots()...)
}

// join makes a text of sentences, leaving out empty ones.
func join(sentences []string) string {
	var b strings.Builder
	for _, s := range sentences {
		if s == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(capitalize(s))
		b.WriteByte('.')
	}
	return b.String()
}

// capitalize makes the first letter of a sentence a capital, behind an opening
// quotation mark too.
func capitalize(s string) string {
	for i, c := range s {
		if unicode.IsLetter(c) {
			return s[:i] + string(unicode.ToUpper(c)) + s[i+utf8.RuneLen(c):]
		}
		if unicode.IsDigit(c) {
			break
		}
	}
	return s
}
