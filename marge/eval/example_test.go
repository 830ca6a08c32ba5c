package eval_test

import (
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
