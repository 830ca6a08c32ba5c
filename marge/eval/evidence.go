package eval

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
)

// Targets returns documents that have an equivalent in another language, in an
// order that seed decides: all of them or, if perLanguage is not 0, that many of
// each language at the most.
func Targets(docs []Doc, perLanguage int, seed uint64) []int {
	if perLanguage < 0 {
		panic(fmt.Sprintf("eval: targets: %d of a language", perLanguage))
	}
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
// their order. Retrieved evidence is compared with everything else at once,
// whatever the language, and goes by the scorer alone; scores that are not a
// number come last.
func SelectEvidence(docs []Doc, targets []int, s Scorer, opt EvidenceOptions) *Evidence {
	if opt.Documents == 0 {
		opt.Documents = 4
	}
	if opt.Documents < 0 {
		panic(fmt.Sprintf("eval: select evidence: %d documents", opt.Documents))
	}
	e := &Evidence{Targets: targets, Retrieved: retrieve(docs, s, targets, opt)}
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
		target := docs[t]
		e.langs, e.groups = append(e.langs, target.Lang), append(e.groups, target.Group)
		e.Oracle = append(e.Oracle, sample(func(d Doc) bool { return d.Group == target.Group && d.Lang != target.Lang }))
		e.Random = append(e.Random, sample(func(d Doc) bool {
			return d.Group != target.Group && !(opt.CrossLingual && d.Lang == target.Lang)
		}))
	}
	return e
}

// retrieve returns the documents with the highest scores for each target.
func retrieve(docs []Doc, s Scorer, targets []int, opt EvidenceOptions) [][]int {
	if len(targets) == 0 {
		return nil
	}
	all := make([]int, len(docs))
	for i := range all {
		all[i] = i
	}
	block := max(1, min(queryBlock, 1<<24/len(docs))) // at most 64 MiB of scores
	scores := make([]float32, min(block, len(targets))*len(docs))
	score := s.Against(all)
	var retrieved [][]int
	for queries := range slices.Chunk(targets, block) {
		score(queries, scores[:len(queries)*len(docs)])
		for i, t := range queries {
			retrieved = append(retrieved, highest(scores[i*len(docs):(i+1)*len(docs)], opt.Documents, func(j int) bool {
				return j != t && !(opt.CrossLingual && docs[j].Lang == docs[t].Lang)
			}))
		}
	}
	return retrieved
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
// tokens of a target that is reconstructed from evidence, and how many tokens
// those are. Without evidence the target is predicted from itself alone.
type LossFunc func(target int, evidence []int) (nats float64, tokens int, err error)

// EvidenceLoss is the loss per token, in nats, by the kind of evidence.
type EvidenceLoss struct {
	Targets   int     `json:"targets"`
	Tokens    int     `json:"tokens"`
	Retrieved float64 `json:"retrieved"`
	Oracle    float64 `json:"oracle"`
	Random    float64 `json:"random"`
	None      float64 `json:"none"`
	// What retrieved evidence saves against random evidence and against none:
	// the intervals of Random - Retrieved and None - Retrieved, over groups of
	// targets, since translations are not independent of each other.
	OverRandom Interval `json:"over_random"`
	OverNone   Interval `json:"over_none"`
}

// LossReport is the result of [Evidence.Loss].
type LossReport struct {
	All        EvidenceLoss            `json:"all"`
	ByLanguage map[string]EvidenceLoss `json:"by_language"`
}

// Loss measures what evidence is worth: the loss of every target with each
// kind of it and with none. An error of loss, or that of a cancelled context,
// comes back wrapped.
func (e *Evidence) Loss(ctx context.Context, loss LossFunc, b Bootstrap) (*LossReport, error) {
	all := make([]targetLoss, len(e.Targets))
	for i, target := range e.Targets {
		t := &all[i]
		t.group = e.groups[i]
		for kind, evidence := range [...][]int{e.Retrieved[i], e.Oracle[i], e.Random[i], nil} {
			if err := ctx.Err(); err != nil {
				return nil, fmt.Errorf("eval: evidence loss: %w", err)
			}
			nats, tokens, err := loss(target, evidence)
			if err != nil {
				return nil, fmt.Errorf("eval: evidence loss: document %d from %v: %w", target, evidence, err)
			}
			if kind > 0 && tokens != t.tokens {
				return nil, fmt.Errorf("eval: evidence loss: document %d has %d and then %d tokens", target, t.tokens, tokens)
			}
			t.nats[kind], t.tokens = nats, tokens
		}
	}
	report := &LossReport{All: summarize(all, b), ByLanguage: map[string]EvidenceLoss{}}
	byLang := map[string][]targetLoss{}
	for i, t := range all {
		byLang[e.langs[i]] = append(byLang[e.langs[i]], t)
	}
	for lang, targets := range byLang {
		report.ByLanguage[lang] = summarize(targets, b)
	}
	return report, nil
}

// targetLoss is the loss of a target from retrieved, oracle, random and no
// evidence.
type targetLoss struct {
	group  string
	nats   [4]float64
	tokens int
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

func summarize(targets []targetLoss, b Bootstrap) EvidenceLoss {
	if len(targets) == 0 {
		return EvidenceLoss{}
	}
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
	b.each([]int{len(groups)}, func(weights []int32) {
		var fold targetLoss
		for i, w := range weights {
			fold.add(&groups[i], float64(w))
		}
		l := fold.per()
		random, none = append(random, l[2]-l[0]), append(none, l[3]-l[0])
	})
	l := sum.per()
	return EvidenceLoss{
		Targets: len(targets), Tokens: sum.tokens, Retrieved: l[0], Oracle: l[1], Random: l[2], None: l[3],
		OverRandom: interval(random), OverNone: interval(none),
	}
}
