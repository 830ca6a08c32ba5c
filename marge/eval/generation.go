package eval

import "fmt"

// GenerationOptions are the settings of [Generation].
type GenerationOptions struct {
	// Lang is the language of the outputs, a BCP 47 tag. It decides BLEU's
	// tokenizer, see [TokenizerFor].
	Lang string
	// Bootstrap, if not nil, adds intervals over outputs.
	Bootstrap *Bootstrap
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
func Generation(outputs []string, references [][]string, opt GenerationOptions) (*GenerationReport, error) {
	r := &GenerationReport{N: len(outputs)}
	for _, output := range outputs {
		if len(Words(output)) == 0 {
			r.Empty++
		}
	}
	var err error
	if r.BLEU, err = BLEU(outputs, references, BLEUOptions{Tokenizer: TokenizerFor(opt.Lang), Bootstrap: opt.Bootstrap}); err != nil {
		return nil, err
	}
	if r.ChrF, err = ChrF(outputs, references, ChrFOptions{Bootstrap: opt.Bootstrap}); err != nil {
		return nil, err
	}
	if r.ChrFP, err = ChrF(outputs, references, ChrFOptions{WordOrder: 2, Bootstrap: opt.Bootstrap}); err != nil {
		return nil, err
	}
	if r.ROUGE, err = ROUGE(outputs, references, ROUGEOptions{Words: Words, Bootstrap: opt.Bootstrap}); err != nil {
		return nil, err
	}
	return r, nil
}

// CopyEvidence scores the baseline that copies: the output for evidence[i],
// documents from the most relevant down, is the first of them, or empty if
// there is none. A model that does not beat it has learnt to copy names and
// numbers at best.
func CopyEvidence(evidence, references [][]string, opt GenerationOptions) (*GenerationReport, error) {
	outputs := make([]string, len(evidence))
	for i, docs := range evidence {
		if len(docs) > 0 {
			outputs[i] = docs[0]
		}
	}
	r, err := Generation(outputs, references, opt)
	if err != nil {
		return nil, fmt.Errorf("eval: copy evidence: %w", err)
	}
	return r, nil
}
