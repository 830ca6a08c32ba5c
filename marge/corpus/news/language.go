package news

import (
	"strconv"
	"strings"
	"time"
)

// Sizes of the lexicon that every language has to fill.
const (
	topics         = 6 // accidents, business, culture, politics, sport, science
	kindsPerTopic  = 5
	quotesPerTopic = 5
	rolesPerTopic  = 2
)

// topic holds the sentences about one subject. Sentences begin in lower case
// and have no full stop; slots are written in braces. {where} and {when} bring
// their own leading space, and {when} may be empty.
type topic struct {
	leads  [kindsPerTopic][2]string // {where} {when}
	count  [2]string                // {n}
	money  [2]string                // {m}
	org    [2]string                // {org} {from}
	lasts  [2]string                // {dur}
	quotes [quotesPerTopic]string
	// roles are the offices of people who are quoted, for men and for women,
	// with an article where the language wants one.
	roles [rolesPerTopic][2]string
}

// language is the grammar and lexicon of one language. All phrases for places
// and times are complete with their prepositions, so that slots need no
// inflection.
type language struct {
	code   string
	script script

	weekdays [7]string // from Sunday, as time.Weekday
	months   [12]string
	date     string // {d} {month} {y}
	clock    func(hour, minute int) string

	group, decimal string       // separators in numbers
	millions       [2][3]string // by currency (euro, dollar): after a whole number, after a fraction, abbreviated
	durations      [len(wordedDurations)]string
	days           string // after the numbers of longDurations

	cityForms func(city) (in, from string)
	places    [20]string
	company   string // {org}

	and    string    // joins two main clauses
	says   [2]string // {quote} {who}; the quote begins with a capital letter
	topics [topics]topic
}

// wordedDurations are the numbers of the durations that are written in words
// or in digits, as the version likes; 0 is for those without a number.
var wordedDurations = [...]int{2, 3, 4, 5, 6, 0, 2, 3, 0}

var languages = [...]*language{&english, &german, &french, &spanish, &russian, &greekLanguage}

// id is a number of the language, for randFor.
func (l *language) id() uint64 { return uint64(l.code[0])<<8 | uint64(l.code[1]) }

// number formats a whole number of up to six digits.
func (l *language) number(n int) string {
	if n < 1000 {
		return strconv.Itoa(n)
	}
	s := strconv.Itoa(n)
	return s[:len(s)-3] + l.group + s[len(s)-3:]
}

// amount formats a sum of money given in tenths of a million.
func (l *language) amount(tenths, currency int, abbreviate bool) string {
	form, s := 0, strconv.Itoa(tenths/10)
	if tenths%10 != 0 {
		form = 1
		s += l.decimal + strconv.Itoa(tenths%10)
	}
	if abbreviate {
		form = 2
	}
	return s + " " + l.millions[currency][form]
}

// duration writes a duration, given as an index into wordedDurations or, behind
// their end, into longDurations. Where there is a choice, digits decides.
func (l *language) duration(i int, digits bool) string {
	if i >= len(wordedDurations) {
		return strconv.Itoa(longDurations[i-len(wordedDurations)]) + " " + l.days
	}
	words := l.durations[i]
	if !digits || wordedDurations[i] == 0 {
		return words
	}
	_, unit, _ := strings.Cut(words, " ")
	return strconv.Itoa(wordedDurations[i]) + " " + unit
}

// fullDate writes the date as an adverbial, with the year.
func (l *language) fullDate(t time.Time) string {
	return fill(l.date, "{d}", strconv.Itoa(t.Day()), "{month}", l.months[t.Month()-1], "{y}", strconv.Itoa(t.Year()))
}

// fill replaces slots, given as pairs of slot and text, in a phrase.
func fill(phrase string, pairs ...string) string {
	return strings.NewReplacer(pairs...).Replace(phrase)
}

// clock24 returns a function that writes a time of day as 19:30 after a
// preposition.
func clock24(preposition string) func(hour, minute int) string {
	return func(hour, minute int) string {
		return preposition + " " + strconv.Itoa(hour) + ":" + twoDigits(minute)
	}
}

func twoDigits(n int) string {
	return strconv.Itoa(n/10) + strconv.Itoa(n%10)
}
