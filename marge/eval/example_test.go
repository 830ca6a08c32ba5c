package eval_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/marge-go/marge/asm"
	"github.com/marge-go/marge/marge/eval"
)

// Two stories in German and English. The vectors put the second English
// report nearer to the first story.
func ExampleRetrieval() {
	docs := []eval.Doc{
		{Lang: "de", Group: "bridge"}, {Lang: "de", Group: "election"},
		{Lang: "en", Group: "bridge"}, {Lang: "en", Group: "election"},
	}
	vectors := []float32{
		1, 0,
		0, 1,
		0.8, 0.6,
		0.9, 0.1,
	}
	report := eval.Retrieval(docs, eval.NewDense(asm.Serial, vectors, 2))
	if err := report.WriteTable(os.Stdout); err != nil {
		log.Fatal(err)
	}
	// Output:
	// from       to  queries  candidates    P@1    P@5    MRR
	//     de       en        2           2  0.000  1.000  0.500
	//     en       de        2           2  0.500  1.000  0.750
	//    all  queries        4              0.250  1.000  0.625
	//    all    pairs        2              0.250  1.000  0.625
}

// TF-IDF of characters finds what is spelled alike in two languages.
func ExampleNewTFIDF() {
	docs := []eval.Doc{{Lang: "de", Group: "1"}, {Lang: "de", Group: "2"}, {Lang: "en", Group: "1"}, {Lang: "en", Group: "2"}}
	texts := []string{
		"Präsident Alvarez besucht Montevideo", "Erdbeben erschüttert Kathmandu",
		"President Alvarez visits Montevideo", "Earthquake shakes Kathmandu",
	}
	report := eval.Retrieval(docs, eval.NewTFIDF(asm.Serial, texts, eval.TFIDFOptions{}))
	fmt.Printf("P@1 %.2f, MRR %.2f\n", report.Micro.P1, report.Micro.MRR)
	// Output: P@1 1.00, MRR 1.00
}

// A translation against two references, as sacrebleu scores it.
func ExampleBLEU() {
	outputs := []string{"The ferry leaves at seven, if the storm allows."}
	references := [][]string{{"The ferry departs at seven, if the storm allows it.", "If the storm permits, the ferry leaves at seven."}}
	bleu, err := eval.BLEU(outputs, references, eval.BLEUOptions{EffectiveOrder: true})
	if err != nil {
		log.Fatal(err)
	}
	chrf, err := eval.ChrF(outputs, references, eval.ChrFOptions{WordOrder: 2})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("BLEU %.2f, chrF++ %.2f\n%s\n", bleu.Score, chrf.Score, bleu.Signature)
	// Output:
	// BLEU 81.33, chrF++ 73.40
	// nrefs:2|case:mixed|eff:yes|tok:13a|smooth:exp|version:2.6.0+marge
}

// Pairs of sentences by ratio margin, with a threshold from known pairs.
func ExampleMine() {
	german := []float32{1, 0.1, 0, 0, 1, 0.1, 0.1, 0, 1}
	english := []float32{0.1, 1, 0, 1, 0, 0.2, 0.7, 0.7, 0.7}
	mined, err := eval.Mine(asm.Serial, german, english, 3, eval.MineOptions{K: 2})
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range mined {
		fmt.Printf("%d - %d: %.2f\n", m.Source, m.Target, m.Score)
	}
	best := eval.BestThreshold(mined, []eval.Bitext{{Source: 0, Target: 1}, {Source: 1, Target: 0}})
	fmt.Printf("F1 %.2f at %.2f\n", best.F1, best.Threshold)
	// Output:
	// 1 - 0: 1.41
	// 0 - 1: 1.36
	// 2 - 2: 1.15
	// F1 1.00 at 1.26
}

// Held-out loss with a stand-in for a model, which predicts a document well
// from its translation.
func ExampleEvidence_Loss() {
	docs := []eval.Doc{
		{Lang: "de", Group: "bridge"}, {Lang: "de", Group: "election"},
		{Lang: "en", Group: "bridge"}, {Lang: "en", Group: "election"},
	}
	vectors := []float32{1, 0, 0, 1, 0.9, 0.1, 0.1, 0.9}
	evidence := eval.SelectEvidence(docs, eval.Targets(docs, 0, 1), eval.NewDense(asm.Serial, vectors, 2), eval.EvidenceOptions{Documents: 1})
	report, err := evidence.Loss(context.Background(), func(target int, evidence []int) (nats float64, tokens int, err error) {
		if len(evidence) > 0 && docs[evidence[0]].Group == docs[target].Group {
			return 20, 10, nil
		}
		return 50, 10, nil
	}, eval.Bootstrap{})
	if err != nil {
		log.Fatal(err)
	}
	l := report.All
	fmt.Printf("retrieved %.1f, oracle %.1f, random %.1f, none %.1f\n", l.Retrieved, l.Oracle, l.Random, l.None)
	// Output: retrieved 2.0, oracle 2.0, random 5.0, none 5.0
}
