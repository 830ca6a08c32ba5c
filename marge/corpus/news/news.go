// Package news generates short news reports that tell each event in several
// languages. They are a training corpus for MARGE that needs no download, has
// any size, and shows within minutes whether retrieval is learned
// (arXiv:2006.15020, sections 2.2 and 2.4, with one shard for each date of
// publication).
//
// An event is a set of facts: what happened, where, when, how many people and
// how much money it concerns, which organisation has to do with it, and who is
// quoted. [Documents] tells it in English, German, French, Spanish, Russian and
// Greek, in words, sentence order and selection of facts that differ from
// version to version; no version is a translation of another. Names of places
// and people have the form and script of the language. The events of one date
// draw their facts from common pools, so that each fact is true of several of
// them and only the report as a whole tells which event it is about.
//
// For tasks there are [Headlines] of the reports, [Questions] about them, and
// short reports as [Translations] and [Paraphrases].
//
// All people and organisations, and all that is said of them, are invented.
package news

import (
	"fmt"
	"iter"

	"github.com/marge-go/marge/marge/corpus"
)

// FirstHeldOut is the number of the first event for evaluation. Training events
// are numbered from 0. No held-out event shares its combination of kind, city,
// organisation and person with a training event, nor its date: training events
// are dated on the 2nd to 25th of a month, held-out events on the 26th to 28th.
// Their words are the same.
const FirstHeldOut = 1 << 24

// DefaultEventsPerDate is how many events a date has if Options does not say.
const DefaultEventsPerDate = 32

// Limits of Options.EventsPerDate and of event numbers, which keep dates below
// the year 10,000.
const (
	maxEventsPerDate = 1024
	maxTrainingDates = (lastYear - firstYear + 1) * 12 * trainingDays
	maxHeldOutDates  = (lastYear - firstYear + 1) * 12 * heldOutDays
)

// Options says which reports to generate. The zero value generates none.
type Options struct {
	// Seed selects one of the possible worlds. With another seed, all events
	// are different.
	Seed uint64
	// Events is the number of events.
	Events int
	// First is the number of the first event: from 0 for training, from
	// FirstHeldOut for evaluation.
	First int
	// Languages are the codes of the languages to use; if empty, all of
	// Languages().
	Languages []string
	// PerEvent is the number of languages per event, which are drawn for each
	// event; 0 means all.
	PerEvent int
	// EventsPerDate is how many events share a date, up to 1,024; if 0,
	// DefaultEventsPerDate. Another value makes different events, as another
	// seed does.
	EventsPerDate int
}

// Languages returns the codes of the languages that reports are written in, in
// the order in which Documents yields them.
func Languages() []string {
	codes := make([]string, len(languages))
	for i, l := range languages {
		codes[i] = l.code
	}
	return codes
}

// Documents yields the reports in the order of event numbers and, within an
// event, of Languages. The text of a report depends on Options.Seed,
// Options.EventsPerDate, the event number and the language, and on nothing
// else. A document's ID and Source are "news/<event>/<language>", its Group is
// "news/<event>", and its Date is also its Shard.
//
// Documents panics if the options contradict themselves: an unknown or repeated
// language, a negative number, more languages for an event than there are, a
// range that contains both training and held-out events, or more events than
// there are dates for.
func Documents(o Options) iter.Seq[corpus.Document] {
	g := newGenerator(o)
	return func(yield func(corpus.Document) bool) {
		for id, told := range g.told() {
			date := told.e.date.Format("2006-01-02")
			if !yield(corpus.Document{
				ID: id, Lang: told.l.code, Text: told.text,
				Date: date, Shard: date, Group: groupID(told.e), Source: id,
			}) {
				return
			}
		}
	}
}

func groupID(e *event) string { return fmt.Sprintf("news/%d", e.number) }

// reportID names the version of an event in a language.
func reportID(e *event, l *language) string { return groupID(e) + "/" + l.code }

// generator is Options after validation.
type generator struct {
	seed      uint64
	from, to  int // event numbers
	base      int // number of the first event of the first date: 0 or FirstHeldOut
	perDate   int
	perEvent  int
	languages []*language
}

func newGenerator(o Options) *generator {
	g := &generator{seed: o.Seed, from: o.First, to: o.First + o.Events, perDate: o.EventsPerDate, perEvent: o.PerEvent}
	switch {
	case o.Events < 0 || o.First < 0:
		panic(fmt.Sprintf("news: %d events from number %d", o.Events, o.First))
	case o.First < FirstHeldOut && g.to > FirstHeldOut:
		panic(fmt.Sprintf("news: events %d to %d: held-out events begin at %d", o.First, g.to-1, FirstHeldOut))
	case o.EventsPerDate < 0 || o.EventsPerDate > maxEventsPerDate:
		panic(fmt.Sprintf("news: %d events per date: want 0 to %d", o.EventsPerDate, maxEventsPerDate))
	}
	if g.perDate == 0 {
		g.perDate = DefaultEventsPerDate
	}
	dates := maxTrainingDates
	if o.First >= FirstHeldOut {
		g.base, dates = FirstHeldOut, maxHeldOutDates
	}
	if limit := g.base + dates*g.perDate; g.to > limit || g.to < g.from {
		panic(fmt.Sprintf("news: %d events from number %d: with %d a date, numbers end at %d", o.Events, o.First, g.perDate,
			limit-1))
	}
	wanted := o.Languages
	if len(wanted) == 0 {
		wanted = Languages()
	}
	chosen := map[string]bool{}
	for _, code := range wanted {
		if chosen[code] {
			panic(fmt.Sprintf("news: language %q given twice", code))
		}
		chosen[code] = true
	}
	for _, l := range languages {
		if chosen[l.code] {
			g.languages = append(g.languages, l)
			delete(chosen, l.code)
		}
	}
	for code := range chosen {
		panic(fmt.Sprintf("news: no language %q: have %v", code, Languages()))
	}
	if g.perEvent < 0 || g.perEvent > len(g.languages) {
		panic(fmt.Sprintf("news: %d languages per event of %d", g.perEvent, len(g.languages)))
	}
	if g.perEvent == 0 {
		g.perEvent = len(g.languages)
	}
	return g
}

// events yields the events in order, drawing them date by date.
func (g *generator) events() iter.Seq[*event] {
	return func(yield func(*event) bool) {
		for next := g.from; next < g.to; {
			day := (next - g.base) / g.perDate
			first := g.base + day*g.perDate
			n := min(g.to-first, g.perDate)
			events := eventsOfDate(g.seed, day, first, n, g.base == FirstHeldOut)
			for i := next - first; i < n; i++ {
				if !yield(&events[i]) {
					return
				}
			}
			next = first + n
		}
	}
}

// languagesOf returns the languages that an event is told in.
func (g *generator) languagesOf(e *event) []*language {
	if g.perEvent == len(g.languages) {
		return g.languages
	}
	// Selection sampling keeps the order of the languages.
	r := randFor(g.seed, purposeLanguages, uint64(e.number))
	chosen := make([]*language, 0, g.perEvent)
	for i, l := range g.languages {
		if r.IntN(len(g.languages)-i) < g.perEvent-len(chosen) {
			chosen = append(chosen, l)
		}
	}
	return chosen
}
