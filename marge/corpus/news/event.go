package news

import (
	"math/rand/v2"
	"time"
)

// fact indexes what there is to know about an event.
type fact int

const (
	factKind     fact = iota // of kindsPerTopic in each of the topics
	factCity                 // where it happened
	factPlace                // where in the city
	factClock                // index into clocks
	factCount                // index into counts
	factAmount               // index into amounts
	factOrg                  // an organisation that has to do with it
	factOrigin               // the city that the organisation comes from
	factPerson               // who is quoted
	factAge                  // of that person, less minAge
	factDuration             // of what the topic says lasts, see language.duration
	factQuote                // of the topic's quotes
	factRole                 // of the topic's roles
	factCurrency             // of the amount
	factDate                 // set for all events of a date; not drawn
	numFacts
)

// numDistinctive is the number of leading facts: those that have many values
// and so tell events apart.
const numDistinctive = int(factDuration) + 1

// drawn says how many values a fact has, and how many of them the events of
// one date draw from: a small pool, so that several events share each value.
var drawn = [factDate]struct{ values, pool int }{
	factKind:     {topics * kindsPerTopic, 12},
	factCity:     {len(cities), 12},
	factPlace:    {20, 12},
	factClock:    {len(clocks), 12},
	factCount:    {len(counts), 12},
	factAmount:   {len(amounts), 12},
	factOrg:      {len(organisations), 12},
	factOrigin:   {len(cities), 12},
	factPerson:   {len(people), 12},
	factAge:      {maxAge - minAge + 1, 12},
	factDuration: {len(wordedDurations) + len(longDurations), 12},
	factQuote:    {quotesPerTopic, quotesPerTopic},
	factRole:     {rolesPerTopic, rolesPerTopic},
	factCurrency: {2, 2},
}

// Rules for the events of one date.
const (
	siblingChance = 0.35 // that an event copies facts of an earlier one
	copiedFacts   = 3    // how many of the distinctive ones
	maxShared     = 5    // most distinctive facts that two events share
)

// counts are the numbers of people and things in the reports, of two and four
// digits. None ends in 1, 2, 3 or 4, which call for other cases in Russian.
var counts = func() []int {
	var list []int
	for n := 15; n < 100; n++ {
		if d := n % 10; d == 0 || d >= 5 {
			list = append(list, n)
		}
	}
	for n := 1100; n <= 9700; n += 100 {
		list = append(list, n)
	}
	return list
}()

// amounts are sums of money in tenths of a million: 2.1 to 9.9 million without
// whole numbers, and whole numbers that take the genitive plural in Russian.
var amounts = func() []int {
	var list []int
	for n := 21; n < 100; n++ {
		if n%10 != 0 {
			list = append(list, n)
		}
	}
	for n := 5; n <= 76; n++ {
		if d := n % 10; d == 0 || d >= 5 || n/10 == 1 {
			list = append(list, 10*n)
		}
	}
	return list
}()

// People who are quoted are between minAge and maxAge years old.
const minAge, maxAge = 27, 76

// longDurations are numbers of days that take the genitive plural in Russian.
var longDurations = [...]int{8, 9, 10, 12, 15, 16, 18, 20, 25, 26, 28, 30, 35, 36, 40, 45, 46, 48, 50, 60, 75, 90, 100}

// clocks are the times of day, in minutes, from 7:00 to 22:50.
var clocks = func() []int {
	var list []int
	for hour := 7; hour <= 22; hour++ {
		for _, minute := range []int{0, 10, 15, 20, 30, 40, 45, 50} {
			list = append(list, 60*hour+minute)
		}
	}
	return list
}()

// event is what happened, independent of language.
type event struct {
	number int
	date   time.Time
	facts  [factDate]int
}

// key identifies the combination by which held-out and training events are
// kept apart.
func (e *event) key() [4]int {
	return [4]int{e.facts[factKind], e.facts[factCity], e.facts[factOrg], e.facts[factPerson]}
}

// reserved reports whether only held-out events may have this combination of
// facts. One combination in eight is reserved.
func (e *event) reserved() bool {
	k := e.key()
	return (k[0]+k[1]+k[2]+k[3])%8 == 0
}

// shared counts the distinctive facts that two events have in common.
func (e *event) shared(other *event) int {
	n := 0
	for f := range numDistinctive {
		if e.facts[f] == other.facts[f] {
			n++
		}
	}
	return n
}

// Training events happen on the 2nd to 25th of a month, held-out events on the
// three days after, which every month has. The first day is left out, because
// French and Greek write it as an ordinal.
const (
	firstDay     = 2
	trainingDays = 24
	heldOutDays  = 3
	firstYear    = 2001
	lastYear     = 9999 // the last with four digits
)

// dayOf returns the date with the given number. Training and held-out dates are
// numbered separately.
func dayOf(number int, heldOut bool) time.Time {
	perMonth, first := trainingDays, firstDay
	if heldOut {
		perMonth, first = heldOutDays, firstDay+trainingDays
	}
	return time.Date(firstYear, time.Month(1+number/perMonth), first+number%perMonth, 0, 0, 0, 0, time.UTC)
}

// randFor returns the source of randomness for one purpose, independent of
// every other.
func randFor(seed uint64, parts ...uint64) *rand.Rand {
	h := uint64(0x9e3779b97f4a7c15)
	for _, p := range parts {
		h ^= p
		h *= 0xbf58476d1ce4e5b9
		h ^= h >> 29
	}
	return rand.New(rand.NewPCG(seed, h))
}

// Purposes of randFor.
const (
	purposeDate = iota + 1
	purposeVersion
	purposeLanguages
	purposeQuestions
	purposeBrief
	purposeParaphrase
)

// eventsOfDate draws the first n events of a date, whose numbers begin at
// first. Drawing more of them leaves the earlier ones as they are.
func eventsOfDate(seed uint64, day, first, n int, heldOut bool) []event {
	r := randFor(seed, purposeDate, uint64(first))
	var pools [factDate][]int
	for f, d := range drawn {
		pools[f] = r.Perm(d.values)[:d.pool]
	}
	date := dayOf(day, heldOut)
	events := make([]event, 0, n)
	for len(events) < n {
		e := event{number: first + len(events), date: date}
		for f, pool := range pools {
			e.facts[f] = pool[r.IntN(len(pool))]
		}
		if len(events) > 0 && r.Float64() < siblingChance {
			sibling := &events[r.IntN(len(events))]
			for _, f := range r.Perm(numDistinctive)[:copiedFacts] {
				e.facts[f] = sibling.facts[f]
			}
		}
		ok := e.facts[factCity] != e.facts[factOrigin] && e.reserved() == heldOut
		for i := range events {
			ok = ok && e.shared(&events[i]) <= maxShared
		}
		if ok {
			events = append(events, e)
		}
	}
	return events
}
