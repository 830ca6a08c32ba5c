package eval

import (
	"context"
	"fmt"
	"strings"
)

// GenerationOptions are the settings of [Generation].
type GenerationOptions struct {
	// Lang is the language of the outputs, a BCP 47 tag. It decides BLEU's
	// tokenizer, see [TokenizerFor].
	Lang string
	// Bootstrap, if not nil, adds intervals over outputs.
	Bootstrap *Bootstrap
	// Progress, which may be nil, counts measures.
	Progress Progress
}

// GenerationReport is the result of [Generation].
type GenerationReport struct {
	N     int         `json:"n"`     // outputs
	Empty int         `json:"empty"` // outputs without a word
	BLEU  *BLEUScore  `json:"bleu"`
	ChrF  *ChrFScore  `json:"chrf"`
	ChrFP *ChrFScore  `json:"chrf++"`
	ROUGE *ROUGEScore `json:"rouge"` // over [Words], without stemmer
}

// Generation scores generated texts against their references in every measure:
// BLEU, chrF and chrF++ as sacrebleu does by default, and ROUGE over the words
// of any script, which for English too is not quite what rouge-score counts.
//
// references[i] has those of outputs[i]. Errors are those of [BLEU].
func Generation(
	ctx context.Context, outputs []string, references [][]string, opt GenerationOptions,
) (*GenerationReport, error) {
	r := &GenerationReport{N: len(outputs)}
	for _, output := range outputs {
		if len(Words(output)) == 0 {
			r.Empty++
		}
	}
	var err error
	bleu := BLEUOptions{Tokenizer: TokenizerFor(opt.Lang), Bootstrap: opt.Bootstrap}
	if r.BLEU, err = BLEU(ctx, outputs, references, bleu); err != nil {
		return nil, err
	}
	opt.Progress.report(1, 4)
	if r.ChrF, err = ChrF(ctx, outputs, references, ChrFOptions{Bootstrap: opt.Bootstrap}); err != nil {
		return nil, err
	}
	opt.Progress.report(2, 4)
	chrFP := ChrFOptions{WordOrder: 2, Bootstrap: opt.Bootstrap}
	if r.ChrFP, err = ChrF(ctx, outputs, references, chrFP); err != nil {
		return nil, err
	}
	opt.Progress.report(3, 4)
	if r.ROUGE, err = ROUGE(ctx, outputs, references, ROUGEOptions{Words: Words, Bootstrap: opt.Bootstrap}); err != nil {
		return nil, err
	}
	opt.Progress.report(4, 4)
	return r, nil
}

// String returns the scores, a line each.
func (r GenerationReport) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d outputs, %d of them empty", r.N, r.Empty)
	if r.BLEU != nil {
		fmt.Fprintf(&b, "\nBLEU   %s", withInterval("%.1f", r.BLEU.Score, r.BLEU.Interval))
	}
	if r.ChrF != nil {
		fmt.Fprintf(&b, "\nchrF   %s", withInterval("%.1f", r.ChrF.Score, r.ChrF.Interval))
	}
	if r.ChrFP != nil {
		fmt.Fprintf(&b, "\nchrF++ %s", withInterval("%.1f", r.ChrFP.Score, r.ChrFP.Interval))
	}
	if r.ROUGE != nil {
		fmt.Fprintf(&b, "\n%v", r.ROUGE)
	}
	return b.String()
}

// CopyEvidence scores the baseline that copies: the output for evidence[i],
// documents from the most relevant down, is the first of them, or empty if
// there is none. A model that does not beat it has learnt to copy names and
// numbers at best.
func CopyEvidence(
	ctx context.Context, evidence, references [][]string, opt GenerationOptions,
) (*GenerationReport, error) {
	outputs := make([]string, len(evidence))
	for i, docs := range evidence {
		if len(docs) > 0 {
			outputs[i] = docs[0]
		}
	}
	r, err := Generation(ctx, outputs, references, opt)
	if err != nil {
		return nil, fmt.Errorf("eval: copy evidence: %w", err)
	}
	return r, nil
}
