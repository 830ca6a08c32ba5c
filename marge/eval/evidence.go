package eval

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"text/tabwriter"
)

// Targets returns documents that have an equivalent in another language, in an
// order that seed decides: all of them or, if perLanguage is not 0, that many of
// each language at the most.
func Targets(docs []Doc, perLanguage int, seed uint64) []int {
	if perLanguage < 0 {
		panic(fmt.Sprintf("eval: targets: %d of a language", perLanguage))
	}
	docs = canonicalDocs(docs)
	first := map[string]string{} // language of a group's first document
	several := map[string]bool{} // whether a group has another language
	for _, d := range docs {
		if lang, ok := first[d.Group]; !ok {
			first[d.Group] = d.Lang
		} else if lang != d.Lang && d.Group != "" {
			several[d.Group] = true
		}
	}
	var targets []int
	for i, d := range docs {
		if several[d.Group] {
			targets = append(targets, i)
		}
	}
	rng := rand.New(rand.NewPCG(seed, 1))
	rng.Shuffle(len(targets), func(i, j int) { targets[i], targets[j] = targets[j], targets[i] })
	if perLanguage == 0 {
		return targets
	}
	count := map[string]int{}
	return slices.DeleteFunc(targets, func(i int) bool {
		count[docs[i].Lang]++
		return count[docs[i].Lang] > perLanguage
	})
}

// EvidenceOptions are the settings of [SelectEvidence].
type EvidenceOptions struct {
	// Documents is how many evidence documents a target has; 0 stands for 4.
	Documents int
	// CrossLingual leaves documents in the target's language out of the
	// retrieved and of the random evidence.
	CrossLingual bool
	// Seed decides which random documents and which equivalents are taken.
	Seed uint64
	// Progress, which may be nil, counts targets.
	Progress Progress
}

// Evidence has, for targets among documents, the evidence of each kind. All
// numbers are positions of documents.
type Evidence struct {
	Targets []int
	// Retrieved has the documents that a scorer ranks highest, Oracle
	// equivalents in other languages, and Random any that are no equivalents:
	// of each target, with the target itself in none of them. A target may have
	// fewer than asked for.
	Retrieved, Oracle, Random [][]int

	langs, groups []string // of the targets
}

// SelectEvidence picks evidence for targets, such as those of [Targets], in
// their order. Retrieved evidence is ranked by the scorer alone, among all
// documents at once, whatever the language; scores that are not a number come
// last. The only errors are the scorer's and the context's.
func SelectEvidence(ctx context.Context, docs []Doc, targets []int, s Scorer, opt EvidenceOptions) (*Evidence, error) {
	if opt.Documents == 0 {
		opt.Documents = 4
	}
	if opt.Documents < 0 {
		panic(fmt.Sprintf("eval: select evidence: %d documents", opt.Documents))
	}
	docs = canonicalDocs(docs)
	retrieved, err := retrieve(ctx, docs, s, targets, opt)
	if err != nil {
		return nil, fmt.Errorf("eval: select evidence: %w", err)
	}
	e := &Evidence{Targets: targets, Retrieved: retrieved}
	rng := rand.New(rand.NewPCG(opt.Seed, 2))
	// sample draws from the documents that are eligible.
	sample := func(eligible func(d Doc) bool) (drawn []int) {
		for _, i := range rng.Perm(len(docs)) {
			if len(drawn) < opt.Documents && eligible(docs[i]) {
				drawn = append(drawn, i)
			}
		}
		return drawn
	}
	for _, t := range targets {
		if err := ctx.Err(); err != nil {
			return nil, fmt.Errorf("eval: select evidence: %w", err)
		}
		target := docs[t]
		e.langs, e.groups = append(e.langs, target.Lang), append(e.groups, target.Group)
		e.Oracle = append(e.Oracle, sample(func(d Doc) bool { return d.Group == target.Group && d.Lang != target.Lang }))
		e.Random = append(e.Random, sample(func(d Doc) bool {
			return d.Group != target.Group && !(opt.CrossLingual && d.Lang == target.Lang)
		}))
	}
	return e, nil
}

