package eval_test

import (
	"context"
	"fmt"
	"log"

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
	report, err := eval.Retrieval(context.Background(), docs, eval.NewDense(asm.Serial, vectors, 2), nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report)
	// Output:
	// from       to  queries  candidates    P@1    P@5    MRR
	//     de       en        2           2  0.000  1.000  0.500
	//     en       de        2           2  0.500  1.000  0.750
	//    all  queries        4              0.250  1.000  0.625
	//    all    pairs        2              0.250  1.000  0.625
}

// TF-IDF of characters finds what is spelled alike in two languages.
func ExampleNewTFIDF() {
	docs := []eval.Doc{{Lang: "de", Group: "1"}, {Lang: "de", Group: "2"}, {Lang: "en", Group: "1"},
		{Lang: "en", Group: "2"}}
	texts := []string{
		"Präsident Alvarez besucht Montevideo", "Erdbeben erschüttert Kathmandu",
		"President Alvarez visits Montevideo", "Earthquake shakes Kathmandu",
	}
	ctx := context.Background()
	tfidf, err := eval.NewTFIDF(ctx, asm.Serial, texts, eval.TFIDFOptions{})
	if err != nil {
		log.Fatal(err)
	}
	report, err := eval.Retrieval(ctx, docs, tfidf, nil)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(report.Micro)
	// Output: P@1 1.000, P@5 1.000, MRR 1.000 (4)
}

// A translation against two references, as sacrebleu scores it.
func ExampleBLEU() {
	outputs := []string{"The ferry leaves at seven, if the storm allows."}
	references := [][]string{{
		"The ferry departs at seven, if the storm allows it.",
		"If the storm permits, the ferry leaves at seven.",
	}}
	ctx := context.Background()
	bleu, err := eval.BLEU(ctx, outputs, references, eval.BLEUOptions{EffectiveOrder: true})
	if err != nil {
		log.Fatal(err)
	}
	chrf, err := eval.ChrF(ctx, outputs, references, eval.ChrFOptions{WordOrder: 2})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(bleu)
	fmt.Println(chrf)
	// Output:
	// BLEU 81.3 (nrefs:2|case:mixed|eff:yes|tok:13a|smooth:exp|version:2.6.0+marge)
	// chrF 73.4 (nrefs:2|case:mixed|eff:yes|nc:6|nw:2|space:no|version:2.6.0+marge)
}

// Pairs of sentences by ratio margin, with a threshold from known pairs.
func ExampleMine() {
	german := []float32{1, 0.1, 0, 0, 1, 0.1, 0.1, 0, 1}
	english := []float32{0.1, 1, 0, 1, 0, 0.2, 0.7, 0.7, 0.7}
	mined, err := eval.Mine(context.Background(), asm.Serial, german, english, 3, eval.MineOptions{K: 2})
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range mined {
		fmt.Printf("%d - %d: %.2f\n", m.Source, m.Target, m.Score)
	}
	best, err := eval.BestThreshold(mined, []eval.Bitext{{Source: 0, Target: 1}, {Source: 1, Target: 0}})
	if err != nil {
		log.Fatal(err)
	}
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
	ctx := context.Background()
	dense := eval.NewDense(asm.Serial, vectors, 2)
	evidence, err := eval.SelectEvidence(ctx, docs, eval.Targets(docs, 0, 1), dense, eval.EvidenceOptions{Documents: 1})
	if err != nil {
		log.Fatal(err)
	}
	loss := func(target int, evidence []int) (nats float64, tokens int, err error) {
		if len(evidence) > 0 && docs[evidence[0]].Group == docs[target].Group {
			return 20, 10, nil
		}
		return 50, 10, nil
	}
	report, err := evidence.Loss(ctx, loss, eval.Bootstrap{}, nil)
	if err != nil {
		log.Fatal(err)
	}
	l := report.All
	fmt.Printf("retrieved %.1f, oracle %.1f, random %.1f, none %.1f\n", l.Retrieved, l.Oracle, l.Random, l.None)
	// Output: retrieved 2.0, oracle 2.0, random 5.0, none 5.0
}
