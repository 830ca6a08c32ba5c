package eval

import (
	"encoding/json"
	"math"
	"strings"
	"testing"
)

func TestScoreErrors(t *testing.T) {
	one, ref := []string{"a"}, [][]string{{"a"}}
	for want, f := range map[string]func() error{
		"bleu: generation: not evaluated": func() error {
			_, err := BLEU(t.Context(), nil, nil, BLEUOptions{})
			return err
		},
		"bleu: 1 outputs, references of 0": func() error {
			_, err := BLEU(t.Context(), one, nil, BLEUOptions{})
			return err
		},
		"chrf: output 1 has no reference": func() error {
			_, err := ChrF(t.Context(), []string{"", ""}, [][]string{{"a"}, {}}, ChrFOptions{})
			return err
		},
		"rouge: output 0 has no reference": func() error {
			_, err := ROUGE(t.Context(), one, [][]string{nil}, ROUGEOptions{})
			return err
		},
		`no tokenizer is called "13b"`: func() error {
			_, err := BLEU(t.Context(), one, ref, BLEUOptions{Tokenizer: "13b"})
			return err
		},
		`no smoothing is called "most"`: func() error {
			_, err := BLEU(t.Context(), one, ref, BLEUOptions{Smoothing: "most"})
			return err
		},
		"smoothing by -1": func() error {
			_, err := BLEU(t.Context(), one, ref, BLEUOptions{SmoothValue: -1})
			return err
		},
		"smoothing by NaN": func() error {
			_, err := BLEU(t.Context(), one, ref, BLEUOptions{SmoothValue: math.NaN()})
			return err
		},
		"n-grams of up to -1 words": func() error {
			_, err := BLEU(t.Context(), one, ref, BLEUOptions{MaxOrder: -1})
			return err
		},
		"chrf: 6 characters, -1 words": func() error {
			_, err := ChrF(t.Context(), one, ref, ChrFOptions{WordOrder: -1})
			return err
		},
		"there are no outputs to score": func() error {
			_, err := Generation(t.Context(), nil, nil, GenerationOptions{})
			return err
		},
		"copy evidence: eval: bleu: 2 outp": func() error {
			_, err := CopyEvidence(t.Context(), make([][]string, 2), ref, GenerationOptions{})
			return err
		},
	} {
		if err := f(); err == nil || !strings.HasPrefix(err.Error(), "eval: ") || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}

// TestBLEUByHand: the output has 5 of 6 words, 3 of 5 pairs, 1 of 4 triples
// and no quadruple of the reference of 7 words.
func TestBLEUByHand(t *testing.T) {
	got, err := BLEU(t.Context(), []string{"the cat sat on a mat"}, [][]string{{"today the cat sat near a mat"}},
		BLEUOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want := math.Exp(1-7.0/6) * math.Pow(5.0/6*3/5*1/4*1/6, 0.25) * 100 // exp: half of 1/3
	if math.Abs(got.Score-want) > 1e-9 || got.OutputLen != 6 || got.ReferenceLen != 7 ||
		got.Signature != "nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0+marge" {
		t.Errorf("%+v, want %v", got, want)
	}
}

func TestTokenizerFor(t *testing.T) {
	for lang, want := range map[string]BLEUTokenizer{
		"de": Tokenizer13a, "": Tokenizer13a, "zh-TW": TokenizerZh, "zh_CN": TokenizerZh, "ja": TokenizerChar,
		"TH": TokenizerChar, "ko": Tokenizer13a, "zhx": Tokenizer13a,
		"zho": TokenizerZh, "jpn-Jpan": TokenizerChar, "not a tag": Tokenizer13a,
	} {
		if got := TokenizerFor(lang); got != want {
			t.Errorf("%s: %s", lang, got)
		}
	}
}

func TestGeneration(t *testing.T) {
	outputs := []string{"Ночью шёл дождь.", "Мост закрыт до весны.", " ."}
	references := [][]string{{"Ночью шёл дождь."}, {"Мост открыт до зимы.", "Мост закрыт до весны."}, {"Паром не ходит."}}
	got, err := Generation(t.Context(), outputs, references, GenerationOptions{Lang: "ru",
		Bootstrap: &Bootstrap{Folds: 200}})
	if err != nil {
		t.Fatal(err)
	}
	if got.N != 3 || got.Empty != 1 || math.Abs(got.ROUGE.ROUGEL.F1-2.0/3) > 1e-12 ||
		got.ROUGE.ROUGEL.Interval.Low > 0.34 || got.ROUGE.ROUGEL.Interval.High != 1 {
		t.Errorf("%+v", *got.ROUGE)
	}
	for name, f := range map[string]struct {
		score float64
		ci    *Interval
	}{"BLEU": {got.BLEU.Score, got.BLEU.Interval}, "chrF": {got.ChrF.Score, got.ChrF.Interval},
		"chrF++": {got.ChrFP.Score, got.ChrFP.Interval}} {
		if !(f.ci.Low < f.score && f.score < f.ci.High && f.ci.High <= 100+1e-9 && f.ci.Low >= 0) {
			t.Errorf("%s %v, interval %v", name, f.score, f.ci)
		}
	}
	if want := "nrefs:var|bs:200|seed:0|case:mixed|"; !strings.HasPrefix(got.BLEU.Signature, want) ||
		!strings.HasPrefix(got.ChrF.Signature, want) {
		t.Errorf("signatures %s, %s", got.BLEU.Signature, got.ChrF.Signature)
	}
	if got.ChrF.Score == got.ChrFP.Score {
		t.Error("chrF++ has no words")
	}
	if _, err := json.Marshal(got); err != nil {
		t.Error(err)
	}
}

func TestCopyEvidence(t *testing.T) {
	references := [][]string{{"The ferry leaves at seven."}, {"Nobody reads the instructions."},
		{"The bridge is closed."}}
	evidence := [][]string{{"The ferry leaves at seven.", "Nobody reads the instructions."}, {"The bridge is closed."},
		nil}
	got, err := CopyEvidence(t.Context(), evidence, references, GenerationOptions{Lang: "en"})
	if err != nil {
		t.Fatal(err)
	}
	want, err := Generation(t.Context(), []string{references[0][0], references[2][0], ""}, references,
		GenerationOptions{Lang: "en"})
	if err != nil {
		t.Fatal(err)
	}
	if got.BLEU.Score != want.BLEU.Score || got.ROUGE.ROUGE1 != want.ROUGE.ROUGE1 || got.Empty != 1 ||
		got.BLEU.Score == 0 || got.BLEU.Interval != nil {
		t.Errorf("%+v, want %+v", *got.BLEU, *want.BLEU)
	}
}

// TestROUGEWords: other scripts count only with words of their own, and the
// stemmer leaves them alone.
func TestROUGEWords(t *testing.T) {
	out, ref := []string{"Мосты закрыты, closing évités"}, [][]string{{"closed Мосты évité"}}
	for _, c := range []struct {
		opt  ROUGEOptions
		want float64 // hits of 2 or 4 words by 2 or 3
	}{
		{ROUGEOptions{}, 2 * 1.0 / (3 + 2)}, // closing, vit, s; closed, vit
		{ROUGEOptions{Stemmer: true}, 2 * 2.0 / (3 + 2)},
		{ROUGEOptions{Words: Words}, 2 * 1.0 / (4 + 3)},
		{ROUGEOptions{Words: Words, Stemmer: true}, 2 * 2.0 / (4 + 3)},
	} {
		got, err := ROUGE(t.Context(), out, ref, c.opt)
		if err != nil {
			t.Fatal(err)
		}
		if math.Abs(got.ROUGE1.F1-c.want) > 1e-12 {
			t.Errorf("%v: %+v, want F1 %v", c.opt.Stemmer, got.ROUGE1, c.want)
		}
	}
}
