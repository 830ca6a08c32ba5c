package eval

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
)

// EvidenceOptions are the settings of [SelectEvidence].
type EvidenceOptions struct {
	// PerLanguage is how many targets there are of each language, 0 for all
	// that have an equivalent in another.
	PerLanguage int
	// Documents is how many evidence documents a target has; 0 stands for 4.
	Documents int
	// CrossLingual leaves documents in the target's language out of the
	// retrieved and of the random evidence.
	CrossLingual bool
	// Seed decides which targets and which random documents are taken.
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

// SelectEvidence picks targets, documents that have an equivalent in another
// language, and evidence for them. Retrieved evidence is compared with
// everything else at once, whatever the language, and goes by the scorer
// alone; scores that are not a number come last.
func SelectEvidence(docs []Doc, s Scorer, opt EvidenceOptions) *Evidence {
	if opt.Documents == 0 {
		opt.Documents = 4
	}
	if opt.Documents < 0 || opt.PerLanguage < 0 {
		panic(fmt.Sprintf("eval: select evidence: %d documents for %d targets of a language", opt.Documents, opt.PerLanguage))
	}
	rng := rand.New(rand.NewPCG(opt.Seed, 0x65766964))
	groups := map[string][]int{}
	for i, d := range docs {
		if d.Group != "" {
			groups[d.Group] = append(groups[d.Group], i)
		}
	}
	byLang := map[string][]int{}
	for i, d := range docs {
		if slices.ContainsFunc(groups[d.Group], func(j int) bool { return docs[j].Lang != d.Lang }) {
			byLang[d.Lang] = append(byLang[d.Lang], i)
		}
	}
	e := &Evidence{}
	for _, lang := range slices.Sorted(maps.Keys(byLang)) {
		targets := byLang[lang]
		if n := opt.PerLanguage; n > 0 && n < len(targets) {
			rng.Shuffle(len(targets), func(i, j int) { targets[i], targets[j] = targets[j], targets[i] })
			targets = targets[:n]
			slices.Sort(targets)
		}
		e.Targets = append(e.Targets, targets...)
	}
	for _, t := range e.Targets {
		d := docs[t]
		e.langs, e.groups = append(e.langs, d.Lang), append(e.groups, d.Group)
		e.Oracle = append(e.Oracle, sample(rng, groups[d.Group], opt.Documents, func(i int) bool { return docs[i].Lang != d.Lang }))
		e.Random = append(e.Random, sampleAll(rng, len(docs), opt.Documents, func(i int) bool {
			return i != t && (d.Group != docs[i].Group) && !(opt.CrossLingual && docs[i].Lang == d.Lang)
		}))
	}
	e.Retrieved = retrieve(docs, s, e.Targets, opt)
	return e
}

// sample draws up to n of the items that are eligible.
func sample(rng *rand.Rand, items []int, n int, eligible func(i int) bool) []int {
	var drawn []int
	for _, i := range rng.Perm(len(items)) {
		if len(drawn) < n && eligible(items[i]) {
			drawn = append(drawn, items[i])
		}
	}
	return drawn
}

// sampleAll draws up to n of the numbers below total that are eligible.
func sampleAll(rng *rand.Rand, total, n int, eligible func(i int) bool) []int {
	var drawn []int
	for range 20 * n { // enough, unless few are eligible
		if i := rng.IntN(total); len(drawn) < n && eligible(i) && !slices.Contains(drawn, i) {
			drawn = append(drawn, i)
		}
	}
	if len(drawn) < n {
		all := make([]int, total)
		for i := range all {
			all[i] = i
		}
		return sample(rng, all, n, eligible)
	}
	return drawn
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
