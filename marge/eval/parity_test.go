package eval

import (
	"encoding/json"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
)

// parityCases are scores of sacrebleu and rouge-score, written by
// bench/peers/eval_parity.py.
type parityCases struct {
	Corpora []struct {
		Name       string
		Outputs    []string
		References [][]string
		Bleu       []struct {
			Options struct {
				Tokenize       BLEUTokenizer
				Lowercase      bool
				SmoothMethod   Smoothing `json:"smooth_method"`
				SmoothValue    float64   `json:"smooth_value"`
				MaxNgramOrder  int       `json:"max_ngram_order"`
				EffectiveOrder bool      `json:"effective_order"`
			}
			Score, BP    float64
			Precisions   []float64
			OutputLen    int `json:"output_len"`
			ReferenceLen int `json:"reference_len"`
			Signature    string
		}
		Chrf []struct {
			Options struct {
				CharOrder    int `json:"char_order"`
				WordOrder    int `json:"word_order"`
				Beta         int
				Lowercase    bool
				Whitespace   bool
				EpsSmoothing bool `json:"eps_smoothing"`
			}
			Score     float64
			Signature string
		}
		Rouge []struct {
			Options struct{ Stemmer, Spaces bool }
			Scores  ROUGEScore
		}
	}
	Tokens []struct {
		Tokenizer BLEUTokenizer
		Text      string
		Words     []string
	}
	Stems, Lower map[string]string
}

// TestParity compares with the figures of the Python packages. The environment
// variable MARGE_EVAL_PARITY names a file with more of them.
func TestParity(t *testing.T) {
	files := []string{"testdata/parity.json"}
	if more := os.Getenv("MARGE_EVAL_PARITY"); more != "" {
		files = append(files, more)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var cases parityCases
		if err := json.Unmarshal(data, &cases); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		if len(cases.Corpora) == 0 || len(cases.Tokens) == 0 || len(cases.Stems) == 0 || len(cases.Lower) == 0 {
			t.Fatalf("%s has no cases of some kind", file)
		}
		cases.compare(t)
	}
}

func (p *parityCases) compare(t *testing.T) {
	// Sums in another order are all that may differ.
	same := func(a, b float64) bool { return math.Abs(a-b) < 1e-9 }
	sameSignature := func(ours, theirs string) bool { return strings.TrimSuffix(ours, "+marge") == theirs }
	for _, c := range p.Corpora {
		for _, want := range c.Bleu {
			o := want.Options
			got, err := BLEU(t.Context(), c.Outputs, c.References, BLEUOptions{
				Tokenizer: o.Tokenize, Smoothing: o.SmoothMethod, SmoothValue: o.SmoothValue, MaxOrder: o.MaxNgramOrder,
				EffectiveOrder: o.EffectiveOrder, Lowercase: o.Lowercase,
			})
			if err != nil {
				t.Fatalf("%s: %v", c.Name, err)
			}
			if !same(got.Score, want.Score) || !same(got.BrevityPenalty, want.BP) || got.OutputLen != want.OutputLen ||
				got.ReferenceLen != want.ReferenceLen || !slices.EqualFunc(got.Precisions, want.Precisions, same) ||
				!sameSignature(got.Signature, want.Signature) {
				t.Errorf("%s: BLEU %+v, sacrebleu %+v", c.Name, *got, want)
			}
		}
		for _, want := range c.Chrf {
			o := want.Options
			got, err := ChrF(t.Context(), c.Outputs, c.References, ChrFOptions{
				CharOrder: o.CharOrder, WordOrder: o.WordOrder, Beta: o.Beta, Lowercase: o.Lowercase, Whitespace: o.Whitespace,
				EpsSmoothing: o.EpsSmoothing,
			})
			if err != nil {
				t.Fatalf("%s: %v", c.Name, err)
			}
			if !same(got.Score, want.Score) || !sameSignature(got.Signature, want.Signature) {
				t.Errorf("%s: chrF %+v, sacrebleu %+v", c.Name, *got, want)
			}
		}
		for _, want := range c.Rouge {
			opt := ROUGEOptions{Stemmer: want.Options.Stemmer}
			if want.Options.Spaces {
				opt.Words = func(text string) []string { return strings.FieldsFunc(text, isSpace) }
			}
			got, err := ROUGE(t.Context(), c.Outputs, c.References, opt)
			if err != nil {
				t.Fatalf("%s: %v", c.Name, err)
			}
			pairs := map[string][2]ROUGEMeasure{
				"1": {got.ROUGE1, want.Scores.ROUGE1}, "2": {got.ROUGE2, want.Scores.ROUGE2},
				"L": {got.ROUGEL, want.Scores.ROUGEL}, "Lsum": {got.ROUGELsum, want.Scores.ROUGELsum},
			}
			for name, m := range pairs {
				if !same(m[0].Precision, m[1].Precision) || !same(m[0].Recall, m[1].Recall) || !same(m[0].F1, m[1].F1) {
					t.Errorf("%s, %+v: ROUGE-%s %+v, rouge-score %+v", c.Name, want.Options, name, m[0], m[1])
				}
			}
		}
	}
	for _, want := range p.Tokens {
		if got := want.Tokenizer.split(want.Text); !slices.Equal(got, want.Words) {
			t.Errorf("%s: %q\nsacrebleu %q\ngot       %q", want.Tokenizer, want.Text, want.Words, got)
		}
	}
	for word, want := range p.Stems {
		if got := porterStem(word); got != want {
			t.Errorf("the stem of %q is %q, by NLTK %q", word, got, want)
		}
	}
	for text, want := range p.Lower {
		if got := lower(text); got != want {
			t.Errorf("%q in lower case is %q, by Python %q", text, got, want)
		}
	}
}
