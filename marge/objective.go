package marge

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/marge-go/marge/marge/corpus"
	"github.com/marge-go/marge/tensor"
)

// Objective is what Pretrain trains for: that of MARGE, or of one of the systems
// that the paper compares it with, for the same model and the same corpus.
type Objective string

const (
	// MARGE reconstructs a document from those that g retrieves for it
	// (arXiv:2006.15020, section 2). It is the default.
	MARGE Objective = "marge"
	// MLM predicts hidden tokens of a document from the encoder's last layer and the
	// embeddings: of 15% of the tokens 80% are masked, 10% are other tokens, 10% are
	// themselves (multilingual BERT, arXiv:1810.04805, section 3.1, without its
	// prediction of the next sentence; XLM-R, arXiv:1911.02116).
	MLM Objective = "mlm"
	// TLM alternates MLM with the same on known translations, which the encoder reads
	// one after the other, each between <s> and </s> and with positions from 0 (XLM,
	// arXiv:1901.07291, section 3.3).
	TLM Objective = "tlm"
	// Denoise reconstructs a document from itself with its sentences in random order and
	// spans of 35% of its tokens masked, their lengths from a Poisson distribution of
	// mean 3.5 (mBART, arXiv:2001.08210, section 2.2). A sentence ends with a token
	// that ends with a full stop or the like; spans are of tokens, not of words, which
	// not every language separates.
	Denoise Objective = "denoise"
	// Translate makes a document of its known translation, in both directions: the
	// supervised multilingual translation whose encoder is that of MMTE
	// (arXiv:1909.00437, section 3).
	Translate Objective = "translate"
)

// Objectives returns all objectives, MARGE first.
func Objectives() []Objective { return []Objective{MARGE, MLM, TLM, Denoise, Translate} }

// UsesPairs tells whether an objective learns from known translations.
func (o Objective) UsesPairs() bool { return o == TLM || o == Translate }

// checkObjective tells which of the options contradict the objective.
func (o *PretrainOptions) checkObjective() error {
	setDefault(&o.Objective, MARGE)
	if !slices.Contains(Objectives(), o.Objective) {
		return fmt.Errorf("option Objective is %q, want one of %q", o.Objective, Objectives())
	}
	if o.Objective.UsesPairs() != (len(o.Pairs) > 0) {
		if len(o.Pairs) > 0 {
			return fmt.Errorf("option Pairs: objective %s has no use for known translations", o.Objective)
		}
		return fmt.Errorf("objective %s learns from known translations: set the option Pairs", o.Objective)
	}
	masks := map[Objective]float64{MLM: maskedShare, TLM: maskedShare, Denoise: removedShare}
	share, ok := masks[o.Objective]
	if !ok && o.MaskedShare != 0 {
		return fmt.Errorf("option MaskedShare: objective %s masks nothing", o.Objective)
	}
	setDefault(&o.MaskedShare, share)
	if ok && !(o.MaskedShare > 0 && o.MaskedShare <= 1) {
		return fmt.Errorf("option MaskedShare is %v, want more than 0 and at most 1", o.MaskedShare)
	}
	if o.Objective == MARGE {
		return nil
	}
	var foreign []string
	for name, set := range map[string]bool{
		"Links": o.Links.Mono != 0 || o.Links.Cross != 0, "CrossWeight": o.CrossWeight != 0, "MonoWeight": o.MonoWeight != 0,
		"OnLinks": o.OnLinks != nil, "IndexEvery": o.IndexEvery != 0, "IndexShards": o.IndexShards != 0,
		"TFIDFSteps": o.TFIDFSteps > 0, "ContrastiveSteps": o.ContrastiveSteps != 0, "DetachRelevance": o.DetachRelevance,
		"NullDocument": o.NullDocument, "DistillWeight": o.DistillWeight != 0, "MaxEvidence": o.MaxEvidence != 0,
		"GLearningRate": o.GLearningRate != 0, "BetaLearningRate": o.BetaLearningRate != 0,
	} {
		if set {
			foreign = append(foreign, name)
		}
	}
	if len(foreign) > 0 {
		slices.Sort(foreign)
		return fmt.Errorf("options %s: objective %s retrieves nothing", strings.Join(foreign, ", "), o.Objective)
	}
	return nil
}

// phases returns the source and the objective of a training that retrieves
// nothing.
func (o *PretrainOptions) phases(m *Model, store *corpus.Store, languages []int32) ([]phase, error) {
	c := &chunks{m: m, o: o, store: store, languages: languages}
	noise := newNoise(m.Tokenizer, o.MaskedShare)
	hide := func(rng *rand.Rand, e example) example {
		e.source, e.masked = noise.hide(rng, e.source)
		return e
	}
	var s source
	var goal objective
	switch o.Objective {
	case MLM:
		s, goal = c.source(0, c.alone(false), hide), &unmasking{m}
	case TLM:
		pairs, err := c.pairs()
		if err != nil {
			return nil, err
		}
		both := func(rng *rand.Rand, e example) example { return hide(rng, beside(e)) }
		s, goal = &alternation{c.source(0, c.alone(false), hide), c.source(1, pairs, both)}, &unmasking{m}
	case Denoise:
		s, goal = c.source(0, c.alone(true), func(rng *rand.Rand, e example) example {
			e.source = noise.corrupt(rng, e.source)
			return e
		}), &rendering{m, 0}
	case Translate:
		pairs, err := c.pairs()
		if err != nil {
			return nil, err
		}
		s, goal = c.source(0, pairs, nil), &rendering{m, 0}
	}
	return []phase{{s, goal, math.MaxInt}}, nil
}

// unmasking is the objective of MLM and TLM: the negative log-likelihood of the
// hidden tokens, given the encoder's last layer where they are.
type unmasking struct{ m *Model }

func (u *unmasking) loss(tp *tensor.Tape, b *Batch) batchLoss {
	docs := packEncoder(tp, b.Evidence)
	docs.positions = tp.Ints(positions(b.examples, docs.offsets))
	out := batchLoss{targets: len(b.Evidence)}
	var rows, wanted []int32
	for i, e := range b.examples {
		first := docs.offsets[i] + 1 // after <s>
		for _, w := range e.masked {
			rows, wanted = append(rows, first+w.place), append(wanted, w.token)
		}
		out.tokens += len(e.source)
	}
	hidden := tp.Gather(u.m.read(tp, docs), tp.Ints(rows), 1)
	out.sum, _ = tp.CrossEntropy(hidden, u.m.shared.Weight, tp.Ints(wanted), 0, 1)
	out.reported, out.weight = out.sum, len(wanted)
	return out
}

// positions returns those of the tokens of packed documents, which begin anew with
// the second of two.
func positions(examples []example, offsets []int32) []int32 {
	places := make([]int32, 0, offsets[len(examples)])
	for i, e := range examples {
		for p := range offsets[i+1] - offsets[i] {
			if second := int32(e.second) + 1; e.second > 0 && p >= second { // <s> comes before source
				p -= second
			}
			places = append(places, p)
		}
	}
	return places
}

// fingerprintPairs identifies known translations.
func fingerprintPairs(pairs [][2]int) string {
	h := sha256.New()
	for _, p := range pairs {
		fmt.Fprintln(h, p[0], p[1])
	}
	return hex.EncodeToString(h.Sum(nil))
}
