package probe

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/marge-go/marge/marge"
	"github.com/marge-go/marge/marge/corpus"
)

// Options are the settings of a Monitor.
type Options struct {
	// Dir is where metrics.jsonl and the event files go.
	Dir string
	// Every LogEvery updates (50) a record describes the training itself, which
	// costs nothing.
	LogEvery int
	// The model is measured on Heldout, if that is not nil, after the first
	// update, Probes times (10) in even shares of the training, of which the
	// last is at its end.
	Heldout *Heldout
	Probes  int
	// Store, the corpus that is trained on, tells which links join documents of
	// a group; nil if groups are not known.
	Store *corpus.Store
	// OnRecord, if not nil, is called with every record before it is written.
	// An error stops the training after the record is written.
	OnRecord func(*Record) error
}

// Monitor keeps a log of a training and probes the model on schedule. Its
// OnStep and OnIndex are for marge.PretrainOptions, OnStep for
// marge.FineTuneOptions too.
type Monitor struct {
	ctx   context.Context
	m     *marge.Model
	o     Options
	log   *Log
	due   int // share of the training, in 1/Probes, at which the next probe is made
	links *Links
	fault string // warning for the next record

	sum  Train // of the updates since the last Train, n of them
	n    int
	from marge.Metrics // at the last Train
	last marge.Metrics // of the last update
}

// NewMonitor returns a monitor of a model. A measurement that the context
// cancels stops the training.
func NewMonitor(ctx context.Context, m *marge.Model, o Options) (*Monitor, error) {
	if o.Dir == "" {
		return nil, errors.New("probe: no directory is given")
	}
	if o.LogEvery < 0 || o.Probes < 0 {
		return nil, fmt.Errorf("probe: LogEvery is %d and Probes %d, must not be negative", o.LogEvery, o.Probes)
	}
	if o.Heldout != nil {
		if err := o.Heldout.Check(); err != nil {
			return nil, err
		}
	}
	if o.LogEvery == 0 {
		o.LogEvery = 50
	}
	if o.Probes == 0 {
		o.Probes = 10
	}
	return &Monitor{ctx: ctx, m: m, o: o}, nil
}

// OnIndex keeps what an index is like for the record of the next update.
func (p *Monitor) OnIndex(s marge.IndexStats) {
	l := &Links{Index: s.Index, Chunks: s.Chunks, Targets: s.Targets, Links: s.Links, Unlinked: s.Unlinked}
	l.PerTarget, l.CrossShare = share(s.Links, s.Targets), share(s.Cross, s.Links)
	l.UnlinkedShare = share(s.Unlinked, s.Targets)
	p.links = l
	if p.o.Store == nil {
		return
	}
	l.Pairs = map[string]int{}
	langs := p.o.Store.Langs()
	var aligned, unaligned []float32
	for link := range s.Each {
		target, evidence := p.o.Store.Chunk(link.Target), p.o.Store.Chunk(link.Evidence)
		l.Pairs[langs[target.Lang]+"-"+langs[evidence.Lang]]++
		group := p.o.Store.Group(target.Doc)
		switch {
		case target.Lang == evidence.Lang || group == "":
		case p.o.Store.Group(evidence.Doc) == group:
			aligned = append(aligned, link.Score)
		default:
			unaligned = append(unaligned, link.Score)
		}
	}
	if known := len(aligned) + len(unaligned); known > 0 {
		a, u, part := NewHistogram(aligned), NewHistogram(unaligned), share(len(aligned), known)
		l.ScoreAligned, l.ScoreUnaligned, l.AlignedShare = &a, &u, &part
	}
}

func share(a, b int) float64 { return float64(a) / float64(max(b, 1)) }

// OnStep takes in an update, and writes a record if one is due.
func (p *Monitor) OnStep(m marge.Metrics) error {
	part := int(m.Progress * float64(p.o.Probes))
	if p.log == nil {
		var err error
		if p.log, err = OpenLog(p.o.Dir, m.Step); err != nil {
			return err
		}
		// Progress before this update, of which a resumed run was not told.
		before := m.Progress * float64(m.Step-1) / float64(m.Step)
		p.from, p.due = m, int(before*float64(p.o.Probes)+1e-9)+1
		if p.log.probeDue {
			p.due = part
		}
		if err := p.log.Damage(); err != nil {
			p.fault = fmt.Sprintf("damaged lines of the log were moved to %s%s: %v", LogName, damagedSuffix, err)
		}
	}
	p.last = m
	p.sum.Loss += m.Loss
	p.sum.GradNorm += m.GradNorm
	p.sum.GradNormMax = max(p.sum.GradNormMax, m.GradNorm)
	p.sum.Targets += float64(m.Targets)
	p.sum.Evidence += float64(m.Evidence)
	p.n++

	end := m.Progress >= 1
	probe := p.o.Heldout != nil && (m.Step == 1 || part >= p.due || end)
	told := p.links != nil || p.fault != "" || m.Development != nil
	if !probe && !end && !told && m.Step%p.o.LogEvery != 0 {
		return nil
	}
	r := &Record{Step: m.Step, TargetTokens: m.TargetTokens, Seconds: m.Elapsed.Seconds()}
	r.Links, r.Warning = p.links, p.fault
	p.links, p.fault = nil, ""
	if m.Development != nil {
		r.Development = m.Development.Scores
	}
	if probe || end || m.Step%p.o.LogEvery == 0 {
		r.Train = p.train(m)
	}
	// A record is written whatever stops the training: a resumed run does not
	// come by this step again.
	var failure error
	if probe {
		p.due = part + 1
		r.Heldout, failure = p.o.Heldout.Measure(p.ctx, p.m)
		if failure != nil {
			r.ProbeDue = true
		} else if w := p.log.warning(r.Heldout); w != "" {
			r.Warning = strings.TrimPrefix(r.Warning+"; "+w, "; ")
		}
	}
	if p.o.OnRecord != nil {
		failure = errors.Join(failure, p.o.OnRecord(r))
	}
	return errors.Join(failure, p.log.Append(r))
}

// train describes the updates since the last call.
func (p *Monitor) train(m marge.Metrics) *Train {
	t, n := p.sum, float64(p.n)
	t.Loss /= n
	t.GradNorm /= n
	t.Targets /= n
	t.Evidence /= n
	t.LearningRate, t.Beta = m.LR, m.Beta
	tokens, seconds := m.TargetTokens-p.from.TargetTokens, (m.Elapsed - p.from.Elapsed).Seconds()
	if m.Step == 1 {
		tokens, seconds = m.TargetTokens, m.Elapsed.Seconds()
	}
	if seconds > 0 {
		t.TokensPerSecond = float64(tokens) / seconds
	}
	p.sum, p.n, p.from = Train{}, 0, m
	return &t
}

// Close closes the files. If the training was stopped between an index and the
// update after it, the record of the last update gets what the index is like: a
// resumed training has it already and does not call OnIndex again.
func (p *Monitor) Close() error {
	if p.log == nil {
		return nil
	}
	return errors.Join(p.flush(), p.log.Close())
}

// flush writes what an index is like that no update followed.
func (p *Monitor) flush() error {
	links := p.links
	if links == nil {
		return nil
	}
	p.links = nil
	if p.log.last == p.last.Step {
		return p.log.addLinks(links)
	}
	r := &Record{Step: p.last.Step, TargetTokens: p.last.TargetTokens, Seconds: p.last.Elapsed.Seconds(), Links: links}
	if p.o.OnRecord != nil {
		if err := p.o.OnRecord(r); err != nil {
			return err
		}
	}
	return p.log.Append(r)
}
