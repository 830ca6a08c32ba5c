package eval

import (
	"fmt"
	"testing"
)

// TestResultsPrint: results are for people to read, not addresses.
func TestResultsPrint(t *testing.T) {
	ci := Interval{0.25, 0.75}
	m := Metrics{N: 4, P1: 0.5, P5: 1, MRR: 0.625}
	all := Intervals{ci, ci, ci}
	rouge := ROUGEMeasure{Precision: 0.5, Recall: 0.25, F1: 1.0 / 3, Interval: &ci}
	percent := Interval{20, 40}
	loss := EvidenceLoss{
		Targets: 2, Tokens: 20, Retrieved: 2, Oracle: 1, Random: 3, None: 4,
		OverRandom: Interval{0.5, 1.5}, OverNone: Interval{1, 3},
	}
	report := Report{
		Pairs: []PairReport{{From: "de", To: "en", Candidates: 9, Metrics: m}}, Micro: m, Macro: m, MicroIntervals: &all,
		NaN: 3,
	}
	generation := &GenerationReport{
		N: 5, Empty: 1, BLEU: &BLEUScore{Score: 30, Interval: &percent, Signature: "s"}, ChrF: &ChrFScore{Score: 50},
		ChrFP: &ChrFScore{Score: 45}, ROUGE: &ROUGEScore{ROUGE1: rouge},
	}
	pair := &PairReport{From: "en", To: "de", Metrics: m, Intervals: &all}
	difference := &Difference{m, Metrics{P1: -0.25}, all, all}
	chrf := ChrFScore{Score: 50, Signature: "x"}
	mining := MiningScore{1.25, 4, 8, 3, 0.75, 0.375, 0.5}
	for want, result := range map[string]any{
		"[0.250, 0.750]":                                                                                ci,
		"P@1 0.500, P@5 1.000, MRR 0.625 (4)":                                                           m,
		"P@1 [0.250, 0.750], P@5 [0.250, 0.750], MRR [0.250, 0.750]":                                    &all,
		"de-en: P@1 0.500, P@5 1.000, MRR 0.625 (4)":                                                    report.Pairs[0],
		"en-de: P@1 0.500, P@5 1.000, MRR 0.625 (4), intervals " + all.String():                         pair,
		"P@1 +0.500 [0.250, 0.750] over queries, -0.250 [0.250, 0.750] over pairs":                      difference,
		"F1 0.500, precision 0.750, recall 0.375: 3 of 4 mined pairs are true, of 8, at threshold 1.25": mining,
		"F1 0.333 [0.250, 0.750] (precision 0.500, recall 0.250)":                                       rouge,
		"ROUGE-1 0.333 [0.250, 0.750], ROUGE-2 0.000, ROUGE-L 0.000, ROUGE-Lsum 0.000":                  generation.ROUGE,
		"BLEU 30.0 [20.0, 40.0] (s)":                                                                    generation.BLEU,
		"chrF 50.0 (x)":                                                                                 chrf,
		"nats per token of 2 targets: retrieved 2.000, oracle 1.000, random 3.000, none 4.000; " +
			"random - retrieved [0.500, 1.500], none - retrieved [1.000, 3.000]": &loss,
		"5 outputs, 1 of them empty\nBLEU   30.0 [20.0, 40.0]\nchrF   50.0\nchrF++ 45.0\n" +
			generation.ROUGE.String(): generation,
		"0 outputs, 0 of them empty":                       GenerationReport{},
		"retrieval: not evaluated: there are no documents": &NotEvaluatedError{"retrieval", "there are no documents"},
	} {
		if got := fmt.Sprint(result); got != want {
			t.Errorf("%T prints as\n%s\nwant\n%s", result, got, want)
		}
	}
}

func ExampleReport() {
	m := Metrics{N: 4, P1: 0.5, P5: 1, MRR: 0.625}
	interval := Interval{0.25, 0.75}
	fmt.Println(&Report{
		Pairs: []PairReport{{From: "de", To: "en", Candidates: 9, Metrics: m}}, Micro: m, Macro: m,
		MicroIntervals: &Intervals{interval, interval, interval},
	})
	// Output:
	// from       to  queries  candidates                   P@1                   P@5                   MRR
	//     de       en        4           9                 0.500                 1.000                 0.625
	//    all  queries        4              0.500 [0.250, 0.750]  1.000 [0.250, 0.750]  0.625 [0.250, 0.750]
	//    all    pairs        4                             0.500                 1.000                 0.625
}

func ExampleLossReport() {
	loss := EvidenceLoss{Targets: 2, Tokens: 20, Retrieved: 2, Oracle: 1, Random: 3, None: 4, OverRandom: Interval{1, 1}}
	fmt.Println(LossReport{All: loss, ByLanguage: map[string]EvidenceLoss{"en": loss, "de": loss}})
	// Output:
	// language  targets  tokens  retrieved  oracle  random   none     over random       over none
	//         de        2      20      2.000   1.000   3.000  4.000  [1.000, 1.000]  [0.000, 0.000]
	//         en        2      20      2.000   1.000   3.000  4.000  [1.000, 1.000]  [0.000, 0.000]
	//        all        2      20      2.000   1.000   3.000  4.000  [1.000, 1.000]  [0.000, 0.000]
}