// retrieve returns the documents with the highest scores for each target.
func retrieve(ctx context.Context, docs []Doc, s Scorer, targets []int, opt EvidenceOptions) ([][]int, error) {
	if len(targets) == 0 {
		return nil, nil
	}
	all := make([]int, len(docs))
	for i := range all {
		all[i] = i
	}
	block := queriesAtOnce(len(docs))
	scores := make([]float32, min(block, len(targets))*len(docs))
	score := s.Against(all)
	var retrieved [][]int
	for queries := range slices.Chunk(targets, block) {
		err := ctx.Err()
		if err == nil {
			err = score(ctx, queries, scores[:len(queries)*len(docs)])
		}
		if err != nil {
			return nil, err
		}
		for i, t := range queries {
			retrieved = append(retrieved, highest(scores[i*len(docs):(i+1)*len(docs)], opt.Documents, func(j int) bool {
				return j != t && !(opt.CrossLingual && docs[j].Lang == docs[t].Lang)
			}))
		}
		opt.Progress.report(len(retrieved), len(targets))
	}
	return retrieved, nil
}

// highest returns the eligible positions of the n highest scores, from the
// highest down; ties go to the lower position.
func highest(scores []float32, n int, eligible func(i int) bool) []int {
	var best []int
	for i, s := range scores {
		if len(best) == n && !(cmp.Compare(s, scores[best[n-1]]) > 0) || !eligible(i) {
			continue
		}
		at, _ := slices.BinarySearchFunc(best, s, func(j int, s float32) int {
			if cmp.Compare(scores[j], s) >= 0 {
				return -1
			}
			return 1
		})
		best = slices.Insert(best, at, i)
		best = best[:min(n, len(best))]
	}
	return best
}

// A LossFunc returns the sum of the negative log-likelihoods, in nats, of the
// tokens of a target given evidence, and how many tokens those are. Without
// evidence the target is predicted from itself alone.
type LossFunc func(target int, evidence []int) (nats float64, tokens int, err error)

// EvidenceLoss is the loss per token, in nats, by the kind of evidence.
type EvidenceLoss struct {
	Targets   int     `json:"targets"`
	Tokens    int     `json:"tokens"`
	Retrieved float64 `json:"retrieved"`
	Oracle    float64 `json:"oracle"`
	Random    float64 `json:"random"`
	None      float64 `json:"none"`
	// Intervals of how much lower the loss from retrieved evidence is: of
	// Random - Retrieved and of None - Retrieved, over groups of targets, since
	// translations are not independent of each other.
	OverRandom Interval `json:"over_random"`
	OverNone   Interval `json:"over_none"`
}

// LossReport is the result of [Evidence.Loss].
type LossReport struct {
	All        EvidenceLoss            `json:"all"`
	ByLanguage map[string]EvidenceLoss `json:"by_language"`
}

// Loss measures how much evidence helps: the loss of every target with each kind
// of evidence and with none. A target that lacks evidence of a kind is left out
// of all figures, so that they are comparable; if no target is left, the error
// is a [NotEvaluatedError]. An error of loss, a loss that is not finite and a
// cancelled context are errors too. Progress, which may be nil, counts targets.
func (e *Evidence) Loss(ctx context.Context, loss LossFunc, b Bootstrap, progress Progress) (*LossReport, error) {
	var all []targetLoss
	for i, target := range e.Targets {
		if len(e.Retrieved[i]) == 0 || len(e.Oracle[i]) == 0 || len(e.Random[i]) == 0 {
			progress.report(i+1, len(e.Targets))
			continue
		}
		t := targetLoss{lang: e.langs[i], group: e.groups[i]}
		for kind, evidence := range [...][]int{e.Retrieved[i], e.Oracle[i], e.Random[i], nil} {
			if err := ctx.Err(); err != nil {
				return nil, fmt.Errorf("eval: evidence loss: %w", err)
			}
			nats, tokens, err := loss(target, evidence)
			if err != nil {
				return nil, fmt.Errorf("eval: evidence loss: document %d from %v: %w", target, evidence, err)
			}
			if math.IsNaN(nats) || math.IsInf(nats, 0) {
				return nil, fmt.Errorf("eval: evidence loss: document %d from %v: the loss is %v", target, evidence, nats)
			}
			if kind > 0 && tokens != t.tokens {
				return nil, fmt.Errorf("eval: evidence loss: document %d has %d and then %d tokens", target, t.tokens, tokens)
			}
			t.nats[kind], t.tokens = nats, tokens
		}
		all = append(all, t)
		progress.report(i+1, len(e.Targets))
	}
	if len(e.Targets) == 0 {
		return nil, &NotEvaluatedError{"evidence loss", "no document has an equivalent in another language"}
	}
	if len(all) == 0 {
		return nil, &NotEvaluatedError{"evidence loss", fmt.Sprintf(
			"none of %d targets has retrieved, oracle and random evidence", len(e.Targets))}
	}
	report := &LossReport{ByLanguage: map[string]EvidenceLoss{}}
	var err error
	if report.All, err = summarize(ctx, all, b); err != nil {
		return nil, err
	}
	byLang := map[string][]targetLoss{}
	for _, t := range all {
		byLang[t.lang] = append(byLang[t.lang], t)
	}
	for lang, targets := range byLang {
		if report.ByLanguage[lang], err = summarize(ctx, targets, b); err != nil {
			return nil, err
		}
	}
	return report, nil
}

// targetLoss is the loss of a target from retrieved, oracle, random and no
// evidence.
type targetLoss struct {
	lang, group string
	nats        [4]float64
	tokens      int
}

func (t *targetLoss) add(other *targetLoss, times float64) {
	for i, nats := range other.nats {
		t.nats[i] += times * nats
	}
	t.tokens += int(times) * other.tokens
}

// per returns the losses per token.
func (t *targetLoss) per() (l [4]float64) {
	for i, nats := range t.nats {
		l[i] = nats / float64(max(t.tokens, 1))
	}
	return l
}

// summarize returns the losses of targets, at least one.
func summarize(ctx context.Context, targets []targetLoss, b Bootstrap) (EvidenceLoss, error) {
	var sum targetLoss
	var groups []targetLoss
	position := map[string]int{}
	for i := range targets {
		t := &targets[i]
		sum.add(t, 1)
		at, ok := position[t.group]
		if !ok {
			at = len(groups)
			position[t.group] = at
			groups = append(groups, targetLoss{})
		}
		groups[at].add(t, 1)
	}
	var random, none []float64
	err := b.each(ctx, []int{len(groups)}, func(weights []int32) {
		var fold targetLoss
		for i, w := range weights {
			fold.add(&groups[i], float64(w))
		}
		l := fold.per()
		random, none = append(random, l[2]-l[0]), append(none, l[3]-l[0])
	})
	if err != nil {
		return EvidenceLoss{}, err
	}
	l := sum.per()
	return EvidenceLoss{
		Targets: len(targets), Tokens: sum.tokens, Retrieved: l[0], Oracle: l[1], Random: l[2], None: l[3],
		OverRandom: interval(random), OverNone: interval(none),
	}, nil
}

// String returns the losses on one line.
func (l EvidenceLoss) String() string {
	return fmt.Sprintf("nats per token of %d targets: retrieved %.3f, oracle %.3f, random %.3f, none %.3f; "+
		"random - retrieved %v, none - retrieved %v",
		l.Targets, l.Retrieved, l.Oracle, l.Random, l.None, l.OverRandom, l.OverNone)
}

// String returns a table with a line for each language and one for all.
func (r LossReport) String() string {
	return tableString(tabwriter.AlignRight, func(t *tabwriter.Writer) {
		fmt.Fprintln(t, "language\ttargets\ttokens\tretrieved\toracle\trandom\tnone\tover random\tover none\t")
		line := func(lang string, l EvidenceLoss) {
			fmt.Fprintf(t, "%s\t%d\t%d\t%.3f\t%.3f\t%.3f\t%.3f\t%v\t%v\t\n",
				lang, l.Targets, l.Tokens, l.Retrieved, l.Oracle, l.Random, l.None, l.OverRandom, l.OverNone)
		}
		for _, lang := range slices.Sorted(maps.Keys(r.ByLanguage)) {
			line(lang, r.ByLanguage[lang])
		}
		line("all", r.All)
	})
}
